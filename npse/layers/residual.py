"""Branch and shortcut: two paths from x to one sum. The gradients of both paths are added here."""

from npse.layers.fused import Chain, ConvBNSEAddReLU
from npse.layers.layer import Layer
from npse.types import Array, Backward, Gradients


class Residual:
    """y = end(start(x), shortcut(x)), where ``end`` adds its two inputs; ``dx, gradients = backward(dy)``.

    This is not a `Layer`: its layers are children of the block that uses it.

    Parameters
    ----------
    start : Chain
        The branch up to its last convolution. The two gradients of x are added by the method ``add(dh, dx)`` of its
        backward.
    end : ConvBNSEAddReLU
    shortcut : Layer
    """

    def __init__(self, start: Chain, end: ConvBNSEAddReLU, shortcut: Layer) -> None:
        self.start, self.end, self.shortcut = start, end, shortcut

    def predict(self, x: Array) -> Array:
        """Return y alone; no array is kept for a backward pass."""
        r = self.shortcut.predict(x)
        return self.end.predict(self.start.predict(x), r)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        r, shortcut_backward = self.shortcut(x)
        h, start_backward = self.start(x)
        y, end_backward = self.end(h, r)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dh, dr, gradients = end_backward(dy)
            dx, shortcut_gradients = shortcut_backward(dr)
            dx, start_gradients = start_backward.add(dh, dx)
            return dx, gradients | shortcut_gradients | start_gradients
        return y, backward
