"""The mixture of two branches as a step, with mistakes that are common in it."""

from collections.abc import Iterator

import numpy as np

from npse.gradcheck.diagnosis.tape import Hypothesis, Step, Var
from npse.types import Array


def mixture(a: Var, b: Var, alpha: Var, name: str) -> Var:
    """alpha * a + (1 - alpha) * b, with alpha (N,) for a and b (N, H, W, C)."""
    N = len(alpha.value)

    def share(alpha: Array) -> Array:
        return alpha.reshape(-1, 1, 1, 1)

    def faults(step: Step) -> Iterator[Hypothesis]:
        d, rest = f"d{name}", f"1 - {alpha.name}"
        even, half = "halves dy as at inference", np.full(N, 0.5)
        for i, (mine, right, other) in enumerate(((a, alpha.name, rest), (b, rest, alpha.name))):
            advice = f"d{mine.name} = ({right}) * {d}."
            for kind, text, factor in (
                    ("path missing", "is dy without its share", lambda p: np.ones(N)),
                    ("wrong value", f"has the share {other} of the other branch", lambda p: 1 - p),
                    ("factor", even, lambda p: half),
                    ("path twice", f"has its share {right} twice", lambda p: p * p),
                    ("sign", "has the wrong sign", lambda p: -p),
                    ("averaged", f"has the mean of the shares over N = {N}, not the share of each image",
                     lambda p: np.full(N, p.mean())),
                    ("not summed", "has the share of the first image in all images", lambda p: np.full(N, p[0]))):
                def part(dy: Array, y: Array, *read: Array, i: int = i, factor=factor) -> Array:  # type: ignore[no-untyped-def]
                    return dy * share(factor(read[2] if i == 0 else 1 - read[2]))
                yield Hypothesis(kind, f"d{mine.name} {text}", {(step, i): part}, advice=advice)

    def part_alpha(dy: Array, y: Array, a: Array, b: Array, alpha: Array) -> Array:
        return (dy * (a - b)).sum(axis=(1, 2, 3))

    return a.tape.step(lambda a, b, alpha: share(alpha) * a + (1 - share(alpha)) * b, [a, b, alpha],
                       [lambda dy, y, a, b, alpha: dy * share(alpha),
                        lambda dy, y, a, b, alpha: dy * (1 - share(alpha)), part_alpha], name,
                       axes=a.axes, faults=faults, ways=(("as the first branch", "alpha * dy"),
                                                         ("as the second branch", "(1 - alpha) * dy"),
                                                         ("as the share", "the sum over H, W, C of dy*(a - b)")))
