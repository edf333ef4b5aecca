"""Exports the exercises as the source of a course in nbgrader or otter-grader, or as an autograder for Gradescope."""

import importlib.metadata
import io
import secrets
import shlex
import zipfile
from pathlib import Path

import npse
from npse.exercises import variants
from npse.exercises.annotated import SOURCED, STUDENT, uncomment
from npse.exercises.folder import FORMATS
from npse.exercises.notebook import as_notebook, code, dump, exercise_head, markdown
from npse.support.files import write_atomically
from npse.support.names import suggest

HIDDEN_SEED = 2718           # seed of the hidden tests; nbgrader and otter-grader do not show it to the students

# The archive contains npse, because no package index has it.
SETUP = """#!/usr/bin/env bash
set -e
apt-get update && apt-get install -y python3 python3-pip python3-venv
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "npse needs Python 3.11, choose a newer image")'
python3 -m venv /autograder/venv
/autograder/venv/bin/pip install {requirements}
cp -r /autograder/source/npse /autograder/venv/lib/python3.*/site-packages/
"""
RUN = """#!/usr/bin/env bash
# If this image cannot isolate the students' code, and you know its authors: NPSE_TRUST=yes
export NPSE_TRUST=
seed={seed}  # secret: it decides the numbers
/autograder/venv/bin/python -m npse.exercises.gradescope \\
    /autograder/submission /autograder/results/results.json $seed {names}
"""


def export(exercises, target, folder):
    """Write exercises for another grader.

    Parameters
    ----------
    exercises : sequence of Exercise
    target : str
        ``"nbgrader"``: ``source/npse/NN_name.ipynb`` and a configuration, for ``nbgrader generate_assignment npse``;
        ``"otter"``: ``NN_name.ipynb`` for ``otter assign``; ``"gradescope"``: ``autograder.zip`` to upload.
    folder : path
        Folder to write into.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ValueError
        The target is unknown.
    FileExistsError
        One of the files exists already. Then nothing is written.
    """
    if target not in TARGETS:
        raise ValueError(f"unknown format {target!r}; {suggest(target, [*TARGETS, *FORMATS])}")
    return _write(TARGETS[target](exercises), folder)


def export_variants(exercises, students, kind, folder):
    """Write the exercises for some students, each in the variant that the student's id chooses, and the manifest.

    Parameters
    ----------
    exercises : sequence of Exercise
    students : sequence of str
        Names or ids; they become the names of folders.
    kind : str
        ``"file"`` or ``"notebook"``.

    The folder, the result and FileExistsError are as for `export`; ValueError if an id cannot be the name of a folder.
    """
    files = {variants.MANIFEST: variants.manifest(exercises, students)}
    for student in students:
        if student in ("", ".", "..") or not student.isprintable() or set(student) & set('/\\:*?"<>|'):
            raise ValueError(f"the id {student!r} cannot be the name of a folder; write it with letters and numbers")
        for exercise in exercises:
            mine = variants.chosen(exercise, student)
            files[f"{student}/{mine.stem}{FORMATS[kind]}"] = as_notebook(mine) if kind == "notebook" else mine.as_file()
    return _write(files, folder)


def _write(texts, folder):
    files = {Path(folder) / name: content for name, content in texts.items()}
    for path in files:
        if path.exists():
            raise FileExistsError(f"{path} exists already: it stays as it is; choose another folder")
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    return list(files)


def _nbgrader(exercises):
    files = {f"source/npse/{exercise.stem}.ipynb": _nbgrader_notebook(exercise) for exercise in exercises}
    return files | {"nbgrader_config.py": 'c = get_config()\nc.CourseDirectory.course_id = "npse"\n'
                                          "c.ExecutePreprocessor.timeout = 120\n"}


