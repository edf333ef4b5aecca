"""Steps of a tape with windows, over a map or over channels: convolutions, each with its mistakes."""

from collections.abc import Callable, Iterator, Mapping
from typing import Unpack

import numpy as np

from npse.gradcheck.diagnosis.channel_groups import by_group, in_groups, merged, mixed_groups
from npse.gradcheck.diagnosis.tape import Hypothesis, Part, Step, Var, Way, Words
from npse.types import Array, Shape


def convolve(x: Var, w: Var, stride: int, padding: int, name: str, groups: int = 1, dilation: int = 1,
             **words: Unpack[Words]) -> Var:
    """x (N, H, W, Cin), w (kh, kw, D, Cout) -> y (N, Ho, Wo, Cout), D = Cin / groups; cross-correlation."""
    kh, kw, _, _ = w.shape
    _, H, W, Cin = x.shape
    filters = dilation * (kh - 1) + 1, dilation * (kw - 1) + 1
    Ho, Wo = ((size + 2 * padding - k) // stride + 1 for size, k in zip((H, W), filters, strict=True))

    def views(xp: Array, step: int = stride, apart: int = dilation) -> list[tuple[int, int, Array]]:
        """For each entry (i, j) of a filter the pixels that it meets, in groups: (N, Ho, Wo, groups, D)."""
        xg = in_groups(xp, groups)
        return [(i, j, _view(xg, apart * i, apart * j, (Ho, Wo), step)) for i, j in np.ndindex(kh, kw)]

    def run(x: Array, w: Array) -> Array:
        wg = by_group(w, groups)
        taps = [np.einsum("nabgc,cgk->nabgk", view, wg[i, j]) for i, j, view in views(_pad(x, padding))]
        return merged(np.sum(taps, axis=0))

    def spread(dy: Array, w: Array, step: int = stride, assign: bool = False, crop: int = padding,
               apart: int = dilation) -> Array:
        """dx: each window adds its part, or overwrites what is there (``assign``); ``crop`` pixels are cut off."""
        dxp = np.zeros((len(dy), H + 2 * padding, W + 2 * padding, Cin), dy.dtype)
        dyg, wg = in_groups(dy, groups), by_group(w, groups)
        for i, j, view in views(dxp, step, apart):
            view[...] = np.einsum("nabgk,cgk->nabgc", dyg, wg[i, j]) + (0 if assign else view)
        dx = np.zeros((len(dy), H, W, Cin), dy.dtype)
        there = dxp[:, crop:crop + H, crop:crop + W]
        dx[:, :there.shape[1], :there.shape[2]] = there
        return dx

    def correlate(dy: Array, xp: Array, step: int = stride, apart: int = dilation) -> Array:
        """dw, from x with its padding."""
        dyg = in_groups(dy, groups)
        return np.stack([np.einsum("nabgc,nabgk->cgk", view, dyg) for _, _, view in views(xp, step, apart)]
                        ).reshape(w.shape)

    def faults(step: Step) -> Iterator[Hypothesis]:
        def wrong(i: int, kind: str, text: str, part: Part) -> Hypothesis:
            d = f"d{step.inputs[i].name}"
            return Hypothesis(kind, f"{d} {text}", {(step, i): part}, advice=advice[i])
        advice = _CONV_ADVICE if groups == dilation == 1 else _GROUPED_ADVICE
        for over, words in (((0, 1), "both spatial axes"), ((0,), "its rows"), ((1,), "its columns")):
            if all(w.shape[a] > 1 for a in over):
                yield wrong(0, "flipped kernel", f"uses w mirrored along {words}",
                            lambda dy, y, x, w, over=over: spread(dy, np.flip(w, over)))
                yield wrong(1, "flipped kernel", f"is mirrored along {words}",
                            lambda dy, y, x, w, over=over: np.flip(correlate(dy, _pad(x, padding)), over))
        for axes, kind, words in (((0, 1), "transposed", "kh and kw"), ((2, 3), "channels swapped", "its channels")):
            if w.shape[axes[0]] == w.shape[axes[1]] > 1:
                yield wrong(0, kind, f"uses w with {words} swapped",
                            lambda dy, y, x, w, axes=axes: spread(dy, w.swapaxes(*axes)))
                yield wrong(1, kind, f"has {words} swapped",
                            lambda dy, y, x, w, axes=axes: correlate(dy, _pad(x, padding)).swapaxes(*axes))
        yield wrong(0, "not summed", "keeps only the last window at each pixel, where windows overlap and add up",
                    lambda dy, y, x, w: spread(dy, w, assign=True))
        if stride > 1:
            yield wrong(0, "stride", f"ignores the stride {stride}", lambda dy, y, x, w: spread(dy, w, 1))
            yield wrong(1, "stride", f"ignores the stride {stride}",
                        lambda dy, y, x, w: correlate(dy, _pad(x, padding), 1))
        if dilation > 1:
            apart = f"ignores the dilation {dilation}: the taps of the filter are taken as neighbors"
            yield wrong(0, "stride", apart, lambda dy, y, x, w: spread(dy, w, apart=1))
            yield wrong(1, "stride", apart, lambda dy, y, x, w: correlate(dy, _pad(x, padding), apart=1))
            yield wrong(0, "borders", f"is shifted: not the padding {padding} is cut off, but the padding without the "
                        f"dilation, {padding // dilation}", lambda dy, y, x, w: spread(dy, w, crop=padding // dilation))
        if groups > 1:
            yield from mixed_groups(wrong, spread, lambda dy, x: correlate(dy, _pad(x, padding)), groups)
        yield from _edges(wrong, spread, correlate, padding, stride, (H, W), filters, (Ho, Wo))
        sizes = {"N": x.shape[0], "Ho, Wo": Ho * Wo, "N, Ho, Wo": x.shape[0] * Ho * Wo}
        for name, size in sizes.items():
            if size > 1:
                yield wrong(1, "averaged", f"is averaged over {name} ({size} entries), where a sum belongs",
                            lambda dy, y, x, w, size=size: correlate(dy, _pad(x, padding)) / size)
        for place, rows in (("first", slice(0, 1)), ("last", slice(-1, None))):
            yield wrong(1, "not summed", f"takes only the {place} image of the batch, where a sum over N belongs",
                        lambda dy, y, x, w, rows=rows: correlate(dy[rows], _pad(x[rows], padding)))

    return x.tape.step(run, [x, w], [lambda dy, y, x, w: spread(dy, w),
                                     lambda dy, y, x, w: correlate(dy, _pad(x, padding))],
                       name, axes=("N", "Ho", "Wo", "Cout"), faults=faults, **words)


_CONV_ADVICE = ("dxp[n, s*a + i, s*b + j, c] += dy[n, a, b, k] * w[i, j, c, k], Eq. 1; then cut off the padding.",
                "dw[i, j, c, k] = sum over n, a, b of xp[n, s*a + i, s*b + j, c] * dy[n, a, b, k], Eq. 1.")
_GROUPED_ADVICE = (
    "dxp[n, s*a + d*i, s*b + d*j, g*D + c] += sum over k of group g of dy[n, a, b, k] * w[i, j, c, k].",
    "dw[i, j, c, k] = sum over n, a, b of xp[n, s*a + d*i, s*b + d*j, g*D + c] * dy[n, a, b, k], g the group of k.")


def _edges(wrong: Callable[[int, str, str, Part], Hypothesis], spread: Callable[..., Array],
           correlate: Callable[..., Array], padding: int, stride: int, map_size: tuple[int, int],
           kernel: tuple[int, int], outputs: tuple[int, int]) -> Iterator[Hypothesis]:
    """Hypotheses about rows and columns at the border, in the padding, and in the remainder of the stride.

    The first three arguments are the inner functions of `convolve`.
    """
    rests = [(n + 2 * padding - k) % stride for n, k in zip(map_size, kernel, strict=True)]

    def emptied(array: Array, axis: int, entries: slice | Array) -> Array:
        array = array.copy()
        np.moveaxis(array, axis, 0)[entries] = 0
        return array

    for axes, words in (((1, 2), "row and column"), ((1,), "row"), ((2,), "column")):
        def cut(array: Array, entries: Mapping[int, slice], axes: tuple[int, ...] = axes) -> Array:
            for axis in axes:
                array = emptied(array, axis, entries[axis])
            return array
        remainder = {a: slice(map_size[a - 1] - rests[a - 1], None) for a in (1, 2)}
        if any(rests[a - 1] for a in axes):
            yield wrong(0, "stride", f"loses the remainder of the stride {stride}: the last {words} of x is zero, "
                        "though the padding lets a filter reach it",
                        lambda dy, y, x, w, cut=cut, r=remainder: cut(spread(dy, w), r))
            yield wrong(1, "stride", f"loses the remainder of the stride {stride}: the last {words} of x is left out",
                        lambda dy, y, x, w, cut=cut, r=remainder: correlate(dy, _pad(cut(x, r), padding)))
        kind = "stride" if any(rests[a - 1] for a in axes) else "borders"
        sides = {"last": slice(-1, None), "first": slice(0, 1)}
        for side, entries in sides.items():
            at = dict.fromkeys((1, 2), entries)
            yield wrong(0, kind, f"is zero in the {side} {words} of x",
                        lambda dy, y, x, w, cut=cut, at=at: cut(spread(dy, w), at))
            yield wrong(1, kind, f"leaves out the {side} {words} of x",
                        lambda dy, y, x, w, cut=cut, at=at: correlate(dy, _pad(cut(x, at), padding)))
            yield wrong(0, "borders", f"does not get the {side} {words} of the output",
                        lambda dy, y, x, w, cut=cut, at=at: spread(cut(dy, at), w))
            yield wrong(1, "borders", f"leaves out the {side} {words} of the output",
                        lambda dy, y, x, w, cut=cut, at=at: correlate(cut(dy, at), _pad(x, padding)))
    if padding:
        border = np.r_[:padding, -padding:0]
        yield wrong(0, "borders", "is zero all along the border, as wide as the padding",
                    lambda dy, y, x, w: emptied(emptied(spread(dy, w), 1, border), 2, border))
        for crop, words in ((0, "none of it is cut off in front"), (2 * padding, "all of it is cut off in front")):
            yield wrong(0, "borders", f"is shifted by the padding {padding}: {words}",
                        lambda dy, y, x, w, crop=crop: spread(dy, w, crop=crop))
        starts = [stride * np.arange(n) - padding for n in outputs]
        reach = {axis: (start < 0) | (start + k > n)
                 for axis, start, k, n in zip((1, 2), starts, kernel, map_size, strict=True)}

        def inside(dy: Array) -> Array:
            return emptied(emptied(dy, 1, reach[1]), 2, reach[2])
        skips = "skips the windows that reach into the padding"
        yield wrong(0, "borders", skips, lambda dy, y, x, w: spread(inside(dy), w))
        yield wrong(1, "borders", skips, lambda dy, y, x, w: correlate(inside(dy), _pad(x, padding)))
        for before, words in ((0, "at the end of the map only"), (2 * padding, "in front of the map only")):
            around = (before, 2 * padding - before)
            yield wrong(1, "borders", f"pads x {words}",
                        lambda dy, y, x, w, around=around: correlate(
                            dy, np.pad(x, ((0, 0), around, around, (0, 0)))))


def slide(z: Var, k: Var, name: str, ways: tuple[Way, Way], circular: bool = False) -> Var:
    """z (N, C), k (K,), K odd -> a (N, C): k slides over the channels. Beyond both ends are zeros, or the other end."""
    (N, C), half = z.shape, k.shape[0] // 2

    def taps(z: Array, circle: bool) -> Array:
        """For each entry of k the channels that it meets: (K, N, C)."""
        padded = np.pad(z, ((0, 0), (half, half)), mode="wrap" if circle else "constant")
        return np.stack([padded[:, t:t + C] for t in range(2 * half + 1)])

    def run(z: Array, k: Array, circle: bool = circular) -> Array:
        return np.tensordot(k, taps(z, circle), 1)

    def gather(da: Array, z: Array, circle: bool = circular) -> Array:
        return (taps(z, circle) * da).sum(axis=(1, 2))

    def faults(step: Step) -> Iterator[Hypothesis]:
        ends = "has zeros beyond the ends of the channels" if circular else "wraps around at the ends of the channels"
        for i, kind, text, part in (
                (0, "flipped kernel", f"uses {k.name} unflipped, but it must be flipped",
                 lambda da, y, z, k: run(da, k)),
                (0, "borders", ends, lambda da, y, z, k: run(da, k[::-1], not circular)),
                (1, "flipped kernel", "is flipped", lambda da, y, z, k: gather(da, z)[::-1]),
                (1, "borders", ends, lambda da, y, z, k: gather(da, z, not circular)),
                *((1, "averaged", f"is averaged over {letters} = {size}, where a sum belongs",
                   lambda da, y, z, k, size=size: gather(da, z) / size)
                  for letters, size in (("N", N), ("C", C), ("N*C", N * C)))):
            yield Hypothesis(kind, f"d{step.inputs[i].name} {text}", {(step, i): part},
                             advice=f"It must be {ways[i][1]}.")

    return z.tape.step(run, [z, k], [lambda da, y, z, k: run(da, k[::-1]), lambda da, y, z, k: gather(da, z)], name,
                       axes=z.axes, faults=faults, ways=ways)


def _pad(x: Array, p: int) -> Array:
    return np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))


def _view(x: Array, i: int, j: int, outputs: Shape, stride: int) -> Array:
    """The pixel (i, j) of each window: (N, Ho, Wo, C), with (Ho, Wo) = ``outputs``."""
    Ho, Wo = outputs
    return x[:, i:i + stride * (Ho - 1) + 1:stride, j:j + stride * (Wo - 1) + 1:stride]
