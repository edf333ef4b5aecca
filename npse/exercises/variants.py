"""Variants of an exercise: the same lesson in another layout, one for each student.

A variant is declared in the annotated source, as a list of replacements. A hash of the student's id chooses it. The
file of the student says which one it is, and so does a manifest: a table with a line for each student and a column for
each exercise. If a class is graded with a manifest, the manifest counts.
"""

import csv
import dataclasses
import hashlib
import io

from npse.exercises.annotated import find
from npse.exercises.roster import Roster
from npse.gradcheck import cases_of
from npse.gradcheck.diagnosis.ops import TapeOps

MANIFEST = "variants.csv"
BOOK = {"u": "N H W C", "x": "N H W C", "w": "kh kw Cin Cout"}       # the axes of the book's arguments


def chosen(exercise, student):
    """Return the variant of an exercise for a student: an Exercise."""
    if not exercise.variants:
        return exercise
    number = int.from_bytes(hashlib.sha256(f"{student}:{exercise.name}".encode()).digest()[:4])
    return exercise.in_variant(exercise.variants[number % len(exercise.variants)])


def manifest(exercises, students):
    """Return the table of the variants of these students, as CSV text."""
    table = io.StringIO()
    exercises = [exercise for exercise in exercises if exercise.variants]
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["student", *(exercise.name for exercise in exercises)])
    for student in students:
        writer.writerow([student, *(chosen(exercise, student).variant for exercise in exercises)])
    return table.getvalue()


def given(path, students):
    """Read a manifest.

    Parameters
    ----------
    path : path
    students : sequence of str
        The names of folders and files of a class; those of `npse.exercises.roster.Roster.assign` are known.

    Returns
    -------
    dict of (student, name of an exercise) -> str
        The variants that these students were given.

    Raises
    ------
    ValueError
        The table names a variant or an exercise that does not exist.
    """
    roster = Roster(path)
    found = {}
    for student, person in roster.assign(students).items():
        for title, variant in roster.row(person).items():
            if title.strip().casefold() != "student" and variant:
                exercise = find(title.strip())
                found[student, exercise.name] = exercise.in_variant(variant).variant
    return found


def arranged(op, **orders):
    """Return the cases of an op of the book with its arguments in another layout.

    Parameters
    ----------
    op : str
    **orders : str
        The axes of an argument in their order, such as ``u="N C H W"``. In the book's order the cases are the book's.
    """
    moves = {name: tuple(BOOK[name].split().index(axis) for axis in order.split()) for name, order in orders.items()}
    if all(move == tuple(sorted(move)) for move in moves.values()):
        return cases_of(op)
    return [_arranged(case, moves) for case in cases_of(op)]


def _arranged(case, moves):
    def make(rng):
        return {name: value.transpose(moves[name]).copy() if name in moves else value
                for name, value in case.make(rng).items()}

    def forward(ops, **arguments):
        if isinstance(ops, TapeOps):                             # then the judge records the solution's calls of NumPy
            raise TypeError("the steps of the book's ops are known in the book's layout only")
        return case.forward(ops, **arguments)

    return dataclasses.replace(case, make=make, forward=forward)
