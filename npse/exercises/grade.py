"""Grades a class: finds the submissions, and marks them in parallel, on hidden shapes and with a seed for each student.
"""

import hashlib
import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from npse.exercises import similarity
from npse.exercises.annotated import find
from npse.exercises.check import check
from npse.exercises.submission import KINDS, Submission, read
from npse.exercises.task import zero_marks
from npse.support.environment import cores

MOST_FILES = 500             # files of one student that are read
_FLAT = re.compile(r"(?P<student>.+?)[-_ ](?=\d\d_)")


def grade(folder, only=(), seed=0, workers=None, say=lambda done, of: None, students=None):
    """Mark every submission under a folder.

    Parameters
    ----------
    folder : path
        A folder for each student (files may lie deeper, as in nbgrader's ``submitted``), or files like
        ``name_03_squeeze.py``.
    only : sequence of int or str
        Numbers or names of exercises; by default all exercises with a submission.
    seed : int
        The seed and the student's name decide the values of the arguments for this student.
    workers : int, optional
        Number of processes; by default one for each core.
    say : function of (done, of), optional
        Called after each mark, with the number of marks so far and of all marks.
    students : sequence of str, optional
        Grade only these students.

    Returns
    -------
    dict
        ``"exercises"``, ``"marks"`` (one record for each student and exercise), ``"similar"``, ``"left_out"``: plain
        data. A submission that is missing, broken or hostile has a record with 0 points; it does not stop the run.

    Raises
    ------
    FileNotFoundError
        The folder does not exist.
    ValueError
        The folder has nothing to grade, or an exercise is unknown.
    ImportError
        An exercise needs Numba, and Numba is not installed.
    """
    handed_in, left_out = collect(folder, students)
    wanted = sorted({find(which) for which in only} or {exercise for files in handed_in.values() for exercise in files},
                    key=lambda exercise: exercise.number)
    if not handed_in or not wanted:
        raise ValueError(f"nothing to grade in {folder}: expected a folder for each student with files like "
                         "03_squeeze.py or 03_squeeze.ipynb")
    for exercise in wanted:
        exercise.expect_tools()
    jobs = [(student, exercise.name, files.get(exercise), seed_of(seed, student))
            for student, files in handed_in.items() for exercise in wanted]
    marks = []
    with ProcessPoolExecutor(workers or cores(), multiprocessing.get_context("spawn")) as pool:
        for record in pool.map(_mark, jobs):
            marks.append(record)
            say(len(marks), len(jobs))
    similar = [flag for exercise in wanted for flag in similarity.flags(exercise, {
        student: read(files[exercise]).cells for student, files in handed_in.items() if exercise in files})]
    return {"seed": seed, "exercises": [{"number": e.number, "name": e.name, "title": e.title, "hash": e.hash}
                                        for e in wanted],
            "marks": marks, "similar": similar, "left_out": left_out}


def seed_of(seed, student):
    """Return the seed for the arguments of one student."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{student}".encode()).digest()[:4])


def collect(folder, students=None):
    """Find the files of each student and exercise.

    If a student has two files for one exercise, the one that was changed last counts. Links are not followed: they
    could lead to the work of another student.

    Returns
    -------
    found : dict of student -> dict of Exercise -> Path
    left_out : list of [path, reason]
        The files that are not graded.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder} with submissions")
    found, left_out = {}, []
    for entry in sorted(folder.iterdir()):
        chosen = students is None or entry.name in students
        if not chosen or entry.name.startswith(".") or entry.is_symlink():
            continue
        if entry.is_dir():
            found.setdefault(entry.name, {})
            paths = [path for path in sorted(entry.rglob("*")) if path.suffix in KINDS][:MOST_FILES]
        else:
            paths = [entry] if entry.suffix in KINDS else []
        for path in paths:
            student = entry.name if entry.is_dir() else _student_in(path)
            inside = path.relative_to(folder)
            linked = path.resolve() != folder.resolve() / inside or not path.is_file()
            if reason := "a link or no file" if linked else _put(found.setdefault(student, {}), path):
                left_out.append([str(inside), reason])
    return found, left_out


def _student_in(path):
    """Return the student's name, with which a file name begins, as in ``name_03_squeeze.py``."""
    flat = _FLAT.match(path.name)
    return flat["student"] if flat else path.stem


def _put(files, path):
    """Add a path to a student's files. Return the reason why a file is left out, or ""."""
    if ".ipynb_checkpoints" in path.parts:
        return "a checkpoint of Jupyter"
    exercise = read(path).exercise
    if exercise is None:
        return "belongs to no exercise"
    before = files.get(exercise)
    if before and before.stat().st_mtime > path.stat().st_mtime:
        return f"{before.name} is newer"
    files[exercise] = path
    return f"{before.name} was older" if before else ""


def _mark(job):
    """Mark one submission in a worker process. Return plain data, also after an error."""
    student, name, path, seed = job
    exercise = find(name)
    try:
        submission = read(path) if path else Submission(exercise, (), "", "not handed in")
        mark = check(submission, seed, hidden=True)
        parts, note, seconds = mark.parts, mark.note, mark.seconds
    except Exception as error:                                   # an error in npse: report it, grade the others
        parts = [part for task in exercise.tasks() for part in zero_marks(task, "not judged")]
        note, seconds = f"could not be graded, grade it by hand: {type(error).__name__}: {error}", 0.0
    return {"student": student, "exercise": name, "file": path.name if path else "", "seed": seed,
            "earned": sum(part.earned for part in parts), "points": sum(part.points for part in parts), "note": note,
            "parts": [vars(part) for part in parts], "seconds": round(seconds, 2)}
