"""Groups of channels in a convolution, and the mistakes that mix them."""

from collections.abc import Callable, Iterator

import numpy as np

from npse.gradcheck.diagnosis.tape import Hypothesis, Part
from npse.types import Array


def in_groups(maps: Array, groups: int) -> Array:
    """View maps (N, H, W, C) as (N, H, W, G, C/G)."""
    return maps.reshape(*maps.shape[:3], groups, -1)


def by_group(w: Array, groups: int) -> Array:
    """View filters (kh, kw, D, Cout) as (kh, kw, D, G, Cout/G)."""
    return w.reshape(*w.shape[:3], groups, -1)


def merged(maps: Array) -> Array:
    """Return maps in groups (N, H, W, G, C/G) as maps (N, H, W, C)."""
    return maps.reshape(*maps.shape[:3], -1)


def mixed_groups(wrong: Callable[[int, str, str, Part], Hypothesis], spread: Callable[[Array, Array], Array],
                 correlate: Callable[[Array, Array], Array], groups: int) -> Iterator[Hypothesis]:
    """Hypotheses about the order of groups and of their channels; the first three arguments are those of `convolve`."""
    def interleaved(a: Array) -> Array:
        """Channel c goes from group c // (C/G) to group c % G."""
        return a.reshape(*a.shape[:-1], groups, -1).swapaxes(-1, -2).reshape(a.shape)

    def restored(a: Array) -> Array:
        """The inverse of `interleaved`."""
        return a.reshape(*a.shape[:-1], -1, groups).swapaxes(-1, -2).reshape(a.shape)

    def moved(a: Array, by: int) -> Array:
        return np.roll(a, by * (a.shape[-1] // groups), axis=-1)

    def over_groups(dw: Array, join: Callable[..., Array]) -> Array:
        """dw with the joined gradient of all groups in each of them."""
        joined = join(by_group(dw, groups), axis=3, keepdims=True)
        return np.repeat(joined, groups, axis=3).reshape(dw.shape)

    def first_only(a: Array) -> Array:
        a = a.copy()
        a[..., a.shape[-1] // groups:] = 0
        return a

    neighbors = ((1, "other", "other"),) if groups == 2 else ((1, "previous", "next"), (-1, "next", "previous"))
    for by, of, behind in neighbors:
        yield wrong(0, "channels swapped", f"of a group uses the filters of the {of} group",
                    lambda dy, y, x, w, by=by: spread(dy, moved(w, by)))
        yield wrong(0, "channels swapped", f"of a group uses dy of the {of} group",
                    lambda dy, y, x, w, by=by: spread(moved(dy, by), w))
        yield wrong(0, "channels swapped", f"is stored in the place of the {behind} group",
                    lambda dy, y, x, w, by=by: moved(spread(dy, w), by))
        yield wrong(1, "channels swapped", f"of a group uses x of the {of} group",
                    lambda dy, y, x, w, by=by: correlate(dy, moved(x, by)))
        yield wrong(1, "channels swapped", f"of a group uses dy of the {of} group",
                    lambda dy, y, x, w, by=by: correlate(moved(dy, by), x))
    for order, words in ((interleaved, "channel c is taken from group c % G, not c // (C/G)"),
                         (restored, "channels are shuffled as between two grouped convolutions")):
        for i, parts in ((0, (lambda dy, y, x, w, order=order: order(spread(dy, w)),
                              lambda dy, y, x, w, order=order: spread(order(dy), w),
                              lambda dy, y, x, w, order=order: spread(dy, order(w)))),
                         (1, (lambda dy, y, x, w, order=order: order(correlate(dy, x)),
                              lambda dy, y, x, w, order=order: correlate(order(dy), x),
                              lambda dy, y, x, w, order=order: correlate(dy, order(x))))):
            for part in parts:
                yield wrong(i, "channels swapped", f"has its groups in the wrong order: {words}", part)
    yield wrong(1, "not summed", "sums over all groups, where each group has filters of its own",
                lambda dy, y, x, w: over_groups(correlate(dy, x), np.sum))
    yield wrong(1, "averaged", f"is averaged over the G = {groups} groups, where each group has filters of its own",
                lambda dy, y, x, w: over_groups(correlate(dy, x), np.mean))
    yield wrong(1, "averaged", f"is divided by the G = {groups} groups, which share nothing",
                lambda dy, y, x, w: correlate(dy, x) / groups)
    yield wrong(0, "path missing", "is zero but for the first group", lambda dy, y, x, w: first_only(spread(dy, w)))
    yield wrong(1, "path missing", "is zero but for the first group", lambda dy, y, x, w: first_only(correlate(dy, x)))
