"""A first convolution whose filters are computed from the images; only its bias is learned."""

from typing import Any

import numpy as np

from npse.backend import to_edition, to_host
from npse.layers.basic import expect_sizes
from npse.layers.layer import Layer, active
from npse.types import Array, Backward, Gradients


class Whitening(Layer):
    """Convolution (N, H, W, cin) -> (N, Ho, Wo, 2 * directions), Ho = H + 2 padding - kernel + 1.

    Its filters are a buffer, all zeros until `fit` computes them; its bias is a parameter.

    Parameters
    ----------
    cin, kernel, padding : int
    directions : int, optional
        Of kernel * kernel * cin, see `npse.reference.whitening_filters`; by default all.
    input_gradient : bool
        If False, backward returns None as dx. The first layer of a network in training needs no dx.
    """

    def __init__(self, cin: int, kernel: int = 2, padding: int = 0, directions: int | None = None,
                 input_gradient: bool = True) -> None:
        directions = kernel * kernel * cin if directions is None else directions
        expect_sizes("Whitening", cin=cin, kernel=kernel, directions=directions)
        cout = 2 * directions
        super().__init__({"bias": np.zeros(cout, np.float32)},
                         {"weight": np.zeros((kernel, kernel, cin, cout), np.float32)})
        self.padding, self.input_gradient = padding, input_gradient

    def fit(self, x: Array) -> None:
        """Compute the filters from normalized images (N, H, W, cin); see `npse.reference.whitening_filters`."""
        ops, weight = active(), self.buffers["weight"]
        filters = ops.whitening_filters(to_host(x), weight.shape[0], directions=weight.shape[3] // 2)
        self.buffers["weight"] = to_edition(to_host(filters).astype(weight.dtype))

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        ops, w = active(), self.buffers["weight"]
        y = ops.add_bias(ops.conv2d(x, w, 1, self.padding), self.parameters["bias"])

        def backward(dy: Array) -> tuple[Any, Gradients]:
            _, db = ops.add_bias_backward(dy)
            return ops.conv2d_backward_x(dy, w, x.shape, 1, self.padding) if self.input_gradient else None, {"bias": db}
        return y, backward
