"""Layers of one op each: convolution, batch norm, ReLU, dense, max pooling, global average pooling."""

from typing import Any

import numpy as np

from npse.layers.layer import Layer, active
from npse.types import Array, Backward, Gradients, Ops


def he_normal(rng: np.random.Generator, shape: tuple[int, ...], fan_in: float, dtype: Any = np.float32) -> Array:
    """Draw weights with variance 2 / fan_in, which keeps the scale of activations through a ReLU (arXiv 1502.01852)."""
    return (rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(dtype)


def expect_sizes(layer: str, **sizes: object) -> None:
    """Raise ValueError unless every size is an integer of at least 1."""
    for name, size in sizes.items():
        if not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(f"{layer}: {name} must be an integer of at least 1, but is {size!r}")


class Conv2d(Layer):
    """Convolution without bias: (N, H, W, cin) -> (N, Ho, Wo, cout), Ho = (H + 2 padding - kernel) // stride + 1.

    Parameters
    ----------
    cin, cout, kernel, stride : int
    input_gradient : bool
        If False, backward returns None as dx. The first layer of a network in training needs no dx.
    padding : int, optional
        Rows and columns of zeros on each side. By default it is kernel // 2, which keeps the size of the map at
        stride 1. No padding keeps the size for an even kernel, so there it must be given.
    rng : Generator, draws the weights
    """

    def __init__(self, cin: int, cout: int, kernel: int, stride: int = 1, input_gradient: bool = True, *,
                 padding: int | None = None, rng: np.random.Generator) -> None:
        expect_sizes("Conv2d", cin=cin, cout=cout, kernel=kernel, stride=stride)
        if padding is None and kernel % 2 == 0:
            raise ValueError(f"Conv2d: no padding keeps the size of a map for the even kernel {kernel}; use an odd "
                             "kernel, or set padding")
        super().__init__({"weight": he_normal(rng, (kernel, kernel, cin, cout), fan_in=kernel * kernel * cin)})
        self.stride, self.input_gradient = stride, input_gradient
        self.padding = kernel // 2 if padding is None else padding

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        return active().conv2d(x, self.parameters["weight"], self.stride, self.padding), self._backward(x)

    def and_moments(self, x: Array) -> tuple[tuple[Array, Array, Array, Array], Any]:
        """Return (y, mean, var, means), backward: y, and the statistics of y that a batch norm after it needs.

        mean and var (cout,) are those of y over (N, Ho, Wo), means (N, cout) those over (Ho, Wo).
        """
        return active().conv2d_moments(x, self.parameters["weight"], self.stride, self.padding), self._backward(x)

    def _backward(self, x: Array) -> "_ConvBackward":
        return _ConvBackward(active(), x, self.parameters["weight"], (self.stride, self.padding), self.input_gradient)


class _ConvBackward:
    """dx, gradients = backward(dy); ``backward.add(dy, dx)`` adds the gradient of x to an array dx."""

    def __init__(self, ops: Ops, x: Array, w: Array, how: tuple[int, int], input_gradient: bool) -> None:
        self._ops, self._x, self._w, self._how, self._input_gradient = ops, x, w, how, input_gradient

    def __call__(self, dy: Array) -> tuple[Any, Gradients]:
        gradients = self._gradients(dy)
        if not self._input_gradient:
            return None, gradients
        return self._ops.conv2d_backward_x(dy, self._w, self._x.shape, *self._how), gradients

    def add(self, dy: Array, dx: Array) -> tuple[Array, Gradients]:
        """Return the sum of the gradient of x and dx. The op adds while it computes, which saves a pass over memory."""
        gradients = self._gradients(dy)
        return self._ops.conv2d_backward_x_add(dy, self._w, dx, *self._how), gradients

    def _gradients(self, dy: Array) -> Gradients:
        return {"weight": self._ops.conv2d_backward_w(dy, self._x, self._w.shape, *self._how)}


class BatchNorm(Layer):
    """Batch normalization over (N, H, W), with the statistics of the batch in training, else with running ones."""

    eps, momentum = 1e-5, 0.1

    def __init__(self, channels: int) -> None:
        expect_sizes("BatchNorm", channels=channels)
        super().__init__(
            {"weight": np.ones(channels, np.float32), "bias": np.zeros(channels, np.float32)},
            {"running_mean": np.zeros(channels, np.float32), "running_var": np.ones(channels, np.float32)})

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        return self._call_train(x) if self.training else self._call_eval(x)

    def _call_train(self, x: Array) -> tuple[Array, Backward]:
        ops, gamma, beta = active(), self.parameters["weight"], self.parameters["bias"]
        y, mean, var = ops.batch_norm(x, gamma, beta, self.eps)
        return y, self._backward_train(ops, x, mean, var)

    def from_moments(self, x: Array, mean: Array, var: Array) -> tuple[Array, Backward]:
        """Return y, backward in training, when the mean and the variance (C,) of x are already computed."""
        ops, gamma, beta = active(), self.parameters["weight"], self.parameters["bias"]
        return ops.batch_norm_inference(x, gamma, beta, mean, var, self.eps), self._backward_train(ops, x, mean, var)

    def _backward_train(self, ops: Ops, x: Array, mean: Array, var: Array) -> Backward:
        gamma = self.parameters["weight"]
        self.update_running_stats(ops, x, mean, var)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dx, dgamma, dbeta = ops.batch_norm_backward(dy, x, gamma, mean, var, self.eps)
            return dx, {"weight": dgamma, "bias": dbeta}
        return backward

    def _call_eval(self, x: Array) -> tuple[Array, Backward]:
        ops, gamma, beta = active(), self.parameters["weight"], self.parameters["bias"]
        mean, var = self.buffers["running_mean"], self.buffers["running_var"]
        y = ops.batch_norm_inference(x, gamma, beta, mean, var, self.eps)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dx, dgamma, dbeta = ops.batch_norm_inference_backward(dy, x, gamma, mean, var, self.eps)
            return dx, {"weight": dgamma, "bias": dbeta}
        return y, backward

    def update_running_stats(self, ops: Ops, x: Array, mean: Array, var: Array) -> None:
        """Move the running statistics towards those of the batch x."""
        N, H, W, _ = x.shape
        self.buffers["running_mean"], self.buffers["running_var"] = ops.running_statistics(
            mean, var, N * H * W, self.buffers["running_mean"], self.buffers["running_var"], self.momentum)


class BatchNormReLU(BatchNorm):
    """Batch norm and the ReLU after it, in one op."""

    def _call_train(self, x: Array) -> tuple[Array, Backward]:
        ops, gamma, beta = active(), self.parameters["weight"], self.parameters["bias"]
        y, mean, var = ops.batch_norm_relu(x, gamma, beta, self.eps)
        return y, self._backward_train(ops, x, mean, var)

    def from_moments(self, x: Array, mean: Array, var: Array) -> tuple[Array, Backward]:
        ops, gamma, beta = active(), self.parameters["weight"], self.parameters["bias"]
        y = ops.batch_norm_inference_relu(x, gamma, beta, mean, var, self.eps)
        return y, self._backward_train(ops, x, mean, var)

    def _backward_train(self, ops: Ops, x: Array, mean: Array, var: Array) -> Backward:
        gamma, beta = self.parameters["weight"], self.parameters["bias"]
        self.update_running_stats(ops, x, mean, var)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dx, dgamma, dbeta = ops.batch_norm_relu_backward(dy, x, gamma, beta, mean, var, self.eps)
            return dx, {"weight": dgamma, "bias": dbeta}
        return backward

    def _call_eval(self, x: Array) -> tuple[Array, Backward]:
        ops, gamma, beta = active(), self.parameters["weight"], self.parameters["bias"]
        mean, var = self.buffers["running_mean"], self.buffers["running_var"]
        y = ops.batch_norm_inference_relu(x, gamma, beta, mean, var, self.eps)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dy = ops.relu_backward(dy, y)
            dx, dgamma, dbeta = ops.batch_norm_inference_backward(dy, x, gamma, mean, var, self.eps)
            return dx, {"weight": dgamma, "bias": dbeta}
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


class MaxPool(Layer):
    """Maximum of every window of size x size pixels, (N, H, W, C) -> (N, H // size, W // size, C)."""

    def __init__(self, size: int) -> None:
        expect_sizes("MaxPool", size=size)
        super().__init__()
        self.size = size

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        ops = active()

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.max_pool_backward(dy, x, self.size), {}
        return ops.max_pool(x, self.size), backward


class GlobalAveragePool(Layer):
    """Mean of each channel over the map, (N, H, W, C) -> (N, C): the same op as the squeeze."""

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        ops = active()
        y = ops.global_average_pool(x)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.global_average_pool_backward(dy, x.shape), {}
        return y, backward
