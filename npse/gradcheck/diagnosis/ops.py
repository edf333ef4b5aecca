"""The forward passes of the book's ops on a tape, each as elementary steps.

Only softmax and the loss have gradients written here. All others follow from the steps. A test compares them with the
book's.
"""

from collections.abc import Callable
from typing import Any

from npse.gradcheck.diagnosis import (
    activations,
    channels,
    excitations,
    joins,
    loss,
    map_gates,
    normalization,
    pooling,
    squeezes,
)
from npse.gradcheck.diagnosis.nonlinear import relu, sigmoid, softmax
from npse.gradcheck.diagnosis.primitives import (
    add,
    average,
    dense,
    multiply,
)
from npse.gradcheck.diagnosis.tape import Hypothesis, Tape, Var, Way, and_then
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
            step.faults = and_then(step.faults, Hypothesis(
                "path missing", "h is computed once more without its bias b1",
                values={a1: product.value, a2: a2.value}, advice="h = relu(w1 z + b1), Eq. 3."))
        return sigmoid(a2, "s")

    def scale(self, u: Var, s: Var) -> Var:
        return multiply(u, s[:, None, None, :], "y", ways=(
            ("directly, as the factor of s", "dy*s, Eq. 4"), ("as the gate", "the sum over H, W of dy*u, Eq. 4")))

    def se(self, u: Var, w1: Var, w2: Var, b1: Var | None = None, b2: Var | None = None) -> Var:
        return self.scale(u, self.excite(self.squeeze(u), w1, w2, b1, b2))

    def moments(self, x: Var) -> tuple[Var, Var, Var]:
        mean, _, var = normalization.statistics(x)
        return mean[0, 0, 0], var[0, 0, 0], normalization.means(x)

    def batch_norm(self, x: Var, gamma: Var, beta: Var, eps: float = 1e-5) -> tuple[Var, Var, Var]:
        return normalization.batch_norm(x, gamma, beta, eps)

    def batch_norm_inference(self, x: Var, gamma: Var, beta: Var, running_mean: Var, running_var: Var,
                             eps: float = 1e-5) -> Var:
        return normalization.batch_norm_inference(x, gamma, beta, running_mean, running_var, eps)

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
        return normalization.channel_norm(z, eps)

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

    def conv2d_batch_norm_inference(self, x: Var, w: Var, gamma: Var, beta: Var, mean: Var, var: Var, stride: int = 1,
                                    padding: int = 0, eps: float = 1e-5) -> Var:
        return self.batch_norm_inference(self.conv2d(x, w, stride, padding), gamma, beta, mean, var, eps)

    def conv2d_batch_norm_inference_relu(self, x: Var, w: Var, *of_norm: Any, **options: Any) -> Var:
        return self._rectified(self.conv2d_batch_norm_inference(x, w, *of_norm, **options), "(gamma*xhat + beta)")

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
        return loss.softmax_cross_entropy(logits, labels, smoothing)

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



def register(name: str, forward: Callable[..., Var]) -> None:
    """Let the diagnosis explain an op that is not in the book: ``forward(ops, *arguments) -> Var``, as in `TapeOps`."""
    setattr(TapeOps, name, forward)
