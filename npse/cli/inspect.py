"""``npse inspect RUN``: what the gates of a trained network do."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from npse.cli.bench import print_table
from npse.cli.command import run_folder
from npse.cli.console import say, status


def inspect(
    run: Annotated[Path, Argument(metavar="RUN", help="folder of a run, or a network that comes with npse")],
    weights: Annotated[str, Option(help="last or best (by the accuracy during the run)")] = "last",
    sample: Annotated[int | None, Option(help="test images for the accuracy with other gates, drawn at random",
                                         show_default="as many as 50000 predictions allow")] = None,
    out: Annotated[Path | None, Option(metavar="FOLDER", help="where the report goes", show_default="RUN")] = None,
    edition: Annotated[str, Option(help="auto, reference, cpu or cuda")] = "auto",
) -> None:
    """Measure what the gates of a run do, on the test images, and write its report anew.

    For each block: the values of the gates, what they depend on, and the accuracy with other gates in their place. The
    page report.html shows this with pictures, beside curves, mistakes, cost and settings. It goes into the folder of
    the run, unless you name another.
    """
    from npse import backend
    from npse.analysis import report, tables
    from npse.analysis.inspection import inspect_run
    from npse.training import RunFolder

    backend.use(edition)
    place = run_folder(run)
    folder = RunFolder(place)
    if out is None:
        out = run if place == run else Path("runs") / run         # nothing is written into the installed package
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"cannot write a report into {out}: it is a file")
    with status() as doing:
        found = inspect_run(place, weights, sample=sample, say=doing.update)
    say(found.title + "\n")
    for table in tables.all_of(found):
        print_table(table)
    for remark in found.remarks:
        say(remark)
    typer.echo(f"report: {report.write(folder, found, out)[0]}")
