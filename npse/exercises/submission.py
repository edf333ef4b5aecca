"""Reads a student's file, a script or a notebook, as cells of Python code, and finds the exercise it belongs to."""

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path

from npse.exercises.annotated import Exercise, exercises, find

KINDS = (".py", ".ipynb")
LARGEST = 5_000_000          # bytes in a file
_MARK = re.compile(r"npse exercise \d+: (?P<name>\w+) \(source (?P<hash>\w+)\)")
_STEM = re.compile(r"(?<![0-9])(?P<number>\d\d)_(?P<name>[a-z_]+)")


@dataclass(frozen=True)
class Submission:
    """The code of a student for one exercise.

    Attributes
    ----------
    exercise : Exercise or None
        None if the file belongs to no exercise.
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
    if path.stat().st_size > LARGEST:
        return Submission(_exercise_of(path, ""), (), path.name, f"{path.name} is larger than {LARGEST} bytes")
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
        if "\0" in text:
            raise ValueError
    except ValueError:
        return Submission(_exercise_of(path, ""), (), path.name,
                          f"{path.name} is not a text file: hand in the .py or .ipynb file")
    exercise, mark = _exercise_of(path, text), _MARK.search(text)
    outdated = bool(mark and exercise and mark["name"] == exercise.name and mark["hash"] != exercise.hash)
    if not text.strip():
        return Submission(exercise, (), path.name, f"{path.name} is empty")
    try:
        cells = _notebook_cells(text) if path.suffix == ".ipynb" else (text,)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Submission(exercise, (), path.name, f"{path.name} is not a notebook that can be read")
    return Submission(exercise, cells, path.name, "", outdated)


def _exercise_of(path, text):
    """Find the exercise by the mark in the file, otherwise by the name of the file. Return None if there is none."""
    by_name = {exercise.name: exercise for exercise in exercises()}
    mark, stem = _MARK.search(text), _STEM.search(path.stem)
    if mark and mark["name"] in by_name:
        return by_name[mark["name"]]
    try:
        return find(stem["number"]) if stem else by_name.get(path.stem)
    except ValueError:
        return None


def _notebook_cells(text):
    """Return the code cells, without examples and tests. Lines that only IPython understands become ``pass``."""
    cells = []
    for cell in json.loads(text)["cells"]:
        metadata = cell.get("metadata", {})
        given = "example" in metadata.get("tags", ()) or metadata.get("nbgrader", {}).get("grade")
        if cell["cell_type"] == "code" and not given:
            source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
            cells.append(without_magics(source))
    return tuple(cells)


def without_magics(source):
    """Return code for IPython as Python code: lines that are not Python become ``pass``."""
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return re.sub(r"^([ \t]*)(?:[%!?].*|.*\?)$", r"\1pass", source, flags=re.MULTILINE)
    return source
