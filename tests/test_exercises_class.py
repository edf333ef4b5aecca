"""A whole class, graded by a command that is killed twice: everybody gets their points, and nothing else happens."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hostile_class import ATTACKS, FILES, write_class

import npse as package
from npse.exercises.sandbox import missing_protections

pytestmark = pytest.mark.skipif(bool(missing_protections()), reason="this system does not isolate the code of students")
FEW = ("pidfd", "limit of files", "memory of the judge", "FileIO of a Path", "no Numba", "a shell", "endless",
       "replies", "helpers", "a link to itself", "not UTF-8", "a slow encoding")


def grade(folder, report):
    """Start the command; return its process."""
    words = [sys.executable, "-m", "npse", "exercise", "grade", folder, "--out", report, "--seed", "11"]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder.parent,
                            env=os.environ | {"PYTHONPATH": str(Path(package.__file__).parents[1])})


def killed_after(marks, folder, report, rng):
    """Grade until so many marks are there and a random moment has passed; then kill the command."""
    process, record = grade(folder, report), report / "marks.jsonl"
    while process.poll() is None and (not record.exists() or record.read_bytes().count(b"\n") < marks):
        time.sleep(0.05)
    time.sleep(rng.uniform(0, 1))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the command ended before it was killed"


@pytest.mark.parametrize(("honest", "attacks"), [
    pytest.param(12, FEW, id="24", marks=pytest.mark.slow),
    pytest.param(200 - len(ATTACKS) - len(FILES), None, id="200", marks=pytest.mark.nightly)])
def test_a_class_that_was_killed_twice_is_graded_right(honest, attacks, tmp_path):
    folder, report, rng = tmp_path / "class", tmp_path / "report", np.random.default_rng()
    points, victim, target = write_class(folder, honest, attacks)
    began = time.monotonic()
    for part in (1 / 4, 1 / 2):
        killed_after(part * len(points), folder, report, rng)
    process = grade(folder, report)
    out, err = process.communicate()
    minutes = (time.monotonic() - began) / 60
    assert process.returncode == 0, err
    print(f"{out}{len(points)} students, {minutes:.1f} minutes")
    found = json.loads((report / "marks.json").read_text())
    marks = {(mark["student"], mark["exercise"]): mark for mark in found["marks"]}
    wrong = {key: (marks[key]["earned"], earned, marks[key]["note"], [part for part in marks[key]["parts"] if not
                                                                      part["message"].startswith("counts")])
             for key, earned in points.items() if marks[key]["earned"] != earned}
    assert not wrong
    assert {student for student, _ in marks} == {student for student, _ in points}
    assert all(mark["earned"] == 0 for key, mark in marks.items() if key not in points)
    assert victim.read_text() == "the work of a teacher"
    assert not target.exists()
    assert not any("<script" in path.read_text() for path in report.rglob("*.html"))
    assert minutes < 60
