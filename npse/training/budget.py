"""Choose the model and the epochs for a budget of time such as 20min, on this machine.

Each model is timed for a few seconds. That gives the number of epochs that fit. The accuracy to expect comes from a
table of measured runs.
"""

import dataclasses
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from npse import data
from npse.support.names import suggest
from npse.training.config import Config
from npse.training.loop import prepare
from npse.training.metric_accumulator import read
from npse.training.step import Step

# Test accuracy on CIFAR-10, without mirror images, by number of epochs, with the default settings; see docs/results.md.
# Each is the mean of three seeds for 30 epochs, and of one seed for others.
MEASURED = {"se_resnet8": {5: 0.818, 10: 0.854}, "se_resnet20": {5: 0.868, 30: 0.921, 100: 0.930},
            "se_wide": {4: 0.895}}

START = 10.0          # seconds that a run takes besides its epochs: the start, and the pictures at the end
MARGIN = 0.97         # part of the span that is planned; the machine may be slower at times
SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}


@dataclass(frozen=True)
class Plan:
    """What fits a span: a model, its epochs, the seconds they take and the accuracy to expect."""

    model: str
    epochs: int
    seconds: float
    accuracy: float

    def __str__(self) -> str:
        return (f"{self.model} for {self.epochs} epochs takes about {self.seconds / 60:.1f} minutes here; "
                f"expect {self.accuracy:.1%} test accuracy or more")


def parse_span(text: str) -> float:
    """Return the seconds of "20min", "90s", "1.5h"; ValueError for anything else."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|sec|m|min|h)\s*", text)
    if not found or float(found[1]) == 0:
        raise ValueError(f"budget must be a span of time such as 20min, 90s or 1.5h, but is {text!r}")
    return float(found[1]) * SECONDS[found[2]]


def plan(config: Config, span: float, only: str | None = None,
         measured: Mapping[str, Mapping[int, float]] | None = None,
         pace: Callable[[Config], float] | None = None) -> Plan:
    """Choose model and epochs for a span of seconds.

    Parameters
    ----------
    config : Config, of a run on cifar10; its model and epochs are ignored
    span : float, seconds
    only : str, optional, the one model to consider
    measured : dict, model -> {epochs: accuracy}; `MEASURED` if left out
    pace : function of a Config -> seconds an epoch; `seconds_per_epoch` if left out

    Raises
    ------
    ValueError
        The data set is not cifar10, ``only`` is not in ``measured``, or no measured run fits the span.
    """
    measured, pace = measured or MEASURED, pace or seconds_per_epoch
    if data.name_of(config.data) != "cifar10":
        raise ValueError(f"budget has measured runs of cifar10 only, not of {config.data}; set epochs instead")
    if only is not None and only not in measured:
        raise ValueError(f"budget has no measured run of {only}; {suggest(only, measured)}")
    plans, shortest = [], float("inf")
    for model, table in measured.items():
        if only not in (None, model):
            continue
        seconds = pace(dataclasses.replace(config, model=model))
        epochs = int((MARGIN * span - START) / seconds)
        shortest = min(shortest, START + min(table) * seconds)
        if epochs >= min(table):
            plans.append(Plan(model, epochs, START + epochs * seconds, expected(table, epochs)))
    if not plans:
        raise ValueError(f"no measured run fits {span:.0f} s on this machine; "
                         f"the shortest takes about {shortest / MARGIN:.0f} s")
    return max(plans, key=lambda plan: plan.accuracy)


def expected(table: Mapping[int, float], epochs: int) -> float:
    """Return the accuracy after ``epochs``: linear in log(epochs) between measured runs, constant after the last."""
    known = sorted(table)
    return float(np.interp(np.log(epochs), np.log(known), [table[key] for key in known]))


def seconds_per_epoch(config: Config, at_least: float = 4.0) -> float:
    """Time training steps and an evaluation of a run for a few seconds; return the seconds of one epoch."""
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
    return steps * one_step + (time.monotonic() - began) * len(job.split.eval_images) / len(some)
