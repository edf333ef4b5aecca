"""Which edition of the ops runs.

An edition is a module that offers the ops of the book (`npse.reference.OPS`) under the same names; it is imported
on first use. Layers ask `active()` once per call, so that a backward pass runs on the edition of its forward pass.

    npse.use("cpu")                      from here on
    with backend.using_edition("reference"):     for a while
    with backend.observing(log):          the same edition, with every op's result shown to log

An edition whose arrays are not NumPy's offers more functions than ops: to_device, to_host, rows, copy, empty_like,
record. Whoever stands above the ops keeps arrays where the edition wants them with `to_edition`, and looks at numbers
with `to_host`.
"""

import contextlib
import functools
import importlib
import importlib.util
import inspect

import numpy as np

from npse.support import environment, nvidia_driver
from npse.support.names import suggest

EDITIONS = {"reference": "npse.reference", "cpu": "npse.cpu", "cuda": "npse.cuda"}
TRANSFER_FUNCTIONS = ("to_device", "to_host", "rows", "copy", "empty_like", "record")

_active = None


def edition(name):
    """Return the edition of that name, a module of ops.

    ValueError for an unknown one, or if NUMBA_NUM_THREADS is no number of threads; ImportError if it cannot run.
    """
    if name not in EDITIONS:
        raise ValueError(f"unknown edition {name!r}; {suggest(name, ('auto', *EDITIONS))}")
    if lacking := why_unavailable(name):
        raise ImportError(lacking)
    if name == "cpu":
        environment.threads()                 # Numba, once imported, says less of a variable that is wrong
    return importlib.import_module(EDITIONS[name])


def why_unavailable(name):
    """Say in one line what an edition lacks to run here and how to get it; None if it can run."""
    if name == "cpu" and importlib.util.find_spec("numba") is None:
        return "the cpu edition needs numba, which is not installed; run: pip install numba"
    if name == "cuda":
        return nvidia_driver.why_unavailable() or _lacks_when_tried()
    return None


def _lacks_when_tried():
    """What the cuda edition lacks though all seems to be there: its libraries, or room on the GPU."""
    try:
        return importlib.import_module("npse.cuda.runtime.device").why_unavailable()
    except Exception as error:               # of Numba, of the bindings, of the dynamic linker: they share no base
        return f"the cuda edition cannot be loaded: {' '.join(str(error).split())}; run: {nvidia_driver.install()}"


def available():
    """Names of the editions that can run here at full speed: all that can run, but for a GPU that is simulated."""
    return [name for name in EDITIONS
            if not (name == "cuda" and nvidia_driver.simulated()) and why_unavailable(name) is None]


def choose(name="auto"):
    """Return (name, reason): the edition that ``name`` stands for here; "auto" takes the fastest that can run."""
    if name != "auto":
        edition(name)
        return name, "as asked"
    able = available()
    if "cuda" in able:
        return "cuda", f"the fastest edition available, on {nvidia_driver.name()}"
    idle = _why_no_gpu()
    if "cpu" in able:
        return "cpu", f"the fastest edition available{idle}"
    return "reference", ("numba is not installed, so the plain NumPy edition runs, many times slower: "
                         f"pip install numba{idle}")


def _why_no_gpu():
    """Why a GPU, or the driver of one, is not used, as the end of a sentence; empty where there is neither."""
    if nvidia_driver.simulated() or not nvidia_driver.has_driver():
        return ""
    return f"; {nvidia_driver.name() or 'a GPU'} is not used: {nvidia_driver.without_gpu() or why_unavailable('cuda')}"


def use(name="auto"):
    """Make an edition the active one and return it. Until the first call it is the reference."""
    global _active
    _active = edition(choose(name)[0])
    return _active


def active():
    """Return the edition that ops are taken from."""
    global _active
    if _active is None:
        _active = edition("reference")
    return _active


@contextlib.contextmanager
def using_edition(ops):
    """Within the ``with`` block, take ops from an edition, given by name or as the object that offers them."""
    global _active
    before = active()
    _active = edition(choose(ops)[0]) if isinstance(ops, str) else ops
    try:
        yield _active
    finally:
        _active = before


def on_device():
    """Whether the active edition keeps its arrays on a device: ops return before they have run, a look waits."""
    return hasattr(active(), "to_device")


def to_edition(array):
    """Return an array where the active edition keeps its own: on the device, or as a NumPy array."""
    return active().to_device(array) if on_device() else to_host(array)


def to_host(value):
    """Return an array of any edition as a NumPy array, one without axes as a scalar, a tuple of them as a tuple.

    Anything else is returned as it is. Waits until the device has computed it.
    """
    if isinstance(value, tuple):
        return tuple(map(to_host, value))
    return value.copy_to_host()[()] if hasattr(value, "copy_to_host") else value


def rows(array, chosen):
    """Return ``array[chosen]``, chosen being integers (n,), where the array lies."""
    return active().rows(array, chosen) if hasattr(array, "copy_to_host") else array[chosen]


def reshape(array, shape):
    """Return a view of an array of any edition with another shape, of as many numbers."""
    return array.reshape(shape)


def in_pieces(function, x, size):
    """Return function(x) for a batch x (N, ...), in pieces of ``size`` images, where arrays are NumPy's.

    A device, which has no cache to spare and waits between pieces, takes the batch as a whole.
    """
    if len(x) <= size or on_device():
        return function(x)
    return np.concatenate([function(x[n:n + size]) for n in range(0, len(x), size)])


def with_numpy_results(ops):
    """Return an edition (by name, or the object) whose results are NumPy arrays, brought to the host if need be."""
    ops = edition(ops) if isinstance(ops, str) else ops
    return _Hosted(ops) if hasattr(ops, "to_host") else ops


def observing(watcher):
    """Within the ``with`` block, call ``watcher(op, arguments, result)`` after every op of the active edition.

    ``op`` is an `OpName`. ``arguments`` are all of them in the order of the signature, however the caller gave them.
    """
    return using_edition(_Watched(active(), watcher))


class _Hosted:
    """An edition whose every result comes to the host."""

    def __init__(self, ops):
        self._ops = ops

    def __getattr__(self, name):
        op = getattr(self._ops, name)

        @functools.wraps(op)
        def carried(*arguments, **options):
            return to_host(op(*arguments, **options))
        return carried if callable(op) else op


class OpName(str):
    """The name of an op; the attribute ``contract`` is its declaration, None for a function that has none."""

    def __new__(cls, name, op):
        self = super().__new__(cls, name)
        self.contract = getattr(op, "contract", None)
        return self


class _Watched:
    """An edition whose every op reports to a watcher."""

    def __init__(self, ops, watcher):
        self._ops, self._watcher = ops, watcher

    def __getattr__(self, name):
        op = getattr(self._ops, name)
        label = OpName(name, op)

        @functools.wraps(op)
        def reporting(*arguments, **options):
            result = op(*arguments, **options)
            given = inspect.signature(op).bind(*arguments, **options)
            given.apply_defaults()
            self._watcher(label, given.args, result)
            return result
        return reporting if callable(op) and name not in TRANSFER_FUNCTIONS else op


using, watching, hosted, missing = using_edition, observing, with_numpy_results, why_unavailable    # names of 0.1
