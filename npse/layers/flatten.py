"""Maps as rows of numbers, for a dense layer after them."""

import math

from npse.backend import reshape
from npse.layers.layer import Layer
from npse.types import Array, Backward, Gradients


class Flatten(Layer):
    """Puts the numbers of a map in one row, the channels of a pixel side by side: (N, H, W, C) -> (N, H * W * C)."""

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        def backward(dy: Array) -> tuple[Array, Gradients]:
            return reshape(dy, x.shape), {}
        return reshape(x, (x.shape[0], math.prod(x.shape[1:]))), backward
