"""What the NVIDIA driver reports about this computer: the GPU, and why it cannot be used.

The driver is called directly, through ctypes. That takes milliseconds, while importing numba.cuda takes more than a
second. `npse.cuda.runtime.device` decides in the end, by trying. No function here raises an error when the driver is
broken: the other editions must still run.
"""

import ctypes
import functools
import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from npse.support import extras

NO_DEVICE = 100                  # cuInit returns it if there is a driver, but no GPU
LACKING = -1                     # instead of the driver's return code, if the driver lacks the function
OTHERWISE = "check nvidia-smi and CUDA_VISIBLE_DEVICES, or use the cpu edition"


def simulated() -> bool:
    """Return whether this process uses Numba's CUDA simulator instead of a GPU."""
    value = os.environ.get("NUMBA_ENABLE_CUDASIM", "").strip()
    return value.isdigit() and int(value) != 0             # as Numba interprets it


def why_unavailable() -> str | None:
    """Return one line: what the cuda edition lacks here and how to get it. None if nothing seems to be missing."""
    if lacking := without_numba_cuda("the cuda edition"):
        return lacking
    return None if simulated() else _numpy_too_new() or without_gpu() or _driver_too_old()


def expect_compiler(what: str) -> None:
    """Check that kernels can be compiled here, with or without a GPU, for ``what``, the name of a command.

    Raises
    ------
    ImportError
        numba-cuda is not installed, or does not work with the installed NumPy.
    ValueError
        The simulator is on; it compiles nothing.
    """
    if simulated():
        raise ValueError(f"the simulator compiles no kernels; unset NUMBA_ENABLE_CUDASIM for {what}")
    if lacking := without_numba_cuda(what) or _numpy_too_new():
        raise ImportError(lacking)


def without_numba_cuda(what: str) -> str | None:
    """Return one line: that ``what`` needs numba-cuda, or greenlet in the simulator. None if they are installed."""
    if _toolkit() is not None and all(importlib.util.find_spec(name) for name in ("numba", "numba_cuda")):
        if simulated() and importlib.util.find_spec("greenlet") is None:
            return f"{what} needs greenlet in the simulator, which is not installed; run: {install('cuda')}"
        return None
    if sys.platform == "darwin":
        return f"{what} needs numba-cuda, which does not exist for macOS; use Linux or Windows"
    return (f"{what} needs numba-cuda, which is not installed; run: {install('cuda')} "
            "(cuda12 instead for a GPU whose driver stops at CUDA 12)")


