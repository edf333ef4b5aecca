"""``npse warmup``: compile now what would be compiled while the first run waits."""

import time
from typing import Annotated

import typer
from typer import Option


def warmup(
    model: Annotated[str | None, Option(help="only what training and evaluating it takes", show_default="all")] = None,
    float64: Annotated[bool, Option("--float64", help="also for float64, as gradient checks use")] = False,
) -> None:
    """Compile the kernels of the cpu edition into the cache folder, once per machine and version of npse."""
    from rich.console import Console

    from npse import backend

    folder = backend.edition("cpu").cache_folder()                # first of all: it says so if there is no Numba

    from npse.bench.warmup import warm_up

    began = time.monotonic()
    with Console(stderr=True).status("loading kernels") as status:        # silent where stderr is not a terminal
        count = warm_up(model, ("float32", "float64") if float64 else ("float32",), status.update)
    seconds = time.monotonic() - began
    done = f"compiled {count} kernel{'s' * (count != 1)} in {seconds:.1f} s"
    if not count:
        typer.echo(f"all kernels were there, in {folder} ({seconds:.1f} s to load and try them)")
    elif folder:
        typer.echo(f"{done}, kept in {folder}")
    else:
        typer.echo(f"{done} for nothing: no folder can be written to keep them; "
                   "name one in NPSE_CACHE_DIR")
