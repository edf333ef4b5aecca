"""One layer after another."""

from npse.layers.layer import Layer, prefixed


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
        for layer in self.parts.values():
            x = layer.infer(x)
        return x
