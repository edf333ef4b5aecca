"""A run of ``npse train``: its folder, its kernels, its training until the end or Ctrl-C, and its report."""

import dataclasses
import itertools
import os
import re
import shlex
import signal
import sys
from contextlib import ExitStack, nullcontext, suppress
from functools import partial
from pathlib import Path

import typer

from npse.cli.console import noted, status
from npse.cli.progress import compiling, reporter


def carry_out(config, out, edition, ranks, *, resume):
    """Check everything that can be checked, then make the folder of the run, train, and write the report.

    ``edition`` is a line about the edition, which is active; ``out`` may be None for a new run.
    """
    from npse.support.files import locked
    from npse.training import Interrupted, RunFolder, prepare, run
    from npse.training.ranks import RankLost

    with noted(f"see {RunFolder(out).config_file}", (ValueError, FileNotFoundError)) if resume else nullcontext():
        job = ranks.each(lambda: _prepared(prepare, config, ranks))
    if ranks.size > 1:
        ranks.expect_same(_facts(job, out, resume))
    folder = RunFolder(out if resume else ranks.first(lambda: str(_begin(out, job, edition, ranks).path), long=True))
    ranks.in_turn(lambda: _compile(job, ranks))
    launcher = f"mpiexec -n {ranks.size} " if ranks.size > 1 else ""
    go_on = f"go on with: {launcher}npse train --resume --out {folder.path}"
    ranks.watch_over(f"npse: a process of the run was killed; {go_on}")
    progress = reporter(ranks.rank == 0)
    progress.say(f"{config.model} on {job.dataset.name}, {edition}, {_of_ranks(ranks)}"
                 f"{'going on in' if resume else 'into'} {folder.path}")
    for note in job.dataset.notes:
        progress.say(note)
    if resume and (begun := folder.record().get("ranks", 1)) != ranks.size:
        progress.say(f"LOOK  the run was begun with {begun} processes and goes on with {ranks.size}: the last bits "
                     "differ from those of an uninterrupted run")
    stop = _stop_on_ctrl_c(progress)
    try:
        with ExitStack() as stack:
            ranks.first(lambda: stack.enter_context(locked(folder.path)))
            stack.enter_context(progress)
            stack.enter_context(noted("a smaller --batch-size takes less memory", MemoryError))
            run(job, folder, progress, resume=resume, stop=stop, ranks=ranks)
        _conclude(job, folder, ranks)
    except Interrupted:
        if ranks.rank == 0:
            typer.echo(f"stopped and saved; {go_on}")
        raise typer.Exit(130) from None
    except OSError as error:
        if error.errno or isinstance(error, RankLost):            # of the system: a full disk, a server out of reach
            error.add_note(go_on)
        raise


def _prepared(prepare, config, ranks):
    """Return the job of a run, if its batches and its images for evaluation are enough for all ranks."""
    job = prepare(config)
    if ranks.size > 1:
        ranks.rows(min(config.batch_size, len(job.split.images)), config.parts)
        if (held := min(len(job.split.eval_images), len(job.dataset.test_images))) < ranks.size:
            raise ValueError(f"{ranks.size} ranks need as many images to evaluate, but there are {held}; start fewer "
                             "ranks")
    return job


def _facts(job, out, resume):
    """Return what must be the same in all ranks."""
    from npse.support import environment

    return {"versions": environment.versions(), "commit": environment.commit(),
            "edition": _edition(), "settings": job.config.as_dict(),
            "data": job.dataset.digest(), "options": {"out": out and str(out), "resume": resume}}


def _edition():
    """Return the name of the active edition."""
    from npse import backend

    return backend.active().__name__.removeprefix("npse.")


def _of_ranks(ranks):
    return f"{ranks.size} processes, " if ranks.size > 1 else ""


def _conclude(job, folder, ranks):
    """Print the accuracy on the test images, and write the report of the run."""
    from npse.training import evaluate

    network, dataset = job.network, job.dataset
    of_test = network, dataset.test_images, dataset.test_labels, dataset.mean, dataset.std
    views = {tta: evaluate(*of_test, tta=tta, ranks=ranks) for tta in dict.fromkeys(("none", job.config.tta))}
    ranks.first(lambda: _report(job, folder, views), long=True)


def _report(job, folder, views):
    """Print the results on the test images by their test-time augmentation, and write the report of the run."""
    from npse.analysis import inspection, report

    network, dataset, plain = job.network, job.dataset, views.pop("none")
    typer.echo(f"test accuracy {plain.accuracy:.2%}, loss {plain.loss:.3f}")
    for tta, result in views.items():
        typer.echo(f"test accuracy {result.accuracy:.2%}, averaged over views ({tta})")
        folder.save_views(tta, "test", result.accuracy)
    with status() as doing:
        found = inspection.inspect(network, dataset, inspection.title_of(folder, "last", job.config.epochs),
                                   folder.metrics(), say=doing.update)
    page, *pictures = report.write(folder, found)
    typer.echo(f"report: {page}")
    typer.echo(f"pictures: {', '.join(map(str, pictures))}")


def _compile(job, ranks):
    """Compile the kernels of the run that this machine has not compiled yet."""
    from npse.support import nvidia_driver

    edition = _edition()
    if edition == "reference" or (edition == "cuda" and nvidia_driver.simulated()):
        return
    from npse.cli.precompile import training, warm_up, warm_up_cuda

    batch = min(job.config.batch_size, len(job.split.images))
    size = job.config.batch_size if ranks.size == 1 else len(ranks.rows(batch, job.config.parts))
    config = dataclasses.replace(job.config, batch_size=size, sync_bn=job.config.sync_bn and ranks.size > 1)
    work = partial(training, config, shape=job.dataset.shape, classes=len(job.dataset.classes), edition=edition)
    with compiling() as say:
        if edition == "cpu":
            warm_up(work, say=say)
        else:
            from npse.cuda.runtime import device

            warm_up_cuda(work, capability=device.capability(), say=say)


def _begin(out, job, edition, ranks):
    """Make the folder of a new run; if that fails, it is removed."""
    from npse.support.environment import record
    from npse.training import RunFolder

    environment = record() | {"ran_on": edition, "command": shlex.join(["npse", *sys.argv[1:]]), "ranks": ranks.size}
    folder = RunFolder(out or next_folder(job.config.model, job.dataset.name))
    try:
        with (noted("add --resume to continue that run, or name another folder with --out", FileExistsError),
              noted("name a folder with --out", NotADirectoryError)):
            folder.create(job.config, job.dataset, environment)
    except BaseException:
        if out is None:
            with suppress(OSError):
                os.removedirs(folder.path)
        raise
    return folder


def next_folder(model, data):
    """Make the first of runs/MODEL-DATA-1, -2, ... that does not exist, and return it.

    A run owns the folder that it made, so runs that start at once, in two terminals or as jobs, get different folders.
    """
    runs, data = Path("runs"), re.sub(r"[^\w.-]+", "_", data)
    runs.mkdir(exist_ok=True)
    for number in itertools.count(1):
        path = runs / f"{model}-{data}-{number}"
        with suppress(FileExistsError):
            path.mkdir()
            return path


def _stop_on_ctrl_c(progress):
    """Make the first Ctrl-C (or SIGTERM) finish the current step and save; the second one stops at once."""
    asked = []

    def ask(number, frame):
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        progress.say("stopping after this step; press Ctrl-C again to stop without saving")

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    return lambda: bool(asked)
