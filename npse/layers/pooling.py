"""Pooling layers: maxima and means of windows, and the maximum of a map.

The arguments of windows are those of the ops: size, stride (the size if left out), padding on each side, and ceil_mode,
with which the last window of a row may be cut off by the border.
"""

from npse.layers.basic import expect_sizes
from npse.layers.layer import Layer, active
from npse.types import Array, Backward, Gradients


class MaxPool(Layer):
    """Maximum of every window of size x size pixels, (N, H, W, C) -> (N, Ho, Wo, C), see the op `max_pool`."""

    def __init__(self, size: int, stride: int | None = None, padding: int = 0, ceil_mode: bool = False) -> None:
        expect_sizes("MaxPool", size=size, stride=size if stride is None else stride)
        super().__init__()
        self.how = size, stride, padding, ceil_mode

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        ops = active()

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.max_pool_backward(dy, x, *self.how), {}
        return ops.max_pool(x, *self.how), backward


class AveragePool(Layer):
    """Mean of every window of size x size pixels, (N, H, W, C) -> (N, Ho, Wo, C), see the op `average_pool`."""

    def __init__(self, size: int, stride: int | None = None, padding: int = 0, ceil_mode: bool = False,
                 count_include_pad: bool = True) -> None:
        expect_sizes("AveragePool", size=size, stride=size if stride is None else stride)
        super().__init__()
        self.how = size, stride, padding, ceil_mode, count_include_pad

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        ops, shape = active(), x.shape

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.average_pool_backward(dy, shape, *self.how), {}
        return ops.average_pool(x, *self.how), backward


class GlobalMaxPool(Layer):
    """Maximum of each channel over the map, (N, H, W, C) -> (N, C)."""

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        ops = active()

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.global_max_pool_backward(dy, x), {}
        return ops.global_max_pool(x), backward
