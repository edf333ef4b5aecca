"""metrics.jsonl: a line of JSON for each epoch, added once the epoch is evaluated.

A crash can leave a torn last line, and the line of an epoch whose checkpoint was not saved any more; these are mended.
All else that is not understood is refused with its line number, and left as it is.
"""

import codecs
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from npse.support.files import free_name, write_atomically
from npse.training import records

KINDS = {"epoch": int, "lr": float, "train_loss": float, "train_accuracy": float, "loss": float, "accuracy": float,
         "evaluated_on": str, "seconds": float, "images_per_second": float}
BEGINNING = b'{"epoch": '


def read(path: Path) -> list[dict[str, Any]]:
    """Return one dict for each epoch on record, none if there is no file.

    Blank lines, a byte order mark and any kind of line end are fine. ValueError names the first line that cannot be
    understood, or whose epoch is not later than that of the line before.
    """
    return [row for row, _ in _lines(path)]


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Add the line of an epoch and see it on disk."""
    with open(path, "a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())


def keep_until(path: Path, epoch: int) -> Path | None:
    """Take away the lines of later epochs, which a resumed run writes again, and what a crash has torn.

    If whole lines go, the file as it was stays beside it, under the name that is returned; else None is.
    """
    lines, old = _lines(path), None
    kept = b"".join(line + b"\n" for row, line in lines if row["epoch"] <= epoch)
    content = path.read_bytes() if path.exists() else b""
    if any(row["epoch"] > epoch for row, _ in lines):
        old = free_name(path)
        write_atomically(old, content)
    if content != kept:
        write_atomically(path, kept)
    return old


def _lines(path: Path) -> list[tuple[dict[str, Any], bytes]]:
    """Pairs of a row and its line, bytes without the line's end."""
    content = path.read_bytes().removeprefix(codecs.BOM_UTF8) if path.exists() else b""
    lines, latest = content.splitlines(keepends=True), 0
    found: list[tuple[dict[str, Any], bytes]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = _row(line, latest)
        except ValueError as error:
            if number == len(lines) and _is_torn(line):
                break
            raise ValueError(f"{path}, line {number}: {error}; mend or remove that line, or move the file away to go "
                             "on without it") from error
        found.append((row, line.strip()))
        latest = row["epoch"]
    return found


def _row(line: bytes, latest: int) -> dict[str, Any]:
    """The row of a line that comes after that of epoch ``latest``."""
    row = records.parse(line)
    records.expect(row, KINDS)
    if row["epoch"] <= latest:
        raise ValueError(f"expected an epoch later than {latest}, found {row['epoch']}")
    return row


def _is_torn(line: bytes) -> bool:
    """Whether a line can be the beginning of one of ours; what was not written yet reads as zeros on some disks."""
    whole = line.endswith((b"\n", b"\r")) or b"}" in line
    return not whole and BEGINNING.startswith(line.strip(b"\0")[:len(BEGINNING)])
