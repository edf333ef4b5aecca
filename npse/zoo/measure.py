"""Run every design on every bug, and on the correct book.

A design *catches* a bug if, on at least one shape, it reports a finding in at least 95 % of the seeds. A finding counts
only if the design reports none on the correct book with the same arguments. The judge *diagnoses* the bug if, on the
first such shape, its first sentence names a fitting kind, again in 95 % of the seeds. The shapes have the order of the
judge's list, so a user reads this sentence first.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cache, partial
from math import ceil

from npse.gradcheck import check_case
from npse.zoo.bug import BOOK, NO_BUG, Bug, cases_of
from npse.zoo.designs import DESIGNS
from npse.zoo.workers import workers

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


def survey(bugs, seeds, designs=tuple(DESIGNS), jobs=1):
    """Yield a `Row` for each bug, measured with ``seeds`` seeds on each shape of its ops, in ``jobs`` processes."""
    with workers(jobs) as run:
        yield from run(partial(_row, seeds=seeds, designs=designs), bugs)


def _row(bug, seeds, designs):
    found = {name: _first_shape(name, bug, seeds) for name in designs}
    findings = found["judge"][1] if "judge" in found else []
    kinds = Counter(finding.kind for finding in findings)
    kind = kinds.most_common(1)[0][0] if kinds else ""
    sentence = next((finding.text for finding in findings if finding.kind == kind), "")
    right = sum(kinds[fitting] for fitting in bug.kinds)
    return Row(bug, {name: shape for name, (shape, _) in found.items()}, kind, sentence,
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


@cache
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

    def add(self, other):
        """Add the counts of other seeds, not how many seeds there are."""
        self.checks += other.checks
        self.false += other.false
        self.undecided += other.undecided


def false_alarms(seeds, others, op=None, progress=None, jobs=1):
    """Run the judge on the correct book with ``seeds`` seeds, and the other designs with ``others`` seeds.

    Parameters
    ----------
    seeds, others : int
    op : str, optional
        Only the cases of this op.
    progress : function of (how many seeds are done, the results so far), optional
    jobs : int
        How many processes share the seeds.

    Returns
    -------
    dict of str to Alarms
        A check is one verdict of the judge; for the other designs, one case. ``undecided`` counts "cannot tell".
    """
    found = {name: Alarms(seeds if name == "judge" else others) for name in DESIGNS if name != "judge, no book"}
    designs = [[name for name, alarms in found.items() if seed < alarms.seeds] for seed in range(max(seeds, others))]
    with workers(jobs) as run:
        for done, alarms_of_seed in enumerate(run(partial(_alarms, op), range(len(designs)), designs), start=1):
            for name, alarms in alarms_of_seed.items():
                found[name].add(alarms)
            if progress:
                progress(done, found)
    return found


def _alarms(op, seed, designs):
    """Return the `Alarms` of each of these designs with one seed."""
    found = {name: Alarms(1) for name in designs}
    for case in cases_of(op):
        for name, alarms in found.items():
            _count(alarms, name, case, seed)
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
