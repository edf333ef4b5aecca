"""Steps of normalizations: the statistics of a batch or of the channels, and what is computed with them."""

from collections.abc import Callable, Iterator
from typing import Unpack

import numpy as np

from npse.gradcheck.diagnosis.primitives import add, average, multiply, square, subtract
from npse.gradcheck.diagnosis.tape import Faults, Hypothesis, Parts, Step, Var, Words, and_then
from npse.types import Array

NORMALIZE = "Normalize by sqrt(var + eps), with the biased variance and eps as in the forward pass."
_NORMALIZED = ("in the numerator of xhat", "dy*gamma/sqrt(var + eps)")


def batch_norm(x: Var, gamma: Var, beta: Var, eps: float) -> tuple[Var, Var, Var]:
    """The normalized maps, mean and variance. Mean and variance keep the axes of x, with size 1."""
    mean, centred, var = statistics(x)
    return _normalized(centred, var, gamma, beta, eps, centred.sizes((0, 1, 2))), mean, var


def batch_norm_inference(x: Var, gamma: Var, beta: Var, running_mean: Var, running_var: Var, eps: float) -> Var:
    """The maps normalized with statistics that are given."""
    centred = subtract(x, running_mean, "centred", ways=(_NORMALIZED, ("as the mean", "-sum of dcentred")))
    if running_mean in x.tape.leaves:
        step, xhat = x.tape.step_of(centred), centred.value / np.sqrt(running_var.value + eps)
        step.faults = and_then(step.faults, Hypothesis(
            "constant statistics", "dx couples the batch as in training, though the running statistics are "
            "constants", {(step, 0): lambda dc, *read: _coupled(dc, xhat)},
            advice="dx = dy*gamma/sqrt(running_var + eps), and no more."))
    return _normalized(centred, running_var, gamma, beta, eps, None)


def statistics(x: Var) -> tuple[Var, Var, Var]:
    """Mean, x minus mean, variance. Mean and variance keep the axes of x, with size 1."""
    mean = average(x, (0, 1, 2), "mean", missing="constant statistics",
                   ways=(("through the mean of the batch", "dmean/B, B = N*H*W"),))
    centred = subtract(x, mean, "centred", ways=(_NORMALIZED, ("as the mean", "-sum of dcentred")))
    squares = square(centred, "squares", missing="constant statistics",
                     faults=_constants(mean, _OF_BATCH, _BATCH_ADVICE), ways=(
                         ("through the variance of the batch", "2*(x - mean)*dvar/B, B = N*H*W"),))
    return mean, centred, average(squares, (0, 1, 2), "var")


def means(x: Var) -> Var:
    """The mean of each map (N, C)."""
    return average(x, (1, 2), "means", ways=(("through the squeeze", "the gradient of its mean over the map "
                                              "divided by H*W, Eq. 2"),))[:, 0, 0]


def channel_norm(z: Var, eps: float) -> Var:
    """Each group of z (N, G, D) minus its mean, divided by its deviation."""
    mean = average(z, (2,), "mean", missing="constant statistics", ways=(("through the mean", "dmean/D"),))
    centred = subtract(z, mean, "centred", ways=(
        ("in the numerator of zhat", "dzhat/sqrt(var + eps)"), ("as the mean", "-sum of dcentred")))
    constants = _constants(
        mean, "dz treats the mean and the variance of a group as constants: it is dzhat/sqrt(var + eps) only",
        "dz = (dzhat - mean(dzhat) - zhat*mean(dzhat*zhat))/sqrt(var + eps), with means over D.")
    squares = square(centred, "squares", missing="constant statistics", faults=constants,
                     ways=(("through the variance", "2*(z - mean)*dvar/D"),))
    count = z.sizes((2,))
    inverse = inverse_deviation(average(squares, (2,), "var"), eps, count, "1/sqrt(var + eps)")
    zhat = multiply(centred, inverse, "zhat", ways=(
        ("in the numerator of zhat", "dzhat/sqrt(var + eps)"),
        ("in the denominator", "the sum of dzhat*(z - mean)")))
    _deviation_in_one_place(centred, inverse, zhat, "1/sqrt(var + eps), the factor of dz,", eps, count)
    return zhat


_OF_BATCH = "dx treats the mean and the variance of the batch as constants: it is dy*gamma/sqrt(var + eps) only"
_BATCH_ADVICE = "dx = gamma/sqrt(var + eps) * (dy - dbeta/B - xhat*dgamma/B), B = N*H*W."


def _constants(mean: Var, text: str, advice: str) -> Faults:
    """The hypothesis that mean and variance are treated as constants, the most common mistake."""
    def faults(step: Step) -> Iterator[Hypothesis]:
        nothing: Parts = {(of, 0): lambda *read, part=of.parts[0]: 0 * part(*read)
                          for of in (mean.tape.step_of(mean), step)}
        yield Hypothesis("constant statistics", text, nothing, advice=advice)
    return faults


