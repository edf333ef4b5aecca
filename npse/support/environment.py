"""What a result depends on besides the settings: versions, cores, threads, commit."""

import contextlib
import importlib.metadata
import math
import os
import platform
import subprocess
import sys
from pathlib import Path

import npse
from npse.support import nvidia_driver

CONTROL_GROUPS, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
MOST_THREADS = 1024
PACKAGES = ("numpy", "numba", "llvmlite", "numba-cuda", "safetensors", "matplotlib")


def versions():
    """Return the versions of Python, npse and the packages that decide a result, by name."""
    found = {"python": platform.python_version(), "npse": npse.__version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def processor():
    """Return the processor's name, as well as this system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def cores():
    """Return the number of cores that this process can keep busy: those that it may use, within its `quota`.

    A quota of 1.5 counts as two cores, as joblib, Go and Java count it: one would leave a third of the time unused,
    while two that are stopped for a quarter of the time use all of it.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, math.ceil(quota() or usable))


def quota():
    """Return how many cores' time a container grants this process, as 1.5; None if it sets no limit.

    That is the least that its control group, or one above it, is limited to. Linux only.
    """
    return min((limit for folder in _control_groups() if (limit := _limit(folder)) is not None), default=None)


def _control_groups():
    """The folders that may hold a limit: that of each control group of this process, and of those above it."""
    try:
        lines = MEMBERSHIP.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        # within a container the path may be the host's, of which only the end, or nothing, is to be seen
        names = [name for name in path.split("/") if name not in ("", "..")]
        for root in ("", "unified", controllers, "cpu"):
            for depth in range(len(names) + 1):
                yield CONTROL_GROUPS.joinpath(root, *names[:depth])


def _limit(folder):
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


def threads():
    """Return how many threads a compiled edition starts with: NUMBA_NUM_THREADS, or `cores` where it is not set.

    ValueError if the variable holds anything but an integer from 1 to `MOST_THREADS`.
    """
    asked = os.environ.get("NUMBA_NUM_THREADS")
    if asked is None:
        return cores()
    if not (asked.isdecimal() and 1 <= int(asked) <= MOST_THREADS):
        raise ValueError(f"the environment variable NUMBA_NUM_THREADS must be an integer from 1 to {MOST_THREADS}, "
                         f"but is {asked!r}; unset it to have a thread for each core")
    return int(asked)


def blas():
    """Return one line for each BLAS library loaded: name, version, threads."""
    from threadpoolctl import threadpool_info

    return [f"{pool['internal_api']} {pool['version']}, {pool['num_threads']} threads"
            for pool in threadpool_info() if pool["user_api"] == "blas"]


@contextlib.contextmanager
def blas_within_quota():
    """Within the ``with`` block the BLAS library, which knows of no quota, takes no more threads than `cores`.

    It matters to the book alone: the compiled editions share out matrix products themselves.
    """
    if quota() is None:
        yield
        return
    from threadpoolctl import ThreadpoolController

    pools = ThreadpoolController().select(user_api="blas")
    most = max((pool.num_threads for pool in pools.lib_controllers), default=1)
    with pools.limit(limits=min(most, cores())):
        yield


def commit():
    """Return the commit npse runs from, with "+" if files differ from it; None outside a checkout of npse."""
    root = Path(npse.__file__).parents[1]
    if not (root / ".git").exists():
        return None

    def git(*words):
        return subprocess.run(["git", "-C", root, *words], capture_output=True, text=True, check=True).stdout.strip()
    try:
        return git("rev-parse", "--short=10", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def record():
    """Return what config.json keeps of the machine."""
    return {"versions": versions(), "platform": f"{sys.platform} {platform.machine()}", "processor": processor(),
            "cores": cores(), "gpu": nvidia_driver.record(), "commit": commit()}
