"""Arrays and a few facts in one safetensors file, written so that a crash or a full disk never costs the last one."""

import json

import numpy as np

from npse.backend import to_host
from npse.files import write_atomically


def save(path, arrays, facts):
    """Write named arrays, of any edition, and a JSON-able dict; the file is replaced only once the new one is whole."""
    from safetensors.numpy import save as encode

    contiguous = {name: np.ascontiguousarray(to_host(array))           # others are saved wrongly
                  for name, array in arrays.items()}
    write_atomically(path, encode(contiguous, metadata={"npse": json.dumps(facts)}))


def load(path):
    """Return (arrays, facts); FileNotFoundError, or ValueError if the file is truncated or from elsewhere."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; train first, or name the folder of another run")
    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads((file.metadata() or {}).get("npse", "null"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}              # noqa: SIM118, not a dict
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path}: not a whole safetensors file ({error}); was it truncated or is it something else? "
                         "Use the run's other checkpoint or train again") from error
    if facts is None:
        raise ValueError(f"{path}: a safetensors file, but not written by npse; expected the checkpoint of a run")
    return arrays, facts
