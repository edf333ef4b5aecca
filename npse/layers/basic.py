"""Layers of one op each: convolution, batch norm, ReLU, dense, global average pooling."""

from typing import Any

import numpy as np

from npse.backend import reshape
from npse.layers.layer import Layer, active
from npse.types import Array, Backward, Gradients, Ops, Peers


def he_normal(rng: np.random.Generator, shape: tuple[int, ...], fan_in: float, dtype: Any = np.float32) -> Array:
    """Draw weights with variance 2 / fan_in, which keeps the scale of activations through a ReLU (arXiv 1502.01852)."""
    return (rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(dtype)


def expect_sizes(layer: str, **sizes: object) -> None:
    """Raise ValueError unless every size is an integer of at least 1."""
    for name, size in sizes.items():
        if not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(f"{layer}: {name} must be an integer of at least 1, but is {size!r}")


def partial_identity(weight: Array) -> Array:
    """Return filters (k, k, cin, cout) of which the first min(cin, cout) copy their input channel; the rest is kept.

    So at the start information passes such a convolution unchanged (K. Jordan, arXiv 2404.00498, section 3.3).
    """
    k, _, cin, cout = weight.shape
    same = min(cin, cout)
    filters = weight.copy()
    filters[..., :same] = 0
    filters[k // 2, k // 2, range(same), range(same)] = 1
    return filters


class Conv2d(Layer):
    """Convolution: (N, H, W, cin) -> (N, Ho, Wo, cout), Ho = (H + 2 padding - reach) // stride + 1.

    Parameters
    ----------
    cin, cout, kernel, stride : int
    input_gradient : bool
        If False, backward returns None as dx. The first layer of a network in training needs no dx.
    padding : int, optional
        Rows and columns of zeros on each side. By default it is dilation * (kernel // 2), which keeps the size of the
        map at stride 1. No padding keeps the size for an even kernel, so there it must be given.
    groups : int
        Divides cin and cout. A channel is convolved with the channels of its group only; groups = cin is a depthwise
        convolution.
    dilation : int
        Distance of the taps of a filter in pixels; a filter reaches over dilation * (kernel - 1) + 1 pixels.
    bias : bool
        Whether a bias is added; before a batch norm it has no effect.
    rng : Generator, draws the weights
    """

    def __init__(self, cin: int, cout: int, kernel: int, stride: int = 1, input_gradient: bool = True, *,
                 padding: int | None = None, groups: int = 1, dilation: int = 1, bias: bool = False,
                 rng: np.random.Generator) -> None:
        expect_sizes("Conv2d", cin=cin, cout=cout, kernel=kernel, stride=stride, groups=groups, dilation=dilation)
        if padding is None and kernel % 2 == 0:
            raise ValueError(f"Conv2d: no padding keeps the size of a map for the even kernel {kernel}; use an odd "
                             "kernel, or set padding")
        if cin % groups or cout % groups:
            raise ValueError(f"Conv2d: {groups} groups do not divide {cin if cin % groups else cout} channels")
        shape = kernel, kernel, cin // groups, cout
        super().__init__({"weight": he_normal(rng, shape, fan_in=kernel * kernel * cin // groups)})
        if bias:
            self.parameters["bias"] = np.zeros(cout, np.float32)
        self.stride, self.input_gradient = stride, input_gradient
        self.padding = dilation * (kernel // 2) if padding is None else padding
        self.groups, self.dilation = groups, dilation
        self._plain = groups == dilation == 1

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        ops, w, how = active(), self.parameters["weight"], (self.stride, self.padding)
        y = ops.conv2d(x, w, *how) if self._plain else ops.grouped_conv2d(x, w, self.groups, *how, self.dilation)
        if "bias" in self.parameters:
            y = ops.add_bias(y, self.parameters["bias"])
        return y, self._backward(x)

    def and_moments(self, x: Array) -> tuple[tuple[Array, Array, Array, Array], Any]:
        """Return (y, mean, var, means), backward: y, and the statistics of y that a batch norm after it needs.

        mean and var (cout,) are those of y over (N, Ho, Wo), means (N, cout) those over (Ho, Wo).
        """
        if self._plain and "bias" not in self.parameters:
            return active().conv2d_moments(x, self.parameters["weight"], self.stride, self.padding), self._backward(x)
        y, backward = self(x)
        return (y, *active().moments(y)), backward

    def _backward(self, x: Array) -> "_ConvBackward":
        how = (self.stride, self.padding)
        if self._plain:
            return _ConvBackward(active(), x, self.parameters, how, self.input_gradient)
        return _GroupedConvBackward(active(), x, self.parameters, (self.groups, *how, self.dilation),
                                    self.input_gradient)


class _ConvBackward:
    """dx, gradients = backward(dy); ``backward.add(dy, dx)`` adds the gradient of x to an array dx."""

    def __init__(self, ops: Ops, x: Array, parameters: dict[str, Array], how: tuple[int, ...],
                 input_gradient: bool) -> None:
        self._ops, self._x, self._w, self._how = ops, x, parameters["weight"], how
        self._biased, self._input_gradient = "bias" in parameters, input_gradient

    def __call__(self, dy: Array) -> tuple[Any, Gradients]:
        gradients = self._gradients(dy)
        return self._of_input(dy) if self._input_gradient else None, gradients

    def add(self, dy: Array, dx: Array) -> tuple[Array, Gradients]:
        """Return the sum of the gradient of x and dx. The op adds while it computes, which saves a pass over memory."""
        gradients = self._gradients(dy)
        return self._added(dy, dx), gradients

    def _gradients(self, dy: Array) -> Gradients:
        gradients = {"weight": self._of_filters(dy)}
        if self._biased:
            _, gradients["bias"] = self._ops.add_bias_backward(dy)
        return gradients

    def _of_filters(self, dy: Array) -> Array:
        return self._ops.conv2d_backward_w(dy, self._x, self._w.shape, *self._how)

    def _of_input(self, dy: Array) -> Array:
        return self._ops.conv2d_backward_x(dy, self._w, self._x.shape, *self._how)

    def _added(self, dy: Array, dx: Array) -> Array:
        return self._ops.conv2d_backward_x_add(dy, self._w, dx, *self._how)


class _GroupedConvBackward(_ConvBackward):
    """The same for a convolution with groups or dilation."""

    def _of_filters(self, dy: Array) -> Array:
        return self._ops.grouped_conv2d_backward_w(dy, self._x, self._w.shape, *self._how)

    def _of_input(self, dy: Array) -> Array:
        return self._ops.grouped_conv2d_backward_x(dy, self._w, self._x.shape, *self._how)

    def _added(self, dy: Array, dx: Array) -> Array:
        return self._ops.add(self._of_input(dy), dx)


class BatchNorm(Layer):
    """Batch normalization over (N, H, W), with the statistics of the batch in training, else with running ones.

    Parameters
    ----------
    channels : int
    eps : float
        Is added to the variance.
    scale : bool
        If False, the scale gamma stays one: it is a buffer in place of a parameter.

    Attributes
    ----------
    momentum : float
        The weight of a batch in the running statistics.
    peers : Peers or None
        The processes over whose parts of a batch the statistics are taken in training; None: of this process alone.
    """

    peers: Peers | None = None

    def __init__(self, channels: int, eps: float = 1e-5, scale: bool = True) -> None:
        expect_sizes("BatchNorm", channels=channels)
        self.eps, self.momentum = eps, 0.1
        gamma = {"weight": np.ones(channels, np.float32)}
        parameters = {"bias": np.zeros(channels, np.float32)}
        buffers = {"running_mean": np.zeros(channels, np.float32), "running_var": np.ones(channels, np.float32)}
        super().__init__(gamma | parameters if scale else parameters, buffers if scale else gamma | buffers)

    @property
    def gamma(self) -> Array:
        """The scale of each channel (C,)."""
        return self.parameters["weight"] if "weight" in self.parameters else self.buffers["weight"]

    def gradients_of(self, dgamma: Array, dbeta: Array) -> Gradients:
        """Return the gradients of the parameters by name: that of the scale only if it is learned."""
        return {"weight": dgamma, "bias": dbeta} if "weight" in self.parameters else {"bias": dbeta}

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        return self._call_train(x) if self.training else self._call_eval(x)

    def _call_train(self, x: Array) -> tuple[Array, Backward]:
        ops, gamma, beta = active(), self.gamma, self.parameters["bias"]
        if self.peers:
            mean, var, _ = ops.moments(x)
            return self.from_moments(x, mean, var)
        y, mean, var = ops.batch_norm(x, gamma, beta, self.eps)
        self.update_running_stats(ops, mean, var, count_of(x))
        return y, self._backward_train(ops, x, mean, var)

    def from_moments(self, x: Array, mean: Array, var: Array) -> tuple[Array, Backward]:
        """Return y, backward in training, when the mean and the variance (C,) of x are already computed."""
        ops, gamma, beta = active(), self.gamma, self.parameters["bias"]
        if self.peers:
            mean, var, count = self._merged(ops, self.peers, x, mean, var)
            backward = self._backward_shared(ops, self.peers, x, mean, var, count)
        else:
            count, backward = count_of(x), self._backward_train(ops, x, mean, var)
        self.update_running_stats(ops, mean, var, count)
        return self._normalized(ops, x, gamma, beta, mean, var), backward

    def _normalized(self, ops: Ops, x: Array, gamma: Array, beta: Array, mean: Array, var: Array) -> Array:
        return ops.batch_norm_inference(x, gamma, beta, mean, var, self.eps)

    def _backward_train(self, ops: Ops, x: Array, mean: Array, var: Array) -> Backward:
        gamma = self.gamma

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dx, dgamma, dbeta = ops.batch_norm_backward(dy, x, gamma, mean, var, self.eps)
            return dx, self.gradients_of(dgamma, dbeta)
        return backward

    @staticmethod
    def _merged(ops: Ops, peers: Peers, x: Array, mean: Array, var: Array) -> tuple[Array, Array, int]:
        """Return mean and variance over the parts of all processes, and the numbers a channel in all parts."""
        means, variances, counts = peers.gather(mean, var, np.array([count_of(x)]))
        mean, var = ops.merged_moments(means, variances, reshape(counts, (len(counts),)))
        return mean, var, int(counts.sum())

    def _backward_shared(self, ops: Ops, peers: Peers, x: Array, mean: Array, var: Array, count: int) -> Backward:
        gamma = self.gamma

        def backward(dy: Array) -> tuple[Array, Gradients]:
            own = ops.shared_batch_norm_backward_sums(dy, x, mean, var, self.eps)
            sums = peers.sum(*own)
            dx = ops.shared_batch_norm_backward_x(dy, x, gamma, mean, var, *sums, count, self.eps)
            return dx, self.gradients_of(*own)                    # those of all processes are added later
        return backward

    def _call_eval(self, x: Array) -> tuple[Array, Backward]:
        ops, gamma, beta = active(), self.gamma, self.parameters["bias"]
        mean, var = self.buffers["running_mean"], self.buffers["running_var"]
        y = ops.batch_norm_inference(x, gamma, beta, mean, var, self.eps)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dx, dgamma, dbeta = ops.batch_norm_inference_backward(dy, x, gamma, mean, var, self.eps)
            return dx, self.gradients_of(dgamma, dbeta)
        return y, backward

    def update_running_stats(self, ops: Ops, mean: Array, var: Array, count: int) -> None:
        """Move the running statistics towards those of a batch with ``count`` numbers a channel."""
        self.buffers["running_mean"], self.buffers["running_var"] = ops.running_statistics(
            mean, var, count, self.buffers["running_mean"], self.buffers["running_var"], self.momentum)


def count_of(x: Array) -> int:
    """Return the numbers a channel of maps x (N, H, W, C): N*H*W."""
    N, H, W, _ = x.shape
    return N * H * W


class BatchNormReLU(BatchNorm):
    """Batch norm and the ReLU after it, in one op."""

    def _call_train(self, x: Array) -> tuple[Array, Backward]:
        ops, gamma, beta = active(), self.gamma, self.parameters["bias"]
        if self.peers:
            return super()._call_train(x)
        y, mean, var = ops.batch_norm_relu(x, gamma, beta, self.eps)
        self.update_running_stats(ops, mean, var, count_of(x))
        return y, self._backward_train(ops, x, mean, var)

    def _normalized(self, ops: Ops, x: Array, gamma: Array, beta: Array, mean: Array, var: Array) -> Array:
        return ops.batch_norm_inference_relu(x, gamma, beta, mean, var, self.eps)

    def _backward_train(self, ops: Ops, x: Array, mean: Array, var: Array) -> Backward:
        gamma, beta = self.gamma, self.parameters["bias"]

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dx, dgamma, dbeta = ops.batch_norm_relu_backward(dy, x, gamma, beta, mean, var, self.eps)
            return dx, self.gradients_of(dgamma, dbeta)
        return backward

    def _backward_shared(self, ops: Ops, peers: Peers, x: Array, mean: Array, var: Array, count: int) -> Backward:
        gamma, beta = self.gamma, self.parameters["bias"]

        def backward(dy: Array) -> tuple[Array, Gradients]:
            own = ops.shared_batch_norm_relu_backward_sums(dy, x, gamma, beta, mean, var, self.eps)
            sums = peers.sum(*own)
            dx = ops.shared_batch_norm_relu_backward_x(dy, x, gamma, beta, mean, var, *sums, count, self.eps)
            return dx, self.gradients_of(*own)
        return backward

    def _call_eval(self, x: Array) -> tuple[Array, Backward]:
        ops, gamma, beta = active(), self.gamma, self.parameters["bias"]
        mean, var = self.buffers["running_mean"], self.buffers["running_var"]
        y = ops.batch_norm_inference_relu(x, gamma, beta, mean, var, self.eps)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dy = ops.relu_backward(dy, y)
            dx, dgamma, dbeta = ops.batch_norm_inference_backward(dy, x, gamma, mean, var, self.eps)
            return dx, self.gradients_of(dgamma, dbeta)
        return y, backward


class ReLU(Layer):
    """max(x, 0), elementwise."""

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        ops = active()
        y = ops.relu(x)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.relu_backward(dy, y), {}
        return y, backward


class Dense(Layer):
    """Fully connected layer, (N, cin) -> (N, cout)."""

    def __init__(self, cin: int, cout: int, *, bias: bool = True, rng: np.random.Generator) -> None:
        expect_sizes("Dense", cin=cin, cout=cout)
        super().__init__({"weight": he_normal(rng, (cout, cin), fan_in=cin)})
        if bias:
            self.parameters["bias"] = np.zeros(cout, np.float32)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        ops, w, b = active(), self.parameters["weight"], self.parameters.get("bias")
        y = ops.dense(x, w, b)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dx, dw, db = ops.dense_backward(dy, x, w)
            return dx, {"weight": dw} if b is None else {"weight": dw, "bias": db}
        return y, backward


class GlobalAveragePool(Layer):
    """Mean of each channel over the map, (N, H, W, C) -> (N, C): the same op as the squeeze."""

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        ops = active()
        y = ops.global_average_pool(x)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.global_average_pool_backward(dy, x.shape), {}
        return y, backward
