"""What a result depends on besides the settings: versions, cores, threads, commit."""

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path

import npse
from npse import gpu

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
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def blas():
    """Return one line for each BLAS library loaded: name, version, threads."""
    from threadpoolctl import threadpool_info

    return [f"{pool['internal_api']} {pool['version']}, {pool['num_threads']} threads"
            for pool in threadpool_info() if pool["user_api"] == "blas"]


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
            "cores": cores(), "gpu": gpu.record(), "commit": commit()}
