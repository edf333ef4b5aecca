"""Read and write arrays by name in the files of PyTorch: safetensors, and state dicts in .pt and .pth files.

No code in a file is ever run. A .pt file is a zip archive with a pickle, and a pickle can name any function of Python.
Here it may name those alone that make up tensors; any other name is an error.
"""

import io
import math
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from npse.support.files import write_atomically
from npse.types import Array, Arrays

SUFFIXES = (".safetensors", ".pt", ".pth")
NESTED = ("state_dict", "model_state_dict", "model", "params")     # where a checkpoint keeps the arrays of its network
PREFIX = "module."                                                 # of all names that DataParallel has saved

# NumPy's types of the storages that PyTorch names. bfloat16 and other types that NumPy lacks are not among them.
STORAGES = {"FloatStorage": np.float32, "DoubleStorage": np.float64, "HalfStorage": np.float16,
            "LongStorage": np.int64, "IntStorage": np.int32, "ShortStorage": np.int16, "CharStorage": np.int8,
            "ByteStorage": np.uint8, "BoolStorage": np.bool_}


def read(path: Path) -> tuple[Arrays, dict[str, str]]:
    """Return the arrays of a file by name, and the metadata of a safetensors file; a .pt file has none.

    Raises
    ------
    FileNotFoundError, OSError
        There is no such file, it is a folder, or it may not be read.
    ValueError
        The file is truncated or of another kind, or holds something other than arrays by name.
    """
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{":
        return _read_safetensors(path)
    if start[:4] == b"PK\x03\x04":
        return _named_arrays(path, _read_zip(path)), {}
    if start[:1] == b"\x80":
        return _named_arrays(path, _read_old(path)), {}
    raise ValueError(f"{path}: neither a safetensors file nor a state dict of PyTorch; was it truncated?")


def write(path: Path, arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Write arrays by name; the end of the file's name, one of `SUFFIXES`, says in which format.

    A .pt or .pth file needs PyTorch, and has no place for the metadata.

    Raises
    ------
    ImportError
        PyTorch is not installed.
    ValueError
        Another end of the name.
    OSError
        The file cannot be written; an older one is unchanged.
    """
    expect_suffix(path)
    arrays = {name: np.ascontiguousarray(array) if array.ndim else array for name, array in arrays.items()}
    if path.suffix == ".safetensors":
        from safetensors.numpy import save

        write_atomically(path, save(arrays, metadata=dict(metadata)))
        return
    if not _has_torch():
        raise ImportError(f"{path.suffix} files need PyTorch, which is not installed; write a .safetensors file, which "
                          "PyTorch reads too, or run: pip install torch")
    import torch

    buffer = io.BytesIO()
    torch.save(OrderedDict((name, torch.tensor(array)) for name, array in arrays.items()), buffer)
    write_atomically(path, buffer.getvalue())


def expect_suffix(path: Path) -> None:
    """Raise ValueError unless the name of a file ends in one of `SUFFIXES`."""
    if path.suffix not in SUFFIXES:
        raise ValueError(f"cannot write {path}: its name must end in {', '.join(SUFFIXES)}")


def _has_torch() -> bool:
    return find_spec("torch") is not None


def _read_safetensors(path: Path) -> tuple[Arrays, dict[str, str]]:
    from safetensors import safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}     # noqa: SIM118
    except Exception as error:                # a damaged file can cause almost any exception
        raise ValueError(f"{path}: not a whole safetensors file with arrays that NumPy has ({error})") from error


def _read_zip(path: Path) -> Any:
    """Return what `torch.save` wrote; tensors are PyTorch's or, where it is not installed, `_Tensor`."""
    try:
        if _has_torch():
            import torch

            return torch.load(path, map_location="cpu", weights_only=True)
        return read_zip_without_torch(path)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path}: refused, because its pickle holds more than tensors by name{_reason(error)}"
                         ) from error
    except Exception as error:                # a damaged archive or pickle can cause almost any exception
        raise ValueError(f"{path}: not a whole state dict of PyTorch ({_short(error)})") from error


def _read_old(path: Path) -> Any:
    """Return what `torch.save` of PyTorch 1.5 and older wrote, without a zip archive."""
    if not _has_torch():
        raise ValueError(f"{path}: a pickle, or a state dict of PyTorch 1.5 or older; to read it, install PyTorch: "
                         "pip install torch")
    return _read_zip(path)


