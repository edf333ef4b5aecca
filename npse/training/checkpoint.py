"""Save arrays and a few facts in one safetensors file.

A crash or a full disk never damages the file of the last save.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from npse.backend import to_host
from npse.support.files import write_atomically
from npse.training import records
from npse.training.metric_accumulator import diverged
from npse.types import Array

FLOATS = ("F16", "F32", "F64")                # safetensors' names of the types that weights may have
REMEDY = "use the run's other checkpoint or train again"


def save(path: Path, arrays: Mapping[str, Array], facts: Mapping[str, Any]) -> None:
    """Write named arrays of any edition, and a dict that JSON can hold. Only a complete file replaces the old one.

    FloatingPointError if a number is not finite, because no run can continue from it; the old file stays.
    """
    from safetensors.numpy import save as encode

    contiguous = {name: np.ascontiguousarray(to_host(array))           # safetensors saves other layouts wrongly
                  for name, array in arrays.items()}
    for name, array in contiguous.items():
        if not np.isfinite(array).all():
            raise diverged(f"{name} holds numbers that are not finite, so {path} is not written")
    write_atomically(path, encode(contiguous, metadata={"npse": json.dumps(facts)}))


def load(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return (arrays, facts) of a file that `save` wrote.

    Raises
    ------
    FileNotFoundError, OSError
        There is no such file, it is a folder, or it may not be read.
    ValueError
        The file is truncated or was not written by npse; an array holds no floats, or floats that no network can have.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such checkpoint; train first, or name the folder of another run")
    path.open("rb").close()                   # for a folder or a protected file this error is clearer
    types, arrays, metadata = _read(path)
    if "npse" not in metadata:
        raise ValueError(f"{path}: a safetensors file, but not written by npse; expected the checkpoint of a run")
    try:
        facts = records.parse(metadata["npse"])
    except ValueError as error:
        raise ValueError(f"{path}: its metadata cannot be read ({error}); {REMEDY}") from error
    for name, type_ in types.items():
        if type_ not in FLOATS:
            raise ValueError(f"{path}: {name} must be of type {', '.join(FLOATS)}, but is {type_}; {REMEDY}")
        expect_numbers(path, name, arrays[name])
    return arrays, facts


def _read(path: Path) -> tuple[dict[str, str], dict[str, Array], dict[str, str]]:
    """Return the types of all arrays, the arrays of floats, and the metadata."""
    from safetensors import safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            types = {name: file.get_slice(name).get_dtype() for name in file.keys()}     # noqa: SIM118, not a dict
            arrays = {name: file.get_tensor(name) for name, type_ in types.items() if type_ in FLOATS}
            return types, arrays, file.metadata() or {}
    except Exception as error:                # a damaged file can cause almost any exception
        raise ValueError(f"{path}: not a whole safetensors file ({error}); was it truncated or is it something else? "
                         f"{REMEDY.capitalize()}") from error


def expect_numbers(path: Path, name: str, array: Array, remedy: str = REMEDY) -> None:
    """Raise ValueError unless all numbers are finite in float32, and variances at least zero."""
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    variance = name.endswith("running_var")
    wrong = array[~np.isfinite(array) | (variance & (array < 0))]
    if wrong.size:
        rule = "finite numbers of at least 0" if variance else "finite numbers"
        raise ValueError(f"{path}: {name} must hold {rule}, but holds {wrong[0]}; {remedy}")
