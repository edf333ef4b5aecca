"""Facts about this machine that a result depends on: versions, cores, threads, commit."""

import contextlib
import importlib.metadata
import math
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import npse
from npse.support import nvidia_driver

CONTROL_GROUPS, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
MOST_THREADS = 1024
PACKAGES = ("numpy", "numba", "llvmlite", "numba-cuda", "safetensors", "matplotlib")


def versions() -> dict[str, str | None]:
    """Return the versions of Python, npse and the packages that influence a result, by name; None: not installed."""
    found: dict[str, str | None] = {"python": platform.python_version(), "npse": npse.__version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def processor() -> str:
    """Return the name of the processor, as precisely as the system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def cores() -> int:
    """Return the number of cores that this process can keep busy: those it may run on, limited by its `quota`.

    A quota is rounded up, as joblib, Go and Java do it. With a quota of 1.5, one core would leave a third of the quota
    unused; two cores use all of it and are stopped for a quarter of the time.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, math.ceil(quota() or usable))


def load() -> float | None:
    """Return the load average of the last minute; None if the system does not report it."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def quota() -> float | None:
    """Return the CPU quota of a container in cores, such as 1.5; None if there is no limit. Linux only.

    It is the smallest limit of the control groups of this process and of the groups above them.
    """
    return min((limit for folder in _control_groups() if (limit := _limit(folder)) is not None), default=None)


def _control_groups() -> Iterator[Path]:
    """Yield the folders that may hold a limit: of each control group of this process, and of the groups above it."""
    try:
        lines = MEMBERSHIP.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        # in a container this may be a path of the host: only its end, or nothing of it, is visible here
        names = [name for name in path.split("/") if name not in ("", "..")]
        for root in ("", "unified", controllers, "cpu"):
            for depth in range(len(names) + 1):
                yield CONTROL_GROUPS.joinpath(root, *names[:depth])


def _limit(folder: Path) -> float | None:
    """Return the limit in a folder of a control group, in cores; None if it holds none."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()                                      # version 2
    except (OSError, ValueError):
        try:
            quota, period = ((folder / f"cpu.cfs_{what}_us").read_text() for what in ("quota", "period"))
        except OSError:
            return None
    try:
        limit = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):                       # "max"
        return None
    return limit if limit > 0 else None                           # -1 in version 1


def threads() -> int:
    """Return the number of threads that the cpu edition starts with: NUMBA_NUM_THREADS, or `cores` if it is not set.

    Raises
    ------
    ValueError
        The variable is not an integer from 1 to `MOST_THREADS`.
    """
    asked = os.environ.get("NUMBA_NUM_THREADS")
    if asked is None:
        return cores()
    if not (asked.isdecimal() and 1 <= int(asked) <= MOST_THREADS):
        raise ValueError(f"the environment variable NUMBA_NUM_THREADS must be an integer from 1 to {MOST_THREADS}, "
                         f"but is {asked!r}; unset it to use one thread for each core")
    return int(asked)


def blas() -> list[str]:
    """Return one line for each BLAS library loaded: name, version, threads."""
    from threadpoolctl import threadpool_info

    return [f"{pool['internal_api']} {pool['version']}, {pool['num_threads']} threads"
            for pool in threadpool_info() if pool["user_api"] == "blas"]


@contextlib.contextmanager
def blas_within_quota() -> Iterator[None]:
    """Within the ``with`` block limit the threads of the BLAS library to `cores`: BLAS does not respect a quota.

    Only the book needs it: the compiled editions distribute matrix products over their own threads.
    """
    if quota() is None:
        yield
        return
    from threadpoolctl import ThreadpoolController

    pools = ThreadpoolController().select(user_api="blas")
    most = max((pool.num_threads for pool in pools.lib_controllers), default=1)
    with pools.limit(limits=min(most, cores())):
        yield


def commit() -> str | None:
    """Return the commit that npse runs from, with "+" if files differ from it; None if npse is not in a checkout."""
    root = Path(npse.__file__).parents[1]
    if not (root / ".git").exists():
        return None

    def git(*words: str) -> str:
        command = ["git", "-C", str(root), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    try:
        return git("rev-parse", "--short=10", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def record() -> dict[str, Any]:
    """Return the facts about the machine that config.json keeps."""
    return {"versions": versions(), "platform": f"{sys.platform} {platform.machine()}", "processor": processor(),
            "cores": cores(), "gpu": nvidia_driver.record(), "commit": commit()}
