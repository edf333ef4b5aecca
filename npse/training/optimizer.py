"""Gradient descent over the parameters of a network."""

import numpy as np

from npse.backend import active, to_edition


class SGD:
    """Nesterov SGD; decays the weights of convolutions and dense layers, not batch norm or biases.

    Attributes
    ----------
    velocity : dict of str to array, one for each parameter; part of a checkpoint
    """

    def __init__(self, network, momentum=0.9, weight_decay=5e-4):
        self.network, self.momentum, self.weight_decay = network, momentum, weight_decay
        self.velocity = {name: np.zeros(w.shape, w.dtype) for name, w in network.named_parameters().items()}

    def place(self):
        """Put the velocity where the active edition keeps its arrays."""
        self.velocity = {name: to_edition(v) for name, v in self.velocity.items()}

    def load(self, velocity):
        """Take over copies of arrays of floats, one for each parameter; ValueError names one that does not fit."""
        for name, v in self.velocity.items():
            if velocity[name].shape != v.shape or velocity[name].dtype.kind != "f":
                raise ValueError(f"the velocity of {name} must be floats of shape {v.shape}, "
                                 f"but is {velocity[name].dtype} of {velocity[name].shape}")
        self.velocity = {name: velocity[name].astype(v.dtype) for name, v in self.velocity.items()}

    def step(self, gradients, lr):
        """Move every parameter by one step of rate ``lr``."""
        moved = {}
        for name, w in self.network.named_parameters().items():
            moved[name], self.velocity[name] = self._move(name, w, gradients[name], self.velocity[name], lr)
        self.network.update(moved)

    def _move(self, name, w, dw, v, lr):
        return active().sgd(w, dw, v, lr, self.momentum, self.weight_decay if w.ndim > 1 else 0.0)


class Muon(SGD):
    """Muon for filters that see features, whose length is kept instead of decayed; SGD for all other parameters.

    Those of the first layer see colours, and those of one tap, in projections, are few: their matrices are too small
    for the directions of a gradient to be worth the same.

    Parameters
    ----------
    network, momentum, weight_decay : as for SGD
    scale : float
        lr * scale is the length of a step of filters, in lengths of the filters.
    """

    def __init__(self, network, momentum=0.9, weight_decay=5e-4, scale=0.0375):
        super().__init__(network, momentum, weight_decay)
        self.scale = scale
        filters = {name: w for name, w in network.named_parameters().items() if w.ndim == 4}
        self._filters = {name for name in list(filters)[1:] if np.prod(filters[name].shape[:2]) > 1}

    def _move(self, name, w, dw, v, lr):
        if name in self._filters:
            return active().muon(w, dw, v, lr, self.momentum, self.scale)
        return super()._move(name, w, dw, v, lr)