def see_one_gpu(number: int) -> None:
    """Make this process see one GPU alone, if there are several: the one of that number, counted in a circle.

    It has an effect only before the driver is used. The GPUs are those of CUDA_VISIBLE_DEVICES, if that is set.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        try:
            listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True).stdout
        except OSError:                                           # no driver, or one without its tools
            return
        visible = ",".join(re.findall(r"^GPU (\d+):", listed, re.MULTILINE))
    names = [name.strip() for name in visible.split(",")]
    if len(names) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = names[number % len(names)]


def without_gpu() -> str | None:
    """Return one line: why the driver offers no GPU. None if it offers one."""
    if not has_driver():
        return ("the cuda edition needs an NVIDIA GPU, but no NVIDIA driver was found; "
                "install the driver of your GPU, or use the cpu edition")
    if code := _initialised() or _first_device()[0]:
        return f"the cuda edition needs an NVIDIA GPU, but the driver {_complaint(code)}; {OTHERWISE}"
    return None


def install(extra: str | None = None) -> str:
    """Return the command that installs an extra, by default the one for the CUDA version of the installed packages."""
    return extras.install(extra or ("cuda12" if _toolkit() == 12 else "cuda"))


def has_driver() -> bool:
    """Return whether there is an NVIDIA driver; it may still offer no GPU (`without_gpu`)."""
    return _driver() is not None


@functools.cache
def name() -> str | None:
    """Return the name of the first GPU, such as "NVIDIA H100 80GB HBM3"; None if there is no GPU."""
    if without_gpu():
        return None
    text = ctypes.create_string_buffer(256)
    if _ask("cuDeviceGetName", text, len(text), _first_device()[1]):
        return "NVIDIA GPU"                                # the driver does not report its name
    return text.value.decode(errors="replace").strip() or "NVIDIA GPU"


def cuda_version() -> tuple[int, int] | None:
    """Return the newest CUDA version that the driver supports, (major, minor); None if it does not report it."""
    version = ctypes.c_int()
    if not has_driver() or _ask("cuDriverGetVersion", ctypes.byref(version)):
        return None
    return version.value // 1000, version.value % 1000 // 10


def driver_version() -> str | None:
    """Return the version of the driver, such as "580.65.06"; None if the system does not report it. Linux only."""
    try:
        found = re.search(r"\s(\d+\.\d+(\.\d+)?)\s", Path("/proc/driver/nvidia/version").read_text())
    except OSError:
        return None
    return found[1] if found else None


def record() -> dict[str, str | None] | None:
    """Return the facts that a result on the GPU depends on: its name, driver and CUDA version; None without a GPU."""
    if name() is None:
        return None
    version = cuda_version()
    return {"name": name(), "driver": driver_version(), "cuda": ".".join(map(str, version)) if version else None}


def _numpy_too_new() -> str | None:
    """Return one line: that the installed numba-cuda fails with the installed NumPy. None if it works.

    numba-cuda up to 0.30 needs np.row_stack to compile; NumPy 2.5 removed it. The simulator does not need it.
    """
    version = _version("numba-cuda")
    if hasattr(np, "row_stack") or version is None or version >= (0, 31):
        return None
    return (f"numba-cuda {'.'.join(map(str, version))} needs NumPy below 2.5, but NumPy {np.__version__} is installed; "
            f"run: {install()}")


def _driver_too_old() -> str | None:
    """Return one line: that the driver does not support the CUDA version of the packages. None if it does."""
    supported, needed = cuda_version(), _toolkit()
    if supported is None:
        return f"the NVIDIA driver does not report which CUDA version it supports; reinstall it; {OTHERWISE}"
    if needed is None or supported[0] >= needed:
        return None
    older = f", or run: {install('cuda12')}" if supported[0] == 12 else ""
    return (f"the NVIDIA driver is too old: it supports CUDA {supported[0]}.{supported[1]}, the installed numba-cuda "
            f"needs CUDA {needed}; update the driver{older}")


@functools.cache
def _driver() -> ctypes.CDLL | None:
    for library in ("nvcuda.dll",) if sys.platform == "win32" else ("libcuda.so.1", "libcuda.so"):
        try:
            return ctypes.CDLL(library)
        except OSError:
            continue
    return None


def _ask(function_name: str, *arguments: Any) -> int:
    """Call a function of the driver; return its code, 0 for success."""
    function = getattr(_driver(), function_name, None)
    return LACKING if function is None else function(*arguments)


@functools.cache
def _initialised() -> int:
    """Initialise the driver; return 0, or the driver's error code."""
    return _ask("cuInit", 0)


def _first_device() -> tuple[int, ctypes.c_int]:
    """Return 0 or the driver's error code, and the handle of the first GPU."""
    device = ctypes.c_int()
    return _ask("cuDeviceGet", ctypes.byref(device), 0), device


def _complaint(code: int) -> str:
    """Return an error code of the driver as the end of a sentence."""
    if code == NO_DEVICE:
        return "finds none"
    if code == LACKING:
        return "is damaged: it lacks functions that every driver has"
    text = ctypes.c_char_p()
    _ask("cuGetErrorString", code, ctypes.byref(text))
    words = " ".join(text.value.decode(errors="replace").split()) if text.value else "unknown"
    return f"cannot start: {words} (error {code})"


def _toolkit() -> int | None:
    """Return the major CUDA version of the installed packages; None if they are not installed."""
    version = _version("cuda-bindings")
    return version[0] if version else None


def _version(package: str) -> tuple[int, ...] | None:
    """Return the version of an installed package as integers; None if it is not installed or states no version."""
    try:
        return tuple(map(int, re.findall(r"\d+", importlib.metadata.version(package))[:3])) or None
    except (importlib.metadata.PackageNotFoundError, TypeError):           # TypeError: damaged metadata
        return None
