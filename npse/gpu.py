"""What the NVIDIA driver says of this computer: which GPU there is, and what stands in the way of using it.

The driver is asked directly, so that the answer takes milliseconds and imports nothing: numba.cuda alone takes more
than a second. `npse.cuda.device` has the last word, once it has tried.
"""

import ctypes
import functools
import importlib.metadata
import importlib.util
import os
import re
import sys
from pathlib import Path

EXTRAS = "pip install 'npse[cuda]', or 'npse[cuda12]' for a driver that stops at CUDA 12"
NO_DEVICE = 100                  # what cuInit returns where there is a driver, but no GPU


def simulated():
    """Whether Numba's CUDA simulator stands in for a GPU in this process."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "").strip() not in ("", "0")


def missing():
    """Say in one line what the cuda edition lacks here and how to get it; None if all seems to be there."""
    needed = _toolkit()
    if needed is None or any(importlib.util.find_spec(name) is None for name in ("numba", "numba_cuda")):
        return f"the cuda edition needs numba-cuda, which is not installed; run: {EXTRAS}"
    if simulated():
        return None
    if _driver() is None:
        return ("the cuda edition needs an NVIDIA GPU, but no NVIDIA driver was found; "
                "install the driver of your GPU, or take the cpu edition")
    if code := _initialised():
        return (f"the cuda edition needs an NVIDIA GPU, but the driver {_complaint(code)}; "
                "look at nvidia-smi and CUDA_VISIBLE_DEVICES, or take the cpu edition")
    spoken = cuda_version()
    if spoken[0] < needed:
        older = ", or run: pip install 'npse[cuda12]'" if spoken[0] == 12 else ""
        return (f"the NVIDIA driver is too old: it knows CUDA {spoken[0]}.{spoken[1]}, the installed numba-cuda is for "
                f"CUDA {needed}; update the driver{older}")
    return None


@functools.cache
def name():
    """Name of the first GPU, as in "NVIDIA H100 80GB HBM3"; None if there is none."""
    if _driver() is None or _initialised():
        return None
    device, text = ctypes.c_int(), ctypes.create_string_buffer(256)
    if _driver().cuDeviceGet(ctypes.byref(device), 0) or _driver().cuDeviceGetName(text, len(text), device):
        return None
    return text.value.decode(errors="replace")


def cuda_version():
    """Newest CUDA that the driver knows, as (major, minor); None without a driver."""
    version = ctypes.c_int()
    if _driver() is None or _driver().cuDriverGetVersion(ctypes.byref(version)):
        return None
    return version.value // 1000, version.value % 1000 // 10


def driver_version():
    """The driver's own version, as in "580.65.06"; None where Linux does not tell."""
    try:
        found = re.search(r"\s(\d+\.\d+(\.\d+)?)\s", Path("/proc/driver/nvidia/version").read_text())
    except OSError:
        return None
    return found and found[1]


def record():
    """Return what a result on the GPU depends on: its name, the driver, CUDA; None if there is no GPU."""
    return name() and {"name": name(), "driver": driver_version(), "cuda": ".".join(map(str, cuda_version()))}


@functools.cache
def _driver():
    for library in ("nvcuda.dll",) if sys.platform == "win32" else ("libcuda.so.1", "libcuda.so"):
        try:
            return ctypes.CDLL(library)
        except OSError:
            continue
    return None


@functools.cache
def _initialised():
    """0, or the driver's code for what went wrong."""
    return _driver().cuInit(0)


def _complaint(code):
    if code == NO_DEVICE:
        return "finds none"
    text = ctypes.c_char_p()
    _driver().cuGetErrorString(code, ctypes.byref(text))
    return f"cannot start: {text.value.decode(errors='replace') if text.value else 'unknown'} (error {code})"


def _toolkit():
    """Major version of the CUDA that the installed packages are for; None without them."""
    try:
        return int(importlib.metadata.version("cuda-bindings").split(".")[0])
    except importlib.metadata.PackageNotFoundError:
        return None
