"""What a class did: the distribution of the points, attempts, hints, and which diagnoses led to a repair."""

from collections import Counter

import numpy as np

BINS = (("0", 0.0), ("to 40 %", 0.4), ("to 70 %", 0.7), ("to 90 %", 0.9), ("above", 0.9999), ("all", 1.0))


def of_log(entries):
    """Summarize a student's log.

    A diagnosis led to a repair if the part that it was about is right in the next check of this exercise.

    Parameters
    ----------
    entries : list of dict
        As `npse.exercises.log.read_file` returns them.

    Returns
    -------
    dict of exercise -> dict
        ``attempts`` (number of checks), ``solved`` (the number of the first check with all points, or None), ``hints``,
        ``shown`` and ``repaired`` (dicts of kind of diagnosis -> number of times).
    """
    found, before = {}, {}
    for entry in entries:
        name = entry.get("check") or entry["hint"]
        mine = found.setdefault(name, {"attempts": 0, "solved": None, "hints": 0, "shown": {}, "repaired": {}})
        if "hint" in entry:
            mine["hints"] = max(mine["hints"], entry["number"])
            continue
        mine["attempts"] += 1
        if entry["earned"] == entry["points"] and mine["solved"] is None:
            mine["solved"] = mine["attempts"]
        if entry["earned"] > 0:                                  # otherwise the file may not have run at all
            for part, kind in before.get(name, {}).items():
                if kind and part not in entry["wrong"]:
                    mine["repaired"][kind] = mine["repaired"].get(kind, 0) + 1
        for kind in filter(None, entry["wrong"].values()):
            mine["shown"][kind] = mine["shown"].get(kind, 0) + 1
        before[name] = entry["wrong"]
    return found


def distribution(found):
    """Return a table of the points of each exercise, of those who handed something in: titles, and rows of cells."""
    rows = []
    for exercise in found["exercises"]:
        marks = [mark for mark in found["marks"] if mark["exercise"] == exercise["name"] and mark["file"]]
        if not marks:
            continue
        shares = np.array([mark["earned"] / mark["points"] for mark in marks])
        places = np.searchsorted([most for _, most in BINS], shares - 1e-9)
        counts = np.bincount(places, minlength=len(BINS))
        low, middle, high = np.percentile([mark["earned"] for mark in marks], (25, 50, 75))
        rows.append([exercise["title"], len(marks), f"{middle:g}", f"{low:g} to {high:g}", marks[0]["points"],
                     *map(int, counts)])
    return ["exercise", "handed in", "median", "middle half", "of", *(name for name, _ in BINS)], rows


def attempts(found):
    """Return a table of what the logs tell of each exercise: titles, and rows of cells; no rows without logs."""
    rows = []
    for exercise in found["exercises"]:
        logs = [log[exercise["name"]] for log in found["logs"].values() if exercise["name"] in log]
        if logs:
            solved = [log["solved"] for log in logs if log["solved"]]
            hints = Counter(min(log["hints"], 3) for log in logs)
            checks = np.median([log["attempts"] for log in logs])
            rows.append([exercise["title"], len(logs), f"{checks:g}", len(solved),
                         f"{np.median(solved):g}" if solved else "", *(hints[count] for count in range(4))])
    return ["exercise", "logs", "checks (median)", "solved", "after checks (median)", "no hint", "1", "2", "3"], rows


def repairs(found):
    """Return a table of the kinds of diagnosis: how often each was shown, and how often it led to a repair."""
    shown, repaired = Counter(), Counter()
    for log in found["logs"].values():
        for exercise in log.values():
            shown.update(exercise["shown"])
            repaired.update(exercise["repaired"])
    return ["diagnosis", "shown", "right in the next check", "share"], [
        [kind, count, repaired[kind], f"{repaired[kind] / count:.0%}"] for kind, count in shown.most_common()]
