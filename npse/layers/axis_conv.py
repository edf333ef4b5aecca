"""Convolution along one axis of a map, as in factorized Inception modules (arXiv 1512.00567, section 3.2)."""

from collections.abc import Callable

import numpy as np

from npse.backend import reshape
from npse.layers.basic import Conv2d, he_normal
from npse.layers.layer import active, constant
from npse.types import Array, Gradients, Shape


class AxisConv2d(Conv2d):
    """Convolution with a filter of one row or one column, (N, H, W, cin) -> (N, H, W, cout).

    The op `conv2d` has one padding for both axes. Here one axis needs none, so zeros are joined to the other axis
    before the op.

    Parameters
    ----------
    cin, cout : int
    kernel : tuple of int, (1, k) or (k, 1) for an odd k of at least 3
    rng : Generator, draws the weights

    Raises
    ------
    ValueError
        Another kernel.
    """

    def __init__(self, cin: int, cout: int, kernel: tuple[int, int], *, rng: np.random.Generator) -> None:
        if min(kernel) != 1 or max(kernel) < 3 or max(kernel) % 2 == 0:
            raise ValueError(f"AxisConv2d: kernel must be (1, k) or (k, 1) for an odd k of at least 3, but is {kernel}")
        super().__init__(cin, cout, 1, rng=rng)
        self.parameters["weight"] = he_normal(rng, (*kernel, cin, cout), fan_in=max(kernel) * cin)
        self.kernel = kernel

    def _as_rows(self, shape: Shape) -> tuple[int, int, int]:
        """Return the shape of a map as (images, places, numbers) with the places of the filter's axis in the middle."""
        N, H, W, C = shape
        return (N, H, W * C) if self.kernel[1] == 1 else (N * H, W, C)

    def _given(self, x: Array) -> Array:
        """Return x with zeros at both ends of the filter's axis."""
        ops, edge = active(), max(self.kernel) // 2
        N, H, W, C = x.shape
        images, places, numbers = self._as_rows(x.shape)
        zeros = constant(0, (images, edge, numbers), x.dtype)
        start = ops.join_rows(zeros, reshape(x, (images, places, numbers)))
        whole = ops.join_rows(reshape(start, (images, edge + places, numbers)), zeros)
        rows, columns = (size // 2 for size in self.kernel)
        return reshape(whole, (N, H + 2 * rows, W + 2 * columns, C))

    def _backward(self, x: Array, shape: Shape) -> Callable[[Array], tuple[Array, Gradients]]:
        """Return a backward pass whose dx is that of the map without the zeros."""
        ops, edge, backward = active(), max(self.kernel) // 2, super()._backward(x, shape)
        images, places, numbers = self._as_rows(shape)

        def cropped(dy: Array) -> tuple[Array, Gradients]:
            dpadded, gradients = backward(dy)
            whole = reshape(dpadded, (images, places + 2 * edge, 1, numbers))
            start, _ = ops.split_rows(whole, edge + places)
            _, dx = ops.split_rows(reshape(start, (images, edge + places, 1, numbers)), edge)
            return reshape(dx, shape), gradients
        return cropped
