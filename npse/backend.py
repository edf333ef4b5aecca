"""Which edition of the ops runs.

An edition is a module that offers the ops of the book (`npse.reference.OPS`) under the same names. It is imported when
it is first used. A layer asks `active()` once per call, so a backward pass runs on the edition of its forward pass.

    npse.use("cpu")                              from here on
    with backend.using_edition("reference"):     within the block
    with backend.observing(watcher):             the same edition; watcher is called after every op

`use` and `using_edition` choose the edition of the calling thread, so threads with different editions do not disturb
each other. A thread that has chosen none takes the edition of the latest `use` in any thread.

An edition on a device offers more functions than the ops: to_device, to_host, rows, copy, empty_like, update, record.
Code above the ops puts an array where the active edition keeps its own with `to_edition`, and reads values with
`to_host`.
"""

import contextlib
import importlib
import importlib.util
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from npse.support import environment, nvidia_driver
from npse.support.names import suggest
from npse.support.wrapped import Wrapped
from npse.types import Array, Op, Ops, Watcher

EDITIONS = {"reference": "npse.reference", "cpu": "npse.cpu", "cuda": "npse.cuda"}
TRANSFER_FUNCTIONS = ("to_device", "to_host", "rows", "copy", "empty_like", "update", "record", "call_as_one")

_of_thread: ContextVar[Ops | None] = ContextVar("edition of this thread", default=None)
_of_others: Ops | None = None    # the edition of threads that have chosen none
_op_by_op: ContextVar[bool] = ContextVar("whether nothing is recorded", default=False)


def edition(name: str) -> Ops:
    """Return the edition of that name, a module of ops.

    Raises
    ------
    ValueError
        The name is unknown, or the environment variable NUMBA_NUM_THREADS is not a number of threads.
    ImportError
        The edition cannot run here; the message says what it lacks.
    """
    if name not in EDITIONS:
        raise ValueError(f"unknown edition {name!r}; {suggest(name, ('auto', *EDITIONS))}")
    if lacking := why_unavailable(name):
        raise ImportError(lacking)
    if name == "cpu":
        environment.threads()                 # checked before Numba is imported: our message is clearer
    return importlib.import_module(EDITIONS[name])


def why_unavailable(name: str) -> str | None:
    """Return one line: what an edition lacks to run here, and how to get it. None if it can run."""
    if name == "cpu" and importlib.util.find_spec("numba") is None:
        return "the cpu edition needs numba, which is not installed; run: pip install numba"
    if name == "cuda":
        return nvidia_driver.why_unavailable() or _lacks_when_tried()
    return None


def _lacks_when_tried() -> str | None:
    """Load the CUDA libraries and return one line: what the cuda edition lacks, such as memory on the GPU."""
    try:
        return importlib.import_module("npse.cuda.runtime.device").why_unavailable()
    except Exception as error:               # Numba, the bindings and the dynamic linker raise unrelated classes
        lacking = f"the cuda edition cannot be loaded: {' '.join(str(error).split())}"
        wrong_value = isinstance(error, ValueError)            # of an environment variable: nothing is to be installed
        return lacking if wrong_value else f"{lacking}; run: {nvidia_driver.install()}"


def available() -> list[str]:
    """Return the names of the editions that can run here; the cuda edition counts on a GPU, not in the simulator."""
    return [name for name in EDITIONS
            if not (name == "cuda" and nvidia_driver.simulated()) and why_unavailable(name) is None]


def choose(name: str = "auto") -> tuple[str, str]:
    """Return the name of an edition and the reason for it; "auto" means the fastest edition that can run here.

    Errors as for `edition`.
    """
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


def _why_no_gpu() -> str:
    """Return the end of a sentence: why a GPU is not used. Empty if there is neither a GPU nor a driver."""
    if nvidia_driver.simulated() or not nvidia_driver.has_driver():
        return ""
    return f"; {nvidia_driver.name() or 'a GPU'} is not used: {nvidia_driver.without_gpu() or why_unavailable('cuda')}"


def use(name: str = "auto") -> Ops:
    """Make an edition the active one and return it. Before the first call the reference is active.

    It holds in this thread (in a `using_edition` block until the end of the block), and in every thread that has not
    chosen an edition itself, whenever that thread was started. Errors as for `edition`.
    """
    global _of_others
    _of_others = edition(choose(name)[0])
    _of_thread.set(_of_others)
    return _of_others


def use_with(name: str, threads: int | None) -> str:
    """Make an edition the active one, as `use` does, with so many threads; return a line about it.

    None leaves the number of threads as it is. ValueError if threads are given, but the edition is not cpu.
    """
    chosen, reason = choose(name)
    ops = use(chosen)
    if chosen != "cpu":
        if threads is not None:
            raise ValueError(f"threads is for the cpu edition, but this run uses {chosen}; leave it out")
        return f"edition {chosen} ({reason})"
    if threads is not None:
        ops.set_threads(threads)
    return f"edition {chosen} ({reason}), {ops.get_threads()} threads"


def active() -> Ops:
    """Return the active edition: layers take their ops from it."""
    return _of_thread.get() or _of_others or edition("reference")


