"""Summary of many results: one `Row` for each argument of each op."""

from collections.abc import Iterable
from dataclasses import dataclass

from npse.gradcheck.contract import RULES
from npse.gradcheck.results import Result

CONTRACT = ("runs", *RULES, "linear", "book")      # properties of an op as a whole


@dataclass(frozen=True)
class Row:
    """The results of all cases of one op about one argument.

    Attributes
    ----------
    op, argument : str
        The argument is empty for an op without gradients.
    cases : int
    error, float32 : float or None
        Worst relative error against central differences, and worst deviation of float32 from float64.
    crossed, entries : int
        Entries left out because a step crossed a kink, of how many.
    broken : tuple of str
        Rules of the contract that the op breaks.
    ok : bool
    """

    op: str
    argument: str
    cases: int
    error: float | None
    float32: float | None
    crossed: int
    entries: int
    broken: tuple[str, ...]
    ok: bool


def rows(results: Iterable[Result]) -> list[Row]:
    """Summarize results, in the order in which ops and arguments first appear."""
    by_op: dict[str, list[Result]] = {}
    for result in results:
        by_op.setdefault(result.op, []).append(result)
    return [_row(op, argument, of_op) for op, of_op in by_op.items() for argument in _arguments(of_op)]


def _arguments(results: list[Result]) -> list[str]:
    return list(dict.fromkeys(result.argument for result in results if result.argument)) or [""]


def _row(op: str, argument: str, results: list[Result]) -> Row:
    mine = [result for result in results if result.argument == argument and result.judged not in CONTRACT]
    whole = [result for result in results if result.judged in CONTRACT]
    gradients = [result for result in mine if result.judged == "gradient"]
    broken = tuple(dict.fromkeys(result.judged for result in whole if not result.ok))
    return Row(
        op, argument, cases=len({result.case for result in gradients or whole}),
        error=_worst(gradients), float32=_worst([result for result in mine if result.judged == "float32"]),
        crossed=sum(len(result.crossed) for result in gradients), entries=sum(result.entries for result in gradients),
        broken=broken, ok=not broken and all(result.ok for result in mine))


def _worst(results: list[Result]) -> float | None:
    return max((result.error for result in results), default=None)
