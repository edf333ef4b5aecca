"""Choose the network, its settings and the epochs for a budget of time such as 20min, on this machine.

Each network is timed for a few seconds. That gives the number of epochs that fit. The accuracy to expect comes from a
table of measured runs: that of `MEASURED`, and those of the recipes.
"""

import dataclasses
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npse import data
from npse.support.names import suggest
from npse.training import recipes
from npse.training.config import Config
from npse.training.evaluation import most_predictions
from npse.training.job import prepare
from npse.training.metric_accumulator import read
from npse.training.step import Step

# Test accuracy on CIFAR-10, one view of an image, by number of epochs, with the default settings; see docs/results.md.
# Each is the mean of three seeds for 30 epochs, and of one seed for others.
MEASURED = {"se_resnet8": {5: 0.818, 10: 0.854}, "se_resnet20": {5: 0.868, 30: 0.921, 100: 0.930},
            "se_wide": {4: 0.895}}

START = 10.0          # seconds that a run takes besides its epochs: the start, and the pictures at the end
MARGIN = 0.97         # part of the span that is planned; the machine may be slower at times
SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}


@dataclass(frozen=True)
class Candidate:
    """A run on CIFAR-10 whose accuracy is known: its name, its settings, and accuracies by number of epochs."""

    name: str
    config: Config
    measured: Mapping[int, float]


@dataclass(frozen=True)
class Pace:
    """The seconds of an epoch with its evaluation, and those of the views at the end of a run."""

    epoch: float
    views: float = 0.0


@dataclass(frozen=True)
class Plan:
    """What fits a span: settings, the seconds they take and the accuracy to expect."""

    name: str
    config: Config
    seconds: float
    accuracy: float

    def __str__(self) -> str:
        return (f"{self.name} for {self.config.epochs} epochs takes about {self.seconds / 60:.1f} minutes here; "
                f"expect {self.accuracy:.1%} test accuracy or more")


def parse_span(text: str) -> float:
    """Return the seconds of "20min", "90s", "1.5h"; ValueError for anything else."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|sec|m|min|h)\s*", text)
    if not found or float(found[1]) == 0:
        raise ValueError(f"budget must be a span of time such as 20min, 90s or 1.5h, but is {text!r}")
    return float(found[1]) * SECONDS[found[2]]


def candidates(given: Mapping[str, Any]) -> list[Candidate]:
    """Return the runs on CIFAR-10 whose accuracy is known, with some settings that are given.

    Parameters
    ----------
    given : dict
        Settings of `Config`. They replace those of the candidates. If ``model`` is among them, only its runs remain.

    Raises
    ------
    ValueError
        The data set is not cifar10, or there is no measured run of the model.
    """
    data_set = given.get("data", Config.data)
    if data.name_of(data_set) != "cifar10":
        raise ValueError(f"budget has measured runs of cifar10 only, not of {data_set}; set epochs instead")
    found = [Candidate(model, Config(**{**given, "model": model}), table) for model, table in MEASURED.items()]
    for name in recipes.NAMES:
        recipe = recipes.load(name)
        if recipe.accuracy and data.name_of(recipe.settings["data"]) == "cifar10":
            settings = recipes.merged(recipe.settings, given) | {"model": recipe.settings["model"]}
            found.append(Candidate(f"recipe {name}", Config(**settings), recipe.accuracy))
    model = given.get("model")
    if model is None:
        return found
    known = sorted({candidate.config.model for candidate in found})
    if model not in known:
        raise ValueError(f"budget has no measured run of {model}; {suggest(model, known)}")
    return [candidate for candidate in found if candidate.config.model == model]


def plan(runs: Sequence[Candidate], span: float, pace: Callable[[Candidate], Pace] | None = None) -> Plan:
    """Choose a run and its epochs for a span of seconds.

    Parameters
    ----------
    runs : sequence of Candidate, from `candidates`
    span : float, seconds
    pace : function of a Candidate -> Pace; `measure` of its settings if left out

    Raises
    ------
    ValueError
        No run fits the span.
    """
    pace = pace or (lambda run: measure(run.config))
    plans, shortest = [], float("inf")
    for run in runs:
        took = pace(run)
        rest = START + took.views
        epochs = int((MARGIN * span - rest) / took.epoch)
        shortest = min(shortest, rest + min(run.measured) * took.epoch)
        if epochs >= min(run.measured):
            plans.append(Plan(run.name, dataclasses.replace(run.config, epochs=epochs), rest + epochs * took.epoch,
                              expected(run.measured, epochs)))
    if not plans:
        raise ValueError(f"no measured run fits {span:.0f} s on this machine; "
                         f"the shortest takes about {shortest / MARGIN:.0f} s")
    return max(plans, key=lambda plan: plan.accuracy)


def expected(table: Mapping[int, float], epochs: int) -> float:
    """Return the accuracy after ``epochs``: linear in log(epochs) between measured runs, constant after the last."""
    known = sorted(table)
    return float(np.interp(np.log(epochs), np.log(known), [table[key] for key in known]))


def measure(config: Config, at_least: float = 4.0) -> Pace:
    """Time training steps and an evaluation of a run for a few seconds."""
    from npse.training.evaluation import predict

    job = prepare(config)
    job.to_device()
    images, labels = job.split.images, job.split.labels
    steps = data.steps_per_epoch(len(images), config.batch_size)
    batches = data.training_batches(images, labels, job.dataset.mean, job.dataset.std, config.batch_size,
                                    config.seed, epoch=0)
    some = job.split.eval_images[:1000]
    make_step = Step(job.network, job.optimizer, config.smoothing, parts=config.parts)

    def step() -> None:
        x, y = next(batches)
        loss, logits = make_step.plain(x, y, 1e-3)
        read(loss, logits, y)                                     # on a device this waits for the step

    def evaluate() -> None:
        predict(job.network, some, job.dataset.mean, job.dataset.std)

    step()
    evaluate()                                            # compile kernels and take memory before the clock starts
    began, count = time.monotonic(), 0
    while time.monotonic() - began < at_least and count < steps - 1:
        step()
        count += 1
    one_step = (time.monotonic() - began) / count
    began = time.monotonic()
    evaluate()
    evaluation = (time.monotonic() - began) * len(job.split.eval_images) / len(some)
    views = 0.0 if config.tta == "none" else most_predictions(config.tta) * evaluation
    return Pace(steps * one_step + evaluation, views)
