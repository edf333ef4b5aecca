"""Gates for the channels of a map: what every structure in place of the two dense layers has in common.

    a = logits(mean(u))     s = gate(a)     y = s * u
"""

from npse.layers.layer import Layer, active
from npse.support.names import suggest
from npse.types import Array, Arrays, Backward

GATES = ("sigmoid", "tanh", "relu", "hard_sigmoid", "softmax", "twice_sigmoid")


class Excitation(Layer):
    """Recalibrate channels, (N, H, W, C) -> (N, H, W, C): the base class of all structures.

    A structure implements `logits`, or `excite` if it has no gate.

    Parameters
    ----------
    gate : str
        One of `GATES`, the op that takes the logits to the gates.
    parameters, children : see `Layer`

    Raises
    ------
    ValueError
        An unknown gate.
    """

    def __init__(self, gate: str = "sigmoid", parameters: Arrays | None = None,
                 children: dict[str, Layer] | None = None) -> None:
        if gate not in GATES:
            raise ValueError(f"unknown gate {gate!r}; {suggest(gate, GATES)}")
        super().__init__(parameters=parameters, children=children)
        self.gate = gate

    def logits(self, z: Array) -> tuple[Array, Backward]:
        """Return ``a, backward``: the input of the gate (N, C), and dz, gradients = backward(da)."""
        raise NotImplementedError

    def excite(self, z: Array) -> tuple[Array, Backward]:
        """Return ``s, backward``: the gates (N, C) of squeezed maps z (N, C), and dz, gradients = backward(ds)."""
        ops, gate = active(), self.gate
        a, logits_backward = self.logits(z)
        s = getattr(ops, gate)(a)
        return s, lambda ds: logits_backward(getattr(ops, f"{gate}_backward")(ds, s))

    def __call__(self, u: Array) -> tuple[Array, Backward]:
        ops = active()
        s, excite_backward = self.excite(ops.squeeze(u))

        def backward(dy: Array) -> tuple[Array, Arrays]:
            du, ds = ops.scale_backward(dy, u, s)
            dz, gradients = excite_backward(ds)
            return ops.add_squeeze_backward(du, dz), gradients    # the sum of both paths to u
        return ops.scale(u, s), backward
