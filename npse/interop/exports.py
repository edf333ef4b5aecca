"""Runs as files of other tools."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from npse.interop import files, torch_file
from npse.interop.graph import trace
from npse.interop.names import TWINS, Names, Twin, own_names
from npse.interop.onnx_file import to_onnx
from npse.layers import Layer
from npse.support.files import write_atomically
from npse.training import RunFolder
from npse.training.config import Config
from npse.types import Arrays

METADATA = "npse"                            # the entry of a safetensors file that says what the arrays are


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Attributes
    ----------
    weights : Path
        The file of arrays, or the ONNX model.
    code : Path or None
        The Python file that builds the network.
    origin : str
        Whose names the arrays have.
    classes : int
        The number of the network's outputs.
    twin : Twin or None
        The network of another library that loads the arrays.
    """

    weights: Path
    code: Path | None
    origin: str
    classes: int
    twin: Twin | None = None


def export_torch(run: str | Path, out: Path | None = None, weights: str = "last", *, version: str = "") -> Exported:
    """Write the weights of a run as a state dict of PyTorch, and beside it a Python file that builds the network.

    Parameters
    ----------
    run : str or Path
        The folder of a run.
    out : Path, optional
        A .safetensors, .pt or .pth file; by default MODEL.safetensors in the folder of the run.
    weights : str
        "last" or "best".
    version : str
        Of npse, for the head of the Python file.

    Raises
    ------
    FileExistsError
        A file to be written exists.
    FileNotFoundError, ValueError
        This is not the folder of a run, or a file of it is damaged; a layer cannot be expressed in PyTorch; the name
        of the file has another end.
    ImportError
        A .pt file is asked for, and PyTorch is not installed.
    """
    folder = RunFolder(run)
    config = folder.config()
    out = folder.path / f"{config.model}.safetensors" if out is None else Path(out)
    files.expect_suffix(out)
    code = out.with_name(re.sub(r"\W", "_", out.stem) + ".py")
    _expect_new(out, code)
    network, facts = folder.load_network(weights)
    graph = trace(network, folder.image_shape())
    twin = twin_of(config)
    names = twin.names(network) if twin else own_names(network)
    about = _about(folder, config, facts, names)
    arrays = state_dict(network, names, about["batches"]) | torch_file.constants(graph)
    text = torch_file.to_python(graph, network, names, {
        "title": f"{config.model}, {weights} weights (epoch {facts['epoch']})", "version": version, "module": code.stem,
        "weights": out.name, "classes": about["classes"],
        "mean": torch_file.numbers(about["mean"]), "std": torch_file.numbers(about["std"])})
    files.write(out, arrays, {METADATA: json.dumps(about)})       # one entry: the order of several is not fixed
    write_atomically(code, text)
    return Exported(out, code, names.origin, len(about["classes"]), twin)


def export_onnx(run: str | Path, out: Path | None = None, weights: str = "last") -> Exported:
    """Write the network of a run as an ONNX model; see `npse.interop.onnx_file` for its input and output.

    Parameters
    ----------
    run, weights : see `export_torch`
    out : Path, optional
        An .onnx file; by default MODEL.onnx in the folder of the run.

    Raises
    ------
    FileExistsError
        The file exists.
    FileNotFoundError, ValueError
        This is not the folder of a run, or a file of it is damaged; a layer cannot be expressed in ONNX; the name of
        the file has another end.
    ImportError
        The package onnx is not installed.
    """
    folder = RunFolder(run)
    config = folder.config()
    out = folder.path / f"{config.model}.onnx" if out is None else Path(out)
    if out.suffix != ".onnx":
        raise ValueError(f"cannot write {out}: its name must end in .onnx")
    _expect_new(out)
    network, facts = folder.load_network(weights)
    classes, mean, std = folder.pixels()
    model = to_onnx(network, folder.image_shape(), mean, std,
                    {"model": config.model, "classes": classes, "epoch": facts["epoch"]})
    write_atomically(out, model.SerializeToString())
    return Exported(out, None, "this network", len(classes))


def _expect_new(*paths: Path) -> None:
    for path in paths:
        if not path.parent.is_dir():
            raise FileNotFoundError(f"cannot write {path}: {path.parent} is not a folder; make it first")
        if path.exists():
            raise FileExistsError(f"{path} exists; move it away, or write to a file of another name")


def twin_of(config: Config) -> Twin | None:
    """Return the network of another library that has exactly the structure of a run's network; None if there is none.

    Dropout counts as equal: it has no arrays and does nothing at inference.
    """
    given = {name: value for name, value in config.model_options().items() if name not in ("seed", "dropout")}
    return next((twin for twin in TWINS.get(config.model, ()) if given == dict(twin.options)), None)


def state_dict(network: Layer, names: Names, batches: int = 0) -> Arrays:
    """Return the arrays of a network under other names and in other layouts, with the counters of batch norms."""
    return names.there(network.state()) | {name: np.array(batches, np.int64) for name in names.counters}


def _about(folder: RunFolder, config: Config, facts: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """Return what an import needs besides the arrays, to make the same run again."""
    kept = folder.record()
    imported = kept.get("imported")
    batches = imported.get("batches", 0) if isinstance(imported, dict) else 0
    classes, mean, std = folder.pixels()
    return {"model": config.model, "settings": config.as_dict(), "names": names.origin, "epoch": facts["epoch"],
            "classes": classes, "mean": mean.tolist(), "std": std.tolist(), "image_shape": list(folder.image_shape()),
            "batches": batches, "data_sha256": kept.get("data_sha256")}
