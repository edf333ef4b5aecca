"""``npse warmup``: compile kernels now, so that the first run does not wait for it."""

import time
from functools import partial
from typing import Annotated

import typer
from typer import Option

from npse.cli.command import names
from npse.cli.progress import compiling


def warmup(
    model: Annotated[str | None, Option(help="only the kernels for this model", show_default="all",
                                         autocompletion=names("npse.models:MODELS"))] = None,
    float64: Annotated[bool, Option("--float64", help="also for float64, which gradient checks use")] = False,
) -> None:
    """Compile the kernels of the cpu edition into the cache folder, once per machine and version of npse."""
    from npse import backend
    from npse.training import Config

    folder = backend.edition("cpu").cache_folder()                # raises an error if Numba is missing
    if folder is None:
        raise OSError("no folder for compiled kernels can be written; name one in NPSE_CACHE_DIR")

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
               f"all kernels were compiled already, in {folder}")
