"""Run every design on every bug, and on the correct book.

A design *catches* a bug if, on at least one shape, it reports a finding in at least 95 % of the seeds. A finding counts
only if the design reports none on the correct book with the same arguments. The judge *diagnoses* the bug if, on the
first such shape, its first sentence names a fitting kind, again in 95 % of the seeds. The shapes have the order of the
judge's list, so a user reads this sentence first.
"""

import functools
from collections import Counter
from dataclasses import dataclass
from math import ceil

from npse.gradcheck import check_case
from npse.zoo.bug import BOOK, NO_BUG, Bug, all_cases
from npse.zoo.designs import DESIGNS

CAUGHT_SHARE = 0.95          # the smallest share of seeds for "caught" and for "diagnosed"


@dataclass(frozen=True)
class Row:
    """The results of one bug.

    Attributes
    ----------
    bug : Bug
    caught : dict of str to str
        For each design the first shape on which it catches the bug; empty if it misses the bug.
    kind, sentence : str
        The judge's diagnosis on that shape: the most frequent kind, and one sentence. Both are empty if the judge
        misses the bug.
    diagnosed : bool
    """

    bug: Bug
    caught: dict
    kind: str
    sentence: str
    diagnosed: bool


def survey(bugs, seeds, designs=tuple(DESIGNS)):
    """Yield a `Row` for each bug, measured with ``seeds`` seeds on each shape of its ops."""
    for bug in bugs:
        found = {name: _first_shape(name, bug, seeds) for name in designs}
        findings = found["judge"][1] if "judge" in found else []
        kinds = Counter(finding.kind for finding in findings)
        kind = kinds.most_common(1)[0][0] if kinds else ""
        sentence = next((finding.text for finding in findings if finding.kind == kind), "")
        right = sum(kinds[fitting] for fitting in bug.kinds)
        yield Row(bug, {name: shape for name, (shape, _) in found.items()}, kind, sentence,
                  bool(findings) and right >= CAUGHT_SHARE * seeds)


def _first_shape(name, bug, seeds):
    """Return the first case on which a design catches a bug, and its findings there."""
    for case in bug.cases:
        findings, possible = [], seeds
        for seed in range(seeds):
            finding = DESIGNS[name](case, bug, seed)
            if finding and not is_false_alarm(name, case, seed):
                findings.append(finding)
            else:
                possible -= 1
            if possible < ceil(CAUGHT_SHARE * seeds):
                break
        else:
            return str(case), findings
    return "", []


@functools.cache
def is_false_alarm(name, case, seed):
    """Whether a design calls the correct op wrong."""
    return DESIGNS[name](case, NO_BUG, seed) is not None


@dataclass
class Alarms:
    """The results of a design on the correct book."""

    seeds: int
    checks: int = 0
    false: int = 0
    undecided: int = 0


def false_alarms(seeds, others, cases=None, progress=None):
    """Run the judge on the correct book with ``seeds`` seeds, and the other designs with ``others`` seeds.

    Returns
    -------
    dict of str to Alarms
        A check is one verdict of the judge; for the other designs, one case. ``undecided`` counts "cannot tell".
    """
    found = {name: Alarms(seeds if name == "judge" else others) for name in DESIGNS if name != "judge, no book"}
    for seed in range(max(seeds, others)):
        for case in all_cases() if cases is None else cases:
            for name, alarms in found.items():
                if seed < alarms.seeds:
                    _count(alarms, name, case, seed)
        if progress:
            progress(seed + 1, found)
    return found


def _count(alarms, name, case, seed):
    if name != "judge":
        alarms.checks += bool(case.wrt)
        alarms.false += bool(case.wrt) and DESIGNS[name](case, NO_BUG, seed) is not None
        return
    results = check_case(case, BOOK, seed, BOOK)
    alarms.checks += len(results)
    alarms.false += sum(result.verdict == "wrong" for result in results)
    alarms.undecided += sum(result.verdict == "cannot tell" for result in results)
