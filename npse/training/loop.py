"""The training loop: one function that runs a run, from its start or from where it stopped.

Bit for bit: all randomness is derived from (seed, epoch, step), and a checkpoint holds parameters, running statistics,
velocity and the sums of the epoch under way. So a run that was killed and resumed ends with the weights of a run that
was not, on the same machine, in the same edition, with the same number of threads. Another edition goes on with it as
well, though not to the same bits: it adds up in another order.
"""

import contextlib
import time
from dataclasses import dataclass

import numpy as np

from npse import backend, data, models
from npse.backend import to_edition, to_host
from npse.layers import Layer
from npse.training import metrics, sanity
from npse.training.config import Config
from npse.training.evaluation import evaluate
from npse.training.metric_accumulator import MetricAccumulator, Progress, diverged
from npse.training.optimizer import SGD
from npse.training.recorded import RecordedStep, can_record
from npse.training.schedule import one_cycle
from npse.training.step import step

CHECKPOINT_SECONDS = 60.0
SANITY_STEP = 30


class Interrupted(Exception):
    """The run was asked to stop; its state is saved."""


@dataclass(frozen=True)
class Split:
    """The images that a run trains on and those it is evaluated on after every epoch."""

    images: np.ndarray
    labels: np.ndarray
    eval_images: np.ndarray
    eval_labels: np.ndarray

    @classmethod
    def from_dataset(cls, dataset, validation):
        """Hold out the last ``validation`` training images; with 0, evaluate on the test set."""
        if not validation:
            return cls(dataset.images, dataset.labels, dataset.test_images, dataset.test_labels)
        if validation >= len(dataset.images):
            raise ValueError(f"validation {validation} leaves no image to train on: {dataset.name} has "
                             f"{len(dataset.images)} training images")
        return cls(dataset.images[:-validation], dataset.labels[:-validation],
                   dataset.images[-validation:], dataset.labels[-validation:])


@dataclass
class TrainingJob:
    """All that a run works on: data, network, optimizer."""

    config: Config
    dataset: data.Dataset
    split: Split
    network: Layer
    optimizer: SGD

    def place(self):
        """Put what is trained where the active edition keeps its arrays."""
        self.network.place()
        self.optimizer.place()


def prepare(config):
    """Load the data and build the network of a run; raises whatever is wrong with its settings, and writes nothing."""
    dataset = data.load(config.data)
    network = models.build(config.model, classes=len(dataset.classes), input_gradient=False, **config.model_options())
    return TrainingJob(config, dataset, Split.from_dataset(dataset, config.validation), network,
               config.optimizer_for(network))


