"""``npse warmup``: compile kernels now, so that the first run does not wait for it."""

import time
from functools import partial
from typing import Annotated

import typer
from typer import Option

from npse.cli.command import names
from npse.cli.progress import compiling
from npse.support.names import suggest

COMPILED = "cpu", "cuda"


def warmup(
    model: Annotated[str | None, Option(help="only the kernels for this model", show_default="all",
                                         autocompletion=names("npse.models:MODELS"))] = None,
    float64: Annotated[bool, Option("--float64", help="also for float64, which gradient checks use")] = False,
    edition: Annotated[str, Option(help="cpu or cuda", autocompletion=names("npse.cli.warmup:COMPILED"))] = "cpu",
    capability: Annotated[str | None, Option(help="compute capability of a GPU, such as 9.0, for the cuda edition; the "
                                                  "GPU need not be here", show_default="that of this GPU")] = None,
) -> None:
    """Compile the kernels of an edition into the cache folder, once per machine and version of npse."""
    if edition not in COMPILED:
        raise ValueError(f"unknown edition {edition!r}; {suggest(edition, COMPILED)}")
    if capability and edition != "cuda":
        raise ValueError("a compute capability is for the cuda edition; add --edition cuda")
    folder, warm_up = _cpu() if edition == "cpu" else _cuda(capability)
    if folder is None:
        raise OSError("no folder for compiled kernels can be written; name one in NPSE_CACHE_DIR")

    from npse.cli.precompile import EVERY_SHAPE, ops, training
    from npse.training import Config

    dtypes = ("float32", "float64") if float64 else ("float32",)
    works = [partial(training, Config(model=model or EVERY_SHAPE), dtype, edition=edition) for dtype in dtypes]
    if model is None:
        works.append(partial(ops, dtypes, edition=edition))
    began = time.monotonic()
    with compiling() as say:
        count = warm_up(*works, say=say)
    seconds = time.monotonic() - began
    typer.echo(f"compiled {count} kernel{'s' * (count != 1)} in {seconds:.1f} s, kept in {folder}" if count else
               f"all kernels were compiled already, in {folder}")


def _cpu():
    """Return the folder of the kernels of the cpu edition, and the function that compiles those of works."""
    from npse import backend

    cpu = backend.edition("cpu")                                  # raises an error if Numba is missing

    from npse.cli import precompile

    return cpu.cache_folder(), precompile.warm_up


def _cuda(capability):
    """Return the same for the cuda edition and a compute capability, that of this GPU if none is given."""
    from npse import backend
    from npse.support import nvidia_driver

    nvidia_driver.expect_compiler("npse warmup --edition cuda")
    if not capability and (lacking := backend.why_unavailable("cuda")):
        raise ImportError(f"{lacking}; or name the GPU: --capability 9.0")

    from npse.cli import precompile
    from npse.cuda.runtime import device
    from npse.cuda.runtime.machine_code import cache_folder, capability_of

    wanted = capability_of(capability) if capability else device.capability()
    return cache_folder(), partial(precompile.warm_up_cuda, capability=wanted)