def _short(error: Exception) -> str:
    """Return the first line of an error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _reason(error: Exception) -> str:
    """Return what a pickle asks for. PyTorch says it in one line of a page, which also tells how to run any code."""
    found = re.search(r"it asks for .*|unsupported \w+ [\w.]+|Unsupported .*|a (?:storage|tensor|zip) .*", str(error))
    return f": {found[0][:200]}" if found else ""


def _named_arrays(path: Path, found: Any) -> Arrays:
    """Return the arrays in what a file held: a dict of tensors, or a dict with one under a usual name."""
    for key in NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
            break
    arrays = {}
    for name, tensor in found.items() if isinstance(found, Mapping) else ():
        array = _array(tensor)
        if not isinstance(name, str) or array is None:
            kind = f"{type(tensor).__name__} of {tensor.dtype}" if hasattr(tensor, "dtype") else type(tensor).__name__
            raise ValueError(f"{path}: expected tensors that NumPy can hold, by name, but {str(name)[:60]!r} is a "
                             f"{kind}; save the state_dict() of the network alone, as float32")
        arrays[name] = array
    if not arrays:
        raise ValueError(f"{path}: expected tensors by name, but it holds a {type(found).__name__}"
                         f"{'' if isinstance(found, Mapping) else '; save the state_dict() of the network'}")
    if all(name.startswith(PREFIX) for name in arrays):
        arrays = {name.removeprefix(PREFIX): array for name, array in arrays.items()}
    return arrays


def _array(tensor: Any) -> Array | None:
    """Return a tensor as an array; None if it is something else, or of a type that NumPy lacks."""
    if isinstance(tensor, np.ndarray):
        return tensor
    try:
        array = tensor.detach().numpy()
    except (AttributeError, TypeError, RuntimeError):
        return None
    return array if isinstance(array, np.ndarray) else None


# Without PyTorch ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Storage:
    """The numbers of one or several tensors, in a file of the archive."""

    values: Array


def _rebuild_tensor(storage: Any, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> Array:
    """Make an array of a storage, as torch._utils._rebuild_tensor_v2 does, and check that it lies within it."""
    sizes = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or len(shape) != len(strides) or not all(
            isinstance(size, int) and size >= 0 for size in sizes):
        raise pickle.UnpicklingError("a tensor with a wrong shape")
    values = storage.values
    if math.prod(shape) == 0:
        return np.empty(shape, values.dtype)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if last >= len(values):
        raise pickle.UnpicklingError("a tensor that is larger than its file")
    step = values.itemsize
    view = np.lib.stride_tricks.as_strided(values[offset:], shape, [stride * step for stride in strides])
    return view.copy()


def _rebuild_parameter(tensor: Array, *_: Any) -> Array:
    return tensor


class _TensorsOnly(pickle.Unpickler):
    """Reads a pickle of tensors by name. A storage comes from the archive, any other name is refused."""

    _allowed = MappingProxyType({
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
        **{("torch", name): name for name in STORAGES},
    })

    def __init__(self, content: bytes, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(io.BytesIO(content))
        self._archive, self._folder = archive, folder
        self._storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no state dict needs")
        return self._allowed[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage, key, _, count = pid
        if kind != "storage" or storage not in STORAGES or not isinstance(key, str):
            raise pickle.UnpicklingError(f"a storage of a kind that no state dict needs, {str(storage)[:60]}")
        if key not in self._storages:
            values: Array = np.frombuffer(self._archive.read(f"{self._folder}/data/{key}"), STORAGES[storage])
            if len(values) != count:
                raise pickle.UnpicklingError(f"a storage of {len(values)} numbers in place of {count}")
            self._storages[key] = _Storage(values)
        return self._storages[key]


def read_zip_without_torch(path: Path) -> Any:
    """Return what `torch.save` wrote, with NumPy arrays in place of tensors. PyTorch is not needed.

    Raises
    ------
    pickle.UnpicklingError
        The pickle names something other than tensors and dicts, or a tensor does not fit its file.
    zipfile.BadZipFile, KeyError, EOFError, ...
        The archive is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        inside = [name for name in archive.namelist() if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(inside) != 1:
            raise pickle.UnpicklingError("a zip archive that no torch.save wrote")
        folder = inside[0].partition("/")[0]
        order = f"{folder}/byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise pickle.UnpicklingError("a tensor whose bytes are not little-endian")
        return _TensorsOnly(archive.read(inside[0]), archive, folder).load()
