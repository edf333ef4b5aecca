"""Parameter groups: which parameters of a network an optimizer moves, by which rule and at which rate."""

import fnmatch
from dataclasses import dataclass

RULES = ("sgd", "muon")
FILTERS = ("layer*.conv?.weight",)            # in the stages of every model: all filters of 3x3 but those of the stem


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that are moved alike.

    Attributes
    ----------
    patterns : tuple of str
        Of dotted names; ``*`` stands for any characters, ``?`` for one.
    rule : str
        The op that moves them: "sgd" or "muon", see `npse.reference.sgd` and `npse.reference.muon`.
    lr_scale : float
        The group's learning rate, in units of the rate that a step is made with.
    momentum : float
    weight_decay : float
        Of parameters with two axes or more: those of batch norm and biases are not decayed. Not for "muon", which
        keeps the length of what it moves.

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
            raise ValueError(f"weight_decay must be 0 for the rule muon, but is {self.weight_decay}: muon keeps the "
                             "length of what it moves")

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
    """Two groups: filters that see features by Muon, all other parameters by SGD.

    Filters of the first layer see colours, and those of projections have one tap: their matrices are too small for
    Muon to gain anything.

    Parameters
    ----------
    lr_scale : float
        The length of a step of the filters, in lengths of the filters, for each unit of the learning rate.
    """
    return (ParameterGroup(FILTERS, "muon", lr_scale, momentum), *sgd_groups(momentum, weight_decay))
