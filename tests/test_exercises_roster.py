"""Learning platforms: rosters in, points out in the same columns, late days; nobody is lost, unknown names are told."""

import csv
import io
from datetime import datetime, timedelta

import pytest

from npse.exercises import find
from npse.exercises.grade import grade
from npse.exercises.late import LATE, UNKNOWN, Deadline, apply, submitted
from npse.exercises.roster import Roster

SCALE, SQUEEZE = find("scale"), find("squeeze")
CANVAS = ("\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,Homework 1 (555),05_scale (556),"
          "Exercise 3: Squeeze (557),Current Score\r\n"
          ",,,,,Manual Posting,,,\r\n"
          "    Points Possible,,,,,10,7,70,(read only)\r\n"
          '"Lee, Ann",1001,s1,ann.lee,A,,,,50\r\n'
          '"Öz, Ben",1002,s2,ben,A,9,,EX,\r\n'
          '"Lee, Cem",1003,s3,cem,B,,4,,\r\n'
          '"Lee, Cem",1004,s4,cem2,B,,,,\r\n'
          '"Student, Test",1005,,test,A,,,,\r\n')
MOODLE = ("Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,"
          "Last modified (submission),Last modified (grade),Feedback comments\n"
          'Participant 71,Ann Lee,ann@x.org,Submitted,,14.00,Yes,"Friday, 20 November 2026, 2:05 PM",-,\n'
          "Participant 72,Ben Öz,ben@x.org,Submitted,3.00,28.00,No,-,-,fine\n"
          "Participant 73,Cem Lee,cem@x.org,No submission,,14.00,Yes,-,-,\n")


@pytest.fixture
def hand_in(tmp_path):
    """Write a hand-in: the name of the file or folder, as a platform gives it, and the code."""
    def write(name, code, exercise=SCALE):
        path = tmp_path / "class" / name
        path = path if path.suffix else path / f"{exercise.stem}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
        return tmp_path / "class"
    return write


def roster(tmp_path, text, encoding="utf-8"):
    (tmp_path / "roster.csv").write_text(text, encoding=encoding, newline="")
    return Roster(tmp_path / "roster.csv")


def table(content):
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def test_points_go_back_into_the_gradebook_of_canvas(tmp_path, hand_in):
    hand_in("leeann_1001_22222_05_scale.py", SCALE.solution_code())
    hand_in("leeann_1001_22223_03_squeeze.py", SQUEEZE.solution_code())
    hand_in("ben", SCALE.solution_code())
    folder = hand_in("stranger", SCALE.solution_code())
    people = roster(tmp_path, CANVAS)
    found = grade(folder, seed=1, workers=1, roster=people)
    assert found["unknown"] == ["stranger"]
    totals = {student: sum(mark["earned"] for mark in found["marks"] if mark["student"] == student)
              for student in {mark["student"] for mark in found["marks"]}}
    assert totals == {"leeann_1001": 14, "ben": 7, "stranger": 7, "Lee, Cem, row 6": 0, "Lee, Cem, row 7": 0}
    rows = table(filled := people.filled(found))
    columns = ("05_scale (556)", "Exercise 3: Squeeze (557)", "Homework 1 (555)")
    assert [tuple(row[column] for column in columns) for row in rows] == [
        ("", "", "Manual Posting"), ("7", "70", "10"), ("7", "70", ""), ("7", "EX", "9"), ("4", "0", ""),
        ("0", "0", ""), ("", "", "")]
    lines, before = filled.decode().split("\r\n"), CANVAS.split("\r\n")
    assert lines[:3] == before[:3]                               # with the byte order mark and the line ends
    assert lines[-2:] == before[-2:]
    assert [row["Homework 1 (555)"] for row in table(people.filled(found, "Homework 1"))] == [
        "Manual Posting", "10", "10", "5", "0", "0", ""]


def test_points_go_back_into_the_worksheet_of_moodle(tmp_path, hand_in):
    hand_in("Ann Lee_71_assignsubmission_file_/05_scale.py", SCALE.solution_code())
    folder = hand_in("Ben Öz_72_assignsubmission_file_/05_scale.py", SCALE.solution_code())
    people = roster(tmp_path, MOODLE)
    found = grade(folder, seed=1, workers=1, roster=people)
    rows = table(people.filled(found))
    assert [row["Grade"] for row in rows] == ["14", "3.00", "0"]            # 7 of 7 are 14 of 14; row 2 must stay
    assert found["unknown"] == []
    assert {mark["student"]: mark["submitted"] for mark in found["marks"]} == {
        "Ann Lee_71": "2026-11-20 14:05", "Ben Öz_72": UNKNOWN, "Cem Lee": UNKNOWN}