def _normalized(centred: Var, var: Var, gamma: Var, beta: Var, eps: float,
                count: tuple[str, int] | None) -> Var:
    inverse = inverse_deviation(var, eps, count, "1/sqrt(var + eps)")
    xhat = multiply(centred, inverse, "xhat", ways=(
        ("in the numerator of xhat", "dxhat/sqrt(var + eps)"),
        ("in the denominator", "the sum of dxhat*(x - mean)")))
    _deviation_in_one_place(centred, inverse, xhat, "gamma/sqrt(var + eps), the factor of dx,", eps, count)
    scaled = multiply(gamma, xhat, "gamma*xhat", ways=(
        ("as the scale", "the sum over N, H, W of dy*xhat"), ("as what is scaled", "dy*gamma")))
    return add(scaled, beta, "y", ways=(("through xhat", "dy"), ("as the shift", "the sum over N, H, W of dy")))


def _deviation_in_one_place(centred: Var, inverse: Var, xhat: Var, factor: str, eps: float,
                            count: tuple[str, int] | None) -> None:
    """Add hypotheses about 1/sqrt(var + eps): a backward pass uses it in xhat and as a ``factor``; one may be wrong."""
    tape, x = centred.tape, centred.tape.step_of(centred).inputs[0]
    root, of_xhat = tape.step_of(inverse), tape.step_of(xhat)
    var, faults, others = root.inputs[0], of_xhat.faults, wrong_deviations(eps, count)

    def more_faults(step: Step) -> Iterator[Hypothesis]:
        yield from faults(step)
        yield Hypothesis("constant statistics", f"{xhat.name} is computed without subtracting the mean",
                         values={centred: x.value, inverse: inverse.value},
                         advice=f"{xhat.name} = ({x.name} - mean)/sqrt(var + eps).")
        for text, other in others.items():
            wrong = other(var.value)
            ratio = wrong / inverse.value
            yield Hypothesis("variance", f"{xhat.name} is computed with 1/sqrt(var + eps) {text}",
                             {(root, 0): lambda dy, y, v, ratio=ratio: -dy * y**3 / 2 * ratio**2},
                             {xhat: centred.value * wrong}, advice=NORMALIZE)
            yield Hypothesis("variance", f"{factor} is taken {text}",
                             {(use, i): lambda *read, part=use.parts[i], ratio=ratio: part(*read) * ratio
                              for use, i in tape.uses(centred)}, advice=NORMALIZE)
    of_xhat.faults = more_faults


def _coupled(dc: Array, xhat: Array) -> Array:
    """A gradient through the mean and the variance of a batch."""
    over = (0, 1, 2)
    return dc - dc.mean(axis=over) - xhat * (dc * xhat).mean(axis=over)


def wrong_deviations(eps: float, count: tuple[str, int] | None) -> dict[str, Callable[[Array], Array]]:
    """Wrong versions of 1 / sqrt(var + eps): functions of var, by what is wrong.

    ``count`` is the number of values of which var is the variance, in letters and as a number; None if var is an
    argument.
    """
    others: dict[str, Callable[[Array], Array]] = {
        "without eps": lambda v: 1 / np.sqrt(np.maximum(v, np.finfo(float).tiny)),
        "with eps twice": lambda v: 1 / np.sqrt(v + 2 * eps),
        "with eps outside the root": lambda v: 1 / (np.sqrt(v) + eps),
        "with eps = 1e-5": lambda v: 1 / np.sqrt(v + 1e-5),
        "with eps squared": lambda v: 1 / np.sqrt(v + eps**2),
        "with eps subtracted": lambda v: 1 / np.sqrt(np.maximum(v - eps, np.finfo(float).tiny)),
        "without the root": lambda v: 1 / (v + eps),
        "with 1/sqrt(var + eps) in place of var": lambda v: 1 / np.sqrt(1 / np.sqrt(v + eps) + eps),
        "with sqrt(var + eps) in place of var": lambda v: 1 / np.sqrt(np.sqrt(v + eps) + eps),
        "as sqrt(var + eps) itself": lambda v: np.sqrt(v + eps),
        "as 1": np.ones_like}
    if count and count[1] > 1:
        letters, B = count
        others = {f"with the unbiased variance (divided by {letters} - 1)":
                  lambda v: 1 / np.sqrt(v * B / (B - 1) + eps),
                  f"with the variance times (B - 1)/B, B = {letters}":
                  lambda v: 1 / np.sqrt(v * (B - 1) / B + eps)} | others
    return others


def inverse_deviation(var: Var, eps: float, count: tuple[str, int] | None, name: str, **words: Unpack[Words]) -> Var:
    """1 / sqrt(var + eps), one value for each channel; ``count`` as in `wrong_deviations`."""
    def run(v: Array) -> Array:
        return 1 / np.sqrt(v + eps)

    def faults(step: Step) -> Iterator[Hypothesis]:
        for text, other in wrong_deviations(eps, count).items():
            yield Hypothesis("variance", f"{name} is taken {text}", values={step.output: other(var.value)},
                             advice=NORMALIZE)
        yield Hypothesis("factor", "dvar lacks the factor 1/2 of the root",
                         {(step, 0): lambda dy, y, v: -dy * y**3})
        yield Hypothesis("sign", "dvar has the wrong sign", {(step, 0): lambda dy, y, v: dy * y**3 / 2})

    return var.tape.step(run, [var], [lambda dy, y, v: -dy * y**3 / 2], name, axes=var.axes, faults=faults, **words)
