"""The training loop: one function that runs a run, from its start or from where it stopped.

Bit for bit: all randomness is derived from (seed, epoch, step), and a checkpoint holds parameters, running statistics,
velocity and the sums of the epoch under way. So a run that was killed and resumed ends with the weights of a run that
was not, on the same machine with the same number of threads.
"""

import time
from dataclasses import dataclass

import numpy as np

from npse import backend, data, models
from npse.layers import Layer
from npse.training import sanity
from npse.training.config import Config
from npse.training.evaluation import evaluate
from npse.training.optimiser import SGD
from npse.training.schedule import one_cycle

CHECKPOINT_SECONDS = 60.0
PROBED_STEP = 30


class Interrupted(Exception):
    """The run was asked to stop; its state is saved."""


@dataclass
class Progress:
    """Where a run stands, and the sums of the epoch under way."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    seen: int = 0
    seconds: float = 0.0
    best_accuracy: float = -1.0

    def next_epoch(self):
        """Begin the next epoch."""
        self.epoch, self.step, self.loss_sum, self.correct, self.seen, self.seconds = self.epoch + 1, 0, 0.0, 0, 0, 0.0


@dataclass(frozen=True)
class Split:
    """The images that a run trains on and those it is evaluated on after every epoch."""

    images: np.ndarray
    labels: np.ndarray
    held_images: np.ndarray
    held_labels: np.ndarray

    @classmethod
    def of(cls, dataset, validation):
        """Hold out the last ``validation`` training images; with 0, evaluate on the test set."""
        if not validation:
            return cls(dataset.images, dataset.labels, dataset.test_images, dataset.test_labels)
        if validation >= len(dataset.images):
            raise ValueError(f"--validation {validation} leaves no image to train on: {dataset.name} has "
                             f"{len(dataset.images)} training images")
        return cls(dataset.images[:-validation], dataset.labels[:-validation],
                   dataset.images[-validation:], dataset.labels[-validation:])


@dataclass
class Job:
    """All that a run works on: data, network, optimiser."""

    config: Config
    dataset: data.Dataset
    split: Split
    network: Layer
    optimiser: SGD


def prepare(config):
    """Load the data and build the network of a run; raises whatever is wrong with its settings, and writes nothing."""
    dataset = data.load(config.data)
    network = models.build(config.model, classes=len(dataset.classes), input_gradient=False, **config.model_options())
    return Job(config, dataset, Split.of(dataset, config.validation), network,
               SGD(network, config.momentum, config.weight_decay))


@np.errstate(over="ignore", invalid="ignore")                     # the loss tells of a run that diverges
def run(job, folder, report, *, resume=False, stop=lambda: False):
    """Train until the last epoch, evaluating and saving after each; the job's network is what has been trained.

    Parameters
    ----------
    job : Job, from `prepare`
    folder : RunFolder, created
    report : object with methods ``say(line)``, ``began(epochs, steps, progress)``, ``stepped(progress, batch)``
        and ``epoch_done(row)``
    resume : bool, continue from the folder's last checkpoint if it has one
    stop : callable; once it returns True the run is saved and `Interrupted` raised

    Raises
    ------
    Interrupted, FloatingPointError
        Asked to stop; or the loss is no longer a finite number, in which case the last checkpoint stands as it was.
    """
    config, dataset, split, network, optimiser = job.config, job.dataset, job.split, job.network, job.optimiser
    progress = Progress()
    if resume and folder.last.exists():
        progress = Progress(**folder.restore_last(network, optimiser))
        folder.keep_metrics_before(progress.epoch)
    steps = data.steps_per_epoch(len(split.images), config.batch_size)
    report.began(config.epochs, steps, progress)
    saved = time.monotonic()

    while progress.epoch < config.epochs:
        batches = data.training_batches(split.images, split.labels, dataset.mean, dataset.std, config.batch_size,
                                        config.seed, progress.epoch, progress.step)
        started = time.monotonic() - progress.seconds

        def rate(step, epoch=progress.epoch):
            return one_cycle(epoch * steps + step, config.epochs * steps, config.lr, config.warmup)

        for x, labels in batches:
            loss, correct, lines = training_step(network, optimiser, x, labels, rate(progress.step),
                                                 config.smoothing, progress)
            for line in lines:
                report.say(line)
            progress.step += 1
            progress.loss_sum += loss * len(x)
            progress.correct += correct
            progress.seen += len(x)
            progress.seconds = time.monotonic() - started
            report.stepped(progress, len(x))
            if stop():
                folder.save_last(network, optimiser, vars(progress))
                raise Interrupted
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                folder.save_last(network, optimiser, vars(progress))
                saved = time.monotonic()

        held = evaluate(network, split.held_images, split.held_labels, dataset.mean, dataset.std)
        row = {"epoch": progress.epoch + 1, "lr": rate(steps - 1), "train_loss": progress.loss_sum / progress.seen,
               "train_accuracy": progress.correct / progress.seen, "loss": held.loss, "accuracy": held.accuracy,
               "evaluated_on": "validation" if config.validation else "test",
               "seconds": progress.seconds, "images_per_second": progress.seen / progress.seconds}
        folder.append_metrics(row)
        if held.accuracy > progress.best_accuracy:
            progress.best_accuracy = held.accuracy
            folder.save_best(network, {"epoch": row["epoch"], "accuracy": held.accuracy})
        progress.next_epoch()
        folder.save_last(network, optimiser, vars(progress))
        saved = time.monotonic()
        report.epoch_done(row)


def training_step(network, optimiser, x, labels, lr, smoothing, progress):
    """Forward, loss, backward, update. Returns the loss, the number of right answers, and sanity lines."""
    ops = backend.active()
    first_epoch = progress.epoch == 0
    probed = first_epoch and progress.step == PROBED_STEP
    probe = sanity.Probe()
    if probed:
        with backend.watching(probe):
            logits, network_backward = network(x)
    else:
        logits, network_backward = network(x)
    loss = float(ops.softmax_cross_entropy(logits, labels, smoothing))
    if not np.isfinite(loss):
        raise FloatingPointError(
            f"the loss is {loss} at epoch {progress.epoch + 1}, step {progress.step + 1}: training has diverged. "
            "Lower --lr (a third of it, say) or lengthen --warmup; the last checkpoint is as it was")
    _, gradients = network_backward(ops.softmax_cross_entropy_backward(1.0, logits, labels, smoothing))

    before = network.named_parameters()
    optimiser.step(gradients, lr)
    lines = []
    if first_epoch and progress.step == 0:
        lines = [sanity.first_loss(loss, logits.shape[1])]
    if probed:
        lines = [*probe.findings(), sanity.update_ratio(before, network.named_parameters())]
    return loss, int((logits.argmax(axis=1) == labels).sum()), lines