@contextlib.contextmanager
def using_edition(ops: str | Ops) -> Iterator[Ops]:
    """Within the ``with`` block take ops, in this thread alone, from an edition: a name, or an object with the ops."""
    chosen = edition(choose(ops)[0]) if isinstance(ops, str) else ops
    before = _of_thread.get()
    _of_thread.set(chosen)
    try:
        yield chosen
    finally:
        _of_thread.set(before)                # a token's reset fails where the block ends in another context


def on_device() -> bool:
    """Return whether the active edition keeps its arrays on a device; then ops run asynchronously, reading waits."""
    return hasattr(active(), "to_device")


def updates_in_place() -> bool:
    """Return whether training steps in the active edition change parameters, velocity and statistics in place."""
    return hasattr(active(), "update")


def to_edition(array: Array) -> Array:
    """Return an array where the active edition keeps its own: on the device, or as a NumPy array."""
    return active().to_device(array) if on_device() else to_host(array)


def to_host(value: Any) -> Any:
    """Return an array of any edition as a NumPy array, an array without axes as a scalar, a tuple item by item.

    Other values are returned unchanged. Waits until the device has computed the array.
    """
    if isinstance(value, tuple):
        return tuple(map(to_host, value))
    return value.copy_to_host()[()] if hasattr(value, "copy_to_host") else value


def drawn(draw: Callable[..., tuple[Array, ...]], *arguments: Any) -> tuple[Array, ...]:
    """Return the arrays of draw(*arguments) where the active edition keeps its own: random numbers, new in each call.

    Recorded work of the cpu edition calls ``draw`` each time. On a device a call that copies cannot be recorded.
    """
    ops = active()
    if hasattr(ops, "call_as_one"):
        return tuple(ops.call_as_one(draw, *arguments))
    return tuple(map(to_edition, draw(*arguments)))


def rows(array: Array, chosen: Array) -> Array:
    """Return ``array[chosen]`` in the memory that holds ``array``, for indices ``chosen``: integers (n,)."""
    return active().rows(array, chosen) if hasattr(array, "copy_to_host") else array[chosen]


def reshape(array: Array, shape: tuple[int, ...]) -> Array:
    """Return a view of an array of any edition with another shape, of as many elements."""
    return array.reshape(shape)


def joined(arrays: Sequence[Array]) -> Array:
    """Return arrays (n, ...) one below the other, in the memory of the active edition; a single one as it is."""
    if len(arrays) == 1:
        return arrays[0]
    if not hasattr(active(), "copy"):
        return np.concatenate(arrays)
    first, filled = arrays[0], 0
    whole = to_edition(np.empty((sum(len(array) for array in arrays), *first.shape[1:]), first.dtype))
    for array in arrays:
        active().copy(array, whole[filled:filled + len(array)])
        filled += len(array)
    return whole


def in_pieces(function: Callable[[Array], Array], x: Array, size: int) -> Array:
    """Return function(x) for a batch x (N, ...), in pieces of ``size`` images, where arrays are NumPy's.

    A device has no cache to keep the maps in, and waits between pieces: it takes the batch as a whole.
    """
    if len(x) <= size or on_device():
        return function(x)
    return joined([function(x[n:n + size]) for n in range(0, len(x), size)])


def with_numpy_results(ops: str | Ops) -> Ops:
    """Return an edition, given by name or as an object, whose results are NumPy arrays, copied to the host."""
    ops = edition(ops) if isinstance(ops, str) else ops
    if not hasattr(ops, "to_host"):
        return ops
    return Wrapped(ops, lambda name, op, arguments, options: to_host(op(*arguments, **options)))


@contextlib.contextmanager
def op_by_op() -> Iterator[None]:
    """Within the ``with`` block, in this thread, record no work, for whoever looks at ops or layers as they run."""
    token = _op_by_op.set(True)
    try:
        yield
    finally:
        _op_by_op.reset(token)


def may_record() -> bool:
    """Return whether the active edition can record work, and no `op_by_op` block forbids it."""
    return hasattr(active(), "record") and not _op_by_op.get()


@contextlib.contextmanager
def observing(watcher: Watcher) -> Iterator[Ops]:
    """Within the ``with`` block call ``watcher(op, arguments, result)`` after every op of the active edition.

    ``op`` is an `OpName`. ``arguments`` are all arguments in the order of the signature, default values and arguments
    given by name included.
    """
    def reporting(name: str, op: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        result = op(*arguments, **options)
        if name not in TRANSFER_FUNCTIONS:
            given = inspect.signature(op).bind(*arguments, **options)
            given.apply_defaults()
            watcher(OpName(name, op), given.args, result)
        return result
    with op_by_op(), using_edition(Wrapped(active(), reporting)) as observed:
        yield observed


class OpName(str):
    """The name of an op; its attribute ``contract`` is the declaration of the op, or None if there is none."""

    contract: Any

    def __new__(cls, name: str, op: Op) -> "OpName":
        """Return the name with the declaration of its op."""
        self = super().__new__(cls, name)
        self.contract = getattr(op, "contract", None)
        return self


using, watching, hosted, missing = using_edition, observing, with_numpy_results, why_unavailable    # names of 0.1
