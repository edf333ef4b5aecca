"""The residual block and the places where squeeze-and-excitation can stand in it (figure 5 of the paper).

And a smaller one, of a single convolution.
"""

from npse.layers.basic import BatchNorm, BatchNormReLU, Conv2d
from npse.layers.halves import FirstHalf, SecondHalf
from npse.layers.layer import Layer, active
from npse.layers.sequential import Sequential
from npse.support.names import suggest

PLACEMENTS = ("standard", "pre", "post", "identity")


class BasicBlock(Layer):
    """y = relu(branch(x) + shortcut(x)), the branch being conv-BN-ReLU-conv-BN.

    Parameters
    ----------
    cin, cout : int
    stride : int, of the first convolution
    shortcut : Layer or None
        What x passes on the way to the sum; nothing if it is None. Its arrays are named ``downsample.*``.
    se : SqueezeExcite or None
    placement : str, where the excitation stands
        "standard", at the end of the branch, before the sum; "pre", at the start of the branch; "post", after the sum
        and its ReLU; "identity", on the shortcut.
    """

    def __init__(self, cin, cout, stride, shortcut, se=None, placement="standard", *, rng):
        if placement not in PLACEMENTS:
            raise ValueError(f"unknown placement {placement!r}; {suggest(placement, PLACEMENTS)}")
        place, excitation = placement if se else None, {"se": se}
        way = {} if shortcut is None else {"downsample": shortcut}
        self.before = Sequential(excitation) if place == "pre" else None
        self.first = FirstHalf(Conv2d(cin, cout, 3, stride, rng=rng), BatchNormReLU(cout))
        self.second = SecondHalf(Conv2d(cout, cout, 3, rng=rng), BatchNorm(cout), se if place == "standard" else None)
        self.shortcut = Sequential(way | excitation if place == "identity" else way)
        self.after = Sequential(excitation if place == "post" else {})
        super().__init__(parts=self.first.parts | self.second.parts | (excitation if se else {}) | way)

    def __call__(self, x):
        r, shortcut_backward = self.shortcut(x)
        b, before_backward = self.before(x) if self.before else (x, None)
        h, first_backward = self.first(b)
        y, second_backward = self.second(h, r)
        y, after_backward = self.after(y)
        ops = active()

        def backward(dy):
            dy, after_gradients = after_backward(dy)
            dh, dr, gradients = second_backward(dy)
            dx, shortcut_gradients = shortcut_backward(dr)
            gradients |= after_gradients | shortcut_gradients
            if before_backward is None:
                dx, first_gradients = first_backward(dh, dx)
                return dx, gradients | first_gradients
            db, first_gradients = first_backward(dh)
            db, before_gradients = before_backward(db)
            return ops.add(db, dx), gradients | first_gradients | before_gradients
        return y, backward


class ResidualUnit(Layer):
    """y = relu(batch_norm(conv2d(x)) + x), the batch norm's output gated if there is an excitation."""

    def __init__(self, conv, norm, se=None):
        self.half = SecondHalf(conv, norm, se)
        super().__init__(parts=self.half.parts)

    def __call__(self, x):
        ops = active()
        y, half_backward = self.half(x, x)

        def backward(dy):
            dx, dr, gradients = half_backward(dy)
            return ops.add(dx, dr), gradients
        return y, backward
