"""Grades a class: finds the submissions, and marks them in parallel, on hidden shapes and with a seed for each student.
"""

import hashlib

from npse.exercises import late, log, similarity, statistics, variants
from npse.exercises.annotated import find
from npse.exercises.collect import collect, plain
from npse.exercises.judging import HandIn, Marks, judge, judge_all
from npse.support.environment import cores


def grade(folder, only=(), seed=0, workers=None, say=lambda done, of: None, students=None, record=None, roster=None,
          manifest=None):
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
    roster : Roster, optional
        All students of the class: those who handed in nothing get a mark too, of 0 points.
    manifest : path, optional
        A table of the variants that the students were given; see `npse.exercises.variants`. By default a file says
        itself which variant it is.

    Returns
    -------
    dict
        Plain data. ``"exercises"``; ``"marks"`` (one record for each student and exercise); ``"similar"`` and
        ``"copies"``; ``"left_out"`` (files); ``"people"`` (the rows of the roster by student) and ``"unknown"``
        (students who are not in it); ``"logs"`` (summaries of the students' own logs). A submission that is missing,
        broken or hostile has a record with 0 points; it does not stop the run.

    Raises
    ------
    FileNotFoundError
        The folder does not exist.
    ValueError
        The folder has nothing to grade, an exercise is unknown, or a time in the roster cannot be read.
    ImportError
        An exercise needs Numba, and Numba is not installed.
    """
    collected = collect(folder, students)
    wanted = sorted({find(which) for which in only} or {each for files in collected.files.values() for each in files},
                    key=lambda exercise: exercise.number)
    if not collected.files or not wanted:
        raise ValueError(f"nothing to grade in {folder}: expected a folder for each student with files like "
                         "03_squeeze.py or 03_squeeze.ipynb")
    for exercise in wanted:
        exercise.expect_tools()
    people = roster.assign(collected.files) if roster else {}
    unknown = [student for student in collected.files if student not in people] if roster else []
    people |= roster.absent(collected.files) if roster else {}
    files = {student: {} for student in people} | collected.files
    variant = variants.given(manifest, files) if manifest else {}
    hand_ins, times = {}, {}
    for student, mine in sorted(files.items()):
        for exercise in wanted:
            path = mine.get(exercise)
            hand_in = HandIn(student, exercise.name, path, plain(path.name) if path else "", seed_of(seed, student),
                             variant.get((student, exercise.name)))
            entry = path.relative_to(folder).parts[0] if path else ""
            hand_ins[hand_in.key()] = hand_in
            times[hand_in] = late.submitted(entry, people[student].submitted if student in people else "")
    marks = _judged(hand_ins, record, workers or cores(), say)
    records = [marks[key] | {"submitted": times[hand_in]} for key, hand_in in hand_ins.items()]
    similar, copies = _compared(wanted, records)
    return {"seed": seed, "exercises": [{"number": e.number, "name": e.name, "title": e.title, "hash": e.hash}
                                        for e in wanted],
            "marks": records, "similar": similar, "copies": copies, "left_out": collected.left_out,
            "people": {student: person.row for student, person in people.items()}, "unknown": unknown,
            "logs": {student: statistics.of_log(log.read_file(path)) for student, path in collected.logs.items()}}


def _judged(hand_ins, record, workers, say):
    """Return the records of hand-ins by their keys. Where nothing was handed in, no process is needed."""
    marks = Marks(record)
    marks.found |= {key: judge(hand_in) for key, hand_in in hand_ins.items() if hand_in.path is None}
    missing = {hand_in: key for key, hand_in in hand_ins.items() if key not in marks.found}
    done = len(hand_ins) - len(missing)
    say(done, len(hand_ins))
    for hand_in, mark in judge_all(list(missing), workers):
        marks.add(missing[hand_in], mark)
        done += 1
        say(done, len(hand_ins))
    return marks.found


def _compared(exercises, records):
    """Return the pairs of hand-ins that look alike and the groups of the same program; take what they need out."""
    runs, programs = ([record.pop(what) for record in records] for what in ("runs", "program"))
    similar, copies = [], []
    for exercise in exercises:
        mine = [place for place, record in enumerate(records) if record["exercise"] == exercise.name and record["file"]]
        similar += similarity.flags(exercise, {records[place]["student"]: runs[place] for place in mine})
        copies += similarity.copies(exercise, {records[place]["student"]: programs[place] for place in mine})
    return similar, copies


def seed_of(seed, student):
    """Return the seed for the arguments of one student."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{student}".encode()).digest()[:4])
