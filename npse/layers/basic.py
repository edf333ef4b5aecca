"""Layers of one op each: convolution, ReLU, dense, global average pooling."""

from typing import Any

import numpy as np

from npse.layers.layer import Layer, active
from npse.types import Array, Backward, Gradients, Op, Ops, Shape


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
        ops, how, given = active(), (self.stride, self.padding), self._given(x)
        call = given, self.parameters["weight"]
        y = ops.conv2d(*call, *how) if self._plain else ops.grouped_conv2d(*call, self.groups, *how, self.dilation)
        if "bias" in self.parameters:
            y = ops.add_bias(y, self.parameters["bias"])
        return y, self._backward(given, x.shape)

    @property
    def begins_fused_ops(self) -> bool:
        """Whether the convolution, which then has no groups, dilation or bias, can be the first part of a fused op."""
        return self._plain and "bias" not in self.parameters

    def fused(self, op: Op, x: Array, *others: Array | None, **options: float) -> tuple[Any, Any]:
        """Return the result of a fused op that begins with this convolution, and the convolution's backward pass."""
        given = self._given(x)
        result = op(given, self.parameters["weight"], *others, self.stride, self.padding, **options)
        return result, self._backward(given, x.shape)

    def and_moments(self, x: Array) -> tuple[tuple[Array, Array, Array, Array], Any]:
        """Return (y, mean, var, means), backward: y, and the statistics of y that a batch norm after it needs.

        mean and var (cout,) are those of y over (N, Ho, Wo), means (N, cout) those over (Ho, Wo).
        """
        if self.begins_fused_ops:
            return self.fused(active().conv2d_moments, x)
        y, backward = self(x)
        return (y, *active().moments(y)), backward

    def _given(self, x: Array) -> Array:
        """Return what the op gets for a map x."""
        return x

    def _backward(self, x: Array, shape: Shape) -> Any:
        """Return the backward pass of a call whose op got x, for a map of this shape."""
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
