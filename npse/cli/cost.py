"""``npse cost``: what a network computes and moves, layer by layer, and what squeeze-and-excitation costs in it."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from npse.cli.bench import print_table
from npse.cli.command import names
from npse.cli.console import status

OWN = "that of the model"


def cost(
    model: Annotated[str, Argument(metavar="MODEL", help="as in npse train, such as se_resnet20",
                                   autocompletion=names("npse.models:MODELS"))],
    vs: Annotated[str | None, Option(metavar="MODEL", help="another network, to be shown beside it",
                                     autocompletion=names("npse.models:MODELS"))] = None,
    reduction: Annotated[int | None, Option(min=1, help="r of the excitation", show_default=OWN)] = None,
    excitation: Annotated[str | None, Option(help="the structure that computes the gates", show_default=OWN,
                                             autocompletion=names("npse.layers:EXCITATIONS"))] = None,
    squeeze: Annotated[str | None, Option(help="what takes a map to one number for each channel", show_default=OWN,
                                          autocompletion=names("npse.layers.squeezes:SQUEEZES"))] = None,
    stages: Annotated[str | None, Option(help="the stages that have excitations, such as 2,3",
                                         show_default="all")] = None,
    placement: Annotated[str | None, Option(help="of the excitation in its block", show_default=OWN,
                                            autocompletion=names("npse.layers:PLACEMENTS"))] = None,
    size: Annotated[int | None, Option(min=1, help="height and width of the images", show_default=OWN)] = None,
    batch: Annotated[int, Option(min=1, help="images")] = 1,
    depth: Annotated[int, Option(min=1, help="parts of a layer's name; what is deeper is added up")] = 9,
    no_time: Annotated[bool, Option("--no-time", help="count only")] = False,
    rounds: Annotated[int, Option(min=1, help="in each, every network is timed once")] = 5,
    threads: Annotated[int | None, Option(min=1, help="while timing", show_default="all cores")] = None,
    json_file: Annotated[Path | None, Option("--json", metavar="FILE",
                                             help="write all results to this file")] = None,
) -> None:
    """Count parameters, multiply-adds and bytes of each layer, and the share of the excitations; measure their time.

    The counts are those of one prediction. The network is timed with its excitations and without them, or with --vs
    beside the other network, on the cpu edition. Times are valid only if nothing else runs.
    """
    from npse import backend
    from npse.bench import cost, cost_report
    from npse.support import environment
    from npse.support.files import expect_place, write_atomically

    expect_place(json_file)
    if not no_time:
        backend.edition("cpu")                                    # what it lacks is reported before the work
    given = {"reduction": reduction, "excitation": excitation, "squeeze": squeeze, "stages": _numbers(stages),
             "placement": placement}
    options = {name: value for name, value in given.items() if value is not None}
    results = environment.record() | {"load": environment.load(), "networks": []}
    with status() as doing, backend.using_edition("cpu" if "cpu" in backend.available() else "reference"):
        for name in filter(None, (model, vs)):
            doing.update(f"counting {name}")
            results["networks"].append(cost.counted(name, options, batch, size))
        for table in cost_report.counts(results["networks"], depth):
            print_table(table)
        if not no_time:
            doing.update("measuring the time")
            results["time"] = cost.timed(results["networks"], rounds, threads or environment.cores())
            print_table(cost_report.times(results["time"], results))
    if json_file:
        write_atomically(json_file, json.dumps(results, indent=1) + "\n")
        typer.echo(f"wrote {json_file}")


def _numbers(stages):
    """Return stages such as "2,3" as a tuple of integers; None for None."""
    if stages is None:
        return None
    if not re.fullmatch(r"\d+(,\d+)*", stages):
        raise ValueError(f"stages must be numbers such as 2,3, but are {stages!r}")
    return tuple(map(int, stages.split(",")))
