"""The roster of a class: a table from Canvas or Moodle, or one of your own. The points go back into the same columns.

| table | columns that identify a student | columns for points |
|---|---|---|
| gradebook of Canvas | Student, ID, SIS User ID, SIS Login ID | those named after an exercise |
| grading worksheet of Moodle | Identifier, Full name, Email address, ID number | Grade |
| your own | student, id, email | those named after an exercise |
"""

import codecs
import csv
import io
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from npse.exercises.annotated import find
from npse.support.names import suggest

NAMES = ("Student", "Full name")                 # columns with the name of a student, as their titles are written
IDS = ("ID", "Identifier", "SIS User ID", "SIS Login ID", "ID number", "Email address", "email")
SUBMITTED = ("Last modified (submission)", "submitted")
FIXED = {"grade can be changed": "no"}           # Moodle: this row must stay
EXCUSED = "EX"                                   # Canvas: this cell must stay
_OF_CANVAS = re.compile(r" \(\d+\)$")            # after the name of an assignment


@dataclass(frozen=True)
class Person:
    """A student in a roster: the number of the row, the name, all that identifies, and when the work was handed in."""

    row: int
    name: str
    ids: frozenset[str]
    submitted: str


class Roster:
    """A table of all students of a class.

    Parameters
    ----------
    path : path
        A CSV file with a line of titles.

    Attributes
    ----------
    people : list of Person

    Raises
    ------
    ValueError
        The file is no such table.
    """

    def __init__(self, path):
        self.path, data = Path(path), Path(path).read_bytes()
        self._is_marked, self._end = data.startswith(codecs.BOM_UTF8), "\r\n" if b"\r\n" in data else "\n"
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not UTF-8; export it as CSV in UTF-8") from None
        self._separator = max(",;\t", key=text.partition("\n")[0].count)
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=self._separator))
        except csv.Error as error:
            raise ValueError(f"{path} cannot be read as CSV: {error}") from None
        self._titles, *self._rows = rows or [[]]
        if not self._places(NAMES):
            raise ValueError(f"{path} is no roster: expected the columns Student and ID (Canvas), Identifier, Full "
                             "name and Grade (Moodle), or student")
        width = len(self._titles)
        self._rows = [[*row, *[""] * (width - len(row))] for row in self._rows]
        self.people = [self._person(number, row) for number, row in enumerate(self._rows) if self._is_student(row)]

    def row(self, person):
        """Return the row of a person: a dict of title -> cell."""
        return dict(zip(self._titles, self._rows[person.row], strict=False))

    def _places(self, titles):
        wanted = [title.casefold() for title in titles]
        return [place for place, title in enumerate(self._titles) if title.strip().casefold() in wanted]

    def _is_student(self, row):
        """Whether a row is about a student: Canvas has rows for the points, and for a student who does not exist."""
        ids = [row[place] for place in self._places(["ID"])]
        name = row[self._places(NAMES)[0]].strip()
        return bool(name) and all(ids) and name not in ("Points Possible", "Student, Test")

    def _person(self, number, row):
        ids = {row[place].strip().casefold() for place in self._places(IDS)} - {""}
        ids |= {found[1] for identifier in ids if (found := re.fullmatch(r"participant (\d+)", identifier))}
        ids |= {row[self._places(NAMES)[0]].strip().casefold()}
        times = [row[place].strip() for place in self._places(SUBMITTED)]
        return Person(number, row[self._places(NAMES)[0]].strip(), frozenset(ids), "".join(times).strip("-"))

    def assign(self, students):
        """Find the people who belong to these names of folders and files.

        A name belongs to a person if it is one of the person's ids, ends in one of them (as the names that Canvas and
        Moodle give), or is the name of this person alone, in any order of its words. Of two names for one person the
        one with an id counts.

        Returns
        -------
        dict of str -> Person
            For the names that are known.
        """
        found = {}
        for rule in (self._by_id, self._by_name):
            for student in students:
                person = rule(student)
                if student not in found and person and person not in found.values():
                    found[student] = person
        return found

    def _by_id(self, student):
        plain = student.casefold()
        ids = {plain, plain.rpartition("_")[2]}
        fitting = [person for person in self.people if ids & person.ids]
        return fitting[0] if len(fitting) == 1 else None

    def _by_name(self, student):
        wanted = _spellings(re.sub(r"_\d+$", "", student))
        fitting = [person for person in self.people if wanted & _spellings(person.name)]
        return fitting[0] if len(fitting) == 1 else None

    def absent(self, students):
        """Return the people to whom none of these names belongs, each under a name that no other person has."""
        known = {person.row for person in self.assign(students).values()}
        count = Counter(person.name for person in self.people)
        return {person.name if count[person.name] == 1 else f"{person.name}, row {person.row + 2}": person
                for person in self.people if person.row not in known}

    def filled(self, found, column=None):
        """Return the table with the points of a grading in it.

        Whoever handed in nothing gets 0 where the cell is empty. Excused cells of Canvas, and rows that Moodle does not
        let change, stay as they are. Where the table gives another maximum, the points are scaled to it.

        Parameters
        ----------
        found : dict
            The result of `npse.exercises.grade.grade`, which was given this roster.
        column : str, optional
            The column for the sum of all points; by default each exercise has its own, and Moodle's is Grade.

        Returns
        -------
        bytes
            The content of the file.

        Raises
        ------
        ValueError
            The table has no such column, or none for an exercise.
        """
        places, rows = self._columns(found["exercises"], column), [list(row) for row in self._rows]
        people, marks = found["people"], {(mark["student"], mark["exercise"]): mark for mark in found["marks"]}
        for student, number in people.items():
            row = rows[number]
            if any(row[place].strip().casefold() == stays for title, stays in FIXED.items()
                   for place in self._places([title])):
                continue
            for place, names in places.items():
                mine = [marks[student, name] for name in names]
                earned, points = (sum(mark[key] for mark in mine) for key in ("earned", "points"))
                is_handed_in = any(mark["file"] for mark in mine)
                if row[place].strip() != EXCUSED and (is_handed_in or earned or not row[place].strip()):
                    most = self._most(place, row) or points
                    row[place] = f"{round(earned * most / points, 2):g}"
        table = io.StringIO()
        csv.writer(table, delimiter=self._separator, lineterminator=self._end).writerows([self._titles, *rows])
        return (codecs.BOM_UTF8 if self._is_marked else b"") + table.getvalue().encode()

    def _columns(self, exercises, column):
        """Return the exercises whose points go into a column: a dict of place -> names."""
        plain = [_OF_CANVAS.sub("", title.strip()) for title in self._titles]
        every = [exercise["name"] for exercise in exercises]
        if column is None and self._places(["Identifier"]):
            column = "Grade"
        if column is not None:
            if column not in (*plain, *self._titles):
                raise ValueError(f"{self.path} has no column {column!r}; {suggest(column, plain)}")
            return {(plain if column in plain else self._titles).index(column): every}
        found = {place: [name] for name in every for place, title in enumerate(plain) if _is_about(title, name)}
        missing = [name for name in every if [name] not in found.values()]
        if missing or len(found) > len(every):
            raise ValueError(f"{self.path} needs one column for each exercise, named like {find(every[0]).stem}, but "
                             f"{f'has none for {missing[0]}' if missing else 'has more'}; or name the column for the "
                             "sum of all points")
        return found

    def _most(self, place, row):
        """Return the points that the table itself gives for a column, or None."""
        for number in self._places(["Maximum Grade"]):
            return _number(row[number])
        possible = [other[place] for other in self._rows if other[0].strip() == "Points Possible"]
        return _number(possible[0]) if possible else None


def _is_about(title, name):
    """Whether a column is about an exercise: it has its file name or its number in it, or is its name or its title."""
    exercise, plain = find(name), title.casefold()
    return (exercise.stem in plain or plain in (exercise.name, exercise.title.casefold())
            or re.search(rf"\bexercise 0?{exercise.number}\b", plain) is not None)


def _spellings(name):
    """Return a name as Canvas writes it, without accents, spaces and capitals: with its words in both orders."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().casefold() or name.casefold()
    words = re.findall(r"\w+", plain.replace("_", " "))
    last, comma, first = plain.partition(",")
    turned = re.findall(r"\w+", f"{first} {last}") if comma else words[1:] + words[:1]
    return {"".join(words), "".join(turned), "".join(words[-1:] + words[:-1])}


def _number(text):
    try:
        return float(text)
    except ValueError:
        return None
