"""The ``npse`` command. One command a module; errors are one line and exit code 2."""

import errno
import os
import sys

import typer

from npse.cli import bench, check, data, evaluate, exercise, info, predict, trace, train, warmup, zoo
from npse.environment import blas_within_quota

app = typer.Typer(help="Squeeze-and-Excitation networks from scratch: train, look, and prove every gradient.",
                  no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  context_settings={"help_option_names": ["-h", "--help"]})
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(predict.predict)
app.command()(check.check)
app.command()(zoo.zoo)
app.command()(bench.bench)
app.command()(trace.trace)
app.command()(warmup.warmup)
app.command()(info.info)
app.add_typer(data.app, name="data")
app.add_typer(exercise.app, name="exercise")

# What wrong input raises. Anything else is a defect of npse and keeps its traceback.
USER_ERRORS = (ValueError, TypeError, OSError, ImportError, FloatingPointError, MemoryError)


def main():
    """Entry point of ``npse``."""
    try:
        with blas_within_quota():
            app()
    except BrokenPipeError:                                       # the reader of our output has left: npse ... | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except USER_ERRORS as error:
        if os.environ.get("NPSE_TRACEBACK"):
            raise
        print(f"npse: {describe(error)}", file=sys.stderr)
        sys.exit(2)


ADVICE = {errno.ENOSPC: "free some space and go on; what was saved before is as it was",
          errno.EDQUOT: "free some space and go on; what was saved before is as it was",
          errno.EACCES: "choose another folder, or ask for the right to write here"}


def describe(error):
    """Return an error as one line."""
    if isinstance(error, OSError) and error.strerror:
        parts = (error.filename, error.strerror, ADVICE.get(error.errno))
        return ": ".join(str(part) for part in parts if part)
    return " ".join(str(error).split()) or type(error).__name__
