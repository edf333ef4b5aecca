"""npse: Squeeze-and-Excitation networks from scratch, every gradient by hand and checked.

    npse.reference   the book: every op in plain NumPy, backward under forward
    npse.cpu         the Numba edition of the same ops
    npse.cuda        the CUDA edition
    npse.backend     the choice of the edition that runs: npse.use("cpu")
    npse.layers      y, backward = layer(x)
    npse.models      se_resnet20() and its family
    npse.gradcheck   the judge: check_gradient(forward, backward, arguments)
    npse.trace       the reads and writes of each thread of a CUDA kernel
    npse.zoo         planted bugs that measure the judge
    npse.exercises   functions of the book to write yourself, checked and graded
    npse.data        the embedded data set, CIFAR-10, batches
    npse.training    settings, loop, checkpoints, evaluation
    npse.analysis    statistics of the gates; pictures
    npse.bench       benchmarks
    npse.interop     files of PyTorch, timm and ONNX
    npse.types       types of signatures

``import npse`` needs NumPy alone. Packages, such as ``npse.models``, are imported when they are first used.
"""

import importlib
from typing import Any

from npse.backend import active, use

__version__ = "0.1.0"
__all__ = ["__version__", "active", "use"]

_PACKAGES = frozenset({"reference", "cpu", "cuda", "layers", "models", "gradcheck", "trace", "zoo", "exercises", "data",
                       "training", "analysis", "bench", "interop"})


def __getattr__(name: str) -> Any:
    """Import a package when it is first used (PEP 562)."""
    if name not in _PACKAGES:
        raise AttributeError(f"module 'npse' has no attribute {name!r}")
    try:
        return importlib.import_module(f"npse.{name}")
    except ImportError as error:              # an AttributeError, so that hasattr() works
        raise AttributeError(f"npse.{name} cannot be imported here: {error}") from error


def __dir__() -> list[str]:
    return sorted({*globals(), *_PACKAGES})
