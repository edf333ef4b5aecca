"""Where a gradient is wrong, and rules about a part of its entries. They need no tape, so they serve any function."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from npse.gradcheck.diagnosis.result import Explanation, alike, explains
from npse.types import Array

NAMES = {"N": "image", "C": "channel", "Cin": "channel", "Cout": "channel", "H": "row", "W": "column"}
ROW = 4                  # entries that a row needs before two free numbers for it explain anything


def part(name: str, ours: Array, right: Array, letters: Sequence[str], others: Mapping[str, Array],
         tolerance: float) -> Iterator[Explanation]:
    """One rule explains a part of the entries that can be described; all others are right."""
    wrong = differing(ours, right, tolerance)
    if not wrong.any() or not np.isfinite(right).all():
        return
    if wrong.all():
        return
    for words, where in _descriptions(wrong, letters, others):
        count = np.count_nonzero(wrong)
        entries = "1 entry" if count == 1 else f"{count} entries"
        a, n = ours[wrong], right[wrong]
        if not a.any():
            kind = "borders" if "first" in words or "last" in words else "path missing"
            yield (kind, f"d{name} is zero {words} and right elsewhere ({entries})",
                   f"Nothing comes back to {name} there.")
        elif count > 1 and (factor := _one_factor(a, n, tolerance)) is not None:
            yield ("factor" if factor != -1 else "sign", f"d{name} {_times(factor)} {words} and right elsewhere "
                   f"({entries})", "")
        elif not where and "dy" in others and _multiple(ours - right, others["dy"], wrong, tolerance):
            yield ("mask missing", f"dy reaches d{name} also {words}, and d{name} is right elsewhere ({entries})",
                   "A mask is missing.")
        if where:
            return


def _times(factor: float) -> str:
    return "has the wrong sign" if abs(factor + 1) < 1e-6 else f"is {factor:.6g} times the right one"


def _one_factor(ours: Array, right: Array, tolerance: float) -> float | None:
    """The factor between two arrays if it is the same for all entries."""
    square = right @ right
    factor = float(ours @ right / square) if square else 0.0
    return factor if factor and alike(ours, factor * right, tolerance) else None


def _multiple(error: Array, dy: Array, where: Array, tolerance: float) -> bool:
    """Whether the error there is a multiple of dy, with a factor of its own at each place along the last axis."""
    if dy.shape != error.shape or where.sum() < 3 * error.shape[-1]:
        return False
    over = tuple(range(error.ndim - 1))
    square = (dy * dy).sum(axis=over, where=where)
    factor = (error * dy).sum(axis=over, where=where) / np.where(square, square, 1)
    return alike(error[where], (factor * dy)[where], tolerance)


def moved(name: str, ours: Array, right: Array, letters: Sequence[str],
                  tolerance: float) -> Iterator[Explanation]:
    """Each place along an axis has the gradient of another place."""
    for axis in range(ours.ndim):
        a, n = np.moveaxis(ours, axis, 0), np.moveaxis(right, axis, 0)
        if not 1 < len(a) < 40 or a[0].size < 2:
            continue
        source = [next((m for m in (k, *range(len(n))) if alike(a[k], n[m], tolerance)), None) for k in range(len(a))]
        if None in source or source == list(range(len(a))):
            continue
        if not explains(ours, np.moveaxis(n[[m or 0 for m in source]], 0, axis), right, tolerance):
            continue
        what = NAMES.get(letters[axis], "place")
        if len(set(source)) == 1:
            text = f"d{name} has the gradient of {what} {source[0]} at every {what} along {letters[axis]}"
        else:
            text = f"d{name} has the gradients of other {what}s along {letters[axis]}: those of {what}s {_list(source)}"
        yield "wrong value", text, f"Each {what} has its own gradient."


def rows(name: str, ours: Array, right: Array, letters: Sequence[str], others: Mapping[str, Array],
         tolerance: float) -> Iterator[Explanation]:
    """The error is a constant along an axis, or a constant and a multiple of another array."""
    error, largest = ours - right, np.abs(right).max(initial=0)
    if not np.isfinite(error).all() or np.abs(error).max(initial=0) < 1e-3 * largest:
        return
    for count in range(1, ours.ndim + 1):
        for axes in combinations(range(ours.ndim), count):
            size = int(np.prod([ours.shape[a] for a in axes]))
            if size < ROW:
                continue
            where, mean = ", ".join(letters[a] for a in axes), error.mean(axis=axes, keepdims=True)
            if alike(error, mean + 0 * error, 1e-6):
                yield ("constant statistics", f"the error of d{name} is the same for all entries along {where}",
                       f"A term that is summed or averaged over {where} is missing or wrong.")
                return
            for other, x in others.items():
                if x.shape == ours.shape and size > ROW and np.ptp(x):
                    c = x - x.mean(axis=axes, keepdims=True)
                    square = (c * c).sum(axis=axes, keepdims=True)
                    if not square.all():
                        continue
                    slope = (error * c).sum(axis=axes, keepdims=True) / square
                    if alike(error, mean + slope * c, 1e-6):
                        free = "a multiple of" if np.abs(mean + slope * (c - x)).max() < 1e-6 * np.abs(error).max() \
                            else "a constant and a multiple of"
                        yield ("constant statistics", f"the error of d{name} along {where} is {free} {other}",
                               f"A term with {other} that is summed or averaged over {where} is missing or wrong.")
                        return


def crosswise(name: str, gradients: Mapping[str, Array], right: Mapping[str, Array],
              tolerance: float) -> Iterator[Explanation]:
    """The gradient has a wrong shape because results are returned in another order."""
    def owner(gradient: Array) -> str | None:
        return next((key for key, its in right.items() if alike(gradient, its, tolerance)), None)
    def misplaced(gradient: Array, key: str) -> bool:
        return alike(gradient, right[name], tolerance) and not alike(gradient, right[key], tolerance)
    mine = owner(gradients[name])
    place = next((key for key, gradient in gradients.items() if misplaced(gradient, key)), None)
    order = f"Gradients are returned in the order {', '.join(f'd{key}' for key in gradients)}."
    if mine not in (None, name) and place == mine:
        yield "swapped", f"d{name} and d{mine} are swapped: each is returned in the place of the other", order
    elif mine not in (None, name):
        yield "swapped", f"d{name} is the gradient of {mine}: the results are returned in another order", order
    elif place not in (None, name):
        yield "swapped", f"the gradient of {name} is returned as d{place}: results are in another order", order
    else:
        shapes = {key: np.shape(gradient) for key, gradient in gradients.items()}
        for other, its in right.items():
            if other != name and shapes[name] == its.shape != right[name].shape == shapes[other]:
                yield ("swapped", f"d{name} has the shape of {other}, and d{other} that of {name}: they seem to be "
                       "swapped, and wrong besides", order)


def differing(ours: Array, right: Array, tolerance: float) -> Array:
    """Which entries differ by more than the tolerance, relative to the largest entry."""
    with np.errstate(invalid="ignore"):
        return np.abs(ours - right) > tolerance * np.nanmax(np.abs(right), initial=0)


def _descriptions(wrong: Array, letters: Sequence[str], others: Mapping[str, Array]) -> Iterator[tuple[str, bool]]:
    """Where the wrong entries are, in words, and whether it is a block of places."""
    places = [np.unique(found) for found in np.nonzero(wrong)]
    if wrong[np.ix_(*places)].all():
        yield " and ".join(_at(found, size, letter) for found, size, letter in zip(
            places, wrong.shape, letters, strict=True) if len(found) < size), True
    for other, array in others.items():
        if array.shape == wrong.shape:
            for sign, condition in ((">", array > 0), ("<=", array <= 0)):
                if np.array_equal(condition, wrong):
                    yield f"where {other} {sign} 0", False


def _at(places: Array, size: int, letter: str) -> str:
    """Some places along an axis: "at the last row", "at channels 0 and 2"."""
    what, along = (NAMES[letter], "") if letter in NAMES else ("place", f" along {letter}")
    if len(places) == 1:
        word = {0: f"the first {what}", size - 1: f"the last {what}"}.get(int(places[0]), f"{what} {places[0]}")
        return f"at {word}{along}"
    if len(places) == 2 and places[0] == 0 and places[1] == size - 1:
        return f"at the first and the last {what}{along}"
    if np.ptp(places) == len(places) - 1 and places[0] == 0:
        return f"at the first {len(places)} {what}s{along}"
    if np.ptp(places) == len(places) - 1 and places[-1] == size - 1:
        return f"at the last {len(places)} {what}s{along}"
    return f"at the {what}s {_list(places.tolist())}{along}"


def _list(items: Sequence[object]) -> str:
    words = [str(item) for item in items[:8]] + (["..."] if len(items) > 8 else [])
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]


def whereabouts(name: str, ours: Array, right: Array, letters: Sequence[str], others: Mapping[str, Array],
                tolerance: float) -> str:
    """What is known of a gradient that nothing explains: where it is wrong, by how much, and what was ruled out."""
    known = np.isfinite(right) & np.isfinite(ours)
    wrong = differing(ours, right, tolerance) & known
    count = np.count_nonzero(wrong)
    if not count:
        return f"d{name}: no simple mistake explains it; {count} of {ours.size} entries differ."
    facts = [f"{count} of {np.count_nonzero(known)} entries differ"]
    where = next((words for words, _ in _descriptions(wrong, letters, others)), "") if not wrong.all() else ""
    if where:
        facts.append(f"all of them {where}")
    elif border := _border(wrong, letters):
        facts.append(border)
    error = np.where(wrong, ours - right, 0.0)
    sizes = f"The largest error is {np.abs(error).max() / max(np.abs(right[known]).max(), 1e-300):.2g} times the " \
            "largest right entry"
    if right.size > 1 and np.ptp(ours[known]) and np.ptp(right[known]):
        sizes += f", the correlation with the right gradient {np.corrcoef(ours[known], right[known])[0, 1]:.3f}"
    sizes += _rank(error)
    return (f"d{name}: no simple mistake explains it; {', '.join(facts)}. {sizes}. Ruled out: a constant factor, a "
            "sign, other axes, a shift, a factor or a mask too many or missing, a sum in place of a mean.")


def _border(wrong: Array, letters: Sequence[str]) -> str:
    """Whether all wrong entries are inside of the array, or all at its border."""
    axes = [axis for axis, letter in enumerate(letters) if wrong.shape[axis] > 2 and letter not in (
        "N", "C", "Cin", "Cout", "K", "M")]
    inner = np.zeros(wrong.shape, bool)
    inner[tuple(slice(1, -1) if axis in axes else slice(None) for axis in range(wrong.ndim))] = True
    if not axes or wrong.all():
        return ""
    if not (wrong & inner).any():
        return "all of them at the border"
    return "none of them at the border" if not (wrong & ~inner).any() else ""


def _rank(error: Array) -> str:
    """The rank of the error as a matrix, if it is lower than it could be."""
    matrix = error.reshape(len(error), -1) if error.ndim > 1 else np.zeros((0, 0))
    matrix = matrix[np.abs(matrix).any(axis=1)][:, np.abs(matrix).any(axis=0)] if matrix.size else matrix
    rank = int(np.linalg.matrix_rank(matrix, tol=1e-6 * np.abs(matrix).max())) if matrix.size else 0
    if 0 < rank < min(matrix.shape):
        return f"; the error has rank {rank}" + (", one column times one row" if rank == 1 else "")
    return ""
