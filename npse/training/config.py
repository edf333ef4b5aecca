"""The settings of a run. Settings, code and data together decide its result."""

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from npse.layers import Layer
from npse.support.names import suggest
from npse.training import records
from npse.training.optimizer import SGD, Muon, Optimizer

OPTIMIZERS = ("muon", "sgd")
LEGACY_DEFAULTS = {"optimizer": "sgd"}        # of runs from before this setting existed
OLD_NAMES = {"optimiser": "optimizer"}        # of settings, in the files of version 0.1
MOST = 10 ** 9                                # epochs, and images in a batch: more must be a mistake


@dataclass(frozen=True)
class Config:
    """Settings of one training run. The constructor raises ValueError for a wrong value."""

    data: str = "shapes"            # a name, or a path, which should be absolute
    image_size: int = 0             # height and width of own pictures; 0: the size that the data set has
    model: str = "se_resnet8"
    epochs: int = 10
    batch_size: int = 128
    lr: float = 0.4                 # peak of the one-cycle schedule
    warmup: float = 0.2             # share of all steps in which the learning rate rises
    optimizer: str = "muon"
    filter_lr: float = 0.015        # peak rate of the filters that muon updates: norm of a step / norm of the filters
    momentum: float = 0.9
    weight_decay: float = 5e-4      # of the weights of convolutions and dense layers, except those that muon updates
    smoothing: float = 0.1
    crop: int = 4                   # the most pixels by which a training image is shifted
    reduction: int = 4
    min_hidden: int = 4
    bias: bool = False
    excitation: str = "se"          # the structure in place of the two dense layers
    squeeze: str = "mean"
    gate: str = "sigmoid"
    hidden_norm: bool = False       # a batch norm in the hidden layer of the excitation
    stages: str = "all"             # the stages that have excitations: "all", or numbers such as "2,3"
    placement: str = "standard"
    shortcut: str = "projection"
    validation: int = 0             # training images held out and evaluated in place of the test set
    edition: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, kind in records.kinds_of(type(self)).items():
            self._expect(name, records.is_a(getattr(self, name), kind), f"be {records.KINDS[kind]}")
        for name in ("epochs", "batch_size"):
            self._expect(name, getattr(self, name) <= MOST, f"be at most {MOST}")
        for name in ("epochs", "batch_size", "reduction", "min_hidden"):
            self._expect(name, getattr(self, name) >= 1, "be at least 1")
        for name in ("momentum", "smoothing"):
            self._expect(name, 0 <= getattr(self, name) < 1, "lie in 0 <= value < 1")
        for name in ("seed", "crop", "validation", "weight_decay"):
            self._expect(name, 0 <= getattr(self, name) < math.inf, "be a number of at least 0")
        for name in ("lr", "filter_lr"):
            self._expect(name, 0 < getattr(self, name) < math.inf, "be a positive number")
        self._expect("image_size", self.image_size == 0 or 8 <= self.image_size <= 1024,
                     "lie in 8..1024, or be 0 for the size of the data set")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer must be a known name, but is {self.optimizer!r}; "
                             + suggest(self.optimizer, OPTIMIZERS))
        self._expect("filter_lr", self.optimizer == "muon" or self.filter_lr == Config.filter_lr,
                     "be left out with the optimizer sgd, which has one rate, lr, for all parameters")
        self._expect("stages", re.fullmatch(r"all|\d+(,\d+)*", self.stages) is not None,
                     "be all, or numbers with commas between them, such as 2,3")
        self._expect("warmup", 0 <= self.warmup <= 1, "lie in 0..1")

    def _expect(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            raise ValueError(f"{name} must {rule}, but is {records.short(getattr(self, name))}")

    def contradicts(self, trained: "Config") -> dict[str, Any]:
        """Return the settings that prevent these from resuming a run: {name: its value in ``trained``}, the run's own.

        The edition may differ, and ``epochs`` may be larger. All other settings must be equal.
        """
        ours, theirs = self.as_dict(), trained.as_dict()
        return {name: value for name, value in theirs.items()
                if not (name == "edition" or ours[name] == value or (name == "epochs" and ours[name] > value))}

    def model_options(self) -> dict[str, Any]:
        """Return the options of `npse.models.build`: the seed, and those that differ from their defaults."""
        names = ("reduction", "min_hidden", "bias", "excitation", "squeeze", "gate", "hidden_norm", "placement",
                 "shortcut")
        stages = {} if self.stages == "all" else {"stages": tuple(map(int, self.stages.split(",")))}
        return {"seed": self.seed} | stages | {name: getattr(self, name) for name in names
                                               if getattr(self, name) != getattr(Config, name)}

    def optimizer_for(self, network: Layer) -> Optimizer:
        """Make the optimizer of this run."""
        if self.optimizer == "sgd":
            return SGD(network, self.momentum, self.weight_decay)
        return Muon(network, self.momentum, self.weight_decay, lr_scale=self.filter_lr / self.lr)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as a plain dict."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> "Config":
        """Make a Config of the settings in a dict; other entries, such as versions and cores, are ignored."""
        records.expect(settings, {})
        renamed = {OLD_NAMES.get(name, name): value for name, value in settings.items()}
        names = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in (LEGACY_DEFAULTS | renamed).items() if name in names})
