"""``npse train``: train a squeeze-and-excitation network."""

import dataclasses
import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from npse.cli.command import names, was_typed
from npse.cli.ranks import threads_of, together
from npse.cli.run import carry_out

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
        carry_out(config, out, edition, ranks, resume=resume)


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
