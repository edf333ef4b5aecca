"""What every chapter leans on: the shape check that opens an op, and the sum that stays accurate."""

import functools

import numpy as np

PLAIN = (np.ndarray, np.memmap)  # other subclasses give *, sum or == another meaning, as np.matrix and masked arrays do


def is_plain(kind):
    """Whether a type is that of a plain array: NumPy's own, mapped from a file or not, or an array on a device."""
    return kind in PLAIN or hasattr(kind, "__cuda_ndarray__")


def expect(op, **arguments):
    """Check that arrays fit together, axis by axis, or raise an error that says which does not.

    Parameters
    ----------
    op : str
        Name of the op that asks; it opens the error.
    **arguments : (array or shape tuple, str)
        Each argument with its axes, as in ``u=(u, "N H W C")``. A letter stands for one size throughout the
        call; a number stands for itself.

    Raises
    ------
    TypeError
        An argument is no plain array (a list, np.matrix, a masked array), holds no floating-point numbers, or differs
        in dtype from another. Both byte orders of a dtype are taken, also side by side.
    ValueError
        A wrong number of axes, an empty axis, or an axis whose size contradicts another argument.

    Examples
    --------
    >>> expect("scale", u=(np.ones((2, 4, 4, 3)), "N H W C"), s=(np.ones((2, 5)), "N C"))
    Traceback (most recent call last):
    ValueError: scale: s (N, C) has shape (2, 5), but C = 3 in u (N, H, W, C) of shape (2, 4, 4, 3)
    """
    if _fit(arguments.values()):
        return
    seen, dtypes = {}, {}
    for name, (value, axes) in arguments.items():
        if not isinstance(value, tuple):
            dtypes[name] = _float_dtype(op, name, value)
        shape = value if isinstance(value, tuple) else value.shape
        axes = axes.split()
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
                                 f"{op}: {title} has shape {tuple(shape)}: {size} stands where {wanted} must be")
    if len(set(dtypes.values())) > 1:
        mixture = ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items())
        raise TypeError(f"{op}: arguments differ in dtype ({mixture}); convert them to one, e.g. x.astype(np.float32)")


def _fit(arguments):
    """Whether nothing is wrong: a step of training asks a few hundred times, and the next one the same again."""
    try:
        return _known_to_fit(tuple([(value, None, None, axes) if isinstance(value, tuple) else
                                    (value.shape, value.dtype, type(value), axes) for value, axes in arguments]))
    except (AttributeError, TypeError):                                # no array, or no sizes
        return False


@functools.lru_cache(4096)
def _known_to_fit(arguments):
    seen, dtypes = {}, set()
    for shape, dtype, kind, axes in arguments:
        names = axes.split()
        if len(shape) != len(names) or 0 in shape:
            return False
        for axis, size in zip(names, shape, strict=True):
            if size != (int(axis) if axis.isdecimal() else seen.setdefault(axis, size)):
                return False
        if dtype is not None:
            if not is_plain(kind):
                return False
            dtypes.add(dtype.newbyteorder("="))
    return len(dtypes) <= 1 and all(dtype.kind in "fc" for dtype in dtypes)


def expect_array(op, name, value):
    """Raise TypeError unless an argument of an op is a plain array, whatever it holds."""
    if not is_plain(type(value)):
        wanted = "a plain array" if isinstance(value, np.ndarray) else "an array"
        raise TypeError(f"{op}: {name} must be {wanted}, but is a {type(value).__name__}; use np.asarray({name})")


def _float_dtype(op, name, value):
    expect_array(op, name, value)
    dtype = value.dtype
    if dtype.kind not in "fc":
        raise TypeError(f"{op}: {name} must hold floating-point numbers, but has dtype {dtype}; "
                        f"use {name}.astype(np.float32)")
    return dtype.newbyteorder("=")


def expect_alike(op, **arrays):
    """Check that arrays of any shape have one shape and one dtype; raise TypeError or ValueError otherwise."""
    axes = " ".join(f"d{axis}" for axis in range(getattr(next(iter(arrays.values())), "ndim", 0)))
    expect(op, **{name: (array, axes) for name, array in arrays.items()})


def expect_labels(op, labels, classes):
    """Check that ``labels`` are integers in 0 .. classes - 1; raise TypeError or ValueError otherwise."""
    expect_array(op, "labels", labels)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{op}: labels must be integers, but have dtype {labels.dtype}; use labels.astype(int)")
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        raise ValueError(f"{op}: labels must lie in 0..{classes - 1}, but label {labels[wrong[0]]} stands "
                         f"at position {wrong[0]} ({wrong.size} of {labels.size} are out of range)")


def total(x, axis):
    """Sum over ``axis`` in float64 or wider, returned in x's dtype: a float32 running sum over N*H*W loses digits."""
    return x.sum(axis=axis, dtype=np.result_type(x.dtype, np.float64)).astype(x.dtype)


def average(x, axis):
    """Mean over ``axis`` with the accuracy of `total`."""
    return x.mean(axis=axis, dtype=np.result_type(x.dtype, np.float64)).astype(x.dtype)
