"""The ``npse`` command. Each command has a module. An error is one line, and the exit code is 2."""

import os
import sys
from typing import Annotated

import typer
from typer import Option

from npse import __version__
from npse.cli import (
    ablate,
    bench,
    check,
    cost,
    data,
    evaluate,
    exercise,
    export,
    import_run,
    info,
    inspect,
    predict,
    recipes,
    trace,
    train,
    warmup,
    zoo,
)
from npse.cli.command import App
from npse.cli.console import complain, fit_encoding
from npse.support.environment import blas_within_quota

app = App(help="Squeeze-and-Excitation networks from scratch: train, look, and check every gradient.")


def _say_version(wanted: bool):
    if wanted:
        typer.echo(f"npse {__version__}")
        raise typer.Exit


@app.callback()
def npse(
    version: Annotated[bool, Option("--version", "-V", help="Show the version and exit.", is_eager=True,
                                    callback=_say_version)] = False,
) -> None:
    """Take the options that belong to no single command."""


for command, examples in {
    train.train: ("npse train", "npse train --recipe fast94",
                  "npse train --data cifar10 --model se_resnet20 --epochs 30",
                  "npse train --data cifar10 --budget 20min", "npse train --resume --out runs/se_resnet8-shapes-1"),
    recipes.recipes: ("npse recipes", "npse recipes fast94"),
    evaluate.evaluate: ("npse evaluate runs/se_resnet8-shapes-1 --tta mirror",),
    inspect.inspect: ("npse inspect runs/se_resnet8-shapes-1", "npse inspect runs/se_resnet20-cifar10-1 --sample 500"),
    predict.predict: ("npse predict cat.jpg", "npse predict runs/se_resnet20-cifar10-1 cat.jpg dog.png"),
    export.export: ("npse export runs/se_resnet20-cifar10-1 --to torch",
                    "npse export runs/se_resnet20-cifar10-1 --to onnx --out model.onnx --time"),
    ablate.ablate: ("npse ablate --list", "npse ablate gate --dry-run", "npse ablate structures --jobs 2",
                    "npse ablate mine.toml --seeds 0-9 --out runs/mine"),
    check.check: ("npse check", "npse check --edition cpu --op se_backward", "npse check my_layer.py"),
    zoo.zoo: ("npse zoo --op se --seeds 3", "npse zoo --write docs/zoo.md", "npse zoo --mutate --mutants 100"),
    bench.bench: ("npse bench --quick", "npse bench --model se_resnet20 --roofline roofline.png"),
    cost.cost: ("npse cost se_resnet20", "npse cost resnet20 --vs se_resnet20 --no-time"),
    trace.trace: ("npse trace squeeze", "npse trace my_kernels.py:naive my_kernels.py:tiled --threads 16,16"),
    warmup.warmup: ("npse warmup --model se_resnet20",),
    info.info: ("npse info",),
}.items():
    app.command(examples=examples)(command)
app.command("import", examples=(
    "npse import seresnet50.safetensors --as se_resnet50 --data photos",
    "npse import se_resnet20.safetensors"))(import_run.import_run)
app.add_typer(data.app, name="data")
app.add_typer(exercise.app, name="exercise")

# The errors of wrong input. Any other error is a defect of npse and keeps its traceback.
USER_ERRORS = (ValueError, TypeError, OSError, ImportError, FloatingPointError, MemoryError)


def main():
    """Run the command line."""
    fit_encoding()
    try:
        with blas_within_quota():
            app()
    except BrokenPipeError:                                       # the reader of the output has ended: npse ... | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except USER_ERRORS as error:
        if os.environ.get("NPSE_TRACEBACK"):
            raise
        complain(error)
        sys.exit(2)
