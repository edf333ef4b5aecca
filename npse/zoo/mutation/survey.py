"""Run the judge on mutants, in several processes, and count what it says."""

import itertools
import multiprocessing
import time
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import numpy as np

from npse.zoo.mutation.criterion import classify, first_sentence
from npse.zoo.mutation.engine import MISTAKE, Mutant, drawn, what_it_is
from npse.zoo.mutation.operator import OPERATORS
from npse.zoo.mutation.target import targets

GROUPS = ("ops", "foreign")
ELSEWHERE = 3                    # other checks whose sentence decides whether a sentence is right by numbers


@dataclass(frozen=True)
class Row:
    """The results of one mutant.

    Attributes
    ----------
    mutant : Mutant
    what : str
        "mistake", or what it is instead: "equivalent" or "crashes". Then all that follows is empty.
    caught : str
        The first shape on which the judge finds it wrong; empty if it misses the mutant.
    kind, sentence, verdict : str
        The judge's first diagnosis there, its first sentence, and the criterion's verdict on it.
    change : (str, str)
        The lines that differ, before and after.
    seconds : float
    """

    mutant: Mutant
    what: str
    caught: str = ""
    kind: str = ""
    sentence: str = ""
    verdict: str = ""
    change: tuple = ("", "")
    seconds: float = 0.0

    @property
    def is_held_out(self):
        return OPERATORS[self.mutant.operator].is_held_out


def survey(count, seed=0, jobs=1, progress=lambda done: None):
    """Return a `Row` for each mutant that was drawn: ``count`` mistakes, a quarter of them in each cell of the table.

    The cells are the two groups of targets times the two halves of the operators. The rows of equivalent and crashing
    mutants that were drawn in between are returned too. The result does not depend on ``jobs``.
    """
    rows = []
    wanted = -(-count // 4)
    workers = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) if jobs > 1 else nullcontext()
    with workers as pool:
        for is_held_out, group in itertools.product((False, True), GROUPS):
            rows += _cell(group, is_held_out, wanted, seed, pool.map if pool else map,
                          lambda done, before=len(rows): progress(before + done))
    return rows


def _cell(group, is_held_out, wanted, seed, run, progress):
    """Return the rows of a cell, in the order of the draw, up to the last mistake that is wanted."""
    rows, mistakes = [], 0
    queue = drawn(group, is_held_out, seed)
    while batch := list(itertools.islice(queue, max(2 * (wanted - mistakes), 8))):
        for row in run(partial(examine, seed=seed), batch):
            rows.append(row)
            mistakes += row.what == MISTAKE
            progress(len(rows))
            if mistakes == wanted:
                return rows
    return rows


def examine(mutant, seed):
    """Return the `Row` of a mutant."""
    began = time.perf_counter()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        what = what_it_is(mutant, seed)
        found = next(_findings(mutant, seed), None) if what == MISTAKE else None
        change = mutant.change()
        if found is None:
            return Row(mutant, what, change=change, seconds=time.perf_counter() - began)
        where, kind, text = found
        verdict = classify(OPERATORS[mutant.operator], kind, text, partial(_elsewhere, mutant, seed, where))
    return Row(mutant, what, where, kind, first_sentence(text), verdict, change, time.perf_counter() - began)


def _findings(mutant, seed):
    """Yield (where, kind, text): the judge's first diagnosis on each shape on which it finds the mutant wrong."""
    for where, results in targets()[mutant.target].judged(mutant.function(), seed):
        for result in results:
            if isinstance(result, Exception):
                yield where, "raises", f"raises {type(result).__name__}: {result}"
                break
            if result.verdict == "wrong":
                why = result.diagnosis
                yield where, (why.kind if why else ""), (why.text if why else str(result))
                break


def _elsewhere(mutant, seed, where):
    """Return what the judge says with other numbers: on the same shape if it has one, and on other shapes."""
    found = sorted(_findings(mutant, seed + 1), key=lambda finding: finding[0] != where)
    return [(kind, text) for _, kind, text in found[:ELSEWHERE]]


def table(rows):
    """Return the header and the lines of the table: one for each half of the operators and group of targets."""
    header = ("operators", "functions", "mutants", "equivalent", "crash", "caught", "right", "of these by numbers",
              "vague", "misleading")
    lines = []
    for is_held_out, group in itertools.product((False, True), GROUPS):
        mine = [row for row in rows if row.is_held_out == is_held_out and row.mutant.group == group]
        lines.append(("held out" if is_held_out else "developed on", group, *counted(mine)))
    return header, lines


def counted(rows):
    """Return the numbers of a line of the table: counts of mutants, and shares of those that are mistakes."""
    what, verdicts = Counter(row.what for row in rows), Counter(row.verdict for row in rows)
    mistakes = what[MISTAKE]
    caught = sum(bool(row.caught) for row in rows)
    shares = (caught, verdicts["right"] + verdicts["right by numbers"], verdicts["right by numbers"], verdicts["vague"],
              verdicts["misleading"])
    return (mistakes, what["equivalent"], what["crashes"],
            *(f"{share} ({100 * share / mistakes:.1f} %)" if mistakes else "–" for share in shares))
