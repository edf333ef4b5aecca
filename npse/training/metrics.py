"""metrics.jsonl: a line of JSON for each epoch, added after the epoch was evaluated.

A crash can leave an incomplete last line, or the line of an epoch whose checkpoint was not saved. Both are repaired.
Any other wrong line raises an error with its line number, and the file stays as it is.
"""

import codecs
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from npse.support.files import free_name, write_atomically
from npse.training import gate_histograms, records

KINDS = {"epoch": int, "lr": float, "train_loss": float, "train_accuracy": float, "loss": float, "accuracy": float,
         "evaluated_on": str, "seconds": float, "images_per_second": float}
BEGINNING = b'{"epoch": '


def read(path: Path) -> list[dict[str, Any]]:
    """Return one dict for each epoch on record; an empty list if there is no file.

    Blank lines, a byte order mark and all kinds of line ends are accepted. ValueError names the first line that cannot
    be read, or whose epoch is not later than that of the line before.
    """
    return [row for row, _ in _lines(path)]


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Add the line of an epoch, and wait until it is on disk."""
    with open(path, "a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())


def keep_until(path: Path, epoch: int) -> Path | None:
    """Remove the lines of epochs after ``epoch``, and an incomplete last line. A resumed run writes those lines again.

    If complete lines are removed, the old file is kept under a new name. Return that name, or None if none was removed.
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
    """Return pairs of a row and its line, bytes without the end of the line."""
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
            raise ValueError(f"{path}, line {number}: {error}; correct or remove that line, or move the file away to "
                             "continue without it") from error
        found.append((row, line.strip()))
        latest = row["epoch"]
    return found


def _row(line: bytes, latest: int) -> dict[str, Any]:
    """Return the row of a line; ValueError if its epoch is not later than ``latest``, that of the line before."""
    row = records.parse(line)
    records.expect(row, KINDS)
    gate_histograms.expect(row)
    if row["epoch"] <= latest:
        raise ValueError(f"expected an epoch later than {latest}, found {row['epoch']}")
    return row


def _is_torn(line: bytes) -> bool:
    """Whether a line can be the beginning of a line of this file. Some disks give zero bytes for the unwritten rest."""
    whole = line.endswith((b"\n", b"\r")) or line.count(b"}") >= line.count(b"{") > 0
    return not whole and BEGINNING.startswith(line.strip(b"\0")[:len(BEGINNING)])
