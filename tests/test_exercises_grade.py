"""Grading: a class with hostile submissions, the reports, similar solutions, and exports."""

import csv
import json
import multiprocessing
import os
import re
import time
import zipfile

import pytest

from npse.exercises import by_hand, find, judging, report, similarity
from npse.exercises.annotated import ANSWER, STUDENT
from npse.exercises.collect import collect
from npse.exercises.grade import grade, seed_of
from npse.exercises.notebook import as_notebook
from npse.exercises.sandbox import missing_protections

SQUEEZE, SCALE, BLOCK = find("squeeze"), find("scale"), find("block")

# A long solution with loops, which only one student would write.
LONG_WAY = """
import numpy as np

def scale(u, s):
    # first an empty map, then picture by picture
    result = np.empty_like(u)
    for picture in range(len(u)):
        for row in range(u.shape[1]):
            for column in range(u.shape[2]):
                result[picture, row, column] = u[picture, row, column] * s[picture]
    return result

def scale_backward(dy, u, s):
    left, right = np.empty_like(u), np.zeros_like(s)
    for picture in range(len(u)):
        for row in range(u.shape[1]):
            for column in range(u.shape[2]):
                left[picture, row, column] = dy[picture, row, column] * s[picture]
                right[picture] = right[picture] + dy[picture, row, column] * u[picture, row, column]
    return left, right
"""
RENAMED = re.sub(r"#.*", "", LONG_WAY)
for _old, _new in (("picture", "k"), ("row", "p"), ("column", "q"), ("left", "first"), ("right", "second"),
                   ("result", "out")):
    RENAMED = RENAMED.replace(_old, _new)

GOOD = SCALE.as_file(ANSWER)
HOSTILE = {
    "endless": GOOD + "\ndef scale(u, s):\n    while True: pass\n\nscale_backward = scale\n",
    "greedy": "import numpy as np\ndef scale(u, s):\n    return np.ones(10 * 2**27)\n",
    "exiting": "import os\nos._exit(0)\n",
    "patching": "import numpy as np\nnp.allclose = lambda *a, **k: True\nnp.abs = lambda x: 0 * x\n" + GOOD,
    "syntax": "def scale(u, s:\n    return u\n",
    "empty": "",
    "binary": b"\x7fELF\x00\x01\x02\xff" * 100,
    "borrowing": "from npse.reference import scale, scale_backward\n",
    "borrowing, hidden": "r = __import__('np' + 'se').reference\nscale, scale_backward = r.scale, r.scale_backward\n",
    "forger": "import os, json\nfor f in range(3, 9):\n    try: os.write(f, json.dumps({'points': 7}).encode())\n"
              "    except OSError: pass\n",
}


