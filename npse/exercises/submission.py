"""Reads a student's file, a script or a notebook, as cells of Python code, and finds the exercise it belongs to."""

import codecs
import json
import re
from dataclasses import dataclass
from pathlib import Path

from npse.exercises.annotated import Exercise, exercises, find
from npse.exercises.ipython import without_magics

LARGEST = {".py": 5_000_000, ".ipynb": 50_000_000}      # bytes in a file; a notebook contains its pictures
KINDS = tuple(LARGEST)
BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
                    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
SLOW = ("idna", "punycode")  # encodings of host names: to decode a text takes a time that grows with its square
_MARK = re.compile(r"npse exercise \d+: (?P<name>\w+) \(source (?P<hash>\w+)(?:, variant (?P<variant>\w+))?\)")
_CODING = re.compile(rb"(?:[^\n]*\n)?[ \t\f]*#[^\n]*?coding[:=][ \t]*(?P<name>[-\w.]+)")
_CONTROL = re.compile(r"[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_STEM = re.compile(r"(?<![0-9])(\d\d)_[a-z_]+")


@dataclass(frozen=True)
class Submission:
    """The code of a student for one exercise.

    Attributes
    ----------
    exercise : Exercise or None
        In the variant that the file names. None if the file belongs to no exercise.
    cells : tuple of str
        Python code; empty if the file cannot be read.
    file : str
        Name of the file, without its folder.
    problem : str
        Why the file cannot be read; empty if it can be read.
    outdated : bool
        Whether the file was made from another version of the exercise.
    """

    exercise: Exercise | None
    cells: tuple[str, ...]
    file: str
    problem: str = ""
    outdated: bool = False


def read(path):
    """Read a file and return a Submission.

    An OSError of the system is raised, for example if there is no file. The content of the file raises no error: the
    Submission says what is wrong with it.
    """
    path = Path(path)
    exercise, text, problem = _text_of(path)
    if problem:
        return Submission(exercise, (), path.name, problem)
    mark = _MARK.search(text)
    outdated = False
    if mark and exercise and mark["name"] == exercise.name:
        outdated = mark["hash"] != exercise.hash
        if mark["variant"] in exercise.variants:
            exercise = exercise.in_variant(mark["variant"])
    try:
        cells = _notebook_cells(text) if path.suffix == ".ipynb" else (without_magics(text),)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Submission(exercise, (), path.name, f"{path.name} is not a notebook that can be read")
    return Submission(exercise, cells, path.name, "", outdated)


def exercise_in(path):
    """Return the exercise that a file belongs to, or None. Its code is not looked at. Raises OSError as `read` does."""
    return _text_of(Path(path))[0]


def _text_of(path):
    """Return the exercise of a file, its text, and why it cannot be read."""
    most = LARGEST.get(path.suffix, LARGEST[".py"])
    if path.stat().st_size > most:
        return _exercise_of(path, ""), "", f"{path.name} is larger than {most} bytes"
    try:
        text = decoded(path.read_bytes())
    except (ValueError, LookupError):
        return (_exercise_of(path, ""), "",
                f"{path.name} is not a text file: hand in the .py or .ipynb file")
    return _exercise_of(path, text), text, "" if text.strip() else f"{path.name} is empty"


def decoded(data):
    """Return the bytes of a file as text with line ends of one character.

    The encoding is that of the byte order mark, of the coding line, UTF-8 or Latin-1, the first that fits. Raise
    ValueError or LookupError if none fits: the bytes contain control characters, which no program has.
    """
    marked = next((name for mark, name in BYTE_ORDER_MARKS.items() if data.startswith(mark)), None)
    coding = _CODING.match(b"".join(data[:1000].splitlines(keepends=True)[:2]))
    if marked:
        text = data.decode(marked)
    elif coding:
        name = codecs.lookup(coding["name"].decode()).name
        if name in SLOW:
            raise LookupError(f"{name} is for host names")
        text = data.decode(name)
    else:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    if _CONTROL.search(text):
        raise ValueError("control characters")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _exercise_of(path, text):
    """Find the exercise by the mark in the file, otherwise by the name of the file. Return None if there is none."""
    by_name = {exercise.name: exercise for exercise in exercises()}
    mark, numbers = _MARK.search(text), _STEM.findall(path.stem)
    if mark and mark["name"] in by_name:
        return by_name[mark["name"]]
    if named := [exercise for exercise in exercises() if exercise.stem in path.stem]:
        return named[0]
    try:
        return find(numbers[-1]) if numbers else by_name.get(path.stem)
    except ValueError:
        return None


def _notebook_cells(text):
    """Return the code cells as Python, without examples and tests."""
    notebook, cells = json.loads(text), []
    for cell in (cell for sheet in notebook.get("worksheets", [notebook]) for cell in sheet["cells"]):     # nbformat 3
        metadata = cell.get("metadata", {})
        given = "example" in metadata.get("tags", ()) or metadata.get("nbgrader", {}).get("grade")
        if cell["cell_type"] == "code" and not given:
            source = cell["source"] if "source" in cell else cell["input"]
            source = source if isinstance(source, str) else "".join(source)
            cells.append(without_magics(source))
    return tuple(cells)
