"""Statistics of a class: the distribution of the points, and what the logs of the students tell."""

import json

from npse.exercises import find, log, report, statistics
from npse.exercises.grade import grade

SCALE = find("scale")
WRONG = f"{SCALE.solution_code()}\n\n{SCALE.mistakes[0].code}"
PART = "scale_backward: gradient of s"


def checked(earned, kind=None):
    """Return the entry of a check, with a diagnosis of this kind."""
    return {"check": "scale", "earned": earned, "points": 7, "code": "0", "wrong": {} if kind is None else {PART: kind}}


def test_a_log_is_summarized():
    found = statistics.of_log([
        checked(5, "averaged"), {"hint": "scale", "number": 1}, checked(5, "averaged"), checked(5, "sign"),
        {"hint": "scale", "number": 2}, checked(7), checked(5, "averaged"), checked(0, ""), checked(7)])
    assert found == {"scale": {"attempts": 7, "solved": 4, "hints": 2, "shown": {"averaged": 3, "sign": 1},
                               "repaired": {"sign": 1}}}


def test_a_part_that_another_diagnosis_follows_is_not_repaired():
    found = statistics.of_log([checked(5, "averaged"), checked(5, "sign"), checked(0), checked(7)])
    assert found["scale"]["repaired"] == {}


def test_the_tables_of_a_class(tmp_path):
    logs = {"ann": [checked(5, "averaged"), checked(7)], "ben": [checked(5, "averaged")] * 3}
    for student, code in (("ann", SCALE.solution_code()), ("ben", WRONG), ("cem", "")):
        (tmp_path / "class" / student).mkdir(parents=True)
        (tmp_path / "class" / student / "05_scale.py").write_text(code)
        for entry in logs.get(student, ()):
            log.append(tmp_path / "class" / student, entry)
    entry = json.dumps({"hint": "scale", "number": 3})
    (tmp_path / "class" / "dan_1004_2222_npse-log.jsonl").write_text(f"{entry}\n<b>\n")
    found = grade(tmp_path / "class", workers=2)
    titles, rows = statistics.distribution(found)
    assert [dict(zip(titles, row, strict=True)) for row in rows] == [
        {"exercise": "Scale", "handed in": 3, "median": "5", "middle half": "2.5 to 6", "of": 7, "0": 1, "to 40 %": 0,
         "to 70 %": 0, "to 90 %": 1, "above": 0, "all": 1}]
    titles, rows = statistics.attempts(found)
    assert [dict(zip(titles, row, strict=True)) for row in rows] == [
        {"exercise": "Scale", "logs": 3, "checks (median)": "2", "solved": 1, "after checks (median)": "2",
         "no hint": 2, "1": 0, "2": 0, "3": 1}]
    assert statistics.repairs(found)[1] == [["averaged", 4, 1, "25%"]]
    page = report.class_page(found, {student: "x" for student in ("ann", "ben", "cem", "dan_1004")})
    assert "From the logs of 3 students" in page
    assert "<td>averaged</td><td class=\"n\">4</td><td class=\"n\">1</td><td>25%</td>" in page


def test_a_log_of_anything_changes_no_mark_and_no_page(tmp_path):
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / "05_scale.py").write_text(SCALE.solution_code())
    (tmp_path / "ann" / log.FILE).write_bytes(b'{"check": "<script>", "earned": 9, "points": 7, "code": "", "wrong": '
                                              b'{"a": "<script>"}}\n\xff\n[' + b"[" * 10**6)
    found = grade(tmp_path)
    assert found["marks"][0]["earned"] == 7
    assert "<script" not in report.class_page(found, {"ann": "x"})
