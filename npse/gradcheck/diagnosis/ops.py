"""The forward passes of the book's ops on a tape, each as elementary steps.

Only softmax and the loss have gradients written here. All others follow from the steps. A test compares them with the
book's.
"""

from collections.abc import Callable, Iterator

import numpy as np

from npse.gradcheck.diagnosis import activations, channels, excitations, joins, map_gates, pooling, squeezes
from npse.gradcheck.diagnosis.nonlinear import relu, sigmoid, softmax, softmax_over
from npse.gradcheck.diagnosis.primitives import (
    NORMALIZE,
    add,
    average,
    dense,
    inverse_deviation,
    multiply,
    square,
    subtract,
    wrong_deviations,
)
from npse.gradcheck.diagnosis.tape import Faults, Hypothesis, Parts, Step, Tape, Var, Way
from npse.gradcheck.diagnosis.windows import convolve, slide
from npse.types import Array

AXES = {"w": {4: "kh kw Cin Cout", 3: "G M D", 2: "K C"}, "w1": {2: "M C"}, "w2": {2: "C M"}, "b1": {1: "M"},
        "b2": {1: "C"}, "b": {1: "K", 3: "H W C", 4: "N H W C"}, "k": {1: "K"}, "logits": {2: "N K"},
        "alpha": {1: "N"}, "p": {3: "N H W", 2: "N K"}, "s": {4: "N H W C", 3: "N H W", 2: "N C"},
        "sh": {3: "N H C"}, "sw": {3: "N W C"}, "zh": {3: "N H C"}, "zw": {3: "N W C"}}
COMMON = {4: "N H W C", 3: "N G D", 2: "N C", 1: "C"}


def letters(name: str, ndim: int) -> tuple[str, ...]:
    """A letter for each axis of an argument of that name; "axis 0" and so on if the book has no letters for it."""
    known = AXES.get(name, COMMON).get(ndim)
    return tuple(known.split()) if known else tuple(f"axis {i}" for i in range(ndim))


