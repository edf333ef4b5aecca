"""Points and remarks that a teacher gives by hand. They are kept in a table, and so survive every new grading.

    student,exercise,points,remark
    ann,squeeze,6,"explained it well"

``points`` may be empty: then only the remark is added.
"""

import csv
from pathlib import Path

from npse.exercises.annotated import find

FILE = "by_hand.csv"         # in the folder of the report
COLUMNS = ("student", "exercise", "points", "remark")


def apply(found, path):
    """Return the result of a grading with the points and remarks of a table in it.

    Parameters
    ----------
    found : dict
        The result of `npse.exercises.grade.grade`; it stays as it is.
    path : path
        The table. If there is none, ``found`` is returned.

    Raises
    ------
    ValueError
        The table has other columns, or a line names a student or an exercise that was not graded, or points that the
        exercise does not have.
    """
    path = Path(path)
    if not path.exists():
        return found
    marks = {(mark["student"], mark["exercise"]): dict(mark) for mark in found["marks"]}
    with path.open(encoding="utf-8-sig", newline="") as file:
        table = csv.DictReader(file)
        if not set(COLUMNS) <= set(table.fieldnames or ()):
            raise ValueError(f"{path} must begin with the line {','.join(COLUMNS)}")
        for row in table:
            _change(marks, row, f"{path}, line {table.line_num}")
    return found | {"marks": list(marks.values())}


def _change(marks, row, where):
    mark = marks.get((row["student"], find(row["exercise"]).name))
    if mark is None:
        raise ValueError(f"{where}: {row['student']} has no mark for exercise {row['exercise']}")
    remark = row["remark"] or ""
    if row["points"]:
        if not row["points"].isdecimal() or int(row["points"]) > mark["points"]:
            raise ValueError(f"{where}: points must be a whole number from 0 to {mark['points']}, not {row['points']}")
        remark = f"{row['points']} points by hand, {mark['earned']} without" + (f": {remark}" if remark else "")
        mark["earned"] = int(row["points"])
    mark["note"] = "; ".join(filter(None, (mark["note"], remark)))
