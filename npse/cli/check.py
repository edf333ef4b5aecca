"""``npse check``: compare every gradient of every edition with finite differences, and give a verdict."""

import itertools
import json
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from npse.cli.command import names
from npse.cli.console import say, show, status
from npse.cli.progress import compiling
from npse.support.names import suggest


def check(
    file: Annotated[Path | None, Argument(metavar="[FILE]", help="a Python file of your own, with functions name and "
                                          "name_backward, and name_arguments(rng) that returns a dict of arrays",
                                          show_default="the editions of npse")] = None,
    edition: Annotated[str, Option(help="all, or one: reference, cpu, cuda")] = "all",
    op: Annotated[str | None, Option(help="check one op only, such as conv2d or se_backward", show_default="all",
                                     autocompletion=names("npse.gradcheck.cases:KNOWN_OPS"))] = None,
    seed: Annotated[int, Option(min=0, help="of all random values")] = 0,
    seeds: Annotated[int, Option(min=1, help="how many seeds, from --seed on")] = 1,
    cases: Annotated[int | None, Option(min=1, help="the most cases of each op", show_default="all")] = None,
    tolerance: Annotated[float, Option(help="of the relative error")] = 1e-6,
    step: Annotated[float | None, Option(help="of the central difference, relative to an entry",
                                         show_default="6e-6")] = None,
    entries: Annotated[int, Option(min=1, help="the most entries of an array that are looked at one by one; of larger "
                                   "arrays a sample is, and random directions through all")] = 4000,
    fast: Annotated[bool, Option("--fast", help="two cases of each op, 50 entries of each array, no float32")] = False,
    taylor: Annotated[bool, Option("--taylor", help="also check that the remainder of the first-order Taylor expansion "
                                   "falls as the square of the step")] = False,
    against: Annotated[str | None, Option(help="torch or jax: compare functions of your own with it too; FILE then "
                                          "has name_torch(x, ...) or name_jax(x, ...), the same function there",
                                          show_default="none")] = None,
    verbose: Annotated[bool, Option("--verbose", "-v", help="print a line for each check")] = False,
    json_file: Annotated[Path | None, Option("--json", metavar="FILE", help="write every result to this file")] = None,
) -> None:
    """Check the gradients: every entry of every argument of every op, on shapes that expose bugs.

    Each gradient is compared with central differences in float64, results in float32 with those in float64, and other
    editions with the reference. Each op must also keep its contract, such as leaving its arguments unchanged. Mistakes
    are explained. Exit code 0 if everything is right, else 1.
    """
    from npse.gradcheck import Options
    from npse.support.files import expect_place

    expect_place(json_file)
    if against and not file:
        raise ValueError("against compares functions of your own: give the file that holds them")
    began = time.perf_counter()
    few = min(cases or 2, 2) if fast else cases
    options = Options(min(entries, 50) if fast else entries, tolerance, step, float32=not fast, taylor=taylor)
    drawn = range(seed, seed + seeds)
    results = (_check_file(file, edition, op, drawn, options, few, against) if file
               else _check_editions(edition, op, drawn, options, few))
    _show(results, time.perf_counter() - began, verbose)
    ok = all(result.ok for of_edition in results.values() for result in of_edition)
    if json_file:
        _write_json(json_file, results, ok, seed)
    if not ok:
        raise typer.Exit(1)


def _check_file(file, edition, op, seeds, options, cases, against):
    """Return the results for a file of the user, by the name of the file."""
    from npse import backend
    from npse.gradcheck import check_file

    if edition != "all" or op:
        raise ValueError("a file is checked as a whole: leave --edition and --op out, or leave the file out")
    return {file.name: [result for seed in seeds
                        for result in check_file(file, backend.edition("reference"), seed, options, cases, against)]}


def _check_editions(edition, op, seeds, options, most):
    from npse import backend
    from npse.gradcheck import cases_of
    from npse.gradcheck.userfile import few

    cases = few(cases_of(op), most)
    if edition not in ("all", *backend.EDITIONS):
        raise ValueError(f"unknown edition {edition!r}; {suggest(edition, ('all', *backend.EDITIONS))}")
    names = backend.available() if edition == "all" else [edition]
    editions = {name: backend.with_numpy_results(name) for name in names}
    if "cpu" in editions:
        from npse.cli.precompile import ops, warm_up

        with compiling() as report:
            warm_up(partial(ops, ("float64", "float32"), op), say=report)
    return _judge(editions, cases, seeds, options)


def _write_json(path, results, ok, seed):
    import npse
    from npse.support.files import write_atomically

    report = {"npse": npse.__version__, "seed": seed, "ok": ok,
              "results": {name: [result.as_dict() for result in of_edition] for name, of_edition in results.items()}}
    write_atomically(path, json.dumps(report, indent=1) + "\n")


def _judge(editions, cases, seeds, options):
    """Return the results of each edition, by its name; on a terminal show what is being checked.

    Ctrl-C ends the work: then the results so far are returned, and one that says so.
    """
    from npse import backend
    from npse.gradcheck import check_case
    from npse.gradcheck.raised import interrupted

    book, results = backend.edition("reference"), {}
    with status() as doing:
        for name, ops in editions.items():
            results[name] = []
            for seed, case in itertools.product(seeds, cases):
                doing.update(f"{name}: {case.op}, {case.label}")
                try:
                    results[name] += check_case(case, ops, seed, book, options)
                except KeyboardInterrupt:
                    results[name].append(interrupted(case.op, case.label))
                    return results
    return results


def _show(results, seconds, verbose):
    show(*_table(results), spare=("cases", "contract", "float32", "kinks"))
    for edition, of_edition in results.items():
        for result in of_edition:
            if verbose or not result.ok:
                say(f"{edition}: {result}")
    say(_summary(results, seconds))


def _table(results):
    """Return titles and rows: a row for each argument of each op in each edition."""
    from rich.text import Text

    from npse.gradcheck import rows

    titles = ("<op", "<edition", "<argument", "cases", "error", "kinks", "float32", "<contract", "<verdict")
    verdicts = {True: Text("right", "green"), False: Text("not right", "bold red")}
    return titles, [(row.op, edition, row.argument or "-", str(row.cases), _number(row.error), _kinks(row),
                     _number(row.float32), ", ".join(row.broken) or "kept", verdicts[row.ok])
                    for edition, of_edition in results.items() for row in rows(of_edition)]


def _kinks(row):
    """Return how many entries were left out because a step crossed a kink."""
    if row.crossed:
        return f"{row.crossed} of {row.entries}"
    return "none" if row.entries else "-"


def _number(value):
    return "-" if value is None else f"{value:.1e}"


def _summary(results, seconds):
    everything = [result for of_edition in results.values() for result in of_edition]
    gradients = [result for result in everything if result.judged == "gradient"]
    entries, crossed = sum(r.entries for r in gradients), sum(len(r.crossed) for r in gradients)
    failed = sum(not result.ok for result in everything)
    verdict = f"{failed} of {len(everything)} checks FAILED" if failed else f"all {len(everything)} checks right"
    facts = [f"{', '.join(results)}: {verdict}"]
    if gradients:
        facts += [f"{entries} entries of {len(gradients)} gradients, {crossed} of them at a kink and left out",
                  f"worst relative error {max(r.error for r in gradients):.1e}"]
    return "; ".join([*facts, f"{seconds:.0f} s"])
