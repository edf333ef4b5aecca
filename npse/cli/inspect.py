"""``npse inspect RUN``: what the gates of a trained network do."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from npse.cli.bench import print_table
from npse.cli.console import say, status


def inspect(
    run: Annotated[Path, Argument(metavar="RUN", help="folder of a run")],
    weights: Annotated[str, Option(help="last or best (by the accuracy during the run)")] = "last",
    sample: Annotated[int | None, Option(help="test images for the accuracy with other gates, drawn at random",
                                         show_default="as many as 50000 predictions allow")] = None,
    edition: Annotated[str, Option(help="auto, reference, cpu or cuda")] = "auto",
) -> None:
    """Measure what the gates of a run do, on the test images, and write its report anew.

    For each block: the values of the gates, what they depend on, and the accuracy with other gates in their place. The
    page report.html in the folder of the run shows this with pictures, beside curves, mistakes, cost and settings.
    """
    from npse import backend
    from npse.analysis import report, tables
    from npse.analysis.inspection import inspect_run
    from npse.training import RunFolder

    backend.use(edition)
    folder = RunFolder(run)
    with status() as doing:
        found = inspect_run(run, weights, sample=sample, say=doing.update)
    say(found.title + "\n")
    for table in tables.all_of(found):
        print_table(table)
    for remark in found.remarks:
        say(remark)
    typer.echo(f"report: {report.write(folder, found)[0]}")
