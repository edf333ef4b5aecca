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

    Raises
    ------
    ValueError
        An unknown rule, or weight decay with "muon".
    """

    patterns: tuple[str, ...] = ("*",)
    rule: str = "sgd"
    lr_scale: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"rule must be one of {', '.join(RULES)}, but is {self.rule!r}")
        if self.rule == "muon" and self.weight_decay:
            raise ValueError(f"weight_decay must be 0 for the rule muon, but is {self.weight_decay}; muon keeps the "
                             "norm of the filters by itself")

    def holds(self, name: str) -> bool:
        """Whether a parameter of that name belongs to the group."""
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.patterns)


def group_of(name: str, groups: tuple[ParameterGroup, ...]) -> int:
    """Return the index of the first group that holds a parameter; ValueError if none does."""
    for index, group in enumerate(groups):
        if group.holds(name):
            return index
    raise ValueError(f"no parameter group holds {name}; add a last group with the pattern '*'")


def sgd_groups(momentum: float = 0.9, weight_decay: float = 5e-4) -> tuple[ParameterGroup, ...]:
    """One group: all parameters, by SGD."""
    return (ParameterGroup(momentum=momentum, weight_decay=weight_decay),)


def muon_groups(momentum: float = 0.9, weight_decay: float = 5e-4,
                lr_scale: float = 0.0375) -> tuple[ParameterGroup, ...]:
    """Two groups: the 3x3 filters of the stages by Muon, all other parameters by SGD.

    The filters of the first convolution have three input channels, and those of projections are 1x1. Their matrices are
    too small to gain anything from Muon.

    Parameters
    ----------
    lr_scale : float
        The norm of a step of the filters, divided by the norm of the filters and by the learning rate.
    """
    return (ParameterGroup(FILTERS, "muon", lr_scale, momentum), *sgd_groups(momentum, weight_decay))
