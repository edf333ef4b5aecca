"""The autograder that `npse exercise export --format gradescope` packs calls this module.

    python -m npse.exercises.gradescope SUBMISSION RESULTS SEED NAME...
"""

import json
import os
import sys
from pathlib import Path

from npse.exercises.grade import grade, seed_of
from npse.exercises.sandbox import missing_protections
from npse.support.files import write_atomically

METADATA = "submission_metadata.json"            # Gradescope writes it beside the folder of the submission


def results(submission, names, seed=0, trust=False):
    """Mark a folder with the files of one student. Return a dict in the format of Gradescope's results.json.

    Parameters
    ----------
    submission : path
    names : sequence of str
        The exercises to mark; a missing file gets 0 points.
    seed : int
        This and the ids of the students decide the values of the arguments.
    trust : bool
        Whether to mark even if the code cannot be isolated. Otherwise the result says that it was not graded.
    """
    if not trust and (missing := missing_protections()):
        return {"score": 0, "output": f"not graded: this image cannot isolate the code ({'; '.join(missing)}). Tell "
                                      "your teacher: run_autograder says what to do", "tests": []}
    student = Path(submission)
    found = grade(student.parent, names, seed_of(seed, _ids(student.parent / METADATA)), workers=1,
                  students=[student.name])
    tests = [{"name": f"{mark['exercise']}: {part['name']}", "score": part["earned"], "max_score": part["points"],
              "output": part["message"] or "right"} for mark in found["marks"] for part in mark["parts"]]
    notes = "\n".join(f"{mark['exercise']}: {mark['note']}" for mark in found["marks"] if mark["note"])
    return {"score": sum(test["score"] for test in tests), "output": notes, "tests": tests}


def _ids(path):
    """Return the ids of the students who submit together, as a text; "" if nobody tells."""
    try:
        return ",".join(sorted(str(user["id"]) for user in json.loads(path.read_bytes())["users"]))
    except (OSError, ValueError, KeyError, TypeError):
        return ""


if __name__ == "__main__":
    _, submission, path, seed, *names = sys.argv
    found = results(submission, names, int(seed), trust=bool(os.environ.get("NPSE_TRUST")))
    write_atomically(Path(path), json.dumps(found, indent=1) + "\n")
