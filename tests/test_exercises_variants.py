"""Variants of an exercise: each is as whole as the usual one, and a hand-in is judged by the variant that was given."""

import csv

import pytest

from npse.exercises import exercises, find
from npse.exercises.annotated import ANSWER, SOURCE, STUDENT, solution_lines
from npse.exercises.check import check
from npse.exercises.grade import grade
from npse.exercises.notebook import as_notebook
from npse.exercises.submission import Submission, read
from npse.exercises.variants import MANIFEST, chosen, given, manifest

OTHERS = [exercise.in_variant(name) for exercise in exercises() for name in exercise.variants[1:]]
EVERY = pytest.mark.parametrize("exercise", OTHERS, ids=lambda exercise: f"{exercise.name} {exercise.variant}")
MISTAKES = [pytest.param(exercise, mistake, id=f"{exercise.name} {exercise.variant}: {mistake.title}")
            for exercise in OTHERS for mistake in exercise.mistakes]
SQUEEZE = find("squeeze")
OTHER = SQUEEZE.in_variant("NCHW")


def marked(exercise, code):
    return check(Submission(exercise, (code,), f"{exercise.stem}.py"), hidden=True)


@EVERY
def test_stub_and_solution_get_what_they_deserve(exercise):
    assert marked(exercise, exercise.as_file(STUDENT)).earned == 0
    mark = marked(exercise, exercise.as_file(ANSWER))
    assert mark.ok, str(mark)


@EVERY
def test_the_usual_solution_is_wrong_here_and_the_parts_are_the_same(exercise):
    usual = find(exercise.name)
    mark = marked(exercise, usual.solution_code())
    assert mark.earned < mark.points / 2, str(mark)
    assert [task.parts for task in exercise.tasks()] == [task.parts for task in usual.tasks()]
    assert exercise.hash == usual.hash
    assert usual.variant
    assert exercise.in_variant(usual.variant) is usual


@EVERY
def test_every_replacement_changes_something_and_no_solution_shows(exercise):
    text = (SOURCE / f"{exercise.stem}.py").read_text()
    declared = text.partition(f"# %% [variant] {exercise.variant}\n")[2].partition("\n# %%")[0]
    body = text.partition("# %% [variant]")[0]
    for line in declared.splitlines():
        old, new = line.removeprefix("# ").split(" -> ")
        assert old in body, line
        assert old != new
    for line in solution_lines(exercise):
        assert not any(line in shown for shown in (exercise.as_file(STUDENT), as_notebook(exercise), *exercise.hints))


@pytest.mark.slow
@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES)
def test_a_mistake_loses_exactly_its_part(exercise, mistake):
    mark = marked(exercise, f"{exercise.solution_code()}\n\n{mistake.code}")
    lost = {part.name for part in mark.parts if not part.ok}
    follow = {part.name for part in mark.parts if part.message.startswith("counts only when")}
    assert lost == {*mistake.loses, *follow}, str(mark)


def test_a_diagnosis_speaks_of_this_layout():
    mistake = OTHER.mistakes[0]
    mark = marked(OTHER, f"{OTHER.solution_code()}\n\n{mistake.code}")
    message = next(part.message for part in mark.parts if part.name in mistake.loses)
    assert "15 times too large" in message, message


def test_a_file_says_which_variant_it_is(tmp_path):
    for suffix, text in ((".py", OTHER.as_file(ANSWER)), (".ipynb", as_notebook(OTHER, ANSWER))):
        (tmp_path / f"03_squeeze{suffix}").write_text(text)
        submission = read(tmp_path / f"03_squeeze{suffix}")
        assert submission.exercise is OTHER
        assert not submission.outdated
        assert check(submission).ok
    (tmp_path / "a.py").write_text(SQUEEZE.as_file(ANSWER))
    assert read(tmp_path / "a.py").exercise is SQUEEZE
    (tmp_path / "a.py").write_text(SQUEEZE.as_file(ANSWER).replace("variant NHWC", "variant WHAT"))
    assert read(tmp_path / "a.py").exercise is SQUEEZE


def test_the_choice_is_fixed_by_the_id_and_both_occur():
    names = [chosen(SQUEEZE, f"s{k}").variant for k in range(40)]
    assert names == [chosen(SQUEEZE, f"s{k}").variant for k in range(40)]
    assert 10 < names.count("NCHW") < 30
    assert chosen(find("loss"), "s1") is find("loss")
    with pytest.raises(ValueError, match="unknown variant 'NWHC' of exercise 3; did you mean N"):
        SQUEEZE.in_variant("NWHC")


def test_a_hand_in_is_judged_by_the_variant_that_was_given(tmp_path):
    students = ["1001", "1002", "1003", "1004"]
    table = tmp_path / MANIFEST
    table.write_text(manifest(exercises(), students))
    assert next(iter(csv.DictReader(table.open())))["student"] == "1001"
    table.write_text("student,squeeze\n1001,NCHW\n1002,NCHW\n1003,NHWC\n")
    for name, exercise in (("ann_1001", OTHER), ("ben_1002", SQUEEZE), ("cem_1003", SQUEEZE), ("dan_1004", OTHER)):
        (tmp_path / "class" / name).mkdir(parents=True)
        (tmp_path / "class" / name / "03_squeeze.py").write_text(exercise.as_file(ANSWER))
    assert given(table, ["ann_1001", "dan_1004"]) == {("ann_1001", "squeeze"): "NCHW"}
    found = grade(tmp_path / "class", workers=2, manifest=table)
    marks = {mark["student"]: (mark["earned"], mark["note"]) for mark in found["marks"]}
    assert marks["ben_1002"][0] < 4
    assert marks["ben_1002"][1] == "this file is variant NHWC, but the student was given NCHW"
    assert marks["ann_1001"] == marks["cem_1003"] == marks["dan_1004"] == (7, "")
    assert all(group["solution"] for group in found["copies"])
    table.write_text("student,squeeze\n1001,NWHC\n")
    with pytest.raises(ValueError, match="unknown variant 'NWHC'"):
        grade(tmp_path / "class", workers=2, manifest=table)