def hand_in(folder, student, exercise, content, suffix=".py"):
    path = folder / student / f"{exercise.stem}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def points(found, student):
    return {mark["exercise"]: mark["earned"] for mark in found["marks"] if mark["student"] == student}


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Return the results of five students."""
    folder = tmp_path_factory.mktemp("submissions")
    hand_in(folder, "student1", SCALE, GOOD)
    hand_in(folder, "=student2 <b>", SCALE, as_notebook(SCALE, ANSWER), ".ipynb")
    hand_in(folder, "student3", SCALE, f"{SCALE.solution_code()}\n\n{SCALE.mistakes[0].code}")
    hand_in(folder, "nobody", SCALE, "")
    hand_in(folder, "exiting", SCALE, HOSTILE["exiting"])
    hand_in(folder, "student1", SQUEEZE, SQUEEZE.as_file(STUDENT))
    (folder / "student1" / "notes.py").write_text("# my notes")
    (folder / "student3" / SQUEEZE.stem).with_suffix(".py").symlink_to(folder / "student1" / "05_scale.py")
    return folder, grade(folder, seed=7)


def test_everybody_has_a_mark_for_everything(few):
    _, found = few
    assert points(found, "student1") == {"squeeze": 0, "scale": 7}
    assert points(found, "=student2 <b>") == {"squeeze": 0, "scale": 7}
    assert points(found, "student3") == {"squeeze": 0, "scale": 5}
    assert points(found, "nobody") == points(found, "exiting") == {"squeeze": 0, "scale": 0}
    notes = {mark["student"]: mark["note"] for mark in found["marks"] if mark["exercise"] == "scale"}
    assert "is empty" in notes["nobody"]
    assert "ends its own process" in notes["exiting"]


def test_links_and_unknown_files_are_left_out(few):
    _, found = few
    assert sorted(found["left_out"]) == [["student1/notes.py", "belongs to no exercise"],
                                         ["student3/03_squeeze.py", "a link or no file"]]


def test_points_and_remarks_by_hand_are_kept(few, tmp_path):
    _, found = few
    table = tmp_path / by_hand.FILE
    assert by_hand.apply(found, table) is found
    table.write_text("student,exercise,points,remark\nnobody,scale,3,ill\nstudent3,5,,\"talk, please\"\n")
    changed = by_hand.apply(found, table)
    marks = {(mark["student"], mark["exercise"]): mark for mark in changed["marks"]}
    assert marks["nobody", "scale"]["earned"] == 3
    assert marks["nobody", "scale"]["note"].endswith("is empty; 3 points by hand, 0 without: ill")
    assert (marks["student3", "scale"]["earned"], marks["student3", "scale"]["note"]) == (5, "talk, please")
    assert points(found, "nobody")["scale"] == 0
    assert by_hand.apply(found, table) == changed


@pytest.mark.parametrize(("line", "words"), [
    ("stranger,scale,3,", "line 2: stranger has no mark for exercise scale"),
    ("nobody,scale,8,", "points must be a whole number from 0 to 7, not 8"),
    ("nobody,scale,-1,", "from 0 to 7, not -1"), ("nobody,scalle,1,", "did you mean scale")])
def test_a_wrong_line_by_hand_is_named(line, words, few, tmp_path):
    (tmp_path / by_hand.FILE).write_text(f"student,exercise,points,remark\n{line}\n")
    with pytest.raises(ValueError, match=words):
        by_hand.apply(few[1], tmp_path / by_hand.FILE)


def test_each_student_gets_other_numbers(few):
    _, found = few
    seeds = {mark["student"]: mark["seed"] for mark in found["marks"]}
    assert len(set(seeds.values())) == 5
    assert seeds["student1"] == seed_of(7, "student1") != seed_of(8, "student1")


def test_the_reports_agree_and_contain_no_active_content(few, tmp_path):
    _, found = few
    paths = report.write(found, tmp_path / "report")
    assert all(path.is_file() for path in paths)
    rows = list(csv.DictReader((tmp_path / "report" / "marks.csv").open()))
    assert {row["student"]: row["total"] for row in rows}["student1"] == "7"
    assert any(row["student"] == "'=student2 <b>" for row in rows)    # no formula
    assert json.loads((tmp_path / "report" / "marks.json").read_text()) == json.loads(json.dumps(found))
    pages = [path.read_text() for path in paths if path.suffix == ".html"]
    assert len(pages) == 6
    with zipfile.ZipFile(tmp_path / "report" / "feedback.zip") as archive:
        assert len(archive.namelist()) == 5
        assert archive.read("student1/feedback.html").decode() == (
            tmp_path / "report" / "students" / "student1.html").read_text()
    assert not any("<b>" in page or "<script" in page for page in pages)
    for path in (tmp_path / "report" / "students").glob("*.html"):      # a student's page names nobody else
        assert sum(name in path.read_text() for name in ("student1", "student2", "student3", "nobody", "exiting")) == 1
    assert "averaged" in pages[0] or "right" in pages[0]


def test_all_files_may_be_in_one_folder_and_the_newest_counts(tmp_path):
    (tmp_path / "student1_03_squeeze.py").write_text("old")
    (tmp_path / "student1-03_squeeze.ipynb").write_text("{}")
    os.utime(tmp_path / "student1_03_squeeze.py", (1, 1))
    (tmp_path / "student2 05_scale.py").write_text("new")
    collected = collect(tmp_path)
    found, left_out = collected.files, collected.left_out
    assert found["student1"] == {SQUEEZE: tmp_path / "student1-03_squeeze.ipynb"}
    assert found["student2"] == {SCALE: tmp_path / "student2 05_scale.py"}
    assert len(left_out) == 1


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_nothing_to_grade_is_reported(tmp_path, make):
    make(tmp_path / "class")
    with pytest.raises((FileNotFoundError, ValueError), match=r"submissions|nothing to grade"):
        grade(tmp_path / "class")


def alike(submissions):
    return similarity.flags(SCALE, {student: similarity.features(cells) for student, cells in submissions.items()})


def test_similar_solutions_are_flagged_although_every_name_was_changed():
    found = alike({"student1": [GOOD], "student2": [GOOD], "student3": [LONG_WAY],
                                     "student4": [RENAMED],
                                     "student5": ["def scale(u, s): return u * s.reshape(len(u), 1, 1, -1)"]})
    assert [pair["students"] for pair in found] == [["student3", "student4"]]
    assert found[0]["share"] > 0.9


def test_code_that_many_have_is_not_flagged():
    assert not alike({f"s{i}": [LONG_WAY] for i in range(6)})


def test_unreadable_code_has_few_features():
    assert similarity.features(["'''", "def f(:\n", "\x00"]) is not None


HIGHER = ("for pid in range(1, 99999):\n    if pid != os.getpid():\n        try: {attack}\n"
          "        except (OSError, ValueError): pass\n")
ATTACKS = {                      # on the process that judges, and on all others
    "pidfd": "import signal, os\n" + HIGHER.format(attack="signal.pidfd_send_signal(os.pidfd_open(pid), 9)"),
    "prlimit": "import resource, os\n" + HIGHER.format(attack="resource.prlimit(pid, resource.RLIMIT_CPU, (1, 1))"),
    "no files": "import resource, os\n" + HIGHER.format(attack="resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, 0))"),
    "kill": "import os\n" + HIGHER.format(attack="os.kill(pid, 9)"),
}


@pytest.mark.skipif(bool(missing_protections()), reason="this system does not isolate the code: it reaches processes")
def test_attacks_on_the_judge_and_files_that_cannot_be_read_stop_nobody(tmp_path, monkeypatch):
    folder = tmp_path / "class"
    hand_in(folder, "ann", SCALE, GOOD)
    hand_in(folder, "zoe", SCALE, GOOD)
    for name, code in ATTACKS.items():
        hand_in(folder, name, SCALE, code)
    hand_in(folder, "n" * 252, SCALE, GOOD)
    hand_in(folder, "quadratic", SCALE, json.dumps({"cells": [
        {"cell_type": "code", "metadata": {}, "source": "x = (\n" + " " * 3_000_000 + "x"}]}), ".ipynb")
    hand_in(folder, "deep", SCALE, "(" * 150_000)
    (folder / "loop").mkdir()
    (folder / "loop" / "05_scale.py").symlink_to("05_scale.py")
    (folder / "bytes").mkdir()
    for name in (b"05_scale_\xff.py", b"notes\xff.py"):
        with open(os.path.join(os.fsencode(folder / "bytes"), name), "w") as file:
            file.write(GOOD if name.startswith(b"05") else "x = 1")
    (folder / "nested").mkdir()
    monkeypatch.chdir(folder / "nested")
    for _ in range(600):                                         # a path of more than 4096 bytes
        os.mkdir("abcdefgh")
        os.chdir("abcdefgh")
    monkeypatch.chdir(tmp_path)
    found = grade(folder, seed=3)
    full = {mark["student"] for mark in found["marks"] if mark["earned"] == 7}
    assert full == {"ann", "zoe", "bytes", "n" * 252}
    assert {mark["student"] for mark in found["marks"] if mark["earned"] == 0} == {
        *ATTACKS, "quadratic", "deep", "loop", "nested"}
    reasons = dict(found["left_out"])
    assert reasons["bytes/notes\\xff.py"] == "belongs to no exercise"
    assert "too many folders inside each other" in reasons.values()
    assert all(path.is_file() for path in report.write(found, tmp_path / "report"))


def test_a_grading_that_was_interrupted_goes_on(tmp_path):
    folder, record = tmp_path / "class", tmp_path / "marks.jsonl"
    for student in ("ann", "ben", "cem"):
        hand_in(folder, student, SCALE, GOOD)

    def stop(done, of):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grade(folder, seed=3, workers=1, say=stop, record=record)
    assert len(record.read_text().split()) > 2
    with record.open("a") as file:
        file.write('\n{"key": "half a li')                       # as if the power had failed
    (folder / "ann" / "05_scale.py").write_text(SCALE.solution_code() + "\n\n" + SCALE.mistakes[0].code)
    seen = []
    found = grade(folder, seed=3, workers=1, say=lambda done, of: seen.append((done, of)), record=record)
    assert seen[0] == (1, 3)                                     # ben is kept; the file of ann is another one now
    assert [points(found, student)["scale"] for student in ("ann", "ben", "cem")] == [5, 7, 7]
    assert grade(folder, seed=3, record=record) == found
    assert grade(folder, seed=4, record=record)["marks"][0]["seed"] != found["marks"][0]["seed"]


@pytest.mark.parametrize(("end", "words"), [
    ("os._exit(3)", "was ended (exit code 3)"), ("os.kill(os.getpid(), 9)", "was ended (exit code -9)"),
    ("time.sleep(99)", "longer than 1 s"), ("1 / 0", "ZeroDivisionError")])
def test_a_judge_that_ends_costs_one_hand_in(end, words, tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "SECONDS", 1.0)
    monkeypatch.setattr(judging, "get_context", lambda kind: multiprocessing.get_context("fork"))

    def judge(hand_in, real=judging.judge):
        return real(hand_in) if hand_in.student == "ann" else exec(end, {"os": os, "time": time})

    monkeypatch.setattr(judging, "judge", judge)
    hand_in(tmp_path, "ann", SCALE, "")
    hand_in(tmp_path, "ben", SCALE, GOOD)
    notes = {mark["student"]: mark["note"] for mark in grade(tmp_path, workers=2)["marks"]}
    assert "is empty" in notes["ann"]
    assert notes["ben"].startswith("grade it by hand: ")
    assert words in notes["ben"]


def test_the_same_program_is_always_shown():
    copy = f"# my own work\n{LONG_WAY}".replace("    result = ", "    result  =  ")
    programs = {"ann": LONG_WAY, "ben": copy, "cem": RENAMED, "dan": GOOD, "eva": SCALE.as_file(STUDENT), "flo": ""}
    found = similarity.copies(SCALE, {student: similarity.digest([code]) for student, code in programs.items()})
    assert found == [{"exercise": "scale", "students": ["ann", "ben"], "solution": False},
                     {"exercise": "scale", "students": ["dan"], "solution": True}]


@pytest.mark.slow
def test_a_class_of_thirty_with_hostile_submissions(tmp_path):
    honest = [f"honest-{i:02d}" for i in range(20)]
    assert len(honest) + len(HOSTILE) == 30
    for i, student in enumerate(honest):
        for exercise in (SQUEEZE, SCALE, BLOCK):
            mistake = exercise.mistakes[0] if i % 5 == 4 else None
            code = exercise.solution_code() + (f"\n\n{mistake.code}" if mistake else "")
            hand_in(tmp_path, student, exercise, code)
    hand_in(tmp_path, "honest-00", SCALE, LONG_WAY)
    hand_in(tmp_path, "honest-01", SCALE, RENAMED)
    for student, code in HOSTILE.items():
        hand_in(tmp_path, student, SCALE, code)
    began = time.monotonic()
    found = grade(tmp_path, seed=1)
    seconds = time.monotonic() - began
    for i, student in enumerate(honest):
        of = {mark["exercise"]: mark for mark in found["marks"] if mark["student"] == student}
        assert all((mark["earned"] == mark["points"]) == (i % 5 != 4) for mark in of.values()), student
        assert all(mark["earned"] > 0 for mark in of.values()), student
    for student in HOSTILE:
        assert sum(points(found, student).values()) == 0, student
    alike = [pair["students"] for pair in found["similar"] if pair["exercise"] == "scale"]
    assert alike == [["honest-00", "honest-01"]]
    assert len(report.write(found, tmp_path / "report")) == 34
    assert seconds < 300
