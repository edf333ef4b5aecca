"""npse: Squeeze-and-Excitation networks from scratch, every gradient by hand and checked.

    npse.reference   the book: every op in plain NumPy, backward under forward
    npse.cpu         the Numba edition of the same ops
    npse.cuda        the CUDA edition
    npse.backend     which edition of the ops runs: npse.use("cpu")
    npse.layers      y, backward = layer(x)
    npse.models      se_resnet20() and its family
    npse.gradcheck   the judge: check_gradient(forward, backward, arguments)
    npse.trace       what the threads of a CUDA kernel read and write
    npse.zoo         planted bugs, to measure the judge
    npse.exercises   holes in the book, checked and graded
    npse.data        the embedded data set, CIFAR-10, batches
    npse.training    settings, loop, checkpoints, evaluation
    npse.analysis    what the gates do; pictures
    npse.bench       how fast it is

``import npse`` needs NumPy alone; everything else is imported where it is first used, as in ``npse.models``.
"""

import importlib

from npse.backend import active, use

__version__ = "0.1.0"
__all__ = ["__version__", "active", "use"]

_PACKAGES = frozenset({"reference", "cpu", "cuda", "layers", "models", "gradcheck", "trace", "zoo", "exercises", "data",
                       "training", "analysis", "bench"})


def __getattr__(name):
    """Import a package when it is first asked for (PEP 562)."""
    if name not in _PACKAGES:
        raise AttributeError(f"module 'npse' has no attribute {name!r}")
    try:
        return importlib.import_module(f"npse.{name}")
    except ImportError as error:              # an AttributeError, so that hasattr() and the like take no harm
        raise AttributeError(f"npse.{name} cannot be imported here: {error}") from error


def __dir__():
    return sorted({*globals(), *_PACKAGES})
