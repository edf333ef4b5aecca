"""``npse trace``: count and draw the reads and writes of each thread of a CUDA kernel, without a GPU."""

import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from typer import Argument, Option

from npse.cli.console import say
from npse.support.names import suggest


def trace(
    what: Annotated[list[str], Argument(metavar="OP|FILE.py:KERNEL...",
                                        help="an op of the cuda edition, such as squeeze, or a kernel of your own, as "
                                             "in FILE.py:kernel; several are drawn one below the other")],
    blocks: Annotated[str | None, Option(metavar="N,N", help="blocks of your own kernel, such as 4 or 2,2",
                                         show_default="1")] = None,
    threads: Annotated[str | None, Option(metavar="N,N", help="threads of its blocks", show_default="8,8")] = None,
    block: Annotated[str, Option(metavar="N,N", help="the block to draw, such as 1 or 0,1")] = "0",
    out: Annotated[Path | None, Option(metavar="FILE", help="write the picture to this file",
                                       show_default="trace-NAME.png")] = None,
) -> None:
    """Run kernels in the simulator, count every read and write, and warn about races and out-of-bounds accesses.

    An op runs on maps of 8 x 8 pixels. Your own kernel gets an array of 8 x 8 float32 values for each argument. A
    function KERNEL_example() in its file can return others: (blocks, threads, *arguments). Exit code 1 if something is
    wrong.
    """
    from npse.support import nvidia_driver

    if lacking := nvidia_driver.without_numba_cuda("npse trace"):   # the simulator in Numba itself is older
        raise ImportError(lacking)
    if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":             # read when Numba is imported: a new process needs it
        command = [sys.executable, "-m", "npse", *sys.argv[1:]]
        raise typer.Exit(subprocess.run(command, env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1"}).returncode)

    from npse.support.files import expect_place, write_atomically
    from npse.trace.picture import png

    expect_place(out, ".png")
    traces = [record for name in what for record in _record(name, _sizes("--blocks", blocks),
                                                            _sizes("--threads", threads))]
    picture = png(*traces, block=_sizes("--block", block))
    say("\n\n".join(map(str, traces)))
    out = out or Path(f"trace-{what[0].rpartition(':')[2]}.png")
    write_atomically(out, picture)
    typer.echo(f"\npicture: {out}")
    if any(finding.wrong for record in traces for finding in record.findings):
        raise typer.Exit(1)


def _record(name, blocks, threads):
    """Return the traces of an op, or of a kernel of the user."""
    from npse import trace
    from npse.reference import OPS

    if name.isidentifier():
        if name not in OPS:
            raise ValueError(f"unknown op {name!r}; {suggest(name, OPS, 'npse.reference.OPS')}; "
                             f"name a kernel of your own with its file, as in my_kernels.py:{name}")
        if blocks or threads:
            raise ValueError(f"{name} is an op, which chooses its grid itself; leave --blocks and --threads out")
        if traces := trace.trace_variants(name):
            return traces
        raise ValueError(f"{name} launches no kernel: it runs in the reference edition, on the host")
    kernel, example = _own(name)
    given = example() if example else _example(kernel)
    if not isinstance(given, tuple) or len(given) < 2:
        raise ValueError(f"{example.__name__}() must return (blocks, threads, *arguments), but returned {given!r:.60}")
    try:
        return [trace.trace(kernel, blocks or given[0], threads or given[1], *given[2:])]
    except trace.KernelError as error:
        advice = "" if example else (f"; if it needs other arguments than arrays of 8 x 8 values, add to the file: "
                                     f"def {kernel.py_func.__name__}_example(): return blocks, threads, *arguments")
        raise ValueError(f"{error}{advice}") from error


def _own(name):
    """Return the kernel that FILE.py:kernel names, and the function that makes its grid and arguments, or None."""
    from npse.support.python_file import run_python_file

    file, _, wanted = name.rpartition(":") if ":" in name and not name.endswith(".py") else (name, "", "")
    if not Path(file).is_file():
        raise FileNotFoundError(f"there is no file {file}; expected a kernel in a Python file, as in "
                                "my_kernels.py:blur, or an op, as in squeeze")
    module = run_python_file(Path(file))
    kernels = [key for key, value in vars(module).items() if hasattr(value, "py_func")]
    if not kernels:
        raise ValueError(f"{file} has no kernel: a kernel is a function with @cuda.jit")
    if not wanted:
        raise ValueError(f"{file} may hold several kernels: name one, as in {file}:{kernels[0]}; "
                         + suggest(wanted, kernels))
    if wanted not in kernels:
        raise ValueError(f"{file} has no kernel {wanted!r}, a function with @cuda.jit; {suggest(wanted, kernels)}")
    return getattr(module, wanted), getattr(module, f"{wanted}_example", None)


def _example(kernel):
    """Return a grid of one block of 8 x 8 threads, and an array of 8 x 8 values for each argument."""
    rng = np.random.default_rng(0)
    count = len(inspect.signature(kernel.py_func).parameters)
    return 1, (8, 8), *rng.uniform(0.5, 1.5, (count, 8, 8)).astype(np.float32)


def _sizes(option, text):
    """Return the integers of an option such as 2,2; None if it was not given."""
    try:
        return text and tuple(int(number) for number in text.split(","))
    except ValueError:
        raise ValueError(f"{option} must be integers separated by commas, such as 2,2, but is {text!r}") from None
