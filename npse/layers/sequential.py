"""One layer after another."""

from collections.abc import Mapping

from npse.backend import in_pieces
from npse.layers.layer import Layer, prefixed
from npse.types import Array, Backward, Gradients

TOGETHER = 128          # images at inference: with more, a CPU's caches lose maps before the next layer reads them


class Sequential(Layer):
    """Runs named layers in order; without layers it is the identity.

    Parameters
    ----------
    children : dict of str to Layer
    """

    def __init__(self, children: Mapping[str, Layer] | None = None) -> None:
        super().__init__(children=dict(children or {}))

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        backwards = {}
        for name, layer in self.children.items():
            x, backwards[name] = layer(x)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            gradients: Gradients = {}
            for name, layer_backward in reversed(backwards.items()):
                dy, found = layer_backward(dy)
                gradients |= prefixed(name, found)
            return dy, gradients
        return x, backward

    def predict(self, x: Array) -> Array:
        if self.training:                                          # batch norm needs the whole batch
            return self._chain(x)
        return in_pieces(self._chain, x, TOGETHER)

    def _chain(self, x: Array) -> Array:
        for layer in self.children.values():
            x = layer.predict(x)
        return x
