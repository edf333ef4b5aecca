"""The autograder that `npse exercise export --format gradescope` packs calls this module.

    python -m npse.exercises.gradescope SUBMISSION RESULTS NAME...
"""

import json
import sys
from pathlib import Path

from npse.exercises.grade import grade
from npse.support.files import write_atomically


def results(submission, names, seed=0):
    """Mark a folder with the files of one student. Return a dict in the format of Gradescope's results.json.

    Parameters
    ----------
    submission : path
    names : sequence of str
        The exercises to mark; a missing file gets 0 points.
    seed : int
        As for `npse.exercises.grade.grade`.
    """
    student = Path(submission)
    found = grade(student.parent, names, seed, workers=1, students=[student.name])
    tests = [{"name": f"{mark['exercise']}: {part['name']}", "score": part["earned"], "max_score": part["points"],
              "output": part["message"] or "right"} for mark in found["marks"] for part in mark["parts"]]
    notes = "\n".join(f"{mark['exercise']}: {mark['note']}" for mark in found["marks"] if mark["note"])
    return {"score": sum(test["score"] for test in tests), "output": notes, "tests": tests}


if __name__ == "__main__":
    write_atomically(Path(sys.argv[2]), json.dumps(results(sys.argv[1], sys.argv[3:]), indent=1) + "\n")
