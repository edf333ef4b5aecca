"""The squeezes on a tape, and the norm over the channels; and the step that is common in them, a root."""

from collections.abc import Iterator

import numpy as np

from npse.gradcheck.diagnosis.nonlinear import softmax
from npse.gradcheck.diagnosis.primitives import average, divide, multiply, square, subtract
from npse.gradcheck.diagnosis.tape import Faults, Hypothesis, Step, Var
from npse.types import Array


def root(x: Var, eps: float, name: str, others: tuple[tuple[str, Array], ...] = ()) -> Var:
    """sqrt(x + eps); ``others`` are wrong values of x, each with what is wrong in it."""
    def faults(step: Step) -> Iterator[Hypothesis]:
        d, v = f"d{x.name}", x.value
        for kind, text, part in (
                ("factor", "lacks the factor 1/2 of the root", lambda dy, y, x: dy / y),
                ("path missing", f"is not divided by {name}", lambda dy, y, x: dy / 2),
                ("path missing", f"lacks the derivative of the root, 1/(2*{name})", lambda dy, y, x: dy),
                ("path twice", f"is divided by {name} twice", lambda dy, y, x: dy / (2 * y * y)),
                ("factor", f"is multiplied with {name}, where it must be divided by it", lambda dy, y, x: dy * y / 2)):
            yield Hypothesis(kind, f"{d} {text}", {(step, 0): part}, advice=f"{d} = d{name} / (2*{name}).")
        for text, value in (("without eps", np.sqrt(np.maximum(v, np.finfo(float).tiny))),
                            ("with eps twice", np.sqrt(v + 2 * eps)), ("with eps squared", np.sqrt(v + eps**2)),
                            ("with eps outside the root", np.sqrt(v) + eps), ("with eps = 1e-5", np.sqrt(v + 1e-5)),
                            ("without the root", v + eps),
                            *((text, np.sqrt(other + eps)) for text, other in others)):
            yield Hypothesis("variance", f"{name} is taken {text}", values={step.output: value},
                             advice=f"{name} = sqrt({x.name} + eps), with eps as in the forward pass.")
    return x.tape.step(lambda x: np.sqrt(x + eps), [x], [lambda dy, y, x: dy / (2 * y)], name, axes=x.axes,
                       faults=faults)


def deviation(u: Var, eps: float) -> Var:
    """The unbiased standard deviation over each map: (N, H, W, C) -> (N, C)."""
    _, R = u.sizes((1, 2))
    mean = average(u, (1, 2), "mean")
    centred = subtract(u, mean, "centred", ways=(("directly", "dcentred"), ("as the mean", "-sum of dcentred")))
    squares = square(centred, "squares", faults=_not_centred(u, mean))
    var = average(squares, (1, 2), "var", divisor=max(R - 1, 1))
    return root(var, eps, "d", (("with the biased variance, divided by H*W", var.value * max(R - 1, 1) / R),))[:, 0, 0]


def _not_centred(u: Var, mean: Var) -> Faults:
    """The hypothesis that the mean is not subtracted in the backward pass."""
    def faults(step: Step) -> Iterator[Hypothesis]:
        def part(dy: Array, y: Array, x: Array) -> Array:
            return 2 * dy * u.value
        yield Hypothesis("path missing", f"d{u.name} has the factor {u.name}, where {u.name} - {mean.name} belongs",
                         {(step, 0): part, (u.tape.step_of(mean), 0): lambda dy, y, x: 0 * x},
                         advice=f"d{u.name} = dd*({u.name} - {mean.name}) / ((H*W - 1)*d).")
    return faults


def weighted(u: Var, b: Var) -> Var:
    """The sum over each map, weighted by b: (N, H, W, C), (H, W, C) -> (N, C)."""
    products = multiply(u, b, "u*b", ways=(("through its weight", "dz*b"),
                                           ("as the weight of a position", "the sum over N of dz*u")))
    return average(products, (1, 2), "z", divisor=1)[:, 0, 0]


def attention(u: Var, k: Var) -> tuple[Var, Var]:
    """The mean over each map, weighted by p, the softmax of k . u: (N, H, W, C), (C,) -> (N, C), (N, H, W)."""
    products = multiply(u, k, "k*u", ways=(("through the score of its pixel", "da*k"),
                                           ("as the weights of the score", "the sum over N, H, W of da*u")))
    p = softmax(average(products, (3,), "a", divisor=1), (1, 2), "p")
    shares = multiply(u, p, "p*u", ways=(("directly", "p*dz"), ("as the share of a pixel", "the sum over C of dz*u")))
    return average(shares, (1, 2), "z", divisor=1)[:, 0, 0], p[:, :, :, 0]


def norm(u: Var, eps: float) -> Var:
    """The length of each map: (N, H, W, C) -> (N, C)."""
    return root(average(square(u, "squares"), (1, 2), "total", divisor=1), eps, "z")[:, 0, 0]


def channel_rms(z: Var, eps: float) -> Var:
    """z divided by its root mean square over the channels: (N, C) -> (N, C)."""
    squares = square(z, "squares", missing="constant statistics", ways=(
        ("through the root mean square", "-y * the mean of dy*y over C, divided by r"),))
    r = root(average(squares, (1,), "mean"), eps, "r")
    return divide(z, r, "y", ways=(("in the numerator", "dy/r"), ("in the denominator", "the sum of -dy*y/r")))
