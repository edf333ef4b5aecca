"""The judge's results: a `Result` for each property that was checked, and a `Report` of all."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from npse.gradcheck.diagnosis.result import Diagnosis
from npse.gradcheck.steps import Budget
from npse.types import Array, Index

RIGHT, WRONG, CANNOT_TELL = "right", "wrong", "cannot tell"


@dataclass(frozen=True, eq=False)
class View:
    """Two gradients, and central differences of the worst entry at many step sizes.

    Attributes
    ----------
    ours, numeric, error : arrays shaped like the argument
        ``numeric`` is nan where a step crossed a kink.
    steps, values : arrays
    index : tuple
        The worst entry.
    expected : float
        The value that it should have.
    """

    ours: Array
    numeric: Array
    error: Array
    steps: Array
    values: Array
    index: Index
    expected: float


@dataclass(frozen=True)
class Result:
    """One verdict on one property of one case.

    Attributes
    ----------
    op, case : str
        The op that was judged, and the label of the case.
    judged : str
        The property: ``"gradient"`` (against central differences), ``"float32"`` (against float64), a rule of the
        contract (``"unchanged"``, ``"linear"``, ...), ``"book"`` (against another edition) or ``"runs"``.
    verdict : str
        ``"right"``, ``"wrong"`` or ``"cannot tell"``.
    argument : str
        The argument whose gradient was judged; empty where the property belongs to the op as a whole.
    error : float
        Worst relative error.
    index, ours, expected : tuple, float, float
        The entry with the worst error, its value, and the value it should have; None if there is no such entry.
    crossed : tuple of index tuples
        Entries left out because a step crossed a kink.
    entries : int
        How many entries were checked, including those left out.
    message : str
        What is wrong, or a note, in one line.
    diagnosis : Diagnosis
        Why it is wrong; None unless the verdict is "wrong".
    budget : Budget
        Error budget of the central difference at ``index``, or None.
    complex_step : float
        Worst relative error against the complex step, the second numeric gradient; None if forward takes no complex
        numbers or is not analytic.
    view : View
        What `npse.gradcheck.pictures` draws; None if there is nothing to draw.
    """

    op: str
    case: str
    judged: str
    verdict: str
    argument: str = ""
    error: float = 0.0
    index: Index | None = None
    ours: float | None = None
    expected: float | None = None
    crossed: tuple[Index, ...] = ()
    entries: int = 0
    message: str = ""
    diagnosis: Diagnosis | None = None
    budget: Budget | None = None
    complex_step: float | None = None
    view: View | None = field(default=None, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Whether the verdict is "right"."""
        return self.verdict == RIGHT

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file: None if a number is not finite; without ``view``."""
        facts = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "view"}
        return _plain(facts | {name: facts[name] and asdict(facts[name]) for name in ("diagnosis", "budget")})

    def __str__(self) -> str:
        subject = f"gradient of {self.argument}" if self.judged == "gradient" else " ".join(
            filter(None, (self.judged, self.argument)))
        line = f"{self.op} [{self.case}] {subject}: {self.verdict}"
        line = f"{line}, {self.message}" if self.message else line
        is_news = self.diagnosis and self.diagnosis.text.rstrip(".") not in line
        return f"{line}\n    {self.diagnosis}" if is_news else line


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True)
class Report:
    """All results of one check. ``.ok``, and true in a boolean context, if every verdict is "right"."""

    results: tuple[Result, ...]

    @property
    def ok(self) -> bool:
        """Whether there are results, and all are right."""
        return bool(self.results) and all(result.ok for result in self.results)

    @property
    def failures(self) -> tuple[Result, ...]:
        """The results that are not right."""
        return tuple(result for result in self.results if not result.ok)

    def __bool__(self) -> bool:
        return self.ok

    def _repr_html_(self) -> str:
        """The report in a notebook: a table, and a picture of each wrong gradient."""
        from npse.gradcheck.html import report_as_html
        return report_as_html(self)

    def __str__(self) -> str:
        return "\n".join([*map(str, self.results), RIGHT if self.ok else f"{len(self.failures)} of "
                          f"{len(self.results)} checks failed"])