@np.errstate(over="ignore", invalid="ignore")                     # the loss tells of a run that diverges
def run(job, folder, report, *, resume=False, stop=lambda: False):
    """Train until the last epoch, evaluating and saving after each; the job's network is what has been trained.

    Parameters
    ----------
    job : TrainingJob, from `prepare`
    folder : RunFolder, created
    report : object with methods ``say(line)``, ``began(epochs, steps, progress)``, ``stepped(progress, batch)``
        and ``epoch_done(row)``; on a device it hears of several steps at once
    resume : bool, continue from the folder's last checkpoint if it has one; with more epochs in the job's config than
        the run had, the learning rate is from there on that of a run of so many epochs, see `one_cycle`
    stop : callable; once it returns True the run is saved and `Interrupted` raised

    Raises
    ------
    Interrupted, FloatingPointError
        Asked to stop; or the loss is no longer a finite number, in which case the last checkpoint stands as it was.
    FileNotFoundError
        There is no checkpoint to resume from, though there must have been one.
    ValueError
        A file to resume from is damaged, or belongs to other settings or data; nothing in the folder is changed.
    """
    config, dataset, split, network, optimizer = job.config, job.dataset, job.split, job.network, job.optimizer
    steps = data.steps_per_epoch(len(split.images), config.batch_size)
    progress = _resumed(job, folder, steps, report) if resume else Progress()
    if config.batch_size > len(split.images):
        report.say(f"LOOK  batch_size {config.batch_size} is more than the {len(split.images)} training images: "
                   "an epoch is one step, with all of them")
    job.place()
    images, eval_images, mean, std = map(to_edition, (split.images, split.eval_images, dataset.mean, dataset.std))
    report.began(config.epochs, steps, progress)
    recorded = RecordedStep(network, optimizer, config.smoothing, report.say) if can_record() else None
    saved = time.monotonic()

    while progress.epoch < config.epochs:
        batches = data.training_batches(images, split.labels, mean, std, config.batch_size, config.seed,
                                        progress.epoch, progress.step, config.crop)
        metrics_of_epoch = MetricAccumulator(progress, report)

        def rate(step, epoch=progress.epoch):
            return one_cycle(epoch * steps + step, config.epochs * steps, config.lr, config.warmup)

        for x, labels in batches:
            lr = rate(progress.step)
            if recorded and (progress.epoch, progress.step) > (0, SANITY_STEP):
                (loss, logits), lines = recorded(x, labels, lr), ()
            else:
                loss, logits, lines = training_step(network, optimizer, x, labels, lr, config.smoothing, progress)
            for line in lines:
                report.say(line)
            metrics_of_epoch.add(loss, logits, labels)
            if stop():
                metrics_of_epoch.flush()
                folder.save_last(network, optimizer, progress, config)
                raise Interrupted
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                metrics_of_epoch.flush()
                folder.save_last(network, optimizer, progress, config)
                saved = time.monotonic()

        metrics_of_epoch.flush()
        held = evaluate(network, eval_images, split.eval_labels, mean, std)
        if not np.isfinite(held.loss):
            raise diverged(f"the loss of the held-out images is {held.loss} after epoch {progress.epoch + 1}")
        row = {"epoch": progress.epoch + 1, "lr": rate(steps - 1), "train_loss": progress.loss_sum / progress.seen,
               "train_accuracy": progress.correct / progress.seen, "loss": held.loss, "accuracy": held.accuracy,
               "evaluated_on": "validation" if config.validation else "test",
               "seconds": progress.seconds, "images_per_second": progress.seen / progress.seconds}
        metrics.append(folder.metrics_file, row)
        if held.accuracy > progress.best_accuracy:
            progress.best_accuracy = held.accuracy
            folder.save_best(network, {"epoch": row["epoch"], "accuracy": held.accuracy})
        progress.next_epoch()
        folder.save_last(network, optimizer, progress, config)
        saved = time.monotonic()
        report.epoch_done(row)


def _resumed(job, folder, steps, report):
    """Put the newest state of the folder into the job; return its progress.

    All that the folder holds is read, and understood, before anything in it is changed.
    """
    config = job.config
    folder.expect_data(job.dataset)
    progress, on_record = Progress(), max((row["epoch"] for row in folder.metrics()), default=0)
    if folder.best.exists():
        on_record = max(on_record, folder.best_epoch())
    if folder.last.exists():
        batch = min(config.batch_size, len(job.split.images))
        progress = folder.restore_last(job.network, job.optimizer, config, steps, batch)
    elif on_record > 1:                                           # one may be on record just before it is saved
        raise FileNotFoundError(f"{folder.last} is missing, though {on_record} epochs are on record; restore that "
                                "file or start a new run")
    if before := folder.raise_epochs(config.epochs, progress):
        report.say(f"epochs raised from {before} to {config.epochs}: the learning rate is from here on that of a run "
                   f"of {config.epochs} epochs")
    if old := metrics.keep_until(folder.metrics_file, progress.epoch):
        report.say(f"the epochs on record after epoch {progress.epoch} are trained again; they are kept in {old}")
    if progress.epoch == config.epochs:
        report.say(f"the run is finished ({progress.epoch} of {config.epochs} epochs); more epochs train it on")
    return progress


def training_step(network, optimizer, x, labels, lr, smoothing, progress):
    """Make a `step` and, early in the first epoch, look at it; returns loss, logits and what is to be said of them."""
    first_epoch = progress.epoch == 0
    probe = sanity.Probe() if first_epoch and progress.step == SANITY_STEP else None
    before = network.named_parameters()
    with backend.observing(probe) if probe else contextlib.nullcontext():
        loss, logits = step(network, optimizer, x, labels, lr, smoothing)
    lines = []
    if first_epoch and progress.step == 0:
        lines = [sanity.first_loss(float(to_host(loss)), logits.shape[1])]
    if probe:
        lines = [*probe.findings(), sanity.update_ratio(before, network.named_parameters())]
    return loss, logits, lines
