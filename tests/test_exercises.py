"""The exercises: stubs get no points, solutions all, mistakes lose their part, and no solution is in a stub."""

import json
import re

import pytest
from shares import some

from npse.exercises import exercises, find
from npse.exercises.annotated import ANSWER, SOURCE, STUDENT, parse, solution_lines
from npse.exercises.check import check
from npse.exercises.notebook import as_notebook
from npse.exercises.submission import Submission, read

EVERY = pytest.mark.parametrize("exercise", exercises(), ids=lambda exercise: exercise.stem)
SQUEEZE = find("squeeze")
# The first mistake of every second exercise is marked by default; each takes seconds.
MISTAKES = [pytest.param(exercise, mistake, id=f"{exercise.name}: {mistake.title}",
                         marks=pytest.mark.slow if k or number % 2 else ())
            for number, exercise in enumerate(exercises()) for k, mistake in enumerate(exercise.mistakes)]


def marked(exercise, code, **how):
    return check(Submission(exercise, (code,), f"{exercise.stem}.py"), **how)


def skip_without_tools(exercise):
    if exercise.tools != "numpy":
        pytest.importorskip("numba")


@pytest.mark.parametrize("exercise", some(exercises(), 4, lambda exercise: exercise.stem))
def test_the_unchanged_stub_gets_no_points(exercise):
    skip_without_tools(exercise)
    mark = marked(exercise, exercise.as_file(STUDENT), hidden=True)
    assert mark.earned == 0
    assert mark.points >= 4


@EVERY
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 3)),
                                  *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(3, 6))])
def test_the_solution_gets_all_points(exercise, seed):
    skip_without_tools(exercise)
    mark = marked(exercise, exercise.as_file(ANSWER), seed=seed, hidden=True)
    assert mark.ok, str(mark)
    assert not mark.note
    assert mark.seconds < 30


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES)
def test_a_mistake_loses_exactly_its_part(exercise, mistake):
    skip_without_tools(exercise)
    mark = marked(exercise, f"{exercise.solution_code()}\n\n{mistake.code}", hidden=True)
    lost = {part.name for part in mark.parts if not part.ok}
    follow = {part.name for part in mark.parts if part.message.startswith("counts only when")}
    assert lost == {*mistake.loses, *follow}, str(mark)
    assert {part.kind for part in mark.parts if part.name in mistake.loses} == {mistake.kind}, str(mark)
    assert set(mistake.loses) <= {name for task in exercise.tasks() for name in task.parts}
    assert not mark.ok


@pytest.mark.parametrize(("kept", "words"), [
    ("z = np.asarray(u.mean(axis=(1, 2)), np.float32)",
     "is given float64 but rounds u, or what follows from it, to float32"),
    ("s = 1 / (1 + np.exp(-(h @ w2.T.astype(np.float32))))", "as if it were computed in float32")])
def test_a_gradient_that_is_rounded_to_float32_loses_the_contract(kept, words):
    exercise, line = find("block"), kept.replace("np.asarray(u.mean(axis=(1, 2)), np.float32)", "u.mean(axis=(1, 2))")
    head, tail = exercise.solution_code().split("def se_backward")
    line = line.replace(".astype(np.float32)", "")
    assert line in tail
    mark = marked(exercise, f"{head}def se_backward{tail.replace(line, kept)}")
    lost, = (part for part in mark.parts if not part.ok)
    assert lost.name == "se_backward: contract"
    assert words in lost.message


def test_a_value_that_is_kept_for_arguments_of_the_same_shape_is_found():
    code = SQUEEZE.solution_code().replace("return u.mean(axis=(1, 2))", "return kept.setdefault(u.shape + (u.dtype,), "
                                           "u.mean(axis=(1, 2))).copy()")
    mark = marked(SQUEEZE, f"kept = {{}}\n{code}")
    assert next(part.name for part in mark.parts if not part.ok) == "squeeze: values"


@EVERY
def test_an_exercise_has_all_that_a_student_needs(exercise):
    text = exercise.as_file()
    assert len(exercise.hints) == 3
    assert len(exercise.mistakes) >= 2
    assert exercise.hash in text
    assert "# It should print:\n    # " in text
    assert "BEGIN" not in text
    assert "END" not in text
    assert "# | array | shape |" in text or "find the bug" in text.lower()
    assert max(map(len, text.splitlines())) <= 120


@EVERY
def test_nothing_of_a_solution_reaches_the_student(exercise):
    secret = solution_lines(exercise)
    assert secret
    for mistake in exercise.mistakes:
        secret |= {line.strip() for line in mistake.code.splitlines() if line.startswith("    ") and len(line) > 30}
    notebook = as_notebook(exercise)
    cells = "\n".join("".join(cell["source"]) for cell in json.loads(notebook)["cells"])
    for text in (exercise.as_file(), notebook, cells, *exercise.hints):
        for line in secret:
            assert not appears(line, text), line


