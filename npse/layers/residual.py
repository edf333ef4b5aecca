"""Branch and shortcut: two paths from x to one sum. The gradients of both paths are added here."""

from collections.abc import Callable

from npse.backend import active
from npse.layers.fused import ConvBNSEAddReLU
from npse.layers.layer import Layer
from npse.types import Array, Backward, Gradients


class Residual:
    """y = end(start(x), shortcut(x)), where ``end`` adds its two inputs; ``dx, gradients = backward(dy)``.

    This is not a `Layer`: its layers are children of the block that uses it.

    Parameters
    ----------
    start : callable
        The branch up to its last convolution. If its backward has a method ``add(dh, dx)``, the two gradients of x are
        added by that method. Its op adds while it computes, which saves a pass over memory.
    end : ConvBNSEAddReLU
    shortcut : Layer
    """

    def __init__(self, start: Callable[[Array], tuple[Array, Backward]], end: ConvBNSEAddReLU, shortcut: Layer) -> None:
        self.start, self.end, self.shortcut = start, end, shortcut

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        ops = active()
        r, shortcut_backward = self.shortcut(x)
        h, start_backward = self.start(x)
        y, end_backward = self.end(h, r)
        add = getattr(start_backward, "add", None)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dh, dr, gradients = end_backward(dy)
            dx, shortcut_gradients = shortcut_backward(dr)
            if add:
                dx, start_gradients = add(dh, dx)
            else:
                dh, start_gradients = start_backward(dh)
                dx = ops.add(dh, dx)
            return dx, gradients | shortcut_gradients | start_gradients
        return y, backward
