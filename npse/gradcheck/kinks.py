"""Kinks: the points where a ReLU or a maximum has no derivative.

Which side of zero a ReLU is on, and which element is the maximum, is a *choice*. If all choices are the same at x - h,
x and x + h, the function is smooth in between. If one differs, the central difference is meaningless and left out.
"""

from typing import Any, TypeAlias

import numpy as np

from npse.types import Array

AtKinks: TypeAlias = Array | list[Array] | tuple[Array, ...]
"""The input of each ReLU (or its mask), and `max_margin` of each maximum (or the indices of the maxima)."""


def choices(arrays: AtKinks) -> list[Array]:
    """The choices at kinks, as arrays: a floating array counts by its sign (> 0), any other array by its values.

    Parameters
    ----------
    arrays : array or sequence of arrays
        For a ReLU, its input (or the mask); for a maximum, `max_margin` (or the indices of the maxima).
    """
    arrays = arrays if isinstance(arrays, (list, tuple)) else [arrays]
    return [a > 0 if a.dtype.kind == "f" else np.array(a) for a in map(np.asarray, arrays)]


def count_changes(before: list[Array], after: list[Array]) -> int:
    """How many choices differ between two results of `choices`; ValueError if their shapes differ."""
    if [c.shape for c in before] != [c.shape for c in after]:
        raise ValueError("the kinks of two evaluations differ in number or shape; "
                         "record the same arrays, in the same order, each time")
    return sum(int(np.count_nonzero(b != a)) for b, a in zip(before, after, strict=True))


def max_margin(x: Array, size: int, stride: int, padding: int = 0, ceil_mode: bool = False) -> Array:
    """By how much each element of each window exceeds the largest of the others: > 0 for the maximum, 0 in a tie.

    x (N, H, W, C) -> (N, Ho, Wo, C, size * size). Padding and ``ceil_mode`` have the meaning of the op `max_pool`. The
    padding is minus infinity.
    """
    return margin(_windows(x, size, stride, padding, ceil_mode))


def margin(values: Array) -> Array:
    """By how much each element exceeds the largest of the others on the last axis: > 0 for the maximum, 0 in a tie."""
    count = values.shape[-1]
    if count == 1:
        return np.ones_like(values)
    *_, second, first = np.moveaxis(np.sort(values, axis=-1), -1, 0)
    is_first = np.arange(count) == values.argmax(axis=-1)[..., None]
    return values - np.where(is_first, second[..., None], first[..., None])


def _windows(x: Array, size: int, stride: int, padding: int, ceil_mode: bool) -> Array:
    around = padding, padding + (stride - 1) * bool(ceil_mode)
    xp = np.pad(x, ((0, 0), around, around, (0, 0)), constant_values=-np.inf)
    Ho, Wo = (-(-(n + padding) // stride) for n in x.shape[1:3])              # no window begins behind the map
    every = np.lib.stride_tricks.sliding_window_view(xp, (size, size), axis=(1, 2))
    windows = every[:, ::stride, ::stride][:, :Ho, :Wo]
    return windows.reshape(*windows.shape[:4], size * size)


class KinkRecorder:
    """Records the choices at the kinks of a whole network; a watcher for `npse.backend.observing`.

        recorder = KinkRecorder()
        with backend.observing(recorder):
            report = check_direction(loss, parameters, gradients, recorder=recorder)

    Attributes
    ----------
    choices : list of arrays
        One for each ReLU, gate and max pooling since the last `clear`, in order.
    """

    def __init__(self) -> None:
        self.choices: list[Array] = []

    def clear(self) -> None:
        """Forget everything recorded so far."""
        self.choices = []

    def __call__(self, op: Any, arguments: tuple[Any, ...], result: Any) -> None:
        """Record a call; ``op`` tells by its declaration, `op.contract`, where it has kinks."""
        chosen = op.contract and op.contract.choices(arguments, result)
        if chosen is not None:
            self.choices.append(chosen)
