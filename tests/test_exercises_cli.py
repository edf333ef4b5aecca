"""``npse exercise`` as a student and a teacher call it, and the exports to other graders."""

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

import npse as package
from npse.cli import exercise as commands
from npse.exercises import annotated, exercises, find, gradescope, log
from npse.exercises.annotated import ANSWER, STUDENT, solution_lines
from npse.exercises.export import export
from npse.exercises.notebook_asserts import require
from npse.exercises.variants import chosen

SQUEEZE, SCALE = find("squeeze"), find("scale")


def test_list_names_every_exercise(npse):
    code, out, _ = npse("exercise", "list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [str(exercise.number) for exercise in exercises()]


def test_start_never_overwrites(npse):
    assert npse("exercise", "start", 3)[0] == 0
    path = Path("03_squeeze.py")
    path.write_text("my work")
    code, _, err = npse("exercise", "start", 3)
    assert code == 2
    assert "stays as it is; rename it, or choose another folder; --to sets the folder" in err
    assert path.read_text() == "my work"
    assert npse("exercise", "start", "squeeze", "--as", "notebook")[0] == 0
    assert npse("exercise", "start", 3, "--to", "new/folder")[0] == 0
    assert Path("new/folder/03_squeeze.py").is_file()
    assert npse("exercise", "start", 3, "--as", "poem")[0] == 2


def test_a_student_works_through_an_exercise(npse):
    npse("exercise", "start", 5)
    code, out, _ = npse("exercise", "check")
    assert code == 1
    assert out.startswith("Exercise 5, Scale: 0 of 7 points")
    assert "npse exercise hint 5" in out
    seen = [npse("exercise", "hint", 5)[1].count("hint ") for _ in range(4)]
    assert seen == [1, 2, 3, 3]
    Path("05_scale.py").write_text(SCALE.as_file(ANSWER) + "\nprint('so far so good')\n")
    code, out, _ = npse("exercise", "check", 5)
    assert code == 0
    assert "7 of 7" in out
    assert "your code printed: so far so good" in out
    out = npse("exercise", "status")[1]
    assert "7 of 7 points, 3 hints" in out
    Path("05_scale.py").write_text("")
    assert "7 of 7 points, changed since" in npse("exercise", "status")[1]


def test_check_takes_the_file_changed_last(npse):
    for number in (3, 5):
        npse("exercise", "start", number)
    os.utime("05_scale.py", (1, 1))
    assert "Squeeze" in npse("exercise", "check")[1]
    assert "Scale" in npse("exercise", "check", "scale")[1]


@pytest.mark.parametrize(("words", "expected"), [
    (("check",), "no exercise has been started"),
    (("check", "nothing.py"), "there is no file nothing.py"),
    (("check", 99), "there is no exercise 99; known are: convolution, "),
    (("check", "squeez"), "there is no exercise squeez; did you mean squeeze?"),
    (("check", 3), "exercise 3 has not been started in "),
    (("check", "stranger.py"), "belongs to no exercise"),
    (("start", 99), "there is no exercise 99; known are: convolution, "),
    (("hint", "squeze"), "there is no exercise squeze; did you mean squeeze?"),
    (("grade", "nowhere", "--out", "report"), "no folder nowhere"),
    (("export", "--format", "moodle", "--to", "x"), "unknown format 'moodle'; known are: nbgrader, otter"),
])
def test_wrong_arguments_end_in_one_line(npse, words, expected):
    Path("stranger.py").write_text("x = 1")
    code, _, err = npse("exercise", *words)
    assert code == 2
    assert expected in err
    assert err.count("\n") == 1


def test_without_numba_one_line_says_so_and_the_rest_works(npse, monkeypatch):
    real = annotated.importlib.util.find_spec
    monkeypatch.setattr(annotated.importlib.util, "find_spec", lambda name: None if name == "numba" else real(name))
    monkeypatch.delitem(vars(find(12)), "_printed", raising=False)
    code, _, err = npse("exercise", "start", 12)
    assert code == 2
    assert "pip install numba" in err
    assert not list(Path().iterdir())
    assert npse("exercise", "start", 3)[0] == 0


@pytest.mark.parametrize("content", [
    "{", "[]", "7", "null", '{"hint": "scale", "number": "two"}', '{"hint": "scale", "number": Infinity}',
    '{"check": "scale", "earned": 3}', '{"check": "scale", "earned": 3, "points": 7, "code": "", "wrong": {"a": []}}',
    "[" * 10**5, '{"hint": "scale", "number": ' + "9" * 10**5 + "}", "\x00"])
def test_a_broken_log_stops_no_command_and_stays(content, npse):
    npse("exercise", "start", 5)
    Path(log.FILE).write_text(content + "\n")
    assert npse("exercise", "status")[0] == 0
    assert npse("exercise", "hint", 5)[1].count("hint ") == 1
    assert Path(log.FILE).read_text() == content + '\n{"hint": "scale", "number": 1}\n'
    assert log.read(".") == [{"hint": "scale", "number": 1}]


@pytest.mark.parametrize("content", [
    "{", "[]", '{"marks": {"scale": 3}, "hints": {}}', '{"marks": {}, "hints": {"scale": "two"}}',
    '{"marks": {"scale": {"earned": Infinity, "points": 7, "code": ""}}, "hints": {}}'])
def test_a_broken_record_of_an_older_version_stops_no_command(content, npse):
    npse("exercise", "start", 5)
    Path(log.BEFORE).write_text(content)
    assert npse("exercise", "status")[0] == 0


def test_the_record_of_an_older_version_is_read(npse):
    Path("05_scale.py").write_text("")
    Path(log.BEFORE).write_text('{"marks": {"scale": {"earned": 3, "points": 7, "code": ""}}, "hints": {"scale": 2}}')
    assert "3 of 7 points, changed since, 2 hints" in npse("exercise", "status")[1]
    assert npse("exercise", "hint", 5)[1].count("hint ") == 3


def test_the_log_says_what_was_wrong_and_the_student_is_told_of_it_once(npse):
    Path("05_scale.py").write_text(f"{SCALE.solution_code()}\n\n{SCALE.mistakes[0].code}")
    assert log.NOTICE in npse("exercise", "check")[1]
    Path("05_scale.py").write_text(SCALE.as_file(ANSWER))
    assert log.NOTICE not in npse("exercise", "check")[1]
    npse("exercise", "hint", 5)
    first, second, hint = log.read(".")
    assert (first["check"], first["earned"], first["wrong"]) == (
        "scale", 5, {"scale_backward: gradient of s": "averaged"})
    assert (second["earned"], second["wrong"], hint) == (7, {}, {"hint": "scale", "number": 1})
    assert set(first) == {"check", "earned", "points", "code", "wrong"}


def test_hints_and_solutions_are_those_of_the_variant_in_the_folder(npse):
    Path("05_scale.py").write_text(SCALE.in_variant("NCHW").as_file(STUDENT))
    assert "s[:, :, None, None]" in npse("exercise", "hint", 5, "--all")[1]
    assert "axis=(2, 3)" in npse("exercise", "solution", 5)[1]
    npse("exercise", "solution", 5, "--to", ".")
    assert npse("exercise", "check", "05_scale_solution.py")[0] == 0


@pytest.mark.parametrize(("reader", "code"), [(ANSWER, 0), (STUDENT, 1)])
def test_if_nothing_can_be_written_the_marks_are_shown(reader, code, npse):
    Path("05_scale.py").write_text(SCALE.as_file(reader))
    Path(log.FILE).mkdir()                                          # root may write into every folder
    told = f"npse: {log.FILE}: Is a directory: marks and hints are shown, but not saved in this folder\n"
    found, out, err = npse("exercise", "check", 5)
    assert (found, err) == (code, told)
    assert " of 7 points" in out
    found, out, err = npse("exercise", "hint", 5)
    assert (found, err) == (0, told)
    assert "hint 1 of 3" in out
    assert npse("exercise", "status")[0] == 0
    assert sorted(path.name for path in Path().iterdir()) == ["05_scale.py", log.FILE]


def test_watch_checks_again_when_the_file_is_saved(npse, monkeypatch):
    npse("exercise", "start", 5)
    naps = []

    def sleep(seconds):
        naps.append(seconds)
        if len(naps) > 1:
            raise KeyboardInterrupt
        Path("05_scale.py").write_text(SCALE.as_file(ANSWER))
        os.utime("05_scale.py", (time.time() + 5,) * 2)

    monkeypatch.setattr(commands.time, "sleep", sleep)
    code, out, _ = npse("exercise", "check", "--watch")
    assert code == 0
    assert out.index("0 of 7 points") < out.index("7 of 7 points")


def test_solution_is_shown_and_written(npse):
    assert "u.mean(axis=(1, 2))" in npse("exercise", "solution", 3)[1]
    npse("exercise", "solution", 3, "--to", ".", "--as", "notebook")
    assert Path("03_squeeze_solution.ipynb").is_file()
    assert "--to sets the folder" in npse("exercise", "solution", 3, "--to", ".", "--as", "notebook")[2]
    assert npse("exercise", "check", "03_squeeze_solution.ipynb")[0] == 0
    for words in (["--to", ".", "--as", "poem"], ["--as", "notebook"]):
        code, out, err = npse("exercise", "solution", 3, *words)
        assert (code, out) == (2, "")
        assert err.startswith("npse: ")


def test_grade_writes_the_report(npse):
    Path("class/student1").mkdir(parents=True)
    Path("class/student1/05_scale.py").write_text(SCALE.as_file(ANSWER))
    code, out, _ = npse("exercise", "grade", "class", "--out", "report", "--exercise", 5, "--workers", 1, "--trust")
    assert code == 0
    assert out.startswith("students: 1, exercises: 1, pairs that look alike: 0")
    assert Path("report/students/student1.html").is_file()
    assert Path("report/marks.csv").read_text().splitlines()[1] == "student1,7,7,7,"


def test_a_class_with_variants_a_roster_and_late_work(npse):
    Path("roster.csv").write_text("student,scale,submitted\n1001,,2026-11-21 12:00\n1002,,\n")
    words = ("exercise", "export", "--format", "file", "--exercise", 5)
    code, out, _ = npse(*words, "--roster", "roster.csv", "--to", "course")
    assert code == 0
    assert out.splitlines() == [
        "wrote course/variants.csv", "wrote course/1001/05_scale.py", "wrote course/1002/05_scale.py"]
    Path("class/1001").mkdir(parents=True)
    Path("class/x").mkdir(parents=True)
    mine = chosen(SCALE, "1001")
    for student in ("1001", "x"):
        Path(f"class/{student}/05_scale.py").write_text(mine.as_file(ANSWER))
    code, out, err = npse("exercise", "grade", "class", "--out", "report", "--trust", "--roster", "roster.csv",
                          "--variants", "course/variants.csv", "--due", "2026-11-20 23:59", "--late", 10)
    assert (code, err) == (0, "")
    assert out.splitlines()[2:] == ["not in the roster: x", "upload report/upload_roster.csv"]
    assert Path("report/upload_roster.csv").read_text() == (
        "student,scale,submitted\n1001,6.3,2026-11-21 12:00\n1002,0,\n")
    assert Path("roster.csv").read_text().startswith("student,scale,submitted\n1001,,")
    assert npse(*words, "--variant", "1001", "--to", "course")[0] == 2
    assert npse(*words, "--format", "notebook", "--variant", "1001", "--to", "b")[0] == 0
    assert Path("b/1001/05_scale.ipynb").is_file()


@pytest.mark.parametrize(("words", "expected"), [
    (("export", "--format", "file", "--to", "x"), "--variant and --roster go with --format file or notebook"),
    (("export", "--format", "otter", "--variant", "a", "--to", "x"), "--variant and --roster go with --format file"),
    (("export", "--format", "file", "--variant", "../a", "--to", "x"), "the id '../a' cannot be the name of a folder"),
    (("grade", "c", "--out", "r", "--late", 3), "--late and --grace are for a deadline: add --due"),
    (("grade", "c", "--out", "r", "--column", "a"), "--column is a column of the roster: add --roster"),
    (("grade", "c", "--out", "r", "--roster", "none.csv"), "none.csv: No such file")])
def test_options_that_do_not_fit_end_in_one_line(npse, words, expected):
    code, _, err = npse("exercise", *words)
    assert code == 2
    assert expected in err
    assert err.count("\n") == 1


def test_require_explains_within_a_notebook():
    functions = SQUEEZE.functions()
    assert require("squeeze", "squeeze_backward: gradient of u", functions, hidden=True) == 3
    assert require("squeeze", "squeeze: manners", functions) == 1          # the name of 0.1
    with pytest.raises(AssertionError, match="15 times too large"):
        require("squeeze", "squeeze_backward: gradient of u", functions | {
            "squeeze_backward": lambda dz, u_shape: 15 * functions["squeeze_backward"](dz, u_shape)})
    with pytest.raises(AssertionError, match="no function squeeze"):
        require("squeeze", "squeeze: values", {})
    with pytest.raises(ValueError, match=r"known are: squeeze: values, squeeze: contract"):
        require("squeeze", "squeeze: beauty", functions)


@pytest.mark.parametrize("target", ["nbgrader", "otter"])
def test_exported_notebooks_are_valid_and_mark_every_part(tmp_path, target):
    nbformat = pytest.importorskip("nbformat")
    for path in export(exercises(), target, tmp_path):
        if path.suffix != ".ipynb":
            continue
        nbformat.validate(nbformat.read(path, as_version=4))
        exercise, text = find(path.stem), path.read_text()
        for task in exercise.tasks():
            for part in task.parts:
                assert text.count(json.dumps(f'"{part}"')[1:-1]) == 2      # shown and hidden
    with pytest.raises(FileExistsError):
        export(exercises(), target, tmp_path)


def test_gradescope_gets_a_script_that_runs_and_results(tmp_path):
    path, = export([SCALE], "gradescope", tmp_path)
    with zipfile.ZipFile(path) as archive:
        assert "npse.exercises.gradescope" in archive.read("run_autograder").decode()
        assert archive.getinfo("run_autograder").external_attr >> 16 & 0o111
        archive.extractall(tmp_path / "source")
    (tmp_path / "submission").mkdir()
    assert gradescope.results(tmp_path / "submission", ["scale"])["score"] == 0
    (tmp_path / "submission" / "05_scale.py").write_text(SCALE.as_file(ANSWER))
    found = gradescope.results(tmp_path / "submission", ["scale"])
    assert found["score"] == sum(test["max_score"] for test in found["tests"]) == 7

    assert "'numpy" in (tmp_path / "source" / "setup.sh").read_text()
    assert (tmp_path / "source" / "npse" / "__init__.py").is_file()
    script = (tmp_path / "source" / "run_autograder").read_text()
    assert "\nexport NPSE_TRUST=\nseed=" in script
    script = script.replace("/autograder/venv/bin/python", sys.executable).replace("/autograder/results/", "").replace(
        "/autograder/", "")
    words = ["bash", "-c", script]
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "source")}
    subprocess.run(words, cwd=tmp_path, env=environment, check=True)                        # the npse in the archive
    assert json.loads((tmp_path / "results.json").read_text())["score"] == 7


