"""Gradient descent over the parameters of a network."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from npse.backend import active, to_edition, updates_in_place
from npse.layers import Layer
from npse.layers.layer import Slot
from npse.training.lookahead import Lookahead
from npse.training.parameter_groups import RULES, ParameterGroup, group_of, muon_groups, sgd_groups
from npse.types import Array


class Optimizer:
    """Updates the parameters of a network, group by group.

    Parameters
    ----------
    network : Layer
    groups : ParameterGroup, one or more
        A parameter belongs to the first group that holds its name.
    lookahead : int
        Steps between two moves of the slow weights; 0: there are none.

    Attributes
    ----------
    velocity : dict of str to array
        One array for each parameter, shaped like it; part of a checkpoint.
    lookahead : Lookahead or None
        Its slow weights are part of a checkpoint too.

    Raises
    ------
    ValueError
        No group holds a parameter.
    """

    def __init__(self, network: Layer, groups: Iterable[ParameterGroup], lookahead: int = 0) -> None:
        self.network, self.groups = network, tuple(groups)
        self.lookahead = Lookahead(network, lookahead) if lookahead else None
        self._moves = [(slot, group_of(slot.name, self.groups)) for slot in network.slots("parameters")]
        self.velocity: dict[str, Array] = {name: np.zeros(w.shape, w.dtype)
                                           for name, w in network.named_parameters().items()}

    def to_device(self) -> None:
        """Move velocity and slow weights to the memory of the active edition."""
        self.velocity = {name: to_edition(v) for name, v in self.velocity.items()}
        if self.lookahead:
            self.lookahead.to_device()

    def load(self, velocity: Mapping[str, Array]) -> None:
        """Copy a velocity, one array of floats for each parameter; ValueError names an array that does not fit."""
        for name, v in self.velocity.items():
            if velocity[name].shape != v.shape or velocity[name].dtype.kind != "f":
                raise ValueError(f"the velocity of {name} must be floats of shape {v.shape}, "
                                 f"but is {velocity[name].dtype} of {velocity[name].shape}")
        self.velocity = {name: velocity[name].astype(v.dtype) for name, v in self.velocity.items()}

    def rates(self, lr: float, done: float = 0.0) -> tuple[Any, ...]:
        """Return the learning rate of each group in a step of rate ``lr``, in the dtype of the parameters.

        ``done`` is the share of the run that is over; see `ParameterGroup.rate`.
        """
        number = next(iter(self.velocity.values())).dtype.type
        return tuple(number(group.rate(lr, done)) for group in self.groups)

    def step(self, gradients: Mapping[str, Array], lr: float, done: float = 0.0) -> None:
        """Update every parameter by one step; ``gradients`` are arrays by name, ``lr`` and ``done`` as in `rates`."""
        self.step_at(gradients, self.rates(lr, done))

    def step_at(self, gradients: Mapping[str, Array], rates: Sequence[float | Array]) -> None:
        """Update every parameter by one step; ``rates`` has a number or an array of shape () for each group.

        The compiled editions change the arrays of parameters and velocity in place, on a device with few calls.
        """
        if not updates_in_place():
            for (name, owner, key), rule, call in self._calls(gradients, rates):
                owner[key], self.velocity[name] = getattr(active(), rule)(*call)
            return
        together: dict[str, list[tuple[Any, ...]]] = {rule: [] for rule in RULES}
        for _, rule, call in self._calls(gradients, rates):
            together[rule].append(call)
        for rule, calls in together.items():
            active().update(rule, calls)

    def _calls(self, gradients: Mapping[str, Array], rates: Sequence[float | Array]
               ) -> Iterator[tuple[Slot, str, tuple[Any, ...]]]:
        """Yield for each parameter the op that updates it and the arguments of the op."""
        for slot, index in self._moves:
            group, w = self.groups[index], slot.owner[slot.key]
            decay = (group.weight_decay if w.ndim > 1 else group.bias_decay,) if group.rule == "sgd" else ()
            yield slot, group.rule, (w, gradients[slot.name], self.velocity[slot.name], rates[index], group.momentum,
                                     *decay)


class SGD(Optimizer):
    """Nesterov SGD for all parameters; see `sgd_groups`."""

    def __init__(self, network: Layer, momentum: float = 0.9, weight_decay: float = 5e-4) -> None:
        super().__init__(network, sgd_groups(momentum, weight_decay))


class Muon(Optimizer):
    """Muon for the 3x3 filters of the stages, SGD for all other parameters; see `muon_groups`."""

    def __init__(self, network: Layer, momentum: float = 0.9, weight_decay: float = 5e-4,
                 lr_scale: float = 0.0375) -> None:
        super().__init__(network, muon_groups(momentum, weight_decay, lr_scale))
