"""Recorded arrays among other values."""

from typing import Any

import numpy as np


def is_recorded(value: Any) -> bool:
    """Whether a value is a recorded array."""
    return hasattr(type(value), "__array_function__") and hasattr(value, "recording")


def plain(value: Any) -> Any:
    """A value with every recorded array in it as a plain one."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value))
    return value.value if is_recorded(value) else value


def is_floating(value: Any) -> bool:
    """Whether a value is, or holds, floating-point numbers."""
    if isinstance(value, (list, tuple)):
        return any(map(is_floating, value))
    return getattr(np.asarray(value), "dtype", np.dtype(bool)).kind == "f"
