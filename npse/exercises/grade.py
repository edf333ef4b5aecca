"""Grades a class: finds the submissions, and marks them in parallel, on hidden shapes and with a seed for each student.
"""

import hashlib

from npse.exercises import similarity
from npse.exercises.annotated import find
from npse.exercises.collect import collect, plain
from npse.exercises.judging import HandIn, Marks, judge_all
from npse.support.environment import cores


def grade(folder, only=(), seed=0, workers=None, say=lambda done, of: None, students=None, record=None):
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
    record : path, optional
        A file that gets a line for each mark as soon as it is made. Marks that it already contains are kept, if the
        file of the student, the exercise and the seed are the same: an interrupted grading goes on.

    Returns
    -------
    dict
        ``"exercises"``, ``"marks"`` (one record for each student and exercise), ``"similar"``, ``"copies"``,
        ``"left_out"``: plain data. A submission that is missing, broken or hostile has a record with 0 points; it does
        not stop the run.

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
    hand_ins = {}
    for student, files in handed_in.items():
        for exercise in wanted:
            path = files.get(exercise)
            hand_in = HandIn(student, exercise.name, path, plain(path.name) if path else "", seed_of(seed, student))
            hand_ins[hand_in.key()] = hand_in
    marks = Marks(record)
    keys = {hand_in: key for key, hand_in in hand_ins.items()}
    missing = [hand_in for hand_in, key in keys.items() if key not in marks.found]
    say(len(keys) - len(missing), len(keys))
    for done, (hand_in, mark) in enumerate(judge_all(missing, workers or cores()), len(keys) - len(missing) + 1):
        marks.add(keys[hand_in], mark)
        say(done, len(keys))
    records = [dict(marks.found[key]) for key in hand_ins]
    runs = [record.pop("runs") for record in records]
    programs = [record.pop("program") for record in records]
    similar, copies = [], []
    for exercise in wanted:
        mine = [place for place, record in enumerate(records) if record["exercise"] == exercise.name and record["file"]]
        similar += similarity.flags(exercise, {records[place]["student"]: runs[place] for place in mine})
        copies += similarity.copies(exercise, {records[place]["student"]: programs[place] for place in mine})
    return {"seed": seed, "exercises": [{"number": e.number, "name": e.name, "title": e.title, "hash": e.hash}
                                        for e in wanted],
            "marks": records, "similar": similar, "copies": copies, "left_out": left_out}


def seed_of(seed, student):
    """Return the seed for the arguments of one student."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{student}".encode()).digest()[:4])
