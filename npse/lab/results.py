"""The results of finished runs: results.jsonl, one line of JSON for each.

A line holds all that a table needs, so results of several machines can be put together without the folders of the runs.
What identifies a result are the settings of its run, the seed among them, but not the edition. So a run that is part
of two experiments, such as a baseline, counts in both.
"""

import dataclasses
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npse.support.files import write_atomically
from npse.training import Config, RunFolder, records

KINDS = {"variant": str, "accuracy": float, "evaluated_on": str, "seconds": float, "classes": int, "cores": int}
TABLES = ("settings", "versions")


@dataclass(frozen=True)
class Result:
    """The result of a finished run.

    Attributes
    ----------
    variant : str
        Its name in the experiment in which it was trained.
    config : Config
    accuracy : float
        0..1, after the last epoch, averaged over the views of the test-time augmentation ``config.tta``.
    evaluated_on : str
        "test" or "validation".
    seconds : float
        Of training, without evaluation.
    classes, cores : int
        Classes of the data set, cores of the machine.
    ran_on : str
        The edition, and the threads of the cpu edition.
    processor, commit : str, optional
    versions : dict of str to str or None
    """

    variant: str
    config: Config
    accuracy: float
    evaluated_on: str
    seconds: float
    classes: int
    cores: int
    ran_on: str
    processor: str | None
    commit: str | None
    versions: dict[str, Any]

    def line(self) -> str:
        """Return it as a line of results.jsonl."""
        return json.dumps({"variant": self.variant, "seed": self.config.seed, "accuracy": self.accuracy,
                           "evaluated_on": self.evaluated_on, "seconds": round(self.seconds, 1),
                           "classes": self.classes, "ran_on": self.ran_on, "cores": self.cores,
                           "processor": self.processor, "commit": self.commit, "versions": self.versions,
                           "settings": self.config.as_dict()})

    @classmethod
    def from_line(cls, line: bytes) -> "Result":
        """Return the result in a line; ValueError if it cannot be used."""
        row = records.parse(line)
        records.expect(row, KINDS)
        for name in TABLES:
            if not isinstance(row.get(name), dict):
                raise ValueError(f"{name} must be a JSON object, but is {records.short(row.get(name))}")
        if not 0 <= row["accuracy"] <= 1:
            raise ValueError(f"accuracy must lie in 0..1, but is {row['accuracy']}")
        return cls(config=Config.from_dict(row["settings"]), versions=row["versions"], ran_on=str(row.get("ran_on")),
                   processor=row.get("processor"), commit=row.get("commit"), **{name: row[name] for name in KINDS})


def of_folder(folder: RunFolder, variant: str, tta: str) -> Result | None:
    """Return the result of the run in a folder; None if it is not finished, or not evaluated with these views.

    ValueError or OSError if a file of the run cannot be used.
    """
    if not folder.is_finished():
        return None
    record, rows = folder.record(), folder.metrics()
    evaluated_on = rows[-1]["evaluated_on"]
    accuracy = rows[-1]["accuracy"] if tta == "none" else folder.views_accuracy(tta, evaluated_on)
    if accuracy is None:
        return None
    return Result(variant, dataclasses.replace(folder.config(), tta=tta), accuracy, evaluated_on,
                  sum(row["seconds"] for row in rows), len(record["classes"]), record.get("cores", 0),
                  str(record.get("ran_on")), record.get("processor"), record.get("commit"), record.get("versions", {}))


class Results:
    """The lines of a results.jsonl, by the identity of the run and its test-time augmentation.

    Parameters
    ----------
    path : Path
        The file; it need not exist. ValueError names the first line that cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: dict[Config, Result] = {}
        self._new: list[Result] = []
        self.add(_read(path))
        self._new.clear()

    def get(self, config: Config) -> Result | None:
        """Return the result of the run with these settings, None if there is none."""
        return self._lines.get(_key(config))

    def add(self, results: Iterable[Result]) -> None:
        """Add the results of runs that have none yet."""
        for result in results:
            if self.get(result.config) is None:
                self._lines[_key(result.config)] = result
                self._new.append(result)

    def take(self, path: Path, configs: Iterable[Config]) -> None:
        """Add the results of runs with these settings from another file; FileNotFoundError if it does not exist."""
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist; expected a results.jsonl")
        self.add(filter(None, map(Results(path).get, configs)))

    def save(self) -> None:
        """Write the lines that were added to the end of the file."""
        if self._new:
            old = self.path.read_bytes().rstrip() if self.path.exists() else b""
            lines = [*filter(None, [old.decode()]), *(result.line() for result in self._new)]
            write_atomically(self.path, "\n".join(lines) + "\n")
            self._new.clear()

    def __iter__(self) -> Iterator[Result]:
        return iter(self._lines.values())


def _key(config: Config) -> Config:
    return dataclasses.replace(config.identity(), tta=config.tta)


def _read(path: Path) -> list[Result]:
    found = []
    for number, line in enumerate(path.read_bytes().splitlines() if path.exists() else [], 1):
        if line.strip():
            try:
                found.append(Result.from_line(line))
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: {error}; correct or remove that line") from error
    return found
