"""Steps of a tape that move channels or drop elements, each with mistakes that are common in it."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from npse.gradcheck.diagnosis.tape import Hypothesis, Parts, Step, Var
from npse.types import Array


def concat(parts: list[Var], name: str) -> Var:
    """Maps side by side along the channels."""
    widths = [part.shape[3] for part in parts]
    starts = np.cumsum([0, *widths])
    C = int(starts[-1])

    def faults(step: Step) -> Iterator[Hypothesis]:
        def wrong(text: str, places: list[int]) -> Hypothesis:
            """All parts are taken from other ``places``."""
            return Hypothesis("channels swapped", f"{_listed([f'd{part.name}' for part in parts])} {text}", {
                (step, i): lambda dy, y, *read, at=at, width=width: dy[..., at:at + width]
                for i, (at, width) in enumerate(zip(places, widths, strict=True))}, advice=advice)
        advice = f"The channels of {name} are those of {', '.join(part.name for part in parts)}, in this order."
        yield wrong("are taken from the end of the channels, in reverse order", [C - int(stop) for stop in starts[1:]])
        yield wrong("all start at the first channel", [0] * len(parts))
        yield wrong("are shifted by one channel", [min(int(at) + 1, C - width)
                                                   for at, width in zip(starts, widths, strict=False)])

    return parts[0].tape.step(
        lambda *maps: np.concatenate(maps, axis=3), parts,
        [lambda dy, y, *read, at=int(at), width=width: dy[..., at:at + width]
         for at, width in zip(starts, widths, strict=False)], name, axes=parts[0].axes, faults=faults,
        ways=tuple((f"as the part {part.name}", f"channels {at} to {at + width - 1} of d{name}")
                   for part, at, width in zip(parts, starts, widths, strict=False)))


def split(x: Var, widths: tuple[int, ...], names: str = "abcd") -> tuple[Var, ...]:
    """Maps of so many channels each, one step for each."""
    tape, starts = x.tape, np.cumsum([0, *widths])

    def back(dpart: Array, at: int) -> Array:
        """The gradient of x from one part, put to the channel ``at``."""
        dx = np.zeros(x.shape)
        dx[..., at:at + dpart.shape[3]] = dpart
        return dx

    parts = tuple(
        tape.step(lambda x, at=at, width=width: x[..., at:at + width], [x],
                  [lambda dpart, part, x, at=at: back(dpart, at)], name, axes=x.axes,
                  ways=((f"as the part {name}", f"d{name} at the channels {at} to {at + width - 1}"),))
        for name, at, width in zip(names, map(int, starts), widths, strict=False))

    def faults(step: Step) -> Iterator[Hypothesis]:
        steps = [tape.step_of(part) for part in parts]
        advice = f"d{x.name} is made of {', '.join(f'd{part.name}' for part in parts)}, in this order."

        def wrong(text: str, orders: list[Array]) -> Hypothesis:
            """The channels of each part go to other channels of x."""
            def part_of(order: Array) -> Parts:
                def part(dpart: Array, y: Array, x: Array) -> Array:
                    dx = np.zeros(x.shape)
                    dx[..., order] = dpart
                    return dx
                return part                                       # type: ignore[return-value]
            return Hypothesis("channels swapped", f"d{x.name} {text}",
                              {(step, 0): part_of(order) for step, order in zip(steps, orders, strict=True)},  # type: ignore[misc]
                              advice=advice)
        C = x.shape[3]
        yield wrong("has the gradients of the parts in reverse order",
                    [np.arange(C - stop, C - at) for at, stop in pairwise(starts)])
        turns = np.argsort(np.argsort(np.concatenate([np.arange(width) for width in widths]), kind="stable"))
        yield wrong("has the channels of the parts by turns", np.split(turns, starts[1:-1]))

    tape.step_of(parts[0]).faults = faults
    return parts


def shuffle(x: Var, groups: int, name: str) -> Var:
    """The channels as a table (G, C/G), transposed."""
    C = x.shape[3]
    order = np.arange(C).reshape(groups, -1).T.ravel()            # the channel of x that comes to each place

    def faults(step: Step) -> Iterator[Hypothesis]:
        inverse = np.argsort(order)
        for text, places in (("is shuffled with the same groups again: the inverse has C/G groups", order),
                             ("is not shuffled back", np.arange(C)),
                             ("has the channels in reverse order", inverse[::-1])):
            yield Hypothesis("channels swapped", f"d{x.name} {text}",
                             {(step, 0): lambda dy, y, x, places=places: dy[..., places]},
                             advice=f"d{x.name}[..., g*(C/G) + j] = d{name}[..., j*G + g].")

    return x.tape.step(lambda x: x[..., order], [x], [lambda dy, y, x: dy[..., np.argsort(order)]], name, axes=x.axes,
                       faults=faults)


def dropout(x: Var, mask: Array, rate: float, name: str) -> Var:
    """x / (1 - rate) where the mask is true, else 0."""
    kept = 1 - rate

    def faults(step: Step) -> Iterator[Hypothesis]:
        for kind, text, factor in (
                ("factor", f"is not divided by 1 - rate = {kept:.6g}", mask * 1.0),
                ("factor", f"is multiplied by 1 - rate = {kept:.6g} instead of divided by it", mask * kept),
                ("factor", f"is divided by the rate {rate:.6g}, not by 1 - rate", mask / (rate or 1)),
                ("factor", f"is divided by 1 - rate = {kept:.6g} twice", mask / kept**2),
                ("mask missing", "lacks the mask", np.full(mask.shape, 1 / kept)),
                ("mask missing", "is dy: it lacks the mask and the division by 1 - rate", np.ones(mask.shape)),
                ("mask misplaced", "is masked inversely: it passes where x was dropped", ~mask / kept)):
            yield Hypothesis(kind, f"d{x.name} {text}", {(step, 0): lambda dy, y, x, factor=factor: dy * factor},
                             advice=f"d{x.name} = d{name} / (1 - rate) where the mask is true, else 0.")

    return x.tape.step(lambda x: x * mask / kept, [x], [lambda dy, y, x: dy * mask / kept], name, axes=x.axes,
                       faults=faults)


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