class TapeOps:
    """An edition whose ops take variables of one tape and record their steps on it."""

    def __init__(self) -> None:
        self.tape = Tape()

    def conv2d(self, x: Var, w: Var, stride: int = 1, padding: int = 0) -> Var:
        return convolve(x, w, stride, padding, "y", ways=(("through the convolution", "dy correlated with w, Eq. 1"),
                                                          ("as the filters", "dy correlated with x, Eq. 1")))

    def grouped_conv2d(self, x: Var, w: Var, groups: int = 1, stride: int = 1, padding: int = 0,
                       dilation: int = 1) -> Var:
        return convolve(x, w, stride, padding, "y", groups, dilation,
                        ways=(("through the convolution", "dy correlated with w, in each group"),
                              ("as the filters", "dy correlated with x, in each group")))

    def squeeze(self, u: Var) -> Var:
        R, _ = u.sizes((1, 2))
        return average(u, (1, 2), "z", ways=(("through the squeeze", f"dz/({R}), Eq. 2"),))[:, 0, 0]

    global_average_pool = squeeze

    def excite(self, z: Var, w1: Var, w2: Var, b1: Var | None = None, b2: Var | None = None) -> Var:
        self._rename(z, "z")
        a1 = self._dense(z, w1, b1, "a1", ("through the excitation", "da1 @ w1, Eq. 3"))
        a2 = self._dense(relu(a1, "h"), w2, b2, "a2", ("through the excitation", "da2 @ w2, Eq. 3"))
        if b1 is not None:
            step = self.tape.step_of(a1)
            product, _ = step.inputs
            step.faults = _and_then(step.faults, Hypothesis(
                "path missing", "h is computed once more without its bias b1",
                values={a1: product.value, a2: a2.value}, advice="h = relu(w1 z + b1), Eq. 3."))
        return sigmoid(a2, "s")

    def scale(self, u: Var, s: Var) -> Var:
        return multiply(u, s[:, None, None, :], "y", ways=(
            ("directly, as the factor of s", "dy*s, Eq. 4"), ("as the gate", "the sum over H, W of dy*u, Eq. 4")))

    def se(self, u: Var, w1: Var, w2: Var, b1: Var | None = None, b2: Var | None = None) -> Var:
        return self.scale(u, self.excite(self.squeeze(u), w1, w2, b1, b2))

    def moments(self, x: Var) -> tuple[Var, Var, Var]:
        mean, _, var = self._statistics(x)
        return mean[0, 0, 0], var[0, 0, 0], self._means(x)

    def batch_norm(self, x: Var, gamma: Var, beta: Var, eps: float = 1e-5) -> tuple[Var, Var, Var]:
        mean, centred, var = self._statistics(x)
        _, B = centred.sizes((0, 1, 2))
        return self._normalized(centred, var, gamma, beta, eps, B), mean, var

    def batch_norm_inference(self, x: Var, gamma: Var, beta: Var, running_mean: Var, running_var: Var,
                             eps: float = 1e-5) -> Var:
        centred = subtract(x, running_mean, "centred", ways=(_NORMALIZED, ("as the mean", "-sum of dcentred")))
        if running_mean in self.tape.leaves:
            step, xhat = self.tape.step_of(centred), centred.value / np.sqrt(running_var.value + eps)
            step.faults = _and_then(step.faults, Hypothesis(
                "constant statistics", "dx couples the batch as in training, though the running statistics are "
                "constants", {(step, 0): lambda dc, *read: _coupled(dc, xhat)},
                advice="dx = dy*gamma/sqrt(running_var + eps), and no more."))
        return self._normalized(centred, running_var, gamma, beta, eps, None)

    def relu(self, x: Var) -> Var:
        return relu(x, "y")

    def sigmoid(self, x: Var) -> Var:
        return sigmoid(x, "y")

    def tanh(self, x: Var) -> Var:
        return excitations.tanh(x, "y")

    def twice_sigmoid(self, x: Var) -> Var:
        return excitations.twice_sigmoid(x, "y")

    def one_plus_tanh(self, x: Var) -> Var:
        return excitations.one_plus_tanh(x, "y")

    def hard_sigmoid(self, x: Var) -> Var:
        return excitations.hard_sigmoid(x, "y")

    def gaussian(self, x: Var, width: float = 2.0) -> Var:
        return excitations.gaussian(x, "y", width)

    def per_channel(self, z: Var, w: Var, b: Var | None = None) -> Var:
        product = multiply(w, z, "a", ways=(
            ("as the weight", f"the sum over N of da*{z.name}"), ("through the weight", f"da*{w.name}")))
        if b is None:
            return product
        return add(product, b, "a", ways=(("through the sum", "da"), ("as the bias", "the sum over N of da")))

    def channel_conv(self, z: Var, w: Var, circular: bool = False) -> Var:
        return slide(z, w, "a", ways=(
            ("through the excitation", "the sum over k of w[k]*da[n, c - k + (K-1)/2]"),
            ("as the weights", f"the sum over n, c of {z.name}[n, c + k - (K-1)/2]*da[n, c]")), circular=circular)

    def grouped_dense(self, z: Var, w: Var, b: Var | None = None) -> Var:
        product = excitations.grouped_dense(z, w, "a")
        if b is None:
            return product
        return add(product, b, "a", ways=(("through the sum", "da"), ("as the bias", "the sum over N of da")))

    def channel_norm(self, z: Var, eps: float = 1e-5) -> Var:
        mean = average(z, (2,), "mean", missing="constant statistics", ways=(("through the mean", "dmean/D"),))
        centred = subtract(z, mean, "centred", ways=(_NORMALIZED, ("as the mean", "-sum of dcentred")))
        squares = square(centred, "squares", missing="constant statistics", faults=self._constants(mean),
                         ways=(("through the variance", "2*(z - mean)*dvar/D"),))
        inverse = inverse_deviation(average(squares, (2,), "var"), eps, z.shape[2], "1/sqrt(var + eps)")
        return multiply(centred, inverse, "zhat", ways=(
            ("in the numerator of zhat", "dzhat/sqrt(var + eps)"),
            ("in the denominator", "the sum of dzhat*(z - mean)")))

    def deviation(self, u: Var, eps: float = 1e-5) -> Var:
        return squeezes.deviation(u, eps)

    def weighted_squeeze(self, u: Var, b: Var) -> Var:
        return squeezes.weighted(u, b)

    def attention_squeeze(self, u: Var, k: Var) -> tuple[Var, Var]:
        return squeezes.attention(u, k)

    def norm_squeeze(self, u: Var, eps: float = 1e-5) -> Var:
        return squeezes.norm(u, eps)

    def channel_rms(self, z: Var, eps: float = 1e-5) -> Var:
        return squeezes.channel_rms(z, eps)

    def dense(self, x: Var, w: Var, b: Var | None = None) -> Var:
        return self._dense(x, w, b, "y", ("through the weights", "dy @ w"))

    def average_pool(self, x: Var, size: int, stride: int | None = None, padding: int = 0, ceil_mode: bool = False,
                     count_include_pad: bool = True) -> Var:
        windows = pooling.Windows(x.shape, size, stride or size, padding, ceil_mode)
        return pooling.average_windows(x, windows, count_include_pad, "y")

    def max_pool(self, x: Var, size: int, stride: int | None = None, padding: int = 0, ceil_mode: bool = False) -> Var:
        return pooling.largest_in_windows(x, pooling.Windows(x.shape, size, stride or size, padding, ceil_mode), "y")

    def global_max_pool(self, u: Var) -> Var:
        return pooling.largest_in_map(u, "z")

    def relu6(self, x: Var) -> Var:
        return activations.relu6(x, "y")

    def hard_swish(self, x: Var) -> Var:
        return activations.hard_swish(x, "y")

    def silu(self, x: Var) -> Var:
        return activations.silu(x, "y")

    def gelu(self, x: Var, approximate: bool = False) -> Var:
        return activations.gelu(x, "y", approximate)

    def concat(self, a: Var, b: Var, c: Var | None = None, d: Var | None = None) -> Var:
        return channels.concat([part for part in (a, b, c, d) if part is not None], "y")

    def split(self, x: Var, widths: tuple[int, ...]) -> tuple[Var, ...]:
        return channels.split(x, widths)

    def channel_shuffle(self, x: Var, groups: int) -> Var:
        return channels.shuffle(x, groups, "y")

    def dropout(self, x: Var, mask: Array, rate: float) -> Var:
        return channels.dropout(x, mask, rate, "y")

    def scale_pixels(self, u: Var, s: Var) -> Var:
        return multiply(u, s[:, :, :, None], "y", ways=(
            ("directly, as the factor of s", "dy*s"), ("as the gate", "the sum over C of dy*u")))

    def multiply(self, u: Var, s: Var) -> Var:
        return multiply(u, s, "y", ways=(("directly, as the factor of s", "dy*s"), ("as the gate", "dy*u")))

    def maximum(self, a: Var, b: Var) -> Var:
        return map_gates.larger(a, b, "y")

    def add_bias(self, y: Var, b: Var) -> Var:
        return add(y, b, "z", ways=(("as the map", "dz"), ("as the bias", "the sum over N, H, W of dz")))

    def shift(self, u: Var, t: Var) -> Var:
        return add(u, t[:, None, None, :], "y", ways=(
            ("as the map", "dy"), ("as the shift", "the sum over H, W of dy")))

    def outer_sum(self, a: Var, p: Var) -> Var:
        return add(a[:, None, None, :], p[:, :, :, None], "y", ways=(
            ("as the number of a channel", "the sum over H, W of dy"),
            ("as the number of a pixel", "the sum over C of dy")))

    def channel_pool(self, u: Var) -> Var:
        return map_gates.channel_pool(u)

    def simam(self, u: Var, lam: float = 1e-4) -> Var:
        return map_gates.simam(u, lam)

    def axis_means(self, u: Var) -> tuple[Var, Var]:
        return (average(u, (2,), "zh", ways=(("through the means of the rows", "dzh/W"),))[:, :, 0],
                average(u, (1,), "zw", ways=(("through the means of the columns", "dzw/H"),))[:, 0])

    def join_rows(self, zh: Var, zw: Var) -> Var:
        return map_gates.joined(zh, zw, 1, "z")[:, :, None]

    def split_rows(self, z: Var, height: int) -> tuple[Var, Var]:
        return (map_gates.piece(z, 1, 0, height, "zh", "H")[:, :, 0],
                map_gates.piece(z, 1, height, z.shape[1], "zw", "W")[:, :, 0])

    def scale_axes(self, u: Var, sh: Var, sw: Var) -> Var:
        return map_gates.scale_axes(u, sh, sw)

    def add(self, f: Var, x: Var) -> Var:
        return add(f, x, "y", ways=(("as the branch", "dy"), ("as the shortcut", "dy")))

    def batch_norm_relu(self, x: Var, gamma: Var, beta: Var, eps: float = 1e-5) -> tuple[Var, Var, Var]:
        y, mean, var = self.batch_norm(x, gamma, beta, eps)
        return self._rectified(y, "(gamma*xhat + beta)"), mean, var

    def batch_norm_inference_relu(self, x: Var, gamma: Var, beta: Var, mean: Var, var: Var, eps: float = 1e-5) -> Var:
        return self._rectified(self.batch_norm_inference(x, gamma, beta, mean, var, eps), "(gamma*xhat + beta)")

    def add_relu(self, f: Var, x: Var) -> Var:
        return self._rectified(self.add(f, x), "(f + x)")

    def scale_add_relu(self, u: Var, s: Var, x: Var) -> Var:
        return self._joined(u, s, x)

    def scale_add(self, u: Var, s: Var, x: Var) -> Var:
        scaled = self.scale(u, s)
        scaled.name = "(s*u)"
        return self.add(scaled, x)

    def shake(self, a: Var, b: Var, alpha: Var) -> Var:
        return joins.mixture(a, b, alpha, "y")

    def bn_scale_add_relu(self, x: Var, gamma: Var, beta: Var, mean: Var, var: Var, s: Var, r: Var,
                          eps: float = 1e-5) -> Var:
        u = self.batch_norm_inference(x, gamma, beta, mean, var, eps)
        u.name = "u"
        return self._joined(u, s, r)

    def softmax(self, logits: Var) -> Var:
        return softmax(logits, (1,), "p")

    def softmax_cross_entropy(self, logits: Var, labels: Array, smoothing: float = 0.0) -> Var:
        N, K = logits.shape
        onehot = np.eye(K)[labels]
        q = (1 - smoothing) * onehot + smoothing / K

        def run(x: Array) -> Array:
            return np.asarray(-(q * np.log(softmax_over(x))).sum() / N)

        def faults(step: Step) -> Iterator[Hypothesis]:
            for kind, text, slope in (
                    ("path missing", "is p/N: the one-hot labels are not subtracted", lambda p: p / N),
                    ("path missing", "is -q/N: the softmax p is missing", lambda p: -q / N),
                    ("averaged", f"is not divided by N = {N}: the loss is a mean", lambda p: p - q),
                    ("factor", f"is divided by N = {N} twice: the loss is a mean once", lambda p: (p - q) / N**2),
                    ("averaged", f"is divided by K = {K} instead of N = {N}", lambda p: (p - q) / K),
                    ("averaged", f"is divided by N*K = {N * K} instead of N = {N}", lambda p: (p - q) / (N * K)),
                    ("factor", "ignores the label smoothing: q is one-hot", lambda p: (p - onehot) / N),
                    ("factor", "smooths the labels by a/K without taking a away from the right class",
                     lambda p: (p - onehot - smoothing / K) / N),
                    ("factor", "spreads the smoothing over K - 1 classes instead of K",
                     lambda p: (p - onehot * (1 - smoothing) - (1 - onehot) * smoothing / max(K - 1, 1)) / N),
                    ("sign", "adds the labels that are to be subtracted", lambda p: (p + q) / N),
                    ("path missing", "takes the scores themselves for p: the softmax is missing",
                     lambda p: (logits.value - q) / N),
                    ("wrong value", "takes log p where p belongs", lambda p: (np.log(p) - q) / N)):
                yield Hypothesis(kind, f"dlogits {text}",
                                 {(step, 0): lambda dy, y, x, slope=slope: dy * slope(softmax_over(x))}, advice=advice)
        advice = "dlogits = dloss*(p - q)/N, q = (1 - a)*onehot + a/K."
        return logits.tape.step(run, [logits], [lambda dy, y, x: dy * (softmax_over(x) - q) / N], "loss", faults=faults)

    def _deviation_in_one_place(self, centred: Var, var: Var, inverse: Var, xhat: Var, eps: float,
                                count: int | None) -> None:
        """Add hypotheses about 1/sqrt(var + eps): a backward pass uses it in xhat and outside; one may be wrong."""
        root, of_xhat = self.tape.step_of(inverse), self.tape.step_of(xhat)
        faults, others = of_xhat.faults, wrong_deviations(eps, count)

        def more_faults(step: Step) -> Iterator[Hypothesis]:
            yield from faults(step)
            yield Hypothesis("constant statistics", "xhat is computed without subtracting the mean",
                             values={centred: self.tape.step_of(centred).inputs[0].value, inverse: inverse.value},
                             advice="xhat = (x - mean)/sqrt(var + eps).")
            for text, other in others.items():
                wrong = other(var.value)
                ratio = wrong / inverse.value
                yield Hypothesis("variance", f"xhat is computed with 1/sqrt(var + eps) {text}",
                                 {(root, 0): lambda dy, y, v, ratio=ratio: -dy * y**3 / 2 * ratio**2},
                                 {xhat: centred.value * wrong}, advice=NORMALIZE)
                yield Hypothesis("variance", f"gamma/sqrt(var + eps), the factor of dx, is taken {text}",
                                 {(use, i): lambda *read, part=use.parts[i], ratio=ratio: part(*read) * ratio
                                  for use, i in self.tape.uses(centred)}, advice=NORMALIZE)
        of_xhat.faults = more_faults

    def _rename(self, var: Var, name: str) -> None:
        """Rename a variable, and those of the same name that it was computed from; an argument keeps its name."""
        old, maker = var.name, self.tape.maker(var)
        while maker and var.name == old:
            var.name, var = name, maker.inputs[0]
            maker = self.tape.maker(var)

    def _joined(self, u: Var, s: Var, x: Var) -> Var:
        return self._rectified(self.scale_add(u, s, x), f"(s*u + {x.name})")

    def _rectified(self, before: Var, name: str) -> Var:
        before.name = name
        return relu(before, "y")

    def _dense(self, x: Var, w: Var, b: Var | None, name: str, way: Way) -> Var:
        product = dense(x, w, name, ways=(way, ("as the weights", f"d{name}^T @ {x.name}")))
        if b is None:
            return product
        return add(product, b, name, ways=(("through the sum", f"d{name}"),
                                             ("as the bias", f"the sum of d{name} over N")))

    def _statistics(self, x: Var) -> tuple[Var, Var, Var]:
        """Mean, x minus mean, variance. Mean and variance keep the axes of x, with size 1."""
        mean = average(x, (0, 1, 2), "mean", missing="constant statistics",
                       ways=(("through the mean of the batch", "dmean/B, B = N*H*W"),))
        centred = subtract(x, mean, "centred", ways=(_NORMALIZED, ("as the mean", "-sum of dcentred")))
        squares = square(centred, "squares", missing="constant statistics", faults=self._constants(mean),
                         ways=(("through the variance of the batch", "2*(x - mean)*dvar/B, B = N*H*W"),))
        return mean, centred, average(squares, (0, 1, 2), "var")

    def _constants(self, mean: Var) -> Faults:
        """The hypothesis that mean and variance of the batch are treated as constants, the most common mistake."""
        def faults(step: Step) -> Iterator[Hypothesis]:
            nothing: Parts = {(of, 0): lambda *read, part=of.parts[0]: 0 * part(*read)
                              for of in (self.tape.step_of(mean), step)}
            yield Hypothesis("constant statistics", "dx treats the mean and the variance of the batch as constants: it "
                             "is dy*gamma/sqrt(var + eps) only", nothing,
                             advice="dx = gamma/sqrt(var + eps) * (dy - dbeta/B - xhat*dgamma/B), B = N*H*W.")
        return faults

    def _means(self, x: Var) -> Var:
        return average(x, (1, 2), "means", ways=(("through the squeeze", "the gradient of its mean over the map "
                                                  "divided by H*W, Eq. 2"),))[:, 0, 0]

    def _normalized(self, centred: Var, var: Var, gamma: Var, beta: Var, eps: float, count: int | None) -> Var:
        inverse = inverse_deviation(var, eps, count, "1/sqrt(var + eps)")
        xhat = multiply(centred, inverse, "xhat", ways=(
            ("in the numerator of xhat", "dxhat/sqrt(var + eps)"),
            ("in the denominator", "the sum of dxhat*(x - mean)")))
        self._deviation_in_one_place(centred, var, inverse, xhat, eps, count)
        scaled = multiply(gamma, xhat, "gamma*xhat", ways=(
            ("as the scale", "the sum over N, H, W of dy*xhat"), ("as what is scaled", "dy*gamma")))
        return add(scaled, beta, "y", ways=(("through xhat", "dy"), ("as the shift", "the sum over N, H, W of dy")))


def register(name: str, forward: Callable[..., Var]) -> None:
    """Let the diagnosis explain an op that is not in the book: ``forward(ops, *arguments) -> Var``, as in `TapeOps`."""
    setattr(TapeOps, name, forward)


_NORMALIZED = ("in the numerator of xhat", "dy*gamma/sqrt(var + eps)")


def _coupled(dc: Array, xhat: Array) -> Array:
    """A gradient through the mean and the variance of a batch."""
    over = (0, 1, 2)
    return dc - dc.mean(axis=over) - xhat * (dc * xhat).mean(axis=over)


def _and_then(faults: Faults, hypothesis: Hypothesis) -> Faults:
    return lambda step: [*faults(step), hypothesis]
