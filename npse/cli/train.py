"""``npse train``: train a squeeze-and-excitation network."""

import dataclasses
import itertools
import json
import os
import re
import shlex
import signal
import sys
from contextlib import ExitStack, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from npse.cli.command import names, was_typed
from npse.cli.console import noted, status
from npse.cli.progress import compiling, reporter
from npse.cli.ranks import threads_of, together

# The groups of options on the help page.
Data, Network, Training, Run = (partial(Option, rich_help_panel=title)
                                for title in ("Data", "Network", "Training", "Run"))


def train(
    context: typer.Context,
    recipe: Annotated[str | None, Run(metavar="NAME", help="settings by name, see npse recipes, or a TOML file; "
                                      "options that are typed win",
                                      autocompletion=names("npse.training.recipes:NAMES"))] = None,
    data: Annotated[str, Data(metavar="NAME|PATH", help="shapes, cifar10, ... (see: npse data list), a folder or "
                              "archive with one of them, or a folder with a folder of pictures for each class",
                              autocompletion=names("npse.data:SETS"))] = "shapes",
    image_size: Annotated[int, Data(help="height and width to which own pictures are resized; 0: that of the data, "
                                         "or 32")] = 0,
    model: Annotated[str, Network(help="se_resnet8, ..., se_wide, se_vgg16, se_mobilenet, ...; plain: resnet8, ...",
                                  autocompletion=names("npse.models:MODELS"))] = "se_resnet8",
    epochs: Annotated[int | None, Training(help="passes over the images; with --resume, more than the run had",
                                              show_default="10; CIFAR, own pictures: 30")] = None,
    budget: Annotated[str | None, Training(metavar="TIME", help="cifar10: choose the model or the recipe, and the "
                                           "epochs, that make the most of a time such as 20min")] = None,
    batch_size: Annotated[int, Training(help="images in a step")] = 128,
    lr: Annotated[float, Training(help="peak of the one-cycle learning rate, which ends at zero")] = 0.4,
    optimizer: Annotated[str, Training(help="muon: for filters, with sgd for the rest; or sgd: for all",
                                       autocompletion=names("npse.training.config:OPTIMIZERS"))] = "muon",
    filter_lr: Annotated[float, Training(help="peak rate of muon: length of a step relative to the filters")] = 0.015,
    bias_lr: Annotated[float | None, Training(help="peak rate of biases", show_default="that of --lr")] = None,
    momentum: Annotated[float, Training(help="of the optimizer")] = 0.9,
    filter_momentum: Annotated[float | None, Training(help="of muon", show_default="that of --momentum")] = None,
    warmup: Annotated[float, Training(help="share of the run in which the rate rises")] = 0.2,
    weight_decay: Annotated[float, Training(help="on convolution and dense weights")] = 5e-4,
    bias_decay: Annotated[float, Training(help="weight decay on biases and scales of batch norm")] = 0.0,
    smoothing: Annotated[float, Training(help="label smoothing")] = 0.1,
    sync_bn: Annotated[bool, Training("--sync-bn", help="with MPI: batch norm over the whole batch, not over the "
                                      "images of each process")] = False,
    parts: Annotated[int, Training(help="of a batch, one after another, to save memory")] = 1,
    norm_momentum: Annotated[float, Training(help="weight of a part in batch norm's running statistics")] = 0.1,
    whiten_share: Annotated[float, Training(help="share of the run in which a whitening layer learns its bias")] = 1.0,
    lookahead: Annotated[int, Training(help="steps between two moves of the slow weights; 0: none")] = 0,
    crop: Annotated[int, Data(help="largest shift of a training image, in pixels")] = 4,
    jitter: Annotated[float, Data(help="largest change of contrast and brightness of a training image")] = 0.0,
    reduction: Annotated[int, Network(help="r of the excitation")] = 4,
    min_hidden: Annotated[int, Network(help="fewest hidden units of an excitation")] = 4,
    bias: Annotated[bool, Network("--bias", help="biases in the excitation")] = False,
    excitation: Annotated[str, Network(help="the structure that computes the gates: se, eca, ...; docs/excitations.md",
                                       autocompletion=names("npse.layers.excitations:EXCITATIONS"))] = "se",
    squeeze: Annotated[str, Network(help="what takes a map to one number for each channel: mean, max, ...",
                                    autocompletion=names("npse.layers.squeezes:SQUEEZES"))] = "mean",
    gate: Annotated[str, Network(help="of the excitation: sigmoid, tanh, relu, hard_sigmoid, softmax, twice_sigmoid",
                                 autocompletion=names("npse.layers.excitation:GATES"))] = "sigmoid",
    hidden_norm: Annotated[bool, Network("--hidden-norm", help="batch norm in the excitation's hidden layer")] = False,
    stages: Annotated[str, Network(help="the stages that have excitations, such as 2,3")] = "all",
    placement: Annotated[str, Network(help="of the excitation: standard, pre, post, identity, 3x3",
                                      autocompletion=names("npse.layers.block:PLACEMENTS"))] = "standard",
    shortcut: Annotated[str, Network(help="projection or identity (zero-padded)",
                                     autocompletion=names("npse.models.resnet:SHORTCUTS"))] = "projection",
    options: Annotated[list[str] | None, Network("--option", metavar="NAME=VALUE", help="any other option of the "
                                                 "model, such as activation=relu; may be repeated",
                                                 show_default="none")] = None,
    validation: Annotated[int, Data(help="training images held out for evaluation during the run")] = 0,
    tta: Annotated[str, Run(help="also print the final accuracy averaged over views of each image: mirror, "
                            "mirror+shift, unsure", autocompletion=names("npse.training.evaluation:VIEWS"))] = "none",
    edition: Annotated[str, Run(help="auto, reference (the book, slow), cpu, or cuda (an NVIDIA GPU)",
                                autocompletion=names("npse.backend:EDITIONS"))] = "auto",
    threads: Annotated[int | None, Run(help="of the cpu edition; results do not depend on it",
                                       show_default="all cores")] = None,
    seed: Annotated[int, Run(help="of weights, order and augmentation")] = 0,
    out: Annotated[Path | None, Run(metavar="FOLDER", help="of the run", show_default="runs/MODEL-DATA-N")] = None,
    resume: Annotated[bool, Run("--resume", help="continue the run in --out, with its settings")] = False,
) -> None:
    """Train a network and leave a folder with metrics, checkpoints and a report.

    Ctrl-C saves the run. --resume continues it and ends with the same weights, bit for bit, as an uninterrupted run.
    It can also continue with another --edition, but then the bits differ.

    A resumed run, finished or not, can get more --epochs: from there on its learning rate is that of a run of so many
    epochs. After 10 of 10 epochs the rate is zero; with 15 it continues at 0.42 of the peak and falls to zero once
    more.

    mpiexec -n 4 npse train ... trains with four processes of MPI: docs/cluster.md.
    """
    with together() as ranks:
        config, edition = ranks.each(lambda: _settings(context, ranks))
        _run(config, out, edition, ranks, resume=resume)


