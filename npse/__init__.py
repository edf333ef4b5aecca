"""npse: Squeeze-and-Excitation networks from scratch, every gradient by hand and proven.

    npse.reference   the book: every op in plain NumPy, backward under forward
    npse.backend     which edition of the ops runs: npse.use("cpu")
    npse.layers      y, backward = layer(x)
    npse.models      se_resnet20() and its family

``import npse`` needs NumPy alone; everything else is imported where it is used.
"""

import importlib

from npse.backend import active, use

__version__ = "0.1.0"
_PACKAGES = ("analysis", "bench", "cpu", "cuda", "data", "exercises", "gradcheck", "layers", "models", "reference",
             "trace", "training", "zoo")
__all__ = ["__version__", "active", "use"]


def __getattr__(name):
    if name in _PACKAGES:
        return importlib.import_module(f"npse.{name}")
    raise AttributeError(f"module 'npse' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_PACKAGES})