def appears(line, text):
    """Whether a text contains a line of code, as a whole line or as part of one."""
    return re.search(rf"(?<!\w){re.escape(line)}(?!\w)", text) is not None


def test_the_leak_test_finds_a_leak(tmp_path):
    exercise = find("squeeze")
    line = max(solution_lines(exercise), key=len)
    leaking = exercise.path.read_text().replace("# %% [hint]\n", f"# %% [hint]\n# write {line} and be done\n", 1)
    (tmp_path / "03_squeeze.py").write_text(leaking)
    assert any(appears(line, hint) for hint in parse(tmp_path / "03_squeeze.py").hints)
    assert not any(appears(line, hint) for hint in exercise.hints)


def test_the_exercises_are_numbered_without_gaps():
    assert [exercise.number for exercise in exercises()] == list(range(1, len(exercises()) + 1))
    assert len(list(SOURCE.glob("*.py"))) == len(exercises()) == len({exercise.name for exercise in exercises()})
    assert len({exercise.hash for exercise in exercises()}) == len(exercises())


@EVERY
def test_the_notebook_is_valid_and_says_the_same(exercise):
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.reads(as_notebook(exercise), as_version=4)
    nbformat.validate(notebook)
    file = exercise.as_file()
    for cell in notebook.cells[1:]:
        for line in cell.source.splitlines():
            assert line.strip() in file


def test_find_knows_numbers_and_names():
    assert find("3") is find("03") is find("squeeze") is find("03_squeeze") is find(3)
    with pytest.raises(ValueError, match=r"did you mean squeeze\? known are: convolution, convolution_gradients, "):
        find("squeze")


@pytest.mark.parametrize("suffix", [".py", ".ipynb"])
def test_a_file_and_a_notebook_get_the_same_points(tmp_path, suffix):
    exercise = find("scale")
    path = tmp_path / f"anything{suffix}"
    path.write_text(as_notebook(exercise, ANSWER) if suffix == ".ipynb" else exercise.as_file(ANSWER), encoding="utf-8")
    submission = read(path)
    assert submission.exercise is exercise                        # by what the file says, not by its name
    assert check(submission).ok


def test_a_notebook_may_hold_magics_and_cells_that_fail(tmp_path):
    exercise = find("scale")
    notebook = json.loads(as_notebook(exercise, ANSWER))
    for source in ("%matplotlib inline\n!ls\nx = 1", "1 / 0", "np.zeros(3)?"):
        notebook["cells"].insert(1, {"cell_type": "code", "metadata": {}, "source": [source], "outputs": []})
    path = tmp_path / "05_scale.ipynb"
    path.write_text(json.dumps(notebook))
    mark = check(read(path))
    assert mark.ok, str(mark)


@pytest.mark.parametrize(("name", "content", "words"), [
    ("05_scale.py", b"", "is empty"),
    ("05_scale.ipynb", b"", "is empty"),
    ("05_scale.py", b"\x00\x01\xff" * 99, "is not a text file"),
    ("05_scale.py", b"\x89PNG\r\n\x1a\n\x00", "is not a text file"),
    ("05_scale.ipynb", b"{", "is not a notebook"),
    ("05_scale.ipynb", b"[]", "is not a notebook"),
    ("05_scale.ipynb", b'{"cells": [1]}', "is not a notebook"),
    ("05_scale.py", b"x = 1\n" * 10**6, "larger than"),
    ("05_scale.py", b"x = 1\n" * 10**5, "longer than"),
    ("05_scale.py", b"def scale(u, s):\nreturn u", "SyntaxError: expected an indented block"),
])
def test_a_file_that_cannot_be_read_gets_no_points_and_one_line(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    mark = check(read(tmp_path / name))
    assert mark.earned == 0
    assert words in mark.note
    assert "\n" not in mark.note


def test_a_file_from_an_older_source_is_judged_and_says_so(tmp_path):
    exercise = find("scale")
    path = tmp_path / "05_scale.py"
    path.write_text(exercise.as_file(ANSWER).replace(exercise.hash, "0123456789ab"))
    mark = check(read(path))
    assert mark.ok
    assert "another version" in mark.note


@pytest.mark.parametrize("hole", ["raise NotImplementedError", "raise NotImplementedError()", "return None", "pass",
                                  "...", "assert False", "raise Exception('')"])
def test_code_that_does_nothing_gets_no_points(hole):
    exercise = find("scale")
    mark = marked(exercise, f"def scale(u, s):\n    {hole}\n\ndef scale_backward(dy, u, s):\n    {hole}\n")
    assert mark.earned == 0
    assert all(part.message for part in mark.parts)
