"""Layers that recalibrate maps: what all structures in place of the two dense layers have in common.

    z = squeeze(u)     a = logits(z)     s = gate(a)     y = s * u
"""

from collections.abc import Callable

from npse.layers.layer import Layer, active, prefixed
from npse.support.names import suggest
from npse.types import Array, Arrays, Backward, Gradients

ELEMENTWISE_GATES = ("sigmoid", "tanh", "relu", "hard_sigmoid", "twice_sigmoid")
GATES = (*ELEMENTWISE_GATES, "softmax")      # the softmax is taken over the channels
# The ends of the range of a gate; near an end its slope is small. A ReLU has one end. A softmax is not listed.
ENDS: dict[str, tuple[float, float | None]] = {
    "sigmoid": (0, 1), "hard_sigmoid": (0, 1), "tanh": (-1, 1), "twice_sigmoid": (0, 2), "one_plus_tanh": (0, 2),
    "relu": (0, None)}


class Excitation(Layer):
    """Recalibrate maps, (N, H, W, C) -> (N, H, W, C): the base class of everything that may stand in place of SE.

    A structure that scales its maps has a method `gates`, which takes the maps and returns the gates and their backward
    pass. Whoever looks at a network replaces this method for a while, see `npse.layers.gate_visitor`.
    """


class ChannelGates(Excitation):
    """An excitation with one gate for each channel of an image, y[n, i, j, c] = s[n, c] * u[n, i, j, c].

    A structure implements `gates`.
    """

    def gates(self, u: Array) -> tuple[Array, Backward]:
        """Return ``s, backward``: the gates (N, C), and du, gradients = backward(ds), du being the part through s."""
        raise NotImplementedError

    def __call__(self, u: Array) -> tuple[Array, Backward]:
        ops = active()
        s, gates_backward = self.gates(u)

        def backward(dy: Array) -> tuple[Array, Arrays]:
            du, ds = ops.scale_backward(dy, u, s)
            through_gates, gradients = gates_backward(ds)
            return ops.add(du, through_gates), gradients          # the sum of both paths to u
        return ops.scale(u, s), backward


class SqueezedGates(ChannelGates):
    """Gates that are computed from one number for each channel, z = squeeze(u), (N, C).

    A structure implements `logits`, or `excite` if it has no gate.

    Parameters
    ----------
    gate : str
        One of `GATES`, the op that takes the logits to the gates.
    parameters, children : see `Layer`

    Attributes
    ----------
    squeeze : Layer or None
        It takes maps (N, H, W, C) to z (N, C). None is the mean: then the end of a residual block, which knows the
        means, needs no pass over the maps for them.

    Raises
    ------
    ValueError
        An unknown gate.
    """

    def __init__(self, gate: str = "sigmoid", parameters: Arrays | None = None,
                 children: dict[str, Layer] | None = None) -> None:
        expect_gate(gate)
        super().__init__(parameters=parameters, children=children)
        self.gate = gate
        self.squeeze: Layer | None = None

    def squeezed_by(self, squeeze: Layer) -> "SqueezedGates":
        """Replace the mean by another squeeze, whose arrays get names with ``squeeze.`` in front; return the layer."""
        self.squeeze = self.children["squeeze"] = squeeze
        return self

    def logits(self, z: Array) -> tuple[Array, Backward]:
        """Return ``a, backward``: the input of the gate (N, C), and dz, gradients = backward(da)."""
        raise NotImplementedError

    def weights(self) -> tuple[Array | None, ...] | None:
        """Return w1, w2, b1, b2 if the gates are those of the paper's formula, equation (3); otherwise None.

        With them an op may compute the gates together with what is around them.
        """
        return None

    def excite(self, z: Array) -> tuple[Array, Backward]:
        """Return ``s, backward``: the gates (N, C) of squeezed maps z (N, C), and dz, gradients = backward(ds)."""
        a, logits_backward = self.logits(z)
        s, gate_backward = gated(self.gate, a)
        return s, lambda ds: logits_backward(gate_backward(ds))

    def gates(self, u: Array) -> tuple[Array, Backward]:
        z, squeeze_backward = self.squeeze(u) if self.squeeze else _mean(u)
        s, excite_backward = self.excite(z)

        def backward(ds: Array) -> tuple[Array, Gradients]:
            dz, gradients = excite_backward(ds)
            du, of_squeeze = squeeze_backward(dz)
            return du, gradients | prefixed("squeeze", of_squeeze)
        return s, backward

    def __call__(self, u: Array) -> tuple[Array, Backward]:
        if self.squeeze:
            return super().__call__(u)
        ops = active()
        s, excite_backward = self.excite(ops.squeeze(u))

        def backward(dy: Array) -> tuple[Array, Arrays]:
            du, ds = ops.scale_backward(dy, u, s)
            dz, gradients = excite_backward(ds)
            return ops.add_squeeze_backward(du, dz), gradients    # the sum of both paths to u, in one pass
        return ops.scale(u, s), backward


def gated(gate: str, a: Array) -> tuple[Array, Callable[[Array], Array]]:
    """Return ``s, backward``: the gates of logits, and da = backward(ds); all of one shape."""
    ops = active()
    s = getattr(ops, gate)(a)
    return s, lambda ds: getattr(ops, f"{gate}_backward")(ds, s)


def expect_gate(gate: str, gates: tuple[str, ...] = GATES) -> None:
    """Raise ValueError unless the gate is one of ``gates``."""
    if gate not in gates:
        problem = f"unknown gate {gate!r}" if gate not in GATES else f"{gate!r} is a gate for channels only"
        raise ValueError(f"{problem}; {suggest(gate, gates)}")


def _mean(u: Array) -> tuple[Array, Backward]:
    ops = active()
    return ops.squeeze(u), lambda dz: (ops.squeeze_backward(dz, u.shape), {})
