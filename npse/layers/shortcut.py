"""The shortcuts of residual blocks that change the shape of their input."""

from typing import Any

import numpy as np

from npse.backend import on_device, to_edition
from npse.layers.basic import Conv2d
from npse.layers.batch_norm import BatchNorm
from npse.layers.layer import Layer, active
from npse.layers.sequential import Sequential
from npse.types import Array, Backward, Gradients


def identity_shortcut(cin: int, cout: int, stride: int) -> Layer:
    """Return a shortcut without parameters, option A of arXiv 1512.03385: every stride-th pixel, new channels zero."""
    return ZeroPad(cin, cout, stride)


def projection_shortcut(cin: int, cout: int, stride: int, *, rng: np.random.Generator) -> Layer:
    """Return a shortcut of a 1x1 convolution and a batch norm, option B of arXiv 1512.03385."""
    return Sequential({"0": Conv2d(cin, cout, 1, stride, rng=rng), "1": BatchNorm(cout)})


class ZeroPad(Layer):
    """Takes every s-th pixel and appends channels of zeros: (N, H, W, cin) -> (N, ceil(H/s), ceil(W/s), cout).

    It runs as a 1x1 convolution whose filter is a fixed unit matrix.
    """

    def __init__(self, cin: int, cout: int, stride: int) -> None:
        super().__init__()
        self.channels, self.stride = (cin, cout), stride
        self._filters: dict[tuple[Any, bool], Array] = {}

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        ops, w = active(), self._filter(x.dtype)
        y = ops.conv2d(x, w, self.stride, 0)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.conv2d_backward_x(dy, w, x.shape, self.stride, 0), {}
        return y, backward

    def _filter(self, dtype: Any) -> Array:
        """Return the unit matrix in the memory of the active edition. It is copied once, because a copy waits."""
        key = dtype, on_device()
        if key not in self._filters:
            self._filters[key] = to_edition(np.eye(*self.channels, dtype=dtype)[None, None])
        return self._filters[key]
