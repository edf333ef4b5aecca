"""Parse JSON that is read back from disk, and check the types of its entries."""

import dataclasses
import json
import reprlib
from collections.abc import Mapping
from typing import Any, get_origin

KINDS: dict[Any, str] = {int: "a whole number", float: "a number", float | None: "a number", bool: "true or false",
                         str: "text", dict[str, Any]: "names with values"}


def parse(text: str | bytes) -> dict[str, Any]:
    """Return the dict in a JSON text; ValueError if it is not JSON, or holds something else.

    Bytes may begin with a byte order mark.
    """
    try:
        record = json.loads(text)
    except RecursionError:
        raise ValueError("its brackets are nested too deep") from None
    expect(record, {})
    return record


def expect(record: Any, kinds: Mapping[str, type]) -> None:
    """Check that a record is a dict with entries of these types, by name.

    ValueError names the first entry that is missing or has another type. Entries with other names are allowed, because
    another version may have written them.
    """
    if not isinstance(record, dict):
        raise ValueError(f"expected a JSON object, found {short(record)}")
    for name, kind in kinds.items():
        if name not in record:
            raise ValueError(f"{name} is missing")
        if not is_a(record[name], kind):
            raise ValueError(f"{name} must be {KINDS[kind]}, but is {short(record[name])}")


def is_a(value: object, kind: Any) -> bool:
    """Whether a value has a type: int, float, bool, str, dict[str, Any], or float | None.

    A bool is not a number; an int is also a float.
    """
    if kind == float | None:
        return value is None or is_a(value, float)
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, (int, float)) and _fits_a_float(value)
    return isinstance(value, get_origin(kind) or kind)


def kinds_of(dataclass: Any) -> dict[str, Any]:
    """Return the types of a dataclass's fields, by name."""
    return {field.name: field.type for field in dataclasses.fields(dataclass)}


def short(value: object) -> str:
    """Return the repr of a value, shortened."""
    return reprlib.repr(value)


def _fits_a_float(value: float) -> bool:
    try:
        float(value)
    except OverflowError:
        return False
    return True
