"""The settings of a run. Settings, code and data together decide its result."""

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from npse.layers import Layer
from npse.support.names import suggest
from npse.training import records
from npse.training.evaluation import VIEWS
from npse.training.optimizer import Optimizer
from npse.training.parameter_groups import bias_groups, muon_groups, sgd_groups

OPTIMIZERS = ("muon", "sgd")
LEGACY_DEFAULTS = {"optimizer": "sgd"}        # of runs from before this setting existed
OLD_NAMES = {"optimiser": "optimizer"}        # of settings, in the files of version 0.1
APART = ("edition", "tta")    # they do not change what is trained, so a run can be resumed with others
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
    bias_lr: float | None = None    # peak rate of the biases, also of batch norm; None: lr
    momentum: float = 0.9
    filter_momentum: float | None = None           # of the filters that muon updates; None: momentum
    weight_decay: float = 5e-4      # of the weights of convolutions and dense layers, except those that muon updates
    bias_decay: float = 0.0         # of biases and of the scales of batch norm
    smoothing: float = 0.1
    sync_bn: bool = False           # batch norm over all ranks of MPI, not over those images that one of them has
    parts: int = 1                  # of a batch, which pass through the network one after another
    norm_momentum: float = 0.1      # of batch norm: the weight of a part of a batch in the running statistics
    whiten_share: float = 1.0       # the share of the run in which the bias of a whitening layer is trained
    lookahead: int = 0              # steps between two moves of the slow weights; 0: none
    crop: int = 4                   # the most pixels by which a training image is shifted
    jitter: float = 0.0             # the most by which contrast and brightness of a training image change
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
    options: dict[str, Any] = dataclasses.field(default_factory=dict)     # of the model, beside those named above
    validation: int = 0             # training images held out and evaluated in place of the test set
    tta: str = "none"               # the views that the accuracy at the end averages over
    edition: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, kind in records.kinds_of(type(self)).items():
            self._expect(name, records.is_a(getattr(self, name), kind), f"be {records.KINDS[kind]}")
        for name in ("epochs", "batch_size"):
            self._expect(name, getattr(self, name) <= MOST, f"be at most {MOST}")
        for name in ("epochs", "batch_size", "reduction", "min_hidden", "parts"):
            self._expect(name, getattr(self, name) >= 1, "be at least 1")
        self._expect("parts", self.batch_size % self.parts == 0, f"divide the batch size {self.batch_size}")
        for name in ("momentum", "smoothing", "filter_momentum"):
            self._expect(name, getattr(self, name) is None or 0 <= getattr(self, name) < 1, "lie in 0 <= value < 1")
        self._expect("jitter", 0 <= self.jitter < 1, "lie in 0 <= value < 1")
        for name in ("norm_momentum", "whiten_share"):
            self._expect(name, 0 < getattr(self, name) <= 1, "lie in 0 < value <= 1")
        for name in ("seed", "crop", "validation", "weight_decay", "bias_decay", "lookahead"):
            self._expect(name, 0 <= getattr(self, name) < math.inf, "be a number of at least 0")
        for name in ("lr", "filter_lr", "bias_lr"):
            self._expect(name, getattr(self, name) is None or 0 < getattr(self, name) < math.inf,
                         "be a positive number")
        self._expect("image_size", self.image_size == 0 or 8 <= self.image_size <= 1024,
                     "lie in 8..1024, or be 0 for the size of the data set")
        own = [*self.as_dict(), "classes", "channels", "input_gradient", "se"]
        for name in self.options:
            self._expect("options", name not in own,
                         f"not hold {name}, which has a setting of its own or follows from other ones")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer must be a known name, but is {self.optimizer!r}; "
                             + suggest(self.optimizer, OPTIMIZERS))
        self._expect("filter_lr", self.optimizer == "muon" or self.filter_lr == Config.filter_lr,
                     "be left out with the optimizer sgd, which has one rate, lr, for all parameters")
        if self.tta not in VIEWS:
            raise ValueError(f"unknown test-time augmentation {self.tta!r}; {suggest(self.tta, VIEWS)}")
        self._expect("stages", re.fullmatch(r"all|\d+(,\d+)*", self.stages) is not None,
                     "be all, or numbers with commas between them, such as 2,3")
        self._expect("warmup", 0 <= self.warmup <= 1, "lie in 0..1")

    def __hash__(self) -> int:
        return hash(json.dumps(self.as_dict(), sort_keys=True))

    def _expect(self, name: str, holds: bool, rule: str) -> None:
        if not holds:
            raise ValueError(f"{name} must {rule}, but is {records.short(getattr(self, name))}")

    def contradicts(self, trained: "Config") -> dict[str, Any]:
        """Return the settings that prevent these from resuming a run: {name: its value in ``trained``}, the run's own.

        Those of `APART` may differ, and ``epochs`` may be larger. All other settings must be equal.
        """
        ours, theirs = self.as_dict(), trained.as_dict()
        return {name: value for name, value in theirs.items()
                if not (name in APART or ours[name] == value or (name == "epochs" and ours[name] > value))}

    def identity(self) -> "Config":
        """Return what identifies a run: its settings with the defaults of `APART`."""
        return dataclasses.replace(self, **{name: getattr(Config, name) for name in APART})

    def model_options(self) -> dict[str, Any]:
        """Return the options of `npse.models.build`: the seed, and those that differ from their defaults."""
        names = ("reduction", "min_hidden", "bias", "excitation", "squeeze", "gate", "hidden_norm", "placement",
                 "shortcut")
        stages = {} if self.stages == "all" else {"stages": tuple(map(int, self.stages.split(",")))}
        return {"seed": self.seed} | stages | self.options | {name: getattr(self, name) for name in names
                                                              if getattr(self, name) != getattr(Config, name)}

    def optimizer_for(self, network: Layer) -> Optimizer:
        """Make the optimizer of this run."""
        groups = sgd_groups(self.momentum, self.weight_decay, self.bias_decay)
        if self.optimizer == "muon":
            groups = muon_groups(self.momentum, self.weight_decay, self.filter_lr / self.lr, self.filter_momentum,
                                 self.bias_decay)
        bias_scale = 1.0 if self.bias_lr is None else self.bias_lr / self.lr
        of_biases = bias_groups(self.momentum, bias_scale, self.whiten_share, self.bias_decay)
        return Optimizer(network, (*of_biases, *groups), self.lookahead)

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