def test_a_table_of_your_own_and_names_in_any_order(tmp_path, hand_in):
    for name in ("Lee Ann", "öz_ben", "FLO", "x"):
        folder = hand_in(name, SCALE.solution_code())
    people = roster(tmp_path, "student;email;scale;submitted\nAnn Lee;a@x;;2026-11-20 14:05\nBen Öz;b@x;;\nFlo;f@x;;\n"
                              "Ian;x;;\n")
    found = grade(folder, seed=1, workers=1, roster=people)
    assert found["unknown"] == []
    assert people.filled(found).decode().splitlines()[1:] == [
        "Ann Lee;a@x;7;2026-11-20 14:05", "Ben Öz;b@x;7;", "Flo;f@x;7;", "Ian;x;7;"]


def test_names_that_fit_two_people_or_one_person_twice_are_told(tmp_path):
    people = roster(tmp_path, CANVAS)
    assert people.assign(["Cem Lee", "leecem"]) == {}
    known = people.assign(["Ann Lee", "leeann_1001", "nobody_77"])
    assert {name: person.name for name, person in known.items()} == {"leeann_1001": "Lee, Ann"}


@pytest.mark.parametrize(("text", "words"), [
    ("student,scale\nan\0n,\n" + "x" * 200_000, "cannot be read as CSV"),
    ("name,points\nann,3\n", "is no roster: expected the columns Student and ID"), ("", "is no roster"),
    ("student,squeeze\nann,\n", "has none for scale"), ("student,scale,05_scale\nann,,\n", "has more"),
    ("student,scale,submitted\nann,,yesterday\n", "'yesterday' is not a time that can be read")])
def test_a_roster_that_does_not_fit_is_told(text, words, tmp_path, hand_in):
    folder = hand_in("ann", SCALE.solution_code())
    with pytest.raises(ValueError, match=words):
        graded_and_filled(roster, tmp_path, text, folder)


def graded_and_filled(read, tmp_path, text, folder):
    people = read(tmp_path, text)
    return people.filled(grade(folder, workers=1, roster=people))


def test_a_roster_in_another_encoding_or_with_another_column_is_told(tmp_path):
    with pytest.raises(ValueError, match="is not UTF-8"):
        roster(tmp_path, CANVAS.lstrip("\ufeff"), "latin-1")
    with pytest.raises(ValueError, match="has no column 'Homework 2'; did you mean Homework 1"):
        roster(tmp_path, CANVAS).filled({"exercises": [], "marks": [], "people": {}}, "Homework 2")


@pytest.mark.parametrize(("entry", "told", "time"), [
    ("Homework_ann_attempt_2026-11-20-14-05-09_05_scale.py", "", "2026-11-20 14:05"),
    ("Homework_ann_attempt_2026-11-20-14-05-09", "2026-11-21T08:00", "2026-11-21 08:00"),
    ("leeann_LATE_1001_22222_05_scale.py", "", LATE), ("ann", "", UNKNOWN),
    ("ann", "20/11/2026 14:05", "2026-11-20 14:05"), ("ann", "Friday, 20 November 2026, 14:05", "2026-11-20 14:05")])
def test_the_time_of_a_hand_in(entry, told, time):
    assert submitted(entry, told) == time


@pytest.mark.parametrize(("time", "earned", "words"), [
    ("2026-11-20 23:59", 7, ""), ("2026-11-21 00:14", 7, ""), ("2026-11-21 00:15", 6.3, "1 day late: 6.3 of the 7"),
    ("2026-11-22 00:00", 5.6, "2 days late"), ("2026-12-30 00:00", 0, "40 days late: 0 of the 7"),
    (LATE, 7, "not known how late"), (UNKNOWN, 7, "not known when")])
def test_late_work_loses_points_for_each_day(time, earned, words):
    deadline = Deadline(datetime(2026, 11, 20, 23, 59), timedelta(minutes=15), 10)
    mark = {"student": "ann", "exercise": "scale", "file": "a.py", "earned": 7, "points": 7, "note": "",
            "submitted": time}
    found = {"marks": [mark, mark | {"file": ""}]}
    late, nothing = apply(found, deadline)["marks"]
    assert (late["earned"], words in late["note"], bool(late["note"])) == (earned, True, bool(words))
    assert nothing == found["marks"][1]
    assert apply(found, None) is found
