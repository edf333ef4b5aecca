"""Late work: when it was handed in, and the points that it loses."""

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

ATTEMPT = re.compile(r"_attempt_(?P<time>\d{4}(?:-\d\d){5})(?=[_.]|$)")          # Blackboard, in the name of a file
FLAGGED = re.compile(r"_LATE_\d{2,}_\d{3,}_")                                     # Canvas tells that, but not when
FORMATS = ("%Y-%m-%d-%H-%M-%S", "%A, %d %B %Y, %I:%M %p", "%A, %d %B %Y, %H:%M", "%d/%m/%Y %H:%M")
LATE, UNKNOWN = "late", "unknown"                # in place of a time


@dataclass(frozen=True)
class Deadline:
    """When work is due, and what a day costs.

    Attributes
    ----------
    due : datetime
    grace : timedelta
        Work within this time after `due` is not late.
    percent : float
        Of the points that were earned; for each day that has begun since `due`.
    """

    due: datetime
    grace: timedelta = timedelta()
    percent: float = 0.0

    def days_late(self, time):
        """Return the number of days, those that have begun included."""
        return 0 if time <= self.due + self.grace else math.ceil((time - self.due) / timedelta(days=1))


def submitted(entry, in_roster=""):
    """Return when something was handed in, as an ISO text; `LATE` or `UNKNOWN` if that is not known.

    Parameters
    ----------
    entry : str
        The name of the file or folder as the learning platform wrote it. Names below it are the student's own.
    in_roster : str
        The time that a roster tells; it counts if there is one.

    Raises
    ------
    ValueError
        The time in the roster cannot be read.
    """
    attempt = ATTEMPT.search(entry)
    if in_roster:
        return _time(in_roster).isoformat(" ", "minutes")
    if attempt:
        return _time(attempt["time"]).isoformat(" ", "minutes")
    return LATE if FLAGGED.search(entry) else UNKNOWN


def _time(text):
    for form in FORMATS:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time that can be read; write it like 2026-11-20 14:05") from None
    return time.astimezone().replace(tzinfo=None) if time.tzinfo else time


def apply(found, deadline):
    """Return the result of a grading with the deductions for late work.

    Parameters
    ----------
    found : dict
        The result of `npse.exercises.grade.grade`; it stays as it is.
    deadline : Deadline or None
        None deducts nothing.
    """
    return found if deadline is None else found | {"marks": [_after(mark, deadline) for mark in found["marks"]]}


def _after(mark, deadline):
    if not mark["file"]:
        return mark
    note, earned = "", mark["earned"]
    if mark["submitted"] == LATE:
        note = "late, but it is not known how late: nothing is deducted"
    elif mark["submitted"] == UNKNOWN:
        note = "it is not known when this was handed in: nothing is deducted"
    elif days := deadline.days_late(datetime.fromisoformat(mark["submitted"])):
        left = max(0.0, 1 - days * deadline.percent / 100)
        earned = round(earned * left, 2)
        earned = int(earned) if earned == int(earned) else earned
        note = (f"handed in at {mark['submitted']}, {days} day{'s' * (days != 1)} late: {earned} of the "
                f"{mark['earned']} points are left")
    return mark | {"earned": earned, "note": "; ".join(filter(None, (mark["note"], note)))}