def _nbgrader_notebook(exercise):
    cells = [markdown("intro", exercise_head(exercise))]
    for number, cell in enumerate(exercise.cells_for(SOURCED)):
        if cell.kind == "markdown":
            cells.append(markdown(f"text-{number}", uncomment(cell.text)))
        else:
            hole = "BEGIN SOLUTION" in cell.text
            about = _nbgrader_cell(f"{exercise.name}-{number}", solution=True) if hole else {}
            cells.append(code(f"{cell.kind}-{number}", cell.text, tags=[cell.kind], **about))
    for number, (part, points) in enumerate(_parts(exercise)):
        text = ("from npse.exercises.notebook_asserts import require\n"
                f"{_require(exercise, part)}\n### BEGIN HIDDEN TESTS\n"
                f"{_require(exercise, part, hidden=True)}\n### END HIDDEN TESTS")
        about = _nbgrader_cell(f"{exercise.name}-test-{number}", grade=True, locked=True, points=points)
        cells.append(code(f"test-{number}", text, **about))
    return dump(cells, {"npse": {"exercise": exercise.name, "source": exercise.hash}})


def _nbgrader_cell(name, solution=False, grade=False, locked=False, points=None):
    about = {"schema_version": 3, "grade_id": name, "solution": solution, "grade": grade, "locked": locked,
             "task": False}
    return {"nbgrader": about if points is None else about | {"points": points}}


def _otter(exercises):
    return {f"{exercise.stem}.ipynb": _otter_notebook(exercise) for exercise in exercises}


def _otter_notebook(exercise):
    config = f"# ASSIGNMENT CONFIG\nname: {exercise.stem}\nsolutions_pdf: false\nexport_cell: false\ngenerate: true"
    cells = [_raw("config", config), markdown("intro", exercise_head(exercise))]
    cells += [markdown(f"text-{number}", uncomment(cell.text))
              for number, cell in enumerate(exercise.cells_for(STUDENT)) if cell.kind == "markdown"]
    points = sum(points for _, points in _parts(exercise))
    prompt = [code(f"{cell.kind}-{number}", cell.text, tags=[cell.kind])
              for number, cell in enumerate(exercise.cells_for(STUDENT)) if cell.kind != "markdown"]
    # otter finds the solution, which it removes, by the marks inside the cell.
    answer = code("answer", f"# BEGIN SOLUTION NO PROMPT\n{exercise.solution_code()}\n# END SOLUTION")
    cells += [_raw("question", f"# BEGIN QUESTION\nname: {exercise.name}\npoints: {points}"),
              *_otter_block("PROMPT", prompt), *_otter_block("SOLUTION", [answer]), _raw("tests", "# BEGIN TESTS")]
    for number, (part, points) in enumerate(_parts(exercise)):
        for hidden in (False, True):                             # half of the points for the test that is shown
            about = f"points: {points / 2}\nhidden: {str(hidden).lower()}"
            cells.append(code(f"test-{number}-{'hidden' if hidden else 'shown'}",
                              f'""" # BEGIN TEST CONFIG\n{about}\n""" # END TEST CONFIG\n'
                              f"from npse.exercises.notebook_asserts import require\n"
                              f"assert {_require(exercise, part, hidden)}"))
    return dump([*cells, _raw("tests-end", "# END TESTS"), _raw("question-end", "# END QUESTION")])


def _otter_block(what, cells):
    return [_raw(f"{what.lower()}-begin", f"# BEGIN {what}"), *cells, _raw(f"{what.lower()}-end", f"# END {what}")]


def _gradescope(exercises):
    names = " ".join(exercise.name for exercise in exercises)
    needed = [line for line in importlib.metadata.requires("npse") if "extra ==" not in line]
    home = Path(npse.__file__).parent
    files = {"setup.sh": SETUP.format(requirements=shlex.join(needed)),
             "run_autograder": RUN.format(names=names, seed=secrets.randbits(31))}
    files |= {path.relative_to(home.parent).as_posix(): path.read_bytes() for path in sorted(home.rglob("*.py"))}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return {"autograder.zip": packed.getvalue()}


TARGETS = {"nbgrader": _nbgrader, "otter": _otter, "gradescope": _gradescope}


def _parts(exercise):
    return [item for task in exercise.tasks() for item in task.parts.items()]


def _require(exercise, part, hidden=False):
    seed = f", seed={HIDDEN_SEED}, hidden=True" if hidden else ""
    return f'require("{exercise.name}", "{part}", globals(){seed})'


def _raw(name, text):
    return markdown(name, text) | {"cell_type": "raw"}
