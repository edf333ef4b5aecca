"""Stochastic gradient descent over the parameters of a network."""

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

    def step(self, gradients, lr):
        """Move every parameter by one step of rate ``lr``."""
        ops, moved = active(), {}
        for name, w in self.network.named_parameters().items():
            decay = self.weight_decay if w.ndim > 1 else 0.0
            moved[name], self.velocity[name] = ops.sgd(w, gradients[name], self.velocity[name], lr,
                                                       self.momentum, decay)
        self.network.update(moved)
