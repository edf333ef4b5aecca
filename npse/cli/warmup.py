"""``npse warmup``: compile now what would be compiled while the first run waits."""

import time
from functools import partial
from typing import Annotated

import typer
from typer import Option

from npse.cli.command import names
from npse.cli.progress import compiling


def warmup(
    model: Annotated[str | None, Option(help="only what training and evaluating it takes", show_default="all",
                                         autocompletion=names("npse.models:MODELS"))] = None,
    float64: Annotated[bool, Option("--float64", help="also for float64, as gradient checks use")] = False,
) -> None:
    """Compile the kernels of the cpu edition into the cache folder, once per machine and version of npse."""
    from npse import backend
    from npse.training import Config

    folder = backend.edition("cpu").cache_folder()                # first of all: it says so if there is no Numba
    if folder is None:
        raise OSError("no folder can be written to keep compiled kernels; name one in NPSE_CACHE_DIR")

    from npse.cli.precompile import EVERY_SHAPE, ops, training, warm_up

    dtypes = ("float32", "float64") if float64 else ("float32",)
    works = [partial(training, Config(model=model or EVERY_SHAPE), dtype) for dtype in dtypes]
    if model is None:
        works.append(partial(ops, dtypes))
    began = time.monotonic()
    with compiling() as say:
        count = warm_up(*works, say=say)
    seconds = time.monotonic() - began
    typer.echo(f"compiled {count} kernel{'s' * (count != 1)} in {seconds:.1f} s, kept in {folder}" if count else
               f"all kernels were there, in {folder}")
