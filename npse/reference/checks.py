"""Checks of arrays. Each error says what was expected, what was given, and what to do."""

from typing import Any

import numpy as np

from npse.types import Array, Shape

PLAIN = (np.ndarray, np.memmap)  # other subclasses give *, sum or == another meaning, as np.matrix and masked arrays do
KINDS = {                        # kinds of arrays without floating-point elements: dtypes, the rule, what to do
    "uint8": ("B", "be an array of uint8", "scale and round it first"),
    "int": (np.typecodes["AllInteger"], "hold integers", "use {}.astype(int)"),
    "bool": (np.typecodes["AllInteger"] + "?", "hold booleans", "use {}.astype(bool)"),
}


def is_plain(kind: type) -> bool:
    """Whether a type is that of a plain array: np.ndarray, np.memmap, or the type of arrays on a device."""
    return kind in PLAIN or hasattr(kind, "__cuda_ndarray__")


def expect(op: str, **arguments: tuple[Array | Shape, str]) -> None:
    """Check that arrays fit together, axis by axis; raise an error that names the first that does not.

    Parameters
    ----------
    op : str
        Name of the op; the error begins with it.
    **arguments : (array or shape tuple, str)
        Each argument with its axes, as in ``u=(u, "N H W C")``. The same letter stands for the same size in all
        arguments; a number stands for itself.

    Raises
    ------
    TypeError
        An argument is not a plain array (a list, np.matrix, a masked array), does not hold floating-point numbers, or
        has another dtype than the others. Both byte orders of a dtype are accepted, also together.
    ValueError
        A wrong number of axes, an empty axis, or an axis whose size contradicts another argument.

    Examples
    --------
    >>> expect("scale", u=(np.ones((2, 4, 4, 3)), "N H W C"), s=(np.ones((2, 5)), "N C"))
    Traceback (most recent call last):
    ValueError: scale: s (N, C) has shape (2, 5), but C = 3 in u (N, H, W, C) of shape (2, 4, 4, 3)
    """
    seen: dict[str, tuple[int, str]] = {}
    dtypes = {}
    for name, (value, declared) in arguments.items():
        if not isinstance(value, tuple):
            dtypes[name] = _float_dtype(op, name, value)
        shape = value if isinstance(value, tuple) else value.shape
        axes = declared.split()
        title = f"{name} ({', '.join(axes)})"
        if len(shape) != len(axes):
            raise ValueError(f"{op}: {title} needs {len(axes)} axes, but has shape {tuple(shape)}")
        for axis, size in zip(axes, shape, strict=True):
            if size == 0:
                raise ValueError(f"{op}: {title} has shape {tuple(shape)}: axis {axis} is empty, nothing to compute")
            wanted, source = (int(axis), "here") if axis.isdecimal() else seen.setdefault(
                axis, (size, f"in {title} of shape {tuple(shape)}"))
            if size != wanted:
                raise ValueError(f"{op}: {title} has shape {tuple(shape)}, but {axis} = {wanted} {source}"
                                 if not axis.isdecimal() else
                                 f"{op}: {title} has shape {tuple(shape)}: expected {wanted}, but got {size}")
    if len(set(dtypes.values())) > 1:
        mixture = ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items())
        raise TypeError(f"{op}: arguments differ in dtype ({mixture}); convert them to one, e.g. x.astype(np.float32)")


def expect_array(op: str, name: str, value: Any) -> None:
    """Raise TypeError unless an argument of an op is a plain array; its elements may have any dtype."""
    if not is_plain(type(value)):
        wanted = "a plain array" if isinstance(value, np.ndarray) else "an array"
        raise TypeError(f"{op}: {name} must be {wanted}, but is a {type(value).__name__}; use np.asarray({name})")


def _float_dtype(op: str, name: str, value: Any) -> np.dtype[Any]:
    expect_array(op, name, value)
    dtype = value.dtype
    if dtype.kind not in "fc":
        raise TypeError(f"{op}: {name} must hold floating-point numbers, but has dtype {dtype}; "
                        f"use {name}.astype(np.float32)")
    return dtype.newbyteorder("=")


def expect_kind(op: str, name: str, value: Any, kind: str) -> None:
    """Raise TypeError unless an argument is a plain array of a ``kind`` of `KINDS`."""
    expect_array(op, name, value)
    codes, rule, remedy = KINDS[kind]
    if value.dtype.char not in codes:
        raise TypeError(f"{op}: {name} must {rule}, but has dtype {value.dtype}; {remedy.format(name)}")
