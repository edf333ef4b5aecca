"""The student's folder: the files of exercises, and a log of the checks and of the hints shown."""

import hashlib
import sys
from pathlib import Path

from npse.exercises import log
from npse.exercises.annotated import ANSWER, STUDENT, exercises, find
from npse.exercises.notebook import as_notebook
from npse.exercises.submission import KINDS, read
from npse.support.files import write_atomically
from npse.support.names import suggest

FORMATS = {"file": ".py", "notebook": ".ipynb"}


class Folder:
    """A folder of exercises.

    Parameters
    ----------
    path : path
        It need not exist: the first `start` makes it.
    """

    def __init__(self, path="."):
        self.path = Path(path)

    def start(self, exercise, kind="file"):
        """Write the student's file and return its path. Raise FileExistsError if the file exists: it stays as it is."""
        return self._write_new(exercise, exercise.stem, kind, STUDENT)

    def solve(self, exercise, kind="file"):
        """Write the solution into this folder, as NN_name_solution, and return its path. Raises as `start` does."""
        return self._write_new(exercise, f"{exercise.stem}_solution", kind, ANSWER)

    def _write_new(self, exercise, stem, kind, reader):
        if kind not in FORMATS:
            raise ValueError(f"unknown kind {kind!r}; {suggest(kind, FORMATS)}")
        path = self.path / f"{stem}{FORMATS[kind]}"
        if path.exists():
            raise FileExistsError(f"{path} exists already and may contain your work: it stays as it is; rename it, or "
                                  "choose another folder")
        self.path.mkdir(parents=True, exist_ok=True)
        write_atomically(path, as_notebook(exercise, reader) if kind == "notebook" else exercise.as_file(reader))
        return path

    def files(self):
        """Map each exercise to its file in this folder. Of two files, take the one that was changed last."""
        found = {}
        for exercise in exercises():
            paths = [path for kind in KINDS if (path := self.path / f"{exercise.stem}{kind}").is_file()]
            if paths:
                found[exercise] = max(paths, key=lambda path: path.stat().st_mtime)
        return found

    def file_of(self, which):
        """Find the file to check.

        Parameters
        ----------
        which : path, int, str or None
            A path, the number or name of an exercise, or None for the file that was changed last.

        Raises
        ------
        FileNotFoundError
            There is no such file, or the exercise has not been started.
        ValueError
            There is no such exercise.
        """
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
        """Return the files of the same exercise in another format."""
        return [other for kind in KINDS if (other := path.with_suffix(kind)) != path and other.is_file()]

    def in_variant(self, exercise):
        """Return an exercise in the variant of its file in this folder, if there is one."""
        path = self.files().get(exercise)
        found = read(path).exercise if path else None
        return found if found and found.name == exercise.name else exercise

    def remember(self, mark, path):
        """Log a mark. Return whether the log is new. If it cannot be written, print one line to stderr."""
        wrong = {part.name: part.kind for part in mark.parts if not part.ok}
        return self._log({"check": mark.exercise.name, "earned": mark.earned, "points": mark.points,
                          "code": _digest(path), "wrong": wrong})

    def next_hint(self, exercise):
        """Return the texts of the hints shown so far, and one more."""
        count = min(_hints(log.read(self.path), exercise) + 1, len(exercise.hints))
        if self.path.is_dir():
            self._log({"hint": exercise.name, "number": count})
        return exercise.hints[:count]

    def status(self):
        """Yield, for each exercise: the exercise, its state in words, the number of hints shown."""
        entries, files = log.read(self.path), self.files()
        for exercise in exercises():
            marks = [entry for entry in entries if entry.get("check") == exercise.name]
            state = _state(exercise, files.get(exercise), marks[-1] if marks else None)
            yield exercise, state, _hints(entries, exercise)

    def _log(self, entry):
        """Add to the log. If that fails, say so and go on: marks and hints do not need it."""
        try:
            return log.append(self.path, entry)
        except OSError as error:
            print(f"npse: {error.filename}: {error.strerror}: marks and hints are shown, but not saved in this folder",
                  file=sys.stderr)
            return False


def _hints(entries, exercise):
    """Return the number of hints shown, of those that there are."""
    numbers = [entry["number"] for entry in entries if entry.get("hint") == exercise.name]
    return max([0, *(min(number, len(exercise.hints)) for number in numbers)])


def _digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _state(exercise, path, mark):
    if path is None:
        return "not started"
    if mark is None:
        return "started"
    changed = ", changed since" if mark["code"] != _digest(path) else ""
    return f"{mark['earned']} of {mark['points']} points{changed}"
