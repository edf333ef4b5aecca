"""``npse cost``: what a network computes and moves, layer by layer, and what squeeze-and-excitation costs in it."""

import json
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from npse.cli.bench import print_table
from npse.cli.command import names
from npse.cli.console import status

MODEL_NAMES = names("npse.models:MODELS")


def cost(
    model: Annotated[str, Argument(metavar="MODEL", help="as in npse train", autocompletion=MODEL_NAMES)],
    vs: Annotated[str | None, Option(metavar="MODEL", help="another network, to be shown beside it",
                                     autocompletion=MODEL_NAMES)] = None,
    reduction: Annotated[int | None, Option(min=1, help="channels for each hidden unit of the excitation",
                                            show_default="that of the model")] = None,
    excitation: Annotated[str | None, Option(help="the structure that computes the gates", show_default="se",
                                             autocompletion=names("npse.layers:EXCITATIONS"))] = None,
    size: Annotated[int | None, Option(min=1, help="height and width of the images",
                                       show_default="that of the model")] = None,
    batch: Annotated[int, Option(min=1, help="images")] = 1,
    depth: Annotated[int, Option(min=1, help="parts of a layer's name; layers with the same parts are summed")] = 9,
    no_time: Annotated[bool, Option("--no-time", help="count only, measure no time")] = False,
    rounds: Annotated[int, Option(min=1, help="measurements of each network, in turn")] = 5,
    threads: Annotated[int | None, Option(min=1, help="of the measurement", show_default="all cores")] = None,
    json_file: Annotated[Path | None, Option("--json", metavar="FILE",
                                             help="write all results to this file")] = None,
) -> None:
    """Count the parameters, multiply-adds and bytes of each layer, and measure the time.

    The counts are those of one prediction. The time is that of the network with its excitations and without them, or
    with --vs that of the two networks, on the cpu edition. Times are valid only if nothing else runs.
    """
    from npse import backend
    from npse.bench import cost, cost_report
    from npse.support import environment
    from npse.support.files import expect_place, write_atomically

    expect_place(json_file)
    given = {"reduction": reduction, "excitation": excitation}
    options = {name: value for name, value in given.items() if value is not None}
    if not no_time:
        backend.edition("cpu")                                    # a missing package is reported before the work
    with status() as doing, backend.using_edition("cpu" if "cpu" in backend.available() else "reference"):
        found = []
        for name in filter(None, (model, vs)):
            doing.update(f"counting {name}")
            found.append(cost.counted(name, options, batch, size))
        results = {**environment.record(), "networks": found}
        _show_counts(found, depth)
        if not no_time:
            doing.update("measuring")
            results["time"] = cost.timed(found, rounds, threads or environment.cores())
            print_table(cost_report.times(results["time"], results))
    if json_file:
        write_atomically(json_file, json.dumps(results, indent=1) + "\n")
        print(f"wrote {json_file}")


def _show_counts(found, depth):
    from npse.bench import cost_report

    if len(found) == 2:
        print_table(cost_report.both(*found, depth))
        print_table(cost_report.difference(*found))
        return
    print_table(cost_report.layers(*found, depth))
    print_table(cost_report.share(*found))
