"""The training loop. `run` trains a run from its start, or from its last checkpoint.

All randomness is derived from (seed, epoch, step). A checkpoint holds parameters, running statistics, velocity and the
sums of the current epoch. So a run that was stopped and resumed ends with exactly the weights of a run that was not
stopped, on the same machine, in the same edition, with the same number of threads. Another edition can resume the run
too, but its sums have another order, so the last bits differ. That holds for another number of ranks, too.

Several ranks of MPI may train together: each calls `run`, see `npse.training.distributed`. Rank 0 alone writes.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from npse import backend, data
from npse.backend import to_edition, to_host
from npse.layers.gate_visitor import visiting_gates
from npse.training import metrics, sanity
from npse.training.distributed import SharedStep
from npse.training.evaluation import evaluate
from npse.training.gate_histograms import GateHistograms
from npse.training.job import TrainingJob
from npse.training.metric_accumulator import MetricAccumulator, Progress, diverged
from npse.training.ranks import ALONE, RankLost, Ranks
from npse.training.recorded import can_record
from npse.training.reporter import Reporter
from npse.training.run_folder import RunFolder
from npse.training.schedule import one_cycle
from npse.training.step import Step
from npse.types import Array

CHECKPOINT_SECONDS = 60.0
SANITY_STEP = 30


class Interrupted(Exception):
    """The run was stopped on request; its state is saved."""


@np.errstate(over="ignore", invalid="ignore")                     # the loop checks the loss instead
def run(job: TrainingJob, folder: RunFolder, report: Reporter, *, resume: bool = False,
        stop: Callable[[], bool] = lambda: False, ranks: Ranks = ALONE) -> None:
    """Train until the last epoch; evaluate and save after each. Afterwards the job's network has the trained weights.

    Parameters
    ----------
    job : TrainingJob, from `prepare`
    folder : RunFolder, created
    report : Reporter
    resume : bool
        Continue from the folder's last checkpoint if there is one. If the job's config has more epochs than the run
        had, the learning rate from there on is that of a run with the new number of epochs, see `one_cycle`.
    stop : callable; when it returns True, the run is saved and `Interrupted` is raised
    ranks : Ranks
        Those that train together. They have equal jobs and folders, and each calls this function.

    Raises
    ------
    Interrupted
        ``stop`` returned True, in any rank.
    RankLost
        Another rank failed or gave no answer. Rank 0 has saved the state after the last step.
    FloatingPointError
        The loss is not a finite number; the last checkpoint stays as it was.
    FileNotFoundError
        The checkpoint to resume from is missing, although epochs are on record.
    ValueError
        A file to resume from is damaged, or belongs to other settings or data; nothing in the folder is changed.
    """
    config, split = job.config, job.split
    steps = data.steps_per_epoch(len(split.images), config.batch_size)
    progress = _resumed(job, folder, steps, report, ranks) if resume else Progress()
    if config.batch_size > len(split.images):
        report.say(f"LOOK  batch_size {config.batch_size} is more than the {len(split.images)} training images: "
                   "an epoch is one step with all images")
    job.to_device()
    report.began(config.epochs, steps, progress)
    epochs = _Epochs(job, folder, report, progress, steps, stop, ranks)
    try:
        while progress.epoch < config.epochs:
            epochs.train()
            epochs.finish()
    except RankLost:
        if ranks.rank == 0:
            folder.save_last(job.network, job.optimizer, progress, config)
        raise


class _Epochs:
    """The epochs of a run, one after another. They share the images on the device, the step and the progress."""

    def __init__(self, job: TrainingJob, folder: RunFolder, report: Reporter, progress: Progress, steps: int,
                 stop: Callable[[], bool], ranks: Ranks) -> None:
        self._job, self._folder, self._report, self._progress, self._steps = job, folder, report, progress, steps
        self._stop, self._ranks = stop, ranks
        dataset, split = job.dataset, job.split
        self._images, self._eval_images, self._mean, self._std = map(
            to_edition, (split.images, split.eval_images, dataset.mean, dataset.std))
        batch, how = min(job.config.batch_size, len(split.images)), (job.config.smoothing, report.say, job.config.parts)
        self._rows = None if ranks.size == 1 else ranks.rows(batch, job.config.parts)
        self._step = (Step(job.network, job.optimizer, *how) if ranks.size == 1 else
                      SharedStep(job.network, job.optimizer, *how, ranks=ranks, batch=batch,
                                 synchronized=job.config.sync_bn, signals=self._signals))
        self._records = can_record() and ranks.size == 1
        self._saved = time.monotonic()

    def _signals(self) -> tuple[bool, bool]:
        """Return whether the run is to stop, and whether it is time to save."""
        return self._stop(), time.monotonic() - self._saved > CHECKPOINT_SECONDS

    def train(self) -> None:
        """Train until the end of the current epoch. When the run is to stop, save and raise `Interrupted`."""
        config, progress = self._job.config, self._progress
        batches = data.training_batches(self._images, self._job.split.labels, self._mean, self._std,
                                        config.batch_size, config.seed, progress.epoch, progress.step, config.crop,
                                        config.jitter, self._rows)
        metrics_of_epoch = MetricAccumulator(progress, self._report)
        for x, labels in batches:
            loss, logits = self._make_step(x, labels)
            if lookahead := self._job.optimizer.lookahead:
                lookahead.after(progress.epoch * self._steps + progress.step, config.epochs * self._steps)
            if isinstance(self._step, SharedStep):                # all ranks know of the signals of each
                totals = self._step.totals
                metrics_of_epoch.add_read(totals.loss, totals.correct, totals.images)
                stopped, due = totals.signals
            else:
                metrics_of_epoch.add(loss, logits, labels)
                stopped, due = self._signals()
            if stopped or due:
                metrics_of_epoch.flush()
                self._save()
            if stopped:
                raise Interrupted
        metrics_of_epoch.flush()

    def finish(self) -> None:
        """Evaluate after the last step of an epoch, record the result, save, and begin the next epoch."""
        job, progress = self._job, self._progress
        if self._ranks.size > 1 and not job.equal_in(self._ranks):
            self._report.say("LOOK  the ranks had different weights, as happens with different processors; from here "
                             "on all have those of rank 0")
            job.take_from_first(self._ranks)
        with visiting_gates(job.network, histograms := GateHistograms()):
            held = evaluate(job.network, self._eval_images, job.split.eval_labels, self._mean, self._std,
                            ranks=self._ranks)
        histograms.add(self._ranks)
        if not np.isfinite(held.loss):
            raise diverged(f"the loss of the held-out images is {held.loss} after epoch {progress.epoch + 1}")
        row = {"epoch": progress.epoch + 1, "lr": self._rate(self._steps - 1),
               "train_loss": progress.loss_sum / progress.seen, "train_accuracy": progress.correct / progress.seen,
               "loss": held.loss, "accuracy": held.accuracy,
               "evaluated_on": job.split.evaluated_on,
               "seconds": progress.seconds, "images_per_second": progress.seen / progress.seconds} | histograms.entry()
        better = held.accuracy > progress.best_accuracy
        self._ranks.first(lambda: self._record(row, better))
        if better:
            progress.best_accuracy = held.accuracy
        progress.next_epoch()
        self._save()
        self._report.epoch_done(row)

    def _record(self, row: dict[str, Any], better: bool) -> None:
        """Write down the row of an epoch, and its weights if they are the best."""
        metrics.append(self._folder.metrics_file, row)
        if better:
            self._folder.save_best(self._job.network, {"epoch": row["epoch"], "accuracy": row["accuracy"]})

    def _make_step(self, x: Array, labels: Array) -> tuple[Array, Array]:
        """Make one step; report on it if it is the first of the run or step `SANITY_STEP`."""
        progress, lr = self._progress, self._rate(self._progress.step)
        done = (progress.epoch * self._steps + progress.step) / (self._job.config.epochs * self._steps)
        if progress.epoch == 0 and progress.step in (0, SANITY_STEP):
            loss, logits, lines = _observed(self._step, x, labels, lr, done, first=progress.step == 0)
            for line in lines:
                self._report.say(line)
            return loss, logits
        if self._records and (progress.epoch, progress.step) > (0, SANITY_STEP):
            return self._step.recorded(x, labels, lr, done)
        return self._step.plain(x, labels, lr, done)

    def _rate(self, step: int) -> float:
        """Return the learning rate of a step of the current epoch."""
        config = self._job.config
        return one_cycle(self._progress.epoch * self._steps + step, config.epochs * self._steps, config.lr,
                         config.warmup)

    def _save(self) -> None:
        self._ranks.first(lambda: self._folder.save_last(self._job.network, self._job.optimizer, self._progress,
                                                         self._job.config))
        self._saved = time.monotonic()


def _resumed(job: TrainingJob, folder: RunFolder, steps: int, report: Reporter, ranks: Ranks) -> Progress:
    """Load the newest state of the folder into the jobs of all ranks; return its progress. Only rank 0 reads it."""
    progress = Progress.from_facts(ranks.first(lambda: vars(_restored(job, folder, steps, report)), long=True))
    if ranks.size > 1:
        job.take_from_first(ranks)
    return progress


def _restored(job: TrainingJob, folder: RunFolder, steps: int, report: Reporter) -> Progress:
    """Load the newest state of the folder into the job; return its progress.

    All files are read and checked before any of them is changed.
    """
    config = job.config
    folder.expect_data(job.dataset)
    progress, on_record = Progress(), max((row["epoch"] for row in folder.metrics()), default=0)
    if folder.best.exists():
        on_record = max(on_record, folder.best_epoch())
    if folder.last.exists():
        batch = min(config.batch_size, len(job.split.images))
        progress = folder.restore_last(job.network, job.optimizer, config, steps, batch)
    elif on_record > 1:                                           # an epoch is recorded just before it is saved
        raise FileNotFoundError(f"{folder.last} is missing, although {on_record} epochs are on record; restore that "
                                "file or start a new run")
    if before := folder.raise_epochs(config.epochs, progress):
        report.say(f"epochs raised from {before} to {config.epochs}: from here on, the learning rate is that of a run "
                   f"of {config.epochs} epochs")
    if old := metrics.keep_until(folder.metrics_file, progress.epoch):
        report.say(f"epochs after epoch {progress.epoch} are trained again; their old records are kept in {old}")
    if progress.epoch == config.epochs:
        report.say(f"the run is finished ({progress.epoch} of {config.epochs} epochs); raise epochs to train it longer")
    return progress


def _observed(step: Step, x: Array, labels: Array, lr: float, done: float, *, first: bool
              ) -> tuple[Array, Array, list[str]]:
    """Make a step and return lines about it: on its loss if it is the first, else on ReLUs, gates and update size."""
    if first:
        loss, logits = step.plain(x, labels, lr, done)
        return loss, logits, [sanity.first_loss(float(to_host(loss)), logits.shape[1])]
    probe = sanity.Probe()
    before = {name: to_host(w).copy() for name, w in step.network.named_parameters().items()}   # a step may change w
    with backend.observing(probe):
        loss, logits = step.plain(x, labels, lr, done)
    return loss, logits, [*probe.findings(), sanity.update_ratio(before, step.network.named_parameters())]
