"""The student's folder: files that were started, and a record of hints seen and of the last marks."""

import hashlib
import json
import sys
from pathlib import Path

from npse.exercises.annotated import ANSWER, STUDENT, exercises, find
from npse.exercises.notebook import as_notebook
from npse.exercises.submission import KINDS
from npse.support.files import write_atomically
from npse.support.names import suggest

RECORD = ".npse-exercises.json"
FORMATS = {"file": ".py", "notebook": ".ipynb"}


class Folder:
    """A folder of exercises.

    Parameters
    ----------
    path : path
        Made when the first exercise is started.
    """

    def __init__(self, path="."):
        self.path = Path(path)

    def start(self, exercise, kind="file"):
        """Write the student's file and return its path; FileExistsError, and nothing touched, if there is one."""
        return self._write_new(exercise, exercise.stem, kind, STUDENT)

    def solve(self, exercise, kind="file"):
        """Write the solution beside it, as NN_name_solution, and return its path."""
        return self._write_new(exercise, f"{exercise.stem}_solution", kind, ANSWER)

    def _write_new(self, exercise, stem, kind, reader):
        if kind not in FORMATS:
            raise ValueError(f"unknown kind {kind!r}; {suggest(kind, FORMATS)}")
        path = self.path / f"{stem}{FORMATS[kind]}"
        if path.exists():
            raise FileExistsError(f"{path} is there already, and may hold your work: it stays as it is; rename it, or "
                                  "choose another folder")
        self.path.mkdir(parents=True, exist_ok=True)
        write_atomically(path, as_notebook(exercise, reader) if kind == "notebook" else exercise.as_file(reader))
        return path

    def files(self):
        """Files of exercises here, by the exercise; the most recently changed one if there are two."""
        found = {}
        for exercise in exercises():
            paths = [path for kind in KINDS if (path := self.path / f"{exercise.stem}{kind}").is_file()]
            if paths:
                found[exercise] = max(paths, key=lambda path: path.stat().st_mtime)
        return found

    def file_of(self, which):
        """The file to check: a path, the number or name of an exercise, or None for the most recently changed."""
        files = self.files()
        if which is None:
            if not files:
                raise FileNotFoundError(f"no exercise has been started in {self.path.resolve()}; run: "
                                        "npse exercise start 1")
            return max(files.values(), key=lambda path: path.stat().st_mtime)
        if Path(which).is_file():
            return Path(which)
        if Path(which).suffix or Path(which).name != which:
            raise FileNotFoundError(f"there is no file {which}")
        exercise = find(which)
        if exercise not in files:
            raise FileNotFoundError(f"exercise {exercise.number} has not been started in {self.path.resolve()}; run: "
                                    f"npse exercise start {exercise.number}")
        return files[exercise]

    def others(self, path):
        """The files of the same exercise in another format."""
        return [other for kind in KINDS if (other := path.with_suffix(kind)) != path and other.is_file()]

    def remember(self, mark, path):
        """Keep a mark; one line on stderr where this folder cannot be written to."""
        record = self._record()
        record["marks"][mark.exercise.name] = {"earned": mark.earned, "points": mark.points, "code": _digest(path)}
        self._save(record)

    def next_hint(self, exercise):
        """The hints seen so far and one more, as texts."""
        record = self._record()
        count = record["hints"][exercise.name] = min(record["hints"].get(exercise.name, 0) + 1, len(exercise.hints))
        if self.path.is_dir():
            self._save(record)
        return exercise.hints[:count]

    def status(self):
        """A line for each exercise: its number and title, how far it is, hints taken."""
        record, files = self._record(), self.files()
        for exercise in exercises():
            yield exercise, _state(exercise, files.get(exercise), record["marks"].get(exercise.name)), \
                record["hints"].get(exercise.name, 0)

    def _record(self):
        try:
            record = json.loads((self.path / RECORD).read_text(encoding="utf-8"))
            marks = {name: {"earned": int(mark["earned"]), "points": int(mark["points"]), "code": str(mark["code"])}
                     for name, mark in record["marks"].items()}
            return {"marks": marks, "hints": {name: int(count) for name, count in record["hints"].items()}}
        except Exception:                                        # whatever is in it: without it one starts afresh
            return {"marks": {}, "hints": {}}

    def _save(self, record):
        """Write the record. It is a convenience: marks and hints stand without it."""
        try:
            write_atomically(self.path / RECORD, json.dumps(record, indent=1) + "\n")
        except OSError as error:
            print(f"npse: {error.filename}: {error.strerror}: marks and hints are shown, but not kept in this folder",
                  file=sys.stderr)


def _digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _state(exercise, path, mark):
    if path is None:
        return "not started"
    if mark is None:
        return "started"
    changed = ", changed since" if mark["code"] != _digest(path) else ""
    return f"{mark['earned']} of {mark['points']} points{changed}"
