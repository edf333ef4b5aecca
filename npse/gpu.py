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

ROOT = Path(__file__).parents[1]
NO_DEVICE = 100                  # what cuInit returns where there is a driver, but no GPU


def simulated():
    """Whether Numba's CUDA simulator stands in for a GPU in this process."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "").strip() not in ("", "0")


def missing():
    """Say in one line what the cuda edition lacks here and how to get it; None if all seems to be there."""
    if lacking := without_numba_cuda("the cuda edition"):
        return lacking
    if simulated():
        return None
    if _driver() is None:
        return ("the cuda edition needs an NVIDIA GPU, but no NVIDIA driver was found; "
                "install the driver of your GPU, or take the cpu edition")
    if code := _initialised():
        return (f"the cuda edition needs an NVIDIA GPU, but the driver {_complaint(code)}; "
                "look at nvidia-smi and CUDA_VISIBLE_DEVICES, or take the cpu edition")
    spoken, needed = cuda_version(), _toolkit()
    if spoken[0] < needed:
        older = f", or run: {install('cuda12')}" if spoken[0] == 12 else ""
        return (f"the NVIDIA driver is too old: it knows CUDA {spoken[0]}.{spoken[1]}, the installed numba-cuda is for "
                f"CUDA {needed}; update the driver{older}")
    return None


def without_numba_cuda(what):
    """Say in one line that ``what`` needs numba-cuda and how to get it; None if it is installed."""
    if _toolkit() is not None and all(importlib.util.find_spec(name) for name in ("numba", "numba_cuda")):
        return None
    if sys.platform == "darwin":
        return f"{what} needs numba-cuda, which does not exist for macOS; take Linux or Windows"
    return (f"{what} needs numba-cuda, which is not installed; run: {install('cuda')} "
            "(cuda12 instead for a GPU whose driver stops at CUDA 12)")


def install(extra):
    """Return the command that installs an extra of npse for this Python, from the folder npse is installed from.

    Never by the bare name: npse is on no package index, and whatever came from one would be a stranger's.
    """
    folder = ROOT if (ROOT / "pyproject.toml").is_file() else "FOLDER_OF_NPSE"
    python = f'"{sys.executable}"' if " " in sys.executable else sys.executable
    return f'{python} -m pip install -e "{folder}[{extra}]"'


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
