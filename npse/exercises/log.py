"""The log of a student's folder: a line for each check and each hint, in the order in which they came.

    {"check": "squeeze", "earned": 3, "points": 7, "code": "0a1b2c3d4e5f", "wrong": {"squeeze_backward: gradient of u":
    "averaged"}}
    {"hint": "squeeze", "number": 1}

``code`` is a hash of the file, ``wrong`` has the parts without points and the kinds of their diagnoses. There are no
times, no code and no names in it. The student can change it: no mark depends on it.
"""

import json
from pathlib import Path

FILE = "npse-log.jsonl"
BEFORE = ".npse-exercises.json"                  # what 0.1 wrote: the last mark and the number of hints
LARGEST = 5_000_000                              # bytes
LONGEST = 40                                     # characters of a kind of diagnosis
NOTICE = (f"{FILE} keeps your points, kinds of mistakes, hints and a hash of your file; if your teacher asks for it, "
          "hand it in too")


def append(folder, entry):
    """Add an entry. Return whether the log is new. Raise OSError if it cannot be written."""
    path = Path(folder) / FILE
    is_new = not path.exists()
    with path.open("ab") as file:
        file.write(json.dumps(entry).encode() + b"\n")
    return is_new


def read(folder):
    """Return the entries of the log in a folder, and before them what an older version of npse kept."""
    return [*_before(Path(folder) / BEFORE), *read_file(Path(folder) / FILE)]


def read_file(path):
    """Return the entries of a log. What is not as described above is left out."""
    try:
        lines = path.read_bytes().split(b"\n") if path.stat().st_size <= LARGEST else []
    except OSError:
        return []
    return [entry for line in lines if (entry := _entry(line))]


def _entry(line):
    try:
        found = json.loads(line)
        if "hint" in found:
            kinds = {"hint": str, "number": int}
        else:
            kinds = {"check": str, "earned": int, "points": int, "code": str, "wrong": dict}
        if not all(type(found[key]) is kind for key, kind in kinds.items()):
            return None
        if not all(type(kind) is str and len(kind) <= LONGEST for kind in found.get("wrong", {}).values()):
            return None
        return {key: found[key] for key in kinds}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _before(path):
    try:
        record = json.loads(path.read_bytes())
        found = [{"hint": str(name), "number": int(count)} for name, count in record["hints"].items()]
        return found + [{"check": name, "earned": int(mark["earned"]), "points": int(mark["points"]),
                         "code": str(mark["code"]), "wrong": {}} for name, mark in record["marks"].items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return []
