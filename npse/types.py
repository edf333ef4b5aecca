"""Types that the signatures of several packages share. Needs NumPy alone, so every package may import it."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
"""An array of an edition: NumPy's, or one on a device with the same ``shape``, ``ndim`` and ``dtype``."""

Arrays: TypeAlias = dict[str, Array]
"""Arrays by name: parameters, buffers, the state of a network."""

Gradients: TypeAlias = dict[str, Array]
"""Gradients by the name of their parameter, each of the shape of that parameter."""

Backward: TypeAlias = Callable[[Array], tuple[Array, Gradients]]
"""The backward pass of a layer: ``dx, gradients = backward(dy)``, with dx of the shape of x."""

Shape: TypeAlias = tuple[int, ...]
"""The shape of an array."""

Index: TypeAlias = tuple[int, ...]
"""The place of one entry of an array."""

Arguments: TypeAlias = dict[str, Any]
"""The arguments of an op by name: arrays, and plain values."""

Op: TypeAlias = Callable[..., Any]
"""An op: arrays and plain values in; an array, a scalar or a tuple of arrays out."""

Watcher: TypeAlias = Callable[[str, tuple[Any, ...], Any], None]
"""A function called after each op: ``watcher(op, arguments, result)``."""


class Peers(Protocol):
    """The processes that share each batch with this one, itself included. All of them make the same calls."""

    def gather(self, *arrays: Array) -> tuple[Array, ...]:
        """Return for each array (n,) those of all processes in their order, (R, n), as NumPy arrays."""

    def sum(self, *arrays: Array) -> tuple[Array, ...]:
        """Return for each array the sum over all processes, the same bits in each process."""


class Ops(Protocol):
    """An edition: an object, most often a module, whose attributes are the ops of the book.

    To mypy every object is one, and every attribute of it may be anything.
    """

    def __getattribute__(self, name: str, /) -> Any:
        """Return the op, or another function of the edition, of that name."""
