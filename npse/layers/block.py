"""The residual block and the places where squeeze-and-excitation can stand in it (figure 5 of the paper)."""

from npse.layers.basic import BatchNorm, BatchNormReLU, Conv2d
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
        place = placement if se else None
        branch = {"conv1": Conv2d(cin, cout, 3, stride, rng=rng), "bn1": BatchNormReLU(cout),
                  "conv2": Conv2d(cout, cout, 3, rng=rng), "bn2": BatchNorm(cout)}
        excitation = {"se": se}
        self.branch = Sequential(excitation | branch if place == "pre" else branch)
        self.shortcut = Sequential(shortcut.parts | excitation if place == "identity" else shortcut.parts)
        self.gate = se if place == "standard" else None
        self.after = Sequential(excitation if place == "post" else {})
        super().__init__(parts=branch | (excitation if se else {}) | shortcut.parts)

    def __call__(self, x):
        f, branch_backward = self.branch(x)
        r, shortcut_backward = self.shortcut(x)
        y, join_backward = self._join(f, r)
        y, after_backward = self.after(y)
        ops = active()

        def backward(dy):
            dy, after_gradients = after_backward(dy)
            df, dr, join_gradients = join_backward(dy)
            dx_shortcut, shortcut_gradients = shortcut_backward(dr)
            dx_branch, branch_gradients = branch_backward(df)
            return (ops.add(dx_branch, dx_shortcut),
                    branch_gradients | join_gradients | shortcut_gradients | after_gradients)
        return y, backward

    def _join(self, f, r):
        """Return y (N, H, W, C) and a backward that returns df, dr and the gradients of the gate."""
        ops = active()
        if self.gate is None:
            y = ops.add_relu(f, r)

            def backward(dy):
                return *ops.add_relu_backward(dy, y), {}
            return y, backward

        s, gates_backward = self.gate.gates(f)
        y = ops.scale_add_relu(f, s, r)

        def backward(dy):
            df, ds, dr = ops.scale_add_relu_backward(dy, f, s, y)
            df, gradients = gates_backward(ds, df)
            return df, dr, {f"se.{name}": gradient for name, gradient in gradients.items()}
        return y, backward
