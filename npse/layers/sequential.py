"""One layer after another."""

import numpy as np

from npse.backend import on_device
from npse.layers.layer import Layer, prefixed

TOGETHER = 128          # images at inference: of more, maps leave the caches of a CPU before the next layer reads them


class Sequential(Layer):
    """Run named layers in order; with none it is the identity.

    Parameters
    ----------
    parts : dict of str to Layer
    """

    def __init__(self, parts=None):
        super().__init__(parts=parts)

    def __call__(self, x):
        backwards = {}
        for name, layer in self.parts.items():
            x, backwards[name] = layer(x)

        def backward(dy):
            gradients = {}
            for name, layer_backward in reversed(backwards.items()):
                dy, found = layer_backward(dy)
                gradients |= prefixed(name, found)
            return dy, gradients
        return x, backward

    def infer(self, x):
        if len(x) > TOGETHER and not self.training and not on_device():       # then no image depends on another
            return np.concatenate([self.infer(x[n:n + TOGETHER]) for n in range(0, len(x), TOGETHER)])
        for layer in self.parts.values():
            x = layer.infer(x)
        return x