def test_gradescope_gives_each_student_other_numbers_and_needs_isolation(tmp_path, monkeypatch):
    (tmp_path / "submission").mkdir()
    seeds = []
    monkeypatch.setattr(gradescope, "missing_protections", lambda: ())
    monkeypatch.setattr(gradescope, "grade", lambda folder, names, seed, **how: seeds.append(seed) or {"marks": []})
    for students in ('[{"id": 7}]', '[{"id": 8}]', '[{"id": 8}]', "{", None):
        (tmp_path / "submission_metadata.json").unlink(missing_ok=True)
        if students:
            (tmp_path / "submission_metadata.json").write_text('{"users": ' + students + "}")
        gradescope.results(tmp_path / "submission", ["scale"], 5)
    assert len(set(seeds)) == 3
    assert seeds[1] == seeds[2]
    assert seeds[3] == seeds[4]
    monkeypatch.setattr(gradescope, "missing_protections", lambda: ("no walls",))
    found = gradescope.results(tmp_path / "submission", ["scale"], 5)
    assert (found["score"], found["tests"]) == (0, [])
    assert "no walls" in found["output"]
    assert "not graded" not in gradescope.results(tmp_path / "submission", ["scale"], 5, trust=True)["output"]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("nbgrader"), reason="nbgrader is not installed: pip install -e .[teach]")
