"""Steps of a tape for pooling: means and maxima of windows, and the maximum of a map, each with its mistakes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, Unpack

import numpy as np

from npse.gradcheck.diagnosis.tape import Hypothesis, Step, Var, Words
from npse.types import Array, Shape

Share: TypeAlias = Callable[[Array], Array]
"""From the values in all windows, (size**2, N, Ho, Wo, C), the share of dy that each pixel of a window gets."""


@dataclass(frozen=True)
class Windows:
    """Windows of ``size`` x ``size`` pixels on maps of a shape (N, H, W, C)."""

    shape: Shape
    size: int
    stride: int
    padding: int = 0
    ceil_mode: bool = False

    @property
    def outputs(self) -> Shape:
        """(Ho, Wo): no window begins behind the map."""
        rest = self.stride - 1 if self.ceil_mode else 0
        return tuple(min((n + 2 * self.padding - self.size + rest) // self.stride + 1,
                         -(-(n + self.padding) // self.stride)) for n in self.shape[1:3])

    def padded(self, x: Array, beyond: float = 0.0) -> Array:
        """The maps with as many rows and columns around them as the windows reach."""
        behind = [max(0, self.stride * (count - 1) + self.size - self.padding - n)
                  for count, n in zip(self.outputs, self.shape[1:3], strict=True)]
        return np.pad(x, ((0, 0), (self.padding, behind[0]), (self.padding, behind[1]), (0, 0)),
                      constant_values=beyond)

    def views(self, xp: Array) -> list[Array]:
        """For each tap the pixels of padded maps that it meets: (N, Ho, Wo, C)."""
        Ho, Wo = self.outputs
        s = self.stride
        return [xp[:, i:i + s * (Ho - 1) + 1:s, j:j + s * (Wo - 1) + 1:s] for i, j in np.ndindex(self.size, self.size)]

    def taps(self, x: Array, beyond: float = 0.0) -> Array:
        """The values of each tap: (size**2, N, Ho, Wo, C)."""
        return np.stack(self.views(self.padded(x, beyond)))

    def spread(self, parts: Array, assign: bool = False, cut: int | None = None) -> Array:
        """Add the parts of each tap to its pixels, or overwrite what is there (``assign``); ``cut`` off in front."""
        dxp = self.padded(np.zeros(self.shape))
        for part, view in zip(parts, self.views(dxp), strict=True):
            view[...] = np.where(part != 0, part, view) if assign else view + part
        _, H, W, _ = self.shape
        front = self.padding if cut is None else cut
        return np.ascontiguousarray(dxp[:, front:front + H, front:front + W])

    def counts(self, frame: int) -> Array:
        """How many pixels of each window are in the map or in the padding up to ``frame`` pixels: (Ho, Wo, 1)."""
        sides = []
        for n, count in zip(self.shape[1:3], self.outputs, strict=True):
            first = self.stride * np.arange(count) - self.padding
            sides.append(np.minimum(first + self.size, n + frame) - np.maximum(first, -frame))
        return (sides[0][:, None] * sides[1])[:, :, None]


def average_windows(x: Var, windows: Windows, counted: bool, name: str, **words: Unpack[Words]) -> Var:
    """Mean over windows; the padding is counted in it or not."""
    size = windows.size
    right = windows.counts(windows.padding if counted else 0)

    def spread(dy: Array, divisors: Array | float, assign: bool = False, cut: int | None = None) -> Array:
        return windows.spread(np.stack([dy / divisors] * size**2), assign, cut)

    def faults(step: Step) -> Iterator[Hypothesis]:
        def wrong(kind: str, text: str, *how: object, advice: str = "") -> Hypothesis:
            return Hypothesis(kind, f"d{x.name} {text}", {(step, 0): lambda dy, y, x: spread(dy, *how)}, advice=advice)  # type: ignore[arg-type]
        share = f"Each pixel of a window had the share 1/{'k^2' if (right == size**2).all() else 'count'}."
        for times, text in ((size**2, f"is not divided by k^2 = {size**2}"), (size, "is divided by k instead of k^2"),
                            (1 / size**2, f"is divided by k^2 = {size**2} twice")):
            yield wrong("averaged", text, right / times, advice=share)
        for counts, text in ((windows.counts(windows.padding), "counts the padding in the divisor, which was left out"),
                             (windows.counts(0), "does not count the padding in the divisor"),
                             (np.full_like(right, size**2), "is divided by k^2 also where a window is cut off")):
            if (counts != right).any():
                yield wrong("averaged", text, counts, advice=share)
        yield wrong("not summed", "keeps only the last window at each pixel, where windows overlap and add up", right,
                    True)
        yield from _at_the_border(step, x, windows, lambda dy, cut: spread(dy, right, False, cut))

    return x.tape.step(lambda x: windows.taps(x).sum(axis=0) / right, [x], [lambda dy, y, x: spread(dy, right)], name,
                       axes=("N", "Ho", "Wo", "C"), faults=faults, **words)


def _at_the_border(step: Step, x: Var, windows: Windows,
                   spread: Callable[[Array, int | None], Array]) -> Iterator[Hypothesis]:
    """Hypotheses about the padding; ``spread(dy, cut)`` is the right gradient, for another number of rows cut off."""
    if windows.padding:
        for cut, words in ((0, "none of it is cut off in front"), (2 * windows.padding, "twice as much is cut off")):
            def shifted(dy: Array, y: Array, x: Array, cut: int = cut) -> Array:
                dx, found = np.zeros(x.shape), spread(dy, cut)
                dx[:, :found.shape[1], :found.shape[2]] = found
                return dx
            yield Hypothesis("borders", f"d{x.name} is shifted by the padding {windows.padding}: {words}",
                             {(step, 0): shifted})
    whole = windows.counts(0) == windows.size**2
    if not whole.all():
        yield Hypothesis("borders", f"d{x.name} skips the windows that reach beyond the map",
                         {(step, 0): lambda dy, y, x: spread(dy * whole, None)})


def largest_in_windows(x: Var, windows: Windows, name: str, **words: Unpack[Words]) -> Var:
    """Maximum over windows; the first winner takes the gradient, the padding never wins."""
    size = windows.size

    def spread(share: Share, dy: Array, x: Array, assign: bool = False, cut: int | None = None) -> Array:
        """Each window adds a share of dy to each of its pixels, or overwrites what is there (``assign``)."""
        return windows.spread(dy * share(windows.taps(x, -np.inf)), assign, cut)

    def one_of(pick: Callable[[Array], Array | int]) -> Share:
        """All of dy for one pixel of each window, whose position ``pick`` returns."""
        return lambda taps: np.arange(size**2)[:, None, None, None, None] == pick(taps)

    def winners(taps: Array) -> Array:
        return taps == taps.max(axis=0)

    def by_pixel(taps: Array, x: Array) -> Array:
        """The winners if each pixel stores whether it won in the last window that it is in."""
        gate = windows.padded(np.zeros(x.shape))
        for won, view in zip(first(taps), windows.views(gate), strict=True):
            view[...] = won
        return np.stack(windows.views(gate))

    def with_zeros(taps: Array) -> Array:
        return first(np.where(np.isinf(taps), 0, taps))

    first = one_of(lambda taps: taps.argmax(axis=0))
    others: tuple[tuple[str, str, Share], ...] = (
        ("ties", "is shared by equal winners", lambda taps: winners(taps) / winners(taps).sum(axis=0)),
        ("ties", "goes in full to every one of equal winners", winners),
        ("ties", "goes to the last of equal winners", one_of(lambda taps: size**2 - 1 - taps[::-1].argmax(axis=0))),
        ("mask missing", "goes to all pixels of a window, not only to the winner", np.ones_like),
        ("mask missing", "is spread evenly over the window, as if it were an average",
         lambda taps: np.full_like(taps, 1 / size**2)),
        ("mask misplaced", "goes to the smallest of a window, not to the largest",
         one_of(lambda taps: np.where(np.isinf(taps), np.inf, taps).argmin(axis=0))),
        ("mask misplaced", "goes to the first pixel of a window, not to the largest", one_of(lambda taps: 0)),
        ("borders", "is lost where the padding, taken as zeros, is larger than the pixels of a window", with_zeros))

    def faults(step: Step) -> Iterator[Hypothesis]:
        for kind, text, share in others:
            yield Hypothesis(kind, f"d{x.name} {text}",
                             {(step, 0): lambda dy, y, x, share=share: spread(share, dy, x)},
                             advice="The padding is minus infinity." if kind == "borders" else
                             "The first winner of a window takes the whole gradient.")
        yield Hypothesis("not summed", f"d{x.name} keeps only the last window that a pixel wins, where windows overlap "
                         "and add up", {(step, 0): lambda dy, y, x: spread(first, dy, x, assign=True)})
        yield Hypothesis("mask misplaced", f"d{x.name} goes, for each window, to the winner of the last window "
                         "at a pixel: winners are stored by pixel, not by window",
                         {(step, 0): lambda dy, y, x: spread(lambda taps: by_pixel(taps, x), dy, x)})
        value = x.value
        yield from _at_the_border(step, x, windows, lambda dy, cut: spread(first, dy, value, cut=cut))

    return x.tape.step(lambda x: windows.taps(x, -np.inf).max(axis=0), [x], [lambda dy, y, x: spread(first, dy, x)],
                       name, axes=("N", "Ho", "Wo", "C"), faults=faults, **words)


def largest_in_map(u: Var, name: str) -> Var:
    """Maximum of each channel over the map, (N, H, W, C) -> (N, C); the first winner takes the gradient."""
    N, H, W, C = u.shape

    def spread(dz: Array, shares: Array) -> Array:
        return (dz[:, None] * shares).reshape(u.shape)

    def places(u: Array) -> Array:
        return u.reshape(N, H * W, C)

    def one(winner: Array) -> Array:
        return np.arange(H * W)[:, None] == winner[:, None]

    def winners(u: Array) -> Array:
        return places(u) == places(u).max(axis=1, keepdims=True)

    def faults(step: Step) -> Iterator[Hypothesis]:
        advice = "The first winner of a channel, row by row, takes the whole gradient."
        others: tuple[tuple[str, str, Share], ...] = (
            ("ties", "goes in full to every one of equal winners", winners),
            ("ties", "is shared by equal winners", lambda u: winners(u) / winners(u).sum(axis=1, keepdims=True)),
            ("ties", "goes to the last of equal winners", lambda u: one(H * W - 1 - places(u)[:, ::-1].argmax(axis=1))),
            ("mask missing", "goes to all pixels, not only to the winner", lambda u: np.ones((N, H * W, C))),
            ("averaged", f"is spread evenly over H*W = {H * W}, as if it were an average",
             lambda u: np.full((N, H * W, C), 1 / (H * W))),
            ("averaged", f"is divided by H*W = {H * W}", lambda u: one(places(u).argmax(axis=1)) / (H * W)),
            ("mask misplaced", "goes to the smallest, not to the largest", lambda u: one(places(u).argmin(axis=1))),
            ("mask misplaced", "goes to the place of the first channel's maximum in all channels",
             lambda u: one(places(u).argmax(axis=1)[:, :1])),
            ("mask misplaced", "goes to the place of the first image's maximum in all images",
             lambda u: one(places(u).argmax(axis=1)[:1])))
        for kind, text, share in others:
            yield Hypothesis(kind, f"d{u.name} {text}",
                             {(step, 0): lambda dz, z, u, share=share: spread(dz, share(u))}, advice=advice)

    return u.tape.step(lambda u: u.max(axis=(1, 2)), [u],
                       [lambda dz, z, u: spread(dz, one(places(u).argmax(axis=1)))], name, axes=("N", "C"),
                       faults=faults)
