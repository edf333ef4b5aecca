"""Any elementwise non-linearity as a layer, by the name of its op."""

from typing import Any

from npse.layers.layer import Layer, active
from npse.support.names import suggest
from npse.types import Array, Backward, Gradients

# What the backward of each op reads besides dy: the input x of the op, or its output y.
ACTIVATIONS = {"relu": "y", "relu6": "y", "sigmoid": "y", "twice_sigmoid": "y", "tanh": "y", "one_plus_tanh": "y",
               "hard_sigmoid": "y", "hard_swish": "x", "silu": "x", "gelu": "x"}


class Activation(Layer):
    """An elementwise op, any shape -> the same shape.

    Parameters
    ----------
    name : str
        One of `ACTIVATIONS`.
    **options
        Further arguments of the op, such as approximate=True of `gelu`.

    Raises
    ------
    ValueError
        An unknown name.
    """

    def __init__(self, name: str, **options: Any) -> None:
        if name not in ACTIVATIONS:
            raise ValueError(f"unknown activation {name!r}; {suggest(name, ACTIVATIONS)}")
        super().__init__()
        self.name, self.options = name, options

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        ops = active()
        y = getattr(ops, self.name)(x, **self.options)
        op_backward = getattr(ops, f"{self.name}_backward")
        saved = x if ACTIVATIONS[self.name] == "x" else y

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return op_backward(dy, saved, **self.options), {}
        return y, backward
