"""Parameter groups: which parameters of a network an optimizer updates, by which rule and at which rate."""

import fnmatch
from dataclasses import dataclass

RULES = ("sgd", "muon")
FILTERS = ("layer*.conv?.weight",)            # in every model: all 3x3 filters except those of the first convolution


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that are updated by the same rule.

    Attributes
    ----------
    patterns : tuple of str
        Patterns of parameter names; ``*`` stands for any characters, ``?`` for one.
    rule : str
        The op that updates them: "sgd" or "muon", see `npse.reference.sgd` and `npse.reference.muon`.
    lr_scale : float
        The group's learning rate divided by the learning rate of the step.
    momentum : float
    weight_decay : float
        Applies to parameters with two axes or more, so not to those of batch norm and not to biases. It must be 0 for
        "muon", which keeps the norm of the filters.
    bias_decay : float
        Weight decay of parameters with one axis: biases, and the scales of batch norm.
    share : float
        After this share of the run the group is not updated any more.

    Raises
    ------
    ValueError
        An unknown rule, weight decay with "muon", or a share that is not in 0 < share <= 1.
    """

    patterns: tuple[str, ...] = ("*",)
    rule: str = "sgd"
    lr_scale: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 0.0
    bias_decay: float = 0.0
    share: float = 1.0

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"rule must be one of {', '.join(RULES)}, but is {self.rule!r}")
        if self.rule == "muon" and self.weight_decay:
            raise ValueError(f"weight_decay must be 0 for the rule muon, but is {self.weight_decay}; muon keeps the "
                             "norm of the filters by itself")
        if not 0 < self.share <= 1:
            raise ValueError(f"share must lie in 0 < share <= 1, but is {self.share}")

    def rate(self, lr: float, done: float) -> float:
        """Return the group's learning rate: of a step with rate ``lr``, when the share ``done`` of the run is over.

        With the share 1 it is lr_scale * lr. With another share and a rate that falls in a line to zero at the end of
        the run, it falls in a line to zero at that share.
        """
        if self.share == 1:
            return self.lr_scale * lr
        return self.lr_scale * lr * max(0.0, 1 - done / self.share) / (1 - done)

    def holds(self, name: str) -> bool:
        """Whether a parameter of that name belongs to the group."""
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.patterns)


def group_of(name: str, groups: tuple[ParameterGroup, ...]) -> int:
    """Return the index of the first group that holds a parameter; ValueError if none does."""
    for index, group in enumerate(groups):
        if group.holds(name):
            return index
    raise ValueError(f"no parameter group holds {name}; add a last group with the pattern '*'")


def sgd_groups(momentum: float = 0.9, weight_decay: float = 5e-4,
               bias_decay: float = 0.0) -> tuple[ParameterGroup, ...]:
    """One group: all parameters, by SGD."""
    return (ParameterGroup(momentum=momentum, weight_decay=weight_decay, bias_decay=bias_decay),)


def bias_groups(momentum: float, lr_scale: float, share: float,
                bias_decay: float = 0.0) -> tuple[ParameterGroup, ...]:
    """Groups of the biases: none if they need no groups of their own, or those with another rate or for another time.

    Parameters
    ----------
    momentum : float
    lr_scale : float
        The rate of all biases, divided by the learning rate of the step.
    share : float
        The share of the run in which the bias of a `npse.layers.Whitening` is updated.
    bias_decay : float
    """
    whitening = ParameterGroup(("whiten.bias",), "sgd", lr_scale, momentum, bias_decay=bias_decay, share=share)
    others = ParameterGroup(("*.bias",), "sgd", lr_scale, momentum, bias_decay=bias_decay)
    return (whitening,) * (share < 1) + (others,) * (lr_scale != 1)


def muon_groups(momentum: float = 0.9, weight_decay: float = 5e-4, lr_scale: float = 0.0375,
                filter_momentum: float | None = None, bias_decay: float = 0.0) -> tuple[ParameterGroup, ...]:
    """Two groups: the 3x3 filters of the stages by Muon, all other parameters by SGD.

    The filters of the first convolution have three input channels, and those of projections are 1x1. Their matrices are
    too small to gain anything from Muon.

    Parameters
    ----------
    lr_scale : float
        The norm of a step of the filters, divided by the norm of the filters and by the learning rate.
    filter_momentum : float, optional
        Of the filters; by default ``momentum``.
    """
    of_filters = momentum if filter_momentum is None else filter_momentum
    return (ParameterGroup(FILTERS, "muon", lr_scale, of_filters), *sgd_groups(momentum, weight_decay, bias_decay))
