"""The residual block and the places where squeeze-and-excitation can stand in it (figure 5 of the paper).

And a smaller one, of a single convolution.
"""

from npse.layers.basic import BatchNorm, BatchNormReLU, Conv2d
from npse.layers.halves import FirstHalf, GatedSecondHalf, SecondHalf
from npse.layers.layer import Layer, active
from npse.layers.sequential import Sequential

PLACEMENTS = ("standard", "pre", "post", "identity")


class BasicBlock(Layer):
    """y = relu(branch(x) + shortcut(x)), the branch being conv-BN-ReLU-conv-BN.

    Parameters
    ----------
    cin, cout : int
    stride : int, of the first convolution
    shortcut : Layer, what x passes on the way to the sum
    se : SqueezeExcite or None
    placement : str, where the excitation stands
        "standard", at the end of the branch, before the sum; "pre", at the start of the branch; "post", after the sum
        and its ReLU; "identity", on the shortcut.
    """

    def __init__(self, cin, cout, stride, shortcut, se=None, placement="standard", *, rng):
        if placement not in PLACEMENTS:
            raise ValueError(f"unknown placement {placement!r}; known are: {', '.join(PLACEMENTS)}")
        place, excitation = placement if se else None, {"se": se}
        self.before = Sequential(excitation) if place == "pre" else None
        self.first = FirstHalf(Conv2d(cin, cout, 3, stride, rng=rng), BatchNormReLU(cout))
        last = Conv2d(cout, cout, 3, rng=rng), BatchNorm(cout)
        self.second = GatedSecondHalf(*last, se) if place == "standard" else SecondHalf(*last)
        self.shortcut = Sequential(shortcut.parts | excitation if place == "identity" else shortcut.parts)
        self.after = Sequential(excitation if place == "post" else {})
        super().__init__(parts=self.first.parts | self.second.parts | (excitation if se else {}) | shortcut.parts)

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
        self.half = GatedSecondHalf(conv, norm, se) if se else SecondHalf(conv, norm)
        super().__init__(parts=self.half.parts)

    def __call__(self, x):
        ops = active()
        y, half_backward = self.half(x, x)

        def backward(dy):
            dx, dr, gradients = half_backward(dy)
            return ops.add(dx, dr), gradients
        return y, backward
