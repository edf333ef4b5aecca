"""Run the judge on mutants, in several processes, and count what it says."""

import ast
import functools
import itertools
import time
import warnings
from collections import Counter
from dataclasses import dataclass
from functools import partial

import numpy as np

from npse.zoo.mutation.criterion import BY_NUMBERS, FAILS, MISLEADING, RIGHT, VAGUE, classify, first_sentence
from npse.zoo.mutation.engine import CRASHES, EQUIVALENT, MISTAKE, Mutant, drawn, what_it_is
from npse.zoo.mutation.operator import OPERATORS
from npse.zoo.mutation.target import targets
from npse.zoo.workers import workers

CELLS = tuple(itertools.product((False, True), ("ops", "foreign")))      # is the operator held out; the group
HALF = {False: "developed on", True: "held out"}
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
    seconds : float, of processor time
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
    """Return a `Row` for each mutant that was drawn: ``count`` mistakes, a quarter of them in each of `CELLS`.

    The rows of equivalent and crashing mutants that were drawn in between are returned too. The result does not depend
    on ``jobs``. ``progress`` is called with the number of mistakes so far.
    """
    rows = []
    wanted = -(-count // 4)
    with workers(jobs) as run:
        for k, (is_held_out, group) in enumerate(CELLS):
            rows += _cell(group, is_held_out, wanted, seed, run,
                          lambda mistakes, before=k * wanted: progress(before + mistakes))
    return rows


def _cell(group, is_held_out, wanted, seed, run, progress):
    """Return the rows of a cell. Each operator gives as many mistakes as any other, unless it has no more."""
    rows, known, goal, found = [], set(), Counter(), Counter()     # mistakes of each operator: wanted, and found
    queues = {name: iter(mutants) for name, mutants in drawn(group, is_held_out, seed).items()}
    while queues and found.total() < wanted:
        missing = wanted - found.total()
        taking = sorted(queues, key=lambda name: goal[name])[:missing]
        goal.update({name: missing // len(taking) for name in taking})
        while batch := [mutant for name in taking
                        for mutant in itertools.islice(queues[name], goal[name] - found[name])]:
            for row in run(partial(examine, seed=seed), batch):
                change = row.mutant.target, ast.unparse(row.mutant.tree())
                if change not in known:                           # two operators may make the same change
                    known.add(change)
                    rows.append(row)
                    found[row.mutant.operator] += row.what == MISTAKE
                    progress(found.total())
        queues = {name: queue for name, queue in queues.items() if found[name] == goal[name]}
    return rows


def examine(mutant, seed):
    """Return the `Row` of a mutant."""
    began = time.process_time()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        what = what_it_is(mutant, seed)
        found = next(_findings(mutant, seed), None) if what == MISTAKE else None
        change = mutant.change()
        if found is None:
            return Row(mutant, what, change=change, seconds=time.process_time() - began)
        where, kind, text = found
        verdict = classify(OPERATORS[mutant.operator], kind, text, partial(_elsewhere, mutant, seed, where),
                           *mutant.sources())
    return Row(mutant, what, where, kind, first_sentence(text), verdict, change, time.process_time() - began)


def _findings(mutant, seed):
    """Yield (where, kind, text): the judge's first diagnosis on each shape on which it finds the mutant wrong."""
    function, raised = mutant.function(), []

    @functools.wraps(function)
    def observed(*arguments, **options):
        try:
            return function(*arguments, **options)
        except Exception as error:
            raised.append(error)
            raise
    for where, results in targets()[mutant.target].judged(observed, seed):
        for result in results:
            if found := _finding(result, raised):
                yield where, *found
                break


def _finding(result, raised):
    """Return (kind, text) of a result that is wrong, or of an exception; None if the result is right.

    An exception is the function's if the function raised it. A ValueError or TypeError of the judge says what it
    refuses. Any other exception is a defect of the judge, also if the judge says that the function raised it.
    """
    if isinstance(result, Exception):
        if raised or isinstance(result, (ValueError, TypeError)):
            return "raises" if raised else "refused", f"raises {type(result).__name__}: {result}"
        return FAILS, f"the judge raises {type(result).__name__}: {result}"
    if result.verdict != "wrong":
        return None
    why = result.diagnosis
    if why and why.kind == "raises" and not raised:
        return FAILS, f"the judge raises an exception and says: {why.text}"
    return (why.kind, why.text) if why else ("", str(result))


def _elsewhere(mutant, seed, where):
    """Return what the judge says with other numbers: on the same shape if it has one, and on other shapes."""
    found = sorted(_findings(mutant, seed + 1), key=lambda finding: finding[0] != where)
    return [(kind, text) for _, kind, text in found[:ELSEWHERE]]


def table(rows):
    """Return the header and the lines of the table, one for each of `CELLS`."""
    lines = [(HALF[is_held_out], group, *_counted([row for row in rows if row.is_held_out == is_held_out
                                                   and row.mutant.group == group])) for is_held_out, group in CELLS]
    return ("operators", "functions", *COUNTED), lines


def table_of_operators(rows):
    """Return the header and the lines of the table of operators, one for each that was drawn."""
    lines = []
    for operator in sorted(OPERATORS.values(), key=lambda operator: (operator.is_held_out, operator.name)):
        mine = [row for row in rows if row.mutant.operator == operator.name]
        if mine:
            lines.append((f"`{operator.name}`", HALF[operator.is_held_out], operator.change, *_counted(mine)))
    return ("operator", "half", "what it changes", *COUNTED), lines


COUNTED = ("mutants", "equivalent", "crash", "caught", "right", "of these by numbers", "vague", "misleading")


def _counted(rows):
    """Return how many mistakes, equivalent and crashing mutants there are, and shares of the mistakes, in percent."""
    what, verdicts = Counter(row.what for row in rows), Counter(row.verdict for row in rows)
    mistakes = what[MISTAKE]
    caught = sum(bool(row.caught) for row in rows)
    right = verdicts[RIGHT] + verdicts[BY_NUMBERS]
    shares = (caught, right, verdicts[BY_NUMBERS], verdicts[VAGUE], verdicts[MISLEADING])
    return (mistakes, what[EQUIVALENT], what[CRASHES],
            *(f"{100 * share / mistakes:.1f} %" if mistakes else "–" for share in shares))


def as_json(row):
    """Return a row as a dict of plain values. What the judge says about a mutant that is held out is not in it."""
    facts = {"target": row.mutant.target, "operator": row.mutant.operator, "place": row.mutant.place,
             "half": HALF[row.is_held_out], "group": row.mutant.group, "what": row.what, "caught": row.caught,
             "verdict": row.verdict, "seconds": row.seconds}
    if not row.is_held_out:
        facts |= {"kind": row.kind, "sentence": row.sentence, "before": row.change[0], "after": row.change[1]}
    return facts