def _settings(context, ranks):
    """Return the config that the options ask for, and a line about the edition, which is active from here on."""
    from npse import backend
    from npse import data as data_sets
    from npse.training import recipes
    from npse.training.config import Config

    data, recipe, budget, out, resume, threads = (
        context.params[name] for name in ("data", "recipe", "budget", "out", "resume", "threads"))
    not_settings = ("out", "resume", "threads", "budget", "recipe")
    given = {name: value for name, value in context.params.items()
             if name not in not_settings and was_typed(context, name)}
    if "data" in given:
        given["data"] = data_sets.located(data)
    if "options" in given:
        given["options"] = model_options(given["options"])
    if recipe is not None and (resume or budget is not None):
        raise ValueError("--recipe begins a new run, and has its own epochs; leave out --resume and --budget")
    if recipe is not None:
        given = recipes.merged(recipes.load(recipe).settings, given)
    if budget is not None and ranks.size > 1:
        raise ValueError("--budget measures one process; with several, choose --epochs")
    if budget is not None and (resume or "epochs" in given):
        raise ValueError("--budget chooses the epochs of a new run; leave out --epochs and --resume")
    epochs = data_sets.epochs_of(given.get("data", data))
    config = _resumed(out, given) if resume else Config(**{"epochs": epochs} | given)
    edition = backend.use_with(config.edition, threads_of(config.edition, threads, ranks))
    if budget is not None:
        config = _within(budget, given)
    return config, edition


def model_options(words):
    """Return options such as ["activation=relu"] as a dict; values are numbers, true, false, lists, or text."""
    options = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise ValueError(f"--option must be NAME=VALUE, such as activation=relu, but is {word!r}")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


def _within(budget, given):
    """Return the settings that make the most of the budget: those of a measured run, with those that were given."""
    from npse import data
    from npse.training import budget as budgets

    span = budgets.parse_span(budget)
    if data.name_of(given.get("data", "shapes")) != "cifar10":
        raise ValueError(f"--budget has expectations for cifar10 only, not for {given.get('data', 'shapes')}: "
                         "add --data cifar10, or choose --epochs yourself")

    def pace(run):
        typer.echo(f"measuring {run.name} on this machine")
        return budgets.measure(run.config)

    plan = budgets.plan(budgets.candidates(given), span, pace)
    typer.echo(str(plan))
    return plan.config


def _resumed(out, given):
    """Return the config of the run in ``out`` with the options given; ValueError if they would make it another run."""
    from npse.training import RunFolder

    if out is None:
        raise ValueError("--resume needs --out: the folder of the run to continue")
    folder = RunFolder(out)
    trained = folder.config()
    if folder.is_imported():
        raise ValueError(f"{out} was imported: it has weights, but no state of an optimizer to go on from")
    config = dataclasses.replace(trained, **given)
    if changed := config.contradicts(trained):
        raise ValueError(f"--resume continues with the settings of {folder.config_file}, where "
                         + ", ".join(f"{name} is {value}" for name, value in changed.items())
                         + "; leave the options out, or start a new run (only the edition may differ, and epochs "
                           "may be more)")
    return config


def _run(config, out, edition, ranks, *, resume):
    """Check everything that can be checked, then make the folder and train."""
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
    from npse import backend
    from npse.support import environment

    return {"versions": environment.versions(), "commit": environment.commit(),
            "edition": backend.active().__name__.removeprefix("npse."), "settings": job.config.as_dict(),
            "data": job.dataset.digest(), "options": {"out": out and str(out), "resume": resume}}


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
    with status() as doing:
        found = inspection.inspect(network, dataset, inspection.title_of(folder, "last", job.config.epochs),
                                   folder.metrics(), say=doing.update)
    page, *pictures = report.write(folder, found)
    typer.echo(f"report: {page}")
    typer.echo(f"pictures: {', '.join(map(str, pictures))}")


def _compile(job, ranks):
    """Compile the kernels of the run that this machine has not compiled yet."""
    from npse import backend
    from npse.support import nvidia_driver

    edition = next(name for name, module in backend.EDITIONS.items() if module == backend.active().__name__)
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
