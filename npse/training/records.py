"""What is read back from disk as JSON: parsed, and checked to be of the kinds that it was written with."""

import dataclasses
import json
import reprlib
from collections.abc import Mapping
from typing import Any

KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def parse(text: str | bytes) -> dict[str, Any]:
    """Return the dict that JSON, str or bytes, holds; ValueError if it holds anything else.

    Bytes may begin with a byte order mark.
    """
    try:
        record = json.loads(text)
    except RecursionError:
        raise ValueError("its brackets are nested too deep") from None
    expect(record, {})
    return record


def expect(record: Any, kinds: Mapping[str, type]) -> None:
    """Check for a dict with entries of these kinds, by name; ValueError tells of the first that it lacks or has wrong.

    Entries of other names may be there: another version may have written them.
    """
    if not isinstance(record, dict):
        raise ValueError(f"expected a JSON object, found {short(record)}")
    for name, kind in kinds.items():
        if name not in record:
            raise ValueError(f"it lacks {name}")
        if not is_a(record[name], kind):
            raise ValueError(f"{name} must be {KINDS[kind]}, but is {short(record[name])}")


def is_a(value: object, kind: type) -> bool:
    """Whether a value is of a kind: int, float, bool or str. True is no number; whole numbers are floats, too."""
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, (int, float)) and _fits_a_float(value)
    return isinstance(value, kind)


def kinds_of(dataclass: Any) -> dict[str, Any]:
    """The kinds of a dataclass's fields, by name."""
    return {field.name: field.type for field in dataclasses.fields(dataclass)}


def short(value: object) -> str:
    """A value as Python writes it, shortened."""
    return reprlib.repr(value)


def _fits_a_float(value: float) -> bool:
    try:
        float(value)
    except OverflowError:
        return False
    return True
