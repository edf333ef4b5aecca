"""Writes the report for the teacher: marks as CSV and JSON, a page for the class and one for each student."""

import csv
import io
import json
import re
import zipfile
import zlib
from collections import Counter
from html import escape
from pathlib import Path

from npse.exercises import statistics
from npse.support.files import write_atomically

RECORD = "marks.jsonl"       # in the folder of the report: each mark as soon as it is made
LONGEST_NAME = 50            # characters of a student's name in the name of a page; systems allow 255 bytes
STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0}td,th{border:1px solid #ccc;padding:.25rem .6rem;text-align:left}
td.n{text-align:right;font-variant-numeric:tabular-nums}.all{background:#dff2df}.some{background:#fdf3d0}
.none{background:#f8dcdc}.note{color:#a33}small{color:#666}"""


def write(found, out):
    """Write marks.csv, marks.json, index.html, students/*.html and feedback.zip into a folder; return their paths.

    ``feedback.zip`` has a folder for each student, with the student's page.

    Parameters
    ----------
    found : dict
        The result of `npse.exercises.grade.grade`.
    out : path
        Folder; it need not exist. Files with these names in it are replaced.
    """
    out = Path(out)
    (out / "students").mkdir(parents=True, exist_ok=True)
    pages = {student: f"students/{_file_name(student)}.html" for student in _students(found)}
    texts = {"marks.csv": as_csv(found), "marks.json": json.dumps(found, indent=1, ensure_ascii=False) + "\n",
             "index.html": class_page(found, pages)}
    feedback = {student: student_page(found, student) for student in pages}
    texts |= {page: feedback[student] for student, page in pages.items()}
    texts["feedback.zip"] = _zipped({f"{Path(pages[student]).stem}/feedback.html": page
                                     for student, page in feedback.items()})
    for name, text in texts.items():
        write_atomically(out / name, text)
    return [out / name for name in texts]


def write_table(content, name, out):
    """Write a roster with points in it into the folder of the report, as ``upload_`` and its name; return its path."""
    path = Path(out) / f"upload_{name}"
    write_atomically(path, content)
    return path


def as_csv(found):
    """Return the marks as CSV text: for each student a line with the points of each exercise and their sum."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    names = [exercise["name"] for exercise in found["exercises"]]
    writer.writerow(["student", *names, "total", "of", "remarks"])
    for student in _students(found):
        marks = _marks(found, student)
        remarks = "; ".join(f"{mark['exercise']}: {mark['note']}" for mark in marks if mark["note"])
        writer.writerow([_harmless(student), *(mark["earned"] for mark in marks), *_total(marks), _harmless(remarks)])
    return table.getvalue()


def class_page(found, pages):
    """Return the HTML page for the class: points, difficult parts, frequent mistakes, submissions that look alike."""
    exercises = found["exercises"]
    head = "".join(f"<th>{e['number']} {escape(e['title'])}</th>" for e in exercises)
    rows = []
    for student, page in pages.items():
        marks = _marks(found, student)
        cells = "".join(_cell(mark["earned"], mark["points"], mark["note"]) for mark in marks)
        rows.append(f'<tr><td><a href="{escape(page)}">{escape(student)}</a></td>{cells}{_cell(*_total(marks))}</tr>')
    body = [f"<h1>Students: {len(pages)}, exercises: {len(exercises)}</h1>",
            f"<table><tr><th>student</th>{head}<th>total</th></tr>{''.join(rows)}</table>",
            "<h2>Points of each exercise</h2><p>Of those who handed it in: how many have how many of the points.</p>",
            _table(*statistics.distribution(found)), "<h2>What was hard</h2>", _parts_table(found)]
    kinds = Counter(part["kind"] for mark in found["marks"] for part in mark["parts"] if part["kind"])
    if kinds:
        items = "".join(f"<li>{escape(kind)}: {count}</li>" for kind, count in kinds.most_common())
        body.append(f"<h2>Mistakes by kind</h2><ul>{items}</ul>")
    if found["logs"]:
        body.append(f"<h2>From the logs of {len(found['logs'])} students</h2><p>Students can change their logs. A "
                    "diagnosis was repaired if the part that it was about is right in the next check.</p>"
                    + _table(*statistics.attempts(found)) + _table(*statistics.repairs(found)))
    if found["unknown"]:
        body.append(f"<h2>Not in the roster</h2><ul>{_items(found['unknown'])}</ul>")
    if found["similar"]:
        items = "".join(f"<li>{escape(pair['exercise'])}: {escape(' and '.join(pair['students']))}, "
                        f"{pair['share']:.0%} of their own code</li>" for pair in found["similar"])
        body.append("<h2>Look alike</h2><p>Code that many students have in common does not count. No mark depends on "
                    f"this list. Read the files and talk to the students.</p><ul>{items}</ul>")
    if found["copies"]:
        items = "".join(f"<li>{escape(group['exercise'])}: {escape(', '.join(group['students']))}"
                        f"{' (the solution that comes with npse)' if group['solution'] else ''}</li>"
                        for group in found["copies"])
        body.append("<h2>The same program</h2><p>All words and numbers are equal, apart from comments. A short answer "
                    f"can be found twice: look before you judge.</p><ul>{items}</ul>")
    if found["left_out"]:
        items = "".join(f"<li>{escape(path)}: {escape(why)}</li>" for path, why in found["left_out"])
        body.append(f"<h2>Files left out</h2><ul>{items}</ul>")
    return _page("Marks of the class", body)


def student_page(found, student):
    """Return the HTML page of one student: the marks of all parts, with reasons. It names no other student."""
    marks = _marks(found, student)
    titles = {e["name"]: f"{e['number']} {e['title']}" for e in found["exercises"]}
    body = [f"<h1>{escape(student)}: {' of '.join(map(str, _total(marks)))} points</h1>"]
    for mark in marks:
        rows = "".join(f"<tr><td>{escape(part['name'])}</td>{_cell(part['earned'], part['points'])}"
                       f"<td>{escape(part['message'])}</td></tr>" for part in mark["parts"])
        note = f'<p class="note">{escape(mark["note"])}</p>' if mark["note"] else ""
        body.append(f"<h2>{escape(titles[mark['exercise']])}: {mark['earned']} of {mark['points']}</h2>{note}"
                    f"<table><tr><th>part</th><th>points</th><th>remark</th></tr>{rows}</table>"
                    f"<small>{escape(mark['file'])} tried with seed {mark['seed']}, {mark['seconds']} s</small>")
    return _page(f"Marks of {student}", body)


def _items(texts):
    return "".join(f"<li>{escape(text)}</li>" for text in texts)


def _table(titles, rows):
    """Return a table; numbers are aligned right."""
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    body = "".join(f"<tr>{''.join(map(_plain_cell, row))}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _plain_cell(value):
    return f'<td class="n">{value}</td>' if isinstance(value, int) else f"<td>{escape(value)}</td>"


def _zipped(texts):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
    return packed.getvalue()


def _parts_table(found):
    rows = []
    for exercise in found["exercises"]:
        marks = [mark for mark in found["marks"] if mark["exercise"] == exercise["name"] and mark["file"]]
        for place, part in enumerate(marks[0]["parts"] if marks else ()):
            right = sum(mark["parts"][place]["earned"] == part["points"] for mark in marks)
            rows.append(f"<tr><td>{exercise['number']}</td><td>{escape(part['name'])}</td>"
                        f"{_cell(right, len(marks))}</tr>")
    return f"<table><tr><th>exercise</th><th>part</th><th>right</th></tr>{''.join(rows)}</table>"


def _cell(earned, points, note=""):
    kind = "some" if earned else "none"
    if earned == points:
        kind = "all"
    title = f' title="{escape(note, quote=True)}"' if note else ""
    return f'<td class="n {kind}"{title}>{earned} / {points}</td>'


def _page(title, body):
    return (f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
            f"<style>{STYLE}</style>\n<body>{''.join(body)}</body></html>\n")


def _students(found):
    return list(dict.fromkeys(mark["student"] for mark in found["marks"]))


def _marks(found, student):
    return [mark for mark in found["marks"] if mark["student"] == student]


def _total(marks):
    return round(sum(mark["earned"] for mark in marks), 2), sum(mark["points"] for mark in marks)


def _file_name(student):
    """Return the name of the student's file. Different students get different names."""
    plain = re.sub(r"[^\w.-]", "_", student)[:LONGEST_NAME]
    return plain if plain == student else f"{plain}-{zlib.crc32(student.encode('utf-8', 'surrogateescape')):08x}"


def _harmless(text):
    """Return the text of a cell, changed so that a spreadsheet does not read it as a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" and text else text