def test_the_real_nbgrader_generates_and_autogrades(tmp_path):
    """The stub gets 0 points, the solution all, a mistake loses its part; the release contains no solution."""
    chosen = [SQUEEZE, SCALE, find("bug_backward")]
    export(chosen, "nbgrader", tmp_path)
    environment = os.environ | {"PYTHONPATH": str(Path(package.__file__).parents[1])}

    def nbgrader(*words):
        ran = subprocess.run(["nbgrader", *words], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        return ran

    nbgrader("generate_assignment", "npse", "--create")
    for exercise in chosen:
        released = (tmp_path / "release" / "npse" / f"{exercise.stem}.ipynb").read_text()
        assert not any(json.dumps(line)[1:-1] in released for line in solution_lines(exercise))
        assert "HIDDEN" not in released
        codes = {"stub": None, "solution": exercise.solution_code(),
                 "mistake": f"{exercise.solution_code()}\n\n{exercise.mistakes[0].code}"}
        for student, code in codes.items():
            notebook = json.loads(released)
            hole = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code" and "def " in "".join(
                cell["source"]))
            hole["source"] = code or hole["source"]
            path = tmp_path / "submitted" / student / "npse" / f"{exercise.stem}.ipynb"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(notebook))
    nbgrader("autograde", "npse", "--create")
    nbgrader("export")
    lines = [line.split(",") for line in (tmp_path / "grades.csv").read_text().splitlines()]
    scores = {line[lines[0].index("student_id")]: float(line[lines[0].index("score")]) for line in lines[1:]}
    assert scores == {"stub": 0, "solution": 23, "mistake": 14}


def test_the_command_runs_as_a_module(tmp_path):
    ran = subprocess.run([sys.executable, "-m", "npse", "exercise", "status"], cwd=tmp_path, capture_output=True,
                         text=True, env=os.environ | {"PYTHONPATH": str(Path(package.__file__).parents[1])})
    assert ran.returncode == 0
    assert ran.stdout.count("not started") == len(exercises())
