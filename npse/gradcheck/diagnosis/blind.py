"""Hypotheses that compare two arrays, our gradient and the right one. They need no tape, so they serve any function.

Each function yields explanations; their text starts with the name of the gradient. ``letters`` are the names of the
axes of the gradient.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, combinations, permutations
from typing import TypeAlias

import numpy as np

from npse.gradcheck.diagnosis.result import EXACT, SINGLE, Explanation, alike, explains
from npse.gradcheck.diagnosis.sizes import is_sure, possible
from npse.types import Array, Shape

NOT_SPATIAL = ("N", "C", "Cin", "Cout", "K", "M")      # axes without a border

NEARLY_ONE = 1e-5        # a factor that is 1 in six digits is told by its distance from 1
DOUBLE = 1e-12           # relative to the largest entry: an error of float64 itself

Pairs: TypeAlias = Mapping[str, tuple[Array, Array]]
"""Our gradient and the right one, by the name of the argument."""

Readings: TypeAlias = Callable[[float], list[str]]
"""By which sizes a gradient with a wrong factor may be too large or too small."""

Same: TypeAlias = Callable[[Array], bool]
"""Whether a candidate explains our gradient."""


def whole(name: str, ours: Array, right: Array) -> Iterator[Explanation]:
    """Some entries are not finite, all are zero, or all have the wrong sign."""
    if not np.isfinite(ours).all():
        at = tuple(map(int, np.argwhere(~np.isfinite(ours))[0]))
        yield ("unexplained", f"d{name} is {ours[at]} at {list(at)} and {np.count_nonzero(~np.isfinite(ours))} entries "
               "in all are not finite", "Look for a division by zero, a logarithm of zero, or an overflow.")
    elif not ours.any():
        yield "zero", f"d{name} is all zeros", "No part of the upstream gradient reaches it."
    elif alike(ours, -right):
        yield "sign", f"d{name} has the wrong sign, everywhere", ""


def swapped(name: str, pairs: Pairs, tolerance: float) -> Iterator[Explanation]:
    """Two results are swapped."""
    for other in _taken_for(name, pairs, tolerance):
        if explains(pairs[other][0], pairs[name][1], pairs[other][1], tolerance):
            yield ("swapped", f"d{name} is the gradient of {other}, and d{other} that of {name}: two results are "
                   "swapped", f"Gradients are returned in the order {', '.join(f'd{key}' for key in pairs)}.")


def another(name: str, pairs: Pairs, tolerance: float) -> Iterator[Explanation]:
    """The gradient of another argument is returned for this one."""
    for other in _taken_for(name, pairs, tolerance):
        yield "swapped", f"d{name} is the gradient of {other}", ""


def _taken_for(name: str, pairs: Pairs, tolerance: float) -> list[str]:
    """The other arguments whose gradient is returned for this one."""
    ours, right = pairs[name]
    return [other for other, (_, its) in pairs.items()
            if other != name and its.shape == right.shape and explains(ours, its, right, tolerance)]


def rounded(name: str, ours: Array, right: Array) -> Iterator[Explanation]:
    """The gradient is right, but only to the precision of float32."""
    with np.errstate(invalid="ignore"):
        error = np.nanmax(np.abs(ours - right)) / np.nanmax(np.abs(right))
    if DOUBLE < error <= SINGLE:
        yield ("dtype", f"d{name} is right only to {error:.0e} of its largest entry, as if it were computed in "
               "float32", "dtype in = dtype out, and in between too.")


def exact(name: str, ours: Array, right: Array, letters: Sequence[str], readings: Readings,
          others: Mapping[str, Array], tolerance: float) -> Iterator[Explanation]:
    """One rule explains all entries; ``others`` holds arrays that may be missing as a factor, or be one too many."""
    def same(candidate: Array) -> bool:
        return explains(ours, candidate, right, tolerance)
    yield from _factor(name, ours, right, readings, same)
    yield from _rearranged(name, right, letters, same)
    yield from _flattened(name, right, letters, same)
    yield from _with_another(name, ours, right, others, same)
    yield from _masks(name, ours, right, others, same)
    yield from _by_axis(name, ours, right, letters, same)


def local(name: str, ours: Array, right: Array, letters: Sequence[str], stride: int,
          tolerance: float) -> Iterator[Explanation]:
    """The gradient is right except for rows or columns at the border."""
    with np.errstate(invalid="ignore"):
        wrong = np.abs(ours - right) > tolerance * np.nanmax(np.abs(right))
    if not wrong.any():                                           # the error is smaller than what explains anything
        return
    bounds = [(places.min(), places.max()) for places in np.nonzero(wrong)]
    spatial = [axis for axis in range(ours.ndim) if ours.shape[axis] > 2 and letters[axis] not in NOT_SPATIAL]
    for axes in _subsets(spatial):
        inner = np.zeros(ours.shape, bool)
        inner[tuple(slice(1, -1) if axis in axes else slice(None) for axis in range(ours.ndim))] = True
        if not (wrong & inner).any():
            where = " and ".join(f"{_edge(bounds[a], ours.shape[a])} along {letters[a]}" for a in axes)
            last = all(bounds[a][0] > 0 for a in axes)
            kind = "stride" if stride > 1 and last else "borders"
            also = ", and the rows and columns that the stride leaves over" if stride > 1 else ""
            yield (kind, f"d{name} is right except at the border: {np.count_nonzero(wrong)} entries at {where} are "
                   "wrong", f"Look at the padding and the loop's bounds{also}.")
            return


def _edge(bounds: tuple[int, int], size: int) -> str:
    """Where wrong entries lie along an axis, all of them at the border; ``bounds`` are the first and the last place."""
    if bounds[0] == size - 1:
        return "the last place"
    return "the first place" if bounds[1] == 0 else "both ends"


def _factor(name: str, ours: Array, right: Array, readings: Readings, same: Same) -> Iterator[Explanation]:
    """All entries have the same wrong factor."""
    known = ~np.isnan(right)
    square = np.square(right[known]).sum()
    factor = (ours * right)[known].sum() / square if square else 0
    if factor and same(factor * right):
        if abs(abs(factor) - 1) < NEARLY_ONE:
            yield "factor", f"every entry of d{name} is {abs(factor) - 1:+.1e} of itself away from the right one", ""
            return
        if ours.size == 1:
            yield "factor", f"d{name}, a single number, is {factor:.6g} times the right one", ""
            return
        times, size, cure = (factor, "large", "Divide") if abs(factor) > 1 else (1 / factor, "small", "Multiply")
        names = readings(factor)
        text = f"every entry of d{name} is {abs(times):.6g} times too {size}"
        if is_sure(times, names):
            text, cure = f"{text}, and {names[0]} is {abs(times):.6g}", f"{cure} by {names[0]}."
        else:
            text, cure = f"{text} ({possible(times, names)})" if names else text, ""
        yield "factor", f"{text}, besides the wrong sign" if factor < 0 else text, cure


def _rearranged(name: str, right: Array, letters: Sequence[str], same: Same) -> Iterator[Explanation]:
    """Axes are in another order or reversed, or entries are shifted by one place."""
    identity = tuple(range(right.ndim))
    for order in permutations(identity):
        moved = right.transpose(order)
        if order != identity and (same(moved) or same(moved.reshape(right.shape))):
            yield "transposed", f"d{name} has its axes in the order {', '.join(letters[a] for a in order)}", ""
    for axes in _subsets(identity):
        if same(np.flip(right, axes)):
            filters = right.ndim == 4 and set(axes) <= {0, 1} and letters[:2] == ("kh", "kw")
            yield ("flipped kernel" if filters else "transposed",
                   f"d{name} is reversed along {' and '.join(letters[a] for a in axes)}", "")
    for axes in _subsets(identity) if right.ndim else ():
        for shift in (1, -1, 2, -2, 3, -3):
            if len(axes) > 2 or any(right.shape[axis] <= abs(shift) for axis in axes):
                continue
            rolled = np.roll(right, (shift,) * len(axes), axes)
            empty = rolled.copy()
            for axis in axes:
                np.moveaxis(empty, axis, 0)[slice(shift) if shift > 0 else slice(shift, None)] = 0
            if same(rolled) or same(empty):
                count = "one" if abs(shift) == 1 else f"{abs(shift)} places"
                yield "borders", f"d{name} is shifted by {count} along {' and '.join(letters[a] for a in axes)}", ""


def _flattened(name: str, right: Array, letters: Sequence[str], same: Same) -> Iterator[Explanation]:
    """Each entry is the sum or the mean along some axes."""
    for axes in _subsets(range(right.ndim)):
        if np.prod([right.shape[a] for a in axes]) > 1:
            where = " and ".join(letters[a] for a in axes)
            for reduce, kind, verb in ((np.mean, "averaged", "averaged"), (np.sum, "not summed", "summed")):
                if same(np.broadcast_to(reduce(right, axis=axes, keepdims=True), right.shape)):
                    yield (kind, f"d{name} is constant along {where}: it was {verb} there and repeated, but each "
                           "entry has its own gradient", "")


def _with_another(name: str, ours: Array, right: Array, others: Mapping[str, Array],
                  same: Same) -> Iterator[Explanation]:
    """One of ``others`` is a missing factor, a factor too many, or a term too many."""
    for other, array in others.items():
        for view in _views(array, right.shape):
            with np.errstate(all="ignore"):
                if np.ptp(view) == 0:
                    continue
                pairs = ((right / view, "path missing", f"lacks the factor {other}"),
                         (right * view, "path twice", f"has the factor {other} once too often"),
                         (right / view**2, "path missing", f"lacks the factor {other}^2"),
                         (right / view * (1 - view), "sigmoid", f"has 1 - {other} where {other} belongs"),
                         (right * (1 - view), "sigmoid", f"has the factor 1 - {other} once too often"),
                         (right / (1 - view), "sigmoid", f"lacks the factor 1 - {other}"),
                         (right / (view * (1 - view)), "sigmoid", f"lacks the factor {other}*(1 - {other})"),
                         (right + right / view, "path twice", f"has the factor {other} + 1 where {other} belongs"))
            for candidate, kind, text in pairs:
                if np.isfinite(candidate[~np.isnan(right)]).all() and same(candidate):
                    yield kind, f"d{name} {text}", ""
            full = np.broadcast_to(view, right.shape)
            known = ~np.isnan(right)
            extra = (ours - right)[known]
            scale = extra @ full[known] / (full[known] @ full[known])
            if abs(scale) > 1e-9 and same(right + scale * full):
                yield ("path twice" if abs(scale - 1) < 1e-6 else "unexplained",
                       f"d{name} has a term too many: {scale:.6g} times {other}", "")


def _by_axis(name: str, ours: Array, right: Array, letters: Sequence[str], same: Same) -> Iterator[Explanation]:
    """Each place along one axis, or along two, has its own wrong factor."""
    for axes in _subsets(range(right.ndim)):
        rest = tuple(a for a in range(right.ndim) if a not in axes)
        repeats = np.prod([right.shape[a] for a in rest]) if rest else 1
        if len(axes) > 2 or repeats < 2:
            continue
        with np.errstate(all="ignore"):
            factors = np.nansum(ours * right, axis=rest, keepdims=True) / np.nansum(right**2, axis=rest, keepdims=True)
        if np.isfinite(factors).all() and same(right * factors):
            places = " and ".join(letters[a] for a in axes)
            if np.count_nonzero(np.abs(factors) > EXACT) == 1:
                yield ("path missing", f"d{name} is zero except at one place along {places}, where it is "
                       f"{factors.flat[np.abs(factors).argmax()]:.6g} times the right one",
                       "The other places get nothing.")
                return
            low, high = f"{factors.min():.4g}", f"{factors.max():.4g}"
            yield ("factor", f"d{name} is right except for a different factor at each place along {places}"
                   + (f", between {low} and {high}" if low != high else f", each nearly {low}"),
                   "A factor with these axes is missing, or one too many.")
            return


def _masks(name: str, ours: Array, right: Array, others: Mapping[str, Array], same: Same) -> Iterator[Explanation]:
    """A mask is missing, or one of ``others`` is used as a mask too many."""
    known = ~np.isnan(right)
    silent = known & (right == 0)
    if silent.any() and (ours[silent] != 0).any() and same(np.where(silent, ours, right)):
        yield ("mask missing", f"d{name} is right where it is not zero, but lets {np.count_nonzero(ours[silent])} "
               "entries through that must be 0", "A mask is missing.")
    for other, array in others.items():
        for view in _views(array, right.shape):
            for sign, condition in ((">", view > 0), ("<=", view <= 0)):
                if not condition.all() and same(np.where(condition, right, 0)):
                    yield "mask misplaced", f"d{name} is right where {other} {sign} 0 and zero elsewhere", ""


def _views(array: Array, shape: Shape) -> Iterator[Array]:
    """The ways to broadcast an array to a shape.

    The axes of the array are the last ones of the shape, as in NumPy; or its first axis stays the first, as that of
    (N, C) in NHWC.
    """
    if array.size > 1 and array.ndim <= len(shape):
        spread = array.reshape(array.shape[:1] + (1,) * (len(shape) - array.ndim) + array.shape[1:]) \
            if array.ndim > 1 else array
        for view in {id(array): array, id(spread): spread}.values():
            if all(n in (1, size) for n, size in zip(view.shape[::-1], shape[::-1], strict=False)):
                yield view


def _subsets(axes: Iterable[int]) -> Iterator[tuple[int, ...]]:
    """Every selection of one or more axes, the small ones first."""
    axes = list(axes)
    return chain.from_iterable(combinations(axes, count) for count in range(1, len(axes) + 1))


def shapes(name: str, ours: Array, right: Array, letters: Sequence[str]) -> Iterator[Explanation]:
    """The gradient does not have the shape of its argument. At least one explanation is given."""
    if ours.ndim == right.ndim > 1:
        for order in permutations(range(right.ndim)):
            if alike(ours, right.transpose(order)):
                yield "transposed", f"d{name} has its axes in the order {', '.join(letters[a] for a in order)}", ""
    for axes in _subsets(range(ours.ndim if ours.size else 0)):
        for reduce, words in ((np.sum, "sum"), (np.mean, "average")):
            summed = reduce(ours, axis=axes)
            if summed.size == right.size and alike(summed.reshape(right.shape), right):
                yield ("not summed", f"d{name} has shape {ours.shape} where {name} has {right.shape}: a sum is missing",
                       f"{words.capitalize()} it over {'axis' if len(axes) == 1 else 'axes'} "
                       f"{', '.join(map(str, axes))}.")
    if ours.size == right.size:
        for order in permutations(range(ours.ndim)):
            if alike(ours.transpose(order).reshape(right.shape), right):
                yield ("shape", f"d{name} has shape {ours.shape} where {name} has {right.shape}, but its values are "
                       "right", "Give it the shape of its argument.")
    yield ("shape", f"d{name} has shape {ours.shape}, where {name} has {right.shape}",
           "A gradient has the shape of its argument.")
