"""What the NVIDIA driver says of this computer: which GPU there is, and what stands in the way of using it.

The driver is asked directly, so that the answer takes milliseconds and imports nothing: numba.cuda alone takes more
than a second. `npse.cuda.runtime.device` has the last word, once it has tried. Nothing here raises an error, whatever
the driver does: a computer whose driver is broken still has a cpu.
"""

import ctypes
import functools
import importlib.metadata
import importlib.util
import os
import re
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
NO_DEVICE = 100                  # what cuInit returns where there is a driver, but no GPU
LACKING = -1                     # in place of the driver's code, where it has no such function
OTHERWISE = "look at nvidia-smi and CUDA_VISIBLE_DEVICES, or take the cpu edition"


def simulated():
    """Whether Numba's CUDA simulator stands in for a GPU in this process."""
    value = os.environ.get("NUMBA_ENABLE_CUDASIM", "").strip()
    return value.isdigit() and int(value) != 0             # as Numba reads it


def why_unavailable():
    """Say in one line what the cuda edition lacks here and how to get it; None if all seems to be there."""
    if lacking := without_numba_cuda("the cuda edition"):
        return lacking
    return None if simulated() else _numpy_too_new() or without_gpu() or _driver_too_old()


def without_numba_cuda(what):
    """Say in one line that ``what`` needs numba-cuda and how to get it; None if it is installed."""
    if _toolkit() is not None and all(importlib.util.find_spec(name) for name in ("numba", "numba_cuda")):
        return None
    if sys.platform == "darwin":
        return f"{what} needs numba-cuda, which does not exist for macOS; take Linux or Windows"
    return (f"{what} needs numba-cuda, which is not installed; run: {install('cuda')} "
            "(cuda12 instead for a GPU whose driver stops at CUDA 12)")


def without_gpu():
    """Say in one line why the driver offers no GPU; None if it does."""
    if not has_driver():
        return ("the cuda edition needs an NVIDIA GPU, but no NVIDIA driver was found; "
                "install the driver of your GPU, or take the cpu edition")
    if code := _initialised() or _first_device()[0]:
        return f"the cuda edition needs an NVIDIA GPU, but the driver {_complaint(code)}; {OTHERWISE}"
    return None


def install(extra=None):
    """Return the command that installs an extra of npse for this Python, from the folder npse is installed from.

    Without a name it is the extra for the version of CUDA that the installed packages are for. Never by the bare name:
    npse is on no package index, and whatever came from one would be a stranger's.
    """
    extra = extra or ("cuda12" if _toolkit() == 12 else "cuda")
    folder = ROOT if (ROOT / "pyproject.toml").is_file() else "FOLDER_OF_NPSE"
    python = f'"{sys.executable}"' if " " in sys.executable else sys.executable
    return f'{python} -m pip install -e "{folder}[{extra}]"'


def has_driver():
    """Whether there is an NVIDIA driver; it may offer no GPU (`without_gpu`)."""
    return _driver() is not None


@functools.cache
def name():
    """Name of the first GPU, as in "NVIDIA H100 80GB HBM3"; None if there is none."""
    if without_gpu():
        return None
    text = ctypes.create_string_buffer(256)
    if _ask("cuDeviceGetName", text, len(text), _first_device()[1]):
        return "NVIDIA GPU"                                # without a name
    return text.value.decode(errors="replace").strip() or "NVIDIA GPU"


def cuda_version():
    """Newest CUDA that the driver knows, as (major, minor); None if it does not tell, or there is no driver."""
    version = ctypes.c_int()
    if not has_driver() or _ask("cuDriverGetVersion", ctypes.byref(version)):
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
    version = cuda_version()
    return name() and {"name": name(), "driver": driver_version(), "cuda": version and ".".join(map(str, version))}


def _numpy_too_new():
    """Say in one line that the installed numba-cuda fails with the installed NumPy; None if it works.

    numba-cuda up to 0.30 uses np.row_stack when it compiles, which NumPy 2.5 removed. The simulator does without.
    """
    version = _version("numba-cuda")
    if hasattr(np, "row_stack") or version is None or version >= (0, 31):
        return None
    return (f"numba-cuda {'.'.join(map(str, version))} needs NumPy below 2.5, but NumPy {np.__version__} is installed; "
            f"run: {install()}")


def _driver_too_old():
    spoken, needed = cuda_version(), _toolkit()
    if spoken is None:
        return f"the NVIDIA driver does not tell which CUDA it knows; install it anew; {OTHERWISE}"
    if spoken[0] >= needed:
        return None
    older = f", or run: {install('cuda12')}" if spoken[0] == 12 else ""
    return (f"the NVIDIA driver is too old: it knows CUDA {spoken[0]}.{spoken[1]}, the installed numba-cuda is for "
            f"CUDA {needed}; update the driver{older}")


@functools.cache
def _driver():
    for library in ("nvcuda.dll",) if sys.platform == "win32" else ("libcuda.so.1", "libcuda.so"):
        try:
            return ctypes.CDLL(library)
        except OSError:
            continue
    return None


def _ask(question, *arguments):
    """Call a function of the driver; return its code, 0 for success."""
    function = getattr(_driver(), question, None)
    return LACKING if function is None else function(*arguments)


@functools.cache
def _initialised():
    """0, or the driver's code for what went wrong."""
    return _ask("cuInit", 0)


def _first_device():
    """(0 or the driver's code for what went wrong, handle of the first GPU)."""
    device = ctypes.c_int()
    return _ask("cuDeviceGet", ctypes.byref(device), 0), device


def _complaint(code):
    if code == NO_DEVICE:
        return "finds none"
    if code == LACKING:
        return "is damaged: it lacks functions that every driver has"
    text = ctypes.c_char_p()
    _ask("cuGetErrorString", code, ctypes.byref(text))
    words = " ".join(text.value.decode(errors="replace").split()) if text.value else "unknown"
    return f"cannot start: {words} (error {code})"


def _toolkit():
    """Major version of the CUDA that the installed packages are for; None without them."""
    version = _version("cuda-bindings")
    return version and version[0]


def _version(package):
    """Version of an installed package as a tuple of integers; None if it is not installed, or does not tell."""
    try:
        return tuple(map(int, re.findall(r"\d+", importlib.metadata.version(package))[:3])) or None
    except (importlib.metadata.PackageNotFoundError, TypeError):           # TypeError: its metadata is damaged
        return None
