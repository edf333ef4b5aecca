"""``npse zoo``: how well the judge, and other designs of checkers, find bugs that were planted, and mutants."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from npse.cli.command import names
from npse.cli.console import show, status
from npse.support.names import suggest

EVERY = 30.0                     # seconds between two lines of progress if there is no terminal
SPARE = ("checks of the correct book", "seeds")
EXPLAINED = 0.9                  # share of the bugs that the judge must diagnose


def zoo(
    seeds: Annotated[int, Option(min=1, help="for each bug on each shape")] = 20,
    alarms: Annotated[int | None, Option(min=0, help="seeds of the judge on the correct book; other designs use at "
                                         "most --seeds", show_default="as --seeds")] = None,
    op: Annotated[str | None, Option(help="bugs of one op only, such as conv2d_backward_x", show_default="all",
                                     autocompletion=names("npse.gradcheck.cases:KNOWN_OPS"))] = None,
    json_file: Annotated[Path | None, Option("--json", metavar="FILE",
                                             help="write all results to this file")] = None,
    write: Annotated[Path | None, Option(metavar="FILE",
                                         help="write the tables between the markers of this Markdown file")] = None,
    verbose: Annotated[bool, Option("--verbose", "-v", help="print a line for each bug")] = False,
    mutate: Annotated[bool, Option("--mutate", help="judge mutants in place of the planted bugs")] = False,
    mutants: Annotated[int, Option(min=4, help="with --mutate: how many mistakes")] = 500,
    seed: Annotated[int, Option(help="with --mutate: which mutants are drawn")] = 0,
    jobs: Annotated[int, Option(min=1, help="processes that share the work")] = 2,
) -> None:
    """Run each design of checker on each planted bug, and on the correct book.

    A bug counts as caught if a design reports it in 95 % of the seeds on at least one shape. It counts as diagnosed if
    the first sentence of the judge there names the mistake. Exit code 1 if the judge misses a bug, diagnoses fewer
    than nine of ten bugs, or calls a correct op wrong.

    With --mutate the judge gets mutants: correct backward passes with one change that an operator made. The table says
    how many it catches, and how many of its first sentences are right, vague and misleading.
    """
    if mutate:
        if op is not None:
            raise ValueError("--mutate draws from all ops; leave out --op")
        _mutants(mutants, seed, jobs, json_file, write, verbose)
        return
    from npse.support import environment
    from npse.support.files import expect_place, write_atomically
    from npse.support.markdown import between_markers, page_with
    from npse.zoo import false_alarms, report, survey

    bugs = _chosen(op)
    alarms = seeds if alarms is None else alarms
    document = page_with(write, (report.BEGIN, report.END))
    expect_place(json_file)

    began, rows = time.monotonic(), []
    with _Progress() as progress:
        for row in survey(bugs, seeds, jobs=jobs):
            rows.append(row)
            progress(f"{len(rows)} of {len(bugs)} bugs")
            if verbose or not (row.caught["judge"] and row.diagnosed):
                typer.echo(_line(row))
        found = false_alarms(alarms, min(seeds, alarms), op,
                             lambda seed, found: progress(f"correct book, seed {seed} of {alarms}, "
                                                          f"{found['judge'].false} false alarms"), jobs)
    seconds = time.monotonic() - began
    titles, lines = report.summary(rows, found)
    show((f"<{titles[0]}", *titles[1:]), [[str(cell) for cell in line] for line in lines], spare=SPARE)

    options = "".join(f" --{name} {value}" for name, value in (("op", op), ("write", write)) if value)
    if write is not None:
        versions = environment.versions()
        facts = (f"`npse zoo --seeds {seeds} --alarms {alarms}{options}`, commit {environment.commit() or 'unknown'}, "
                 f"Python {versions['python']}, NumPy {versions['numpy']}; {_duration(seconds, jobs)}.")
        write_atomically(write, between_markers(document, report.page(rows, found, facts), (report.BEGIN, report.END)))
    if json_file:
        write_atomically(json_file, json.dumps(
            {**environment.record(), "seeds": seeds, "alarm_seeds": alarms, "seconds": seconds,
             "bugs": [report.as_json(row) for row in rows],
             "alarms": {name: asdict(value) for name, value in found.items()}}, indent=1))
    caught, diagnosed = all(row.caught["judge"] for row in rows), sum(row.diagnosed for row in rows)
    if found["judge"].false or not caught or diagnosed < EXPLAINED * len(rows):
        raise typer.Exit(1)


def _chosen(op):
    """Return the bugs of an op; without a name, all."""
    from npse.zoo import BUGS

    bugs = [bug for bug in BUGS if op is None or op in bug.ops]
    if not bugs:
        raise ValueError(f"no bug is planted in {op!r}; "
                         + suggest(op, sorted({op for bug in BUGS for op in bug.ops}), "docs/zoo.md"))
    return bugs


def _mutants(count, seed, jobs, json_file, write, verbose):
    """Judge mutants, show the rates, and write them."""
    from npse.support import environment
    from npse.support.files import expect_place, write_atomically
    from npse.support.markdown import between_markers, page_with
    from npse.zoo import mutation, report

    document = page_with(write, report.MUTANTS)
    expect_place(json_file)
    began = time.monotonic()
    with _Progress() as progress:
        rows = mutation.survey(count, seed, jobs, lambda done: progress(f"{done} of {count} mutants"))
    seconds = time.monotonic() - began
    for row in rows if verbose else ():
        if row.what == "mistake" and not row.is_held_out:
            typer.echo(f"{row.mutant.target}: {row.change[0]} -> {row.change[1]}\n    "
                       f"{row.verdict or 'not caught'}: {row.kind}: {row.sentence}")
    titles, lines = mutation.table(rows)
    show((f"<{titles[0]}", f"<{titles[1]}", *titles[2:]), [[str(cell) for cell in line] for line in lines])
    if write is not None:
        versions = environment.versions()
        facts = (f"`npse zoo --mutate --mutants {count} --seed {seed} --write {write}`, commit "
                 f"{environment.commit() or 'unknown'}, Python {versions['python']}, NumPy {versions['numpy']}; "
                 f"{sum(row.seconds for row in rows) / count:.1f} s of processor time for each mutant, "
                 f"{_duration(seconds, jobs)}.")
        text = report.mutants_page(rows, facts)
        write_atomically(write, between_markers(document, text, report.MUTANTS))
    if json_file:
        write_atomically(json_file, json.dumps(
            {**environment.record(), "mutants": count, "seed": seed, "seconds": seconds,
             "rows": [mutation.as_json(row) for row in rows]}, indent=1))


def _duration(seconds, jobs):
    return f"{seconds / 60:.0f} min with {jobs} process{'es' * (jobs > 1)}"


def _line(row):
    """Return a line about a bug: what the judge says, and what it should say."""
    if not row.caught["judge"]:
        return f"{row.bug.chapter} {row.bug.name}: not caught"
    verdict = "diagnosed" if row.diagnosed else f"not diagnosed, wanted {' or '.join(row.bug.kinds) or 'no known kind'}"
    return f"{row.bug.chapter} {row.bug.name}: {verdict}; {row.caught['judge']}: {row.kind or 'none'}: {row.sentence}"


class _Progress:
    """Shows what is being done: a changing line on a terminal, else a line on standard error every 30 seconds."""

    def __enter__(self):
        self.status = status()
        self.began = self.shown = time.monotonic()
        self.status.start()
        return self

    def __exit__(self, *exception):
        self.status.stop()

    def __call__(self, line):
        now = time.monotonic()
        if self.status.console.is_terminal:
            self.status.update(line)
        elif now - self.shown > EVERY:
            self.shown = now
            typer.echo(f"{line}, {now - self.began:.0f} s", err=True)
