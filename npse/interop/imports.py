"""State dicts of other tools as runs."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from npse import data, models
from npse.data.registry import entry_of
from npse.interop import files, torch_file
from npse.interop.exports import METADATA, twin_of
from npse.interop.names import TWINS, Names, Twin, own_names, renamed
from npse.layers import Layer
from npse.support.names import suggest
from npse.training import RunFolder, checkpoint, records
from npse.training.config import Config
from npse.training.parts import build_network, load_data
from npse.types import Array, Shape

DEFAULT_CLASSES = 10                         # where nothing says how many there are


@dataclass(frozen=True)
class Imported:
    """What an import made: the folder of a run, and whose names the arrays of the file had."""

    folder: RunFolder
    origin: str


def import_file(path: str | Path, model: str | None, out: str | Path, *, data_set: str | None = None,
                image_size: int = 0, classes: Sequence[str] | None = None, mean: Sequence[float] | None = None,
                std: Sequence[float] | None = None, options: Mapping[str, Any] | None = None,
                environment: Mapping[str, Any] | None = None) -> Imported:
    """Make the folder of a run of a state dict, so that all that can be done with a run can be done with it.

    Parameters
    ----------
    path : str or Path
        A safetensors file, or a .pt or .pth file of PyTorch, with arrays in the names of npse, timm or torchvision.
    model : str or None
        The name of the network of npse; None if the file was exported by npse and says it.
    out : str or Path
        The folder of the run; it must not exist or be empty.
    data_set : str, optional
        The name or path of data to look at with the network. Without it the run has no data.
    image_size : int
        Height and width of the images; 0 for that of the data, or of the model.
    classes : sequence of str, optional
        The names of the network's classes, in their order. The classes of the data must be among them.
    mean, std : sequence of float, optional
        Of pixels in 0..1, by channel, that the network was trained with. By default those that the file states, those
        of the published weights of timm's network, or those of the data.
    options : dict, optional
        Of the model.
    environment : dict, optional
        Entries for config.json, such as versions.

    Raises
    ------
    FileNotFoundError, OSError
        There is no such file.
    FileExistsError, NotADirectoryError
        The folder exists and is not empty, or is a file.
    ValueError
        The file is damaged or refused, does not fit the model, or lacks something that must then be named.
    """
    path = Path(path)
    arrays, metadata = files.read(path)
    arrays = {name: array for name, array in arrays.items() if not name.startswith(torch_file.CONSTANTS)}
    about = _stated(path, metadata)
    model = _model(path, model, about)
    settings = {**about.get("settings", {}), "model": model} | _settings(options or {})
    settings["data"] = data.located(data_set) if data_set is not None else settings.get("data") or str(path.absolute())
    settings["image_size"] = image_size or settings.get("image_size") or _default_size(model, data_set)
    config = Config.from_dict(settings)
    dataset = load_data(config) if data_set is not None else None
    count = _class_count(model, arrays) or (len(dataset.classes) if dataset else DEFAULT_CLASSES)
    shape = dataset.shape if dataset else _image_shape(model, about, image_size)
    network, names, twin = _fitting(path, config, count, shape, arrays)
    if twin:
        config = Config.from_dict(config.as_dict() | {"options": config.options | dict(twin.options)})
    names_of_classes = _classes(path, count, classes, about, dataset)
    published = twin if twin == twin_of(config) else None
    pixels = _pixels(path, mean, std, shape[2], about, published, dataset)
    facts = {"classes": names_of_classes, **pixels, "image_shape": list(shape)}
    if dataset is not None:
        mean_std = (np.array(pixels[name], np.float32) for name in ("mean", "std"))
        facts["data_sha256"] = dataset.for_network(names_of_classes, *mean_std).digest()
    elif about.get("data_sha256"):
        facts["data_sha256"] = about["data_sha256"]
    imported = {"file": path.name, "names": names.origin, "batches": _batches(arrays, names)}
    folder = RunFolder(out)
    folder.make(config, facts, {**(environment or {}), "imported": imported})
    checkpoint.save(folder.last, network.state(), {"epoch": about.get("epoch", 0)})
    return Imported(folder, names.origin)


def _stated(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return what npse wrote into the metadata of a file; an empty dict for a file of another program."""
    if METADATA not in metadata:
        return {}
    try:
        about = records.parse(metadata[METADATA])
        if "settings" not in about:                               # a checkpoint of a run
            raise ValueError("it is a checkpoint of a run of npse, which needs no import; use the folder of the run")
        records.expect(about, {"model": str, "settings": dict[str, Any], "epoch": int, "batches": int})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return about


def _model(path: Path, model: str | None, about: Mapping[str, Any]) -> str:
    stated = about.get("model")
    if model is None and stated is None:
        raise ValueError(f"{path} does not say which network it holds; name the model, such as se_resnet50")
    if model is not None and model not in models.MODELS:
        raise ValueError(f"unknown model {model!r}; {suggest(model, models.MODELS, 'docs/networks.md')}")
    if model is not None and stated is not None and model != stated:
        raise ValueError(f"{path} was exported from {stated}, not from {model}")
    return str(model or stated)


def _settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of a model as settings of a run: those that are settings of their own, and the others."""
    own = {name: value for name, value in options.items() if name in Config.__dataclass_fields__}
    others = {name: value for name, value in options.items() if name not in own}
    return own | ({"options": others} if others else {})


def _default_size(model: str, data_set: str | None) -> int:
    """Return the image size of a model for own pictures; 0 for a data set that has a size of its own."""
    if data_set is None or entry_of(data.located(data_set)) is not None:
        return 0
    return int(inspect.signature(models.MODELS[model]).parameters["image_size"].default)


def _image_shape(model: str, about: Mapping[str, Any], image_size: int) -> Shape:
    """Return the shape of the images of a run without data."""
    usual = inspect.signature(models.MODELS[model]).parameters["image_size"].default
    size, _, channels = about.get("image_shape", (usual, usual, 3))
    return (image_size or size, image_size or size, channels)


def _class_count(model: str, arrays: Mapping[str, Array]) -> int | None:
    """Return the number of rows of the last dense layer in a file, whichever names it has."""
    for rules in (*(twin.rules for twin in TWINS.get(model, ())), ()):
        last = arrays.get(renamed("fc.weight", rules))
        if last is not None and last.ndim:
            return len(last)
    return None


def _fitting(path: Path, config: Config, count: int, shape: Shape, arrays: Mapping[str, Array]
             ) -> tuple[Layer, Names, Twin | None]:
    """Return the network with the arrays, their names, and the twin whose names they are.

    The names that differ least from those of the file are tried first; if none fits, the error is about these.
    """
    network = build_network(config, count, (shape[0], shape[1], shape[2]))
    candidates: list[tuple[Names, Twin | None]] = [(twin.names(network), twin) for twin in TWINS.get(config.model, ())]
    candidates.append((own_names(network), None))
    candidates.sort(key=lambda candidate: candidate[0].differences(arrays))
    shapes = {name: array.shape for name, array in network.state().items()}
    first: ValueError | None = None
    for names, twin in candidates:
        try:
            found = names.here(arrays, shapes)
        except ValueError as error:
            first = first or error
            continue
        for name, array in found.items():
            if array.dtype.kind != "f":
                raise ValueError(f"{path}: {names.arrays[name][0]} must hold floats, but holds {array.dtype}")
            checkpoint.expect_numbers(path, names.arrays[name][0], array, "was it damaged?")
        kept = {name: array for name, array in network.state().items() if name not in found}     # of random numbers
        network.load(found | kept)
        return network, names, twin
    raise ValueError(f"{path} {first}; is it of another model, or one with other options?") from first


def _classes(path: Path, count: int, given: Sequence[str] | None, about: Mapping[str, Any],
             dataset: data.Dataset | None) -> list[str]:
    if given is not None:
        if len(given) != count or len(set(given)) != count:
            raise ValueError(f"classes must be {count} different names, one for each output of the network in {path}, "
                             f"but there are {len(set(given))}")
        return list(given)
    if len(about.get("classes", ())) == count:
        return list(about["classes"])
    if dataset is not None and len(dataset.classes) == count:
        return list(dataset.classes)
    if dataset is not None:
        raise ValueError(f"the network in {path} has {count} classes, and {dataset.name} has {len(dataset.classes)}; "
                         "name the classes of the network, so that those of the data can be found among them")
    return [f"class {number}" for number in range(count)]


def _pixels(path: Path, mean: Sequence[float] | None, std: Sequence[float] | None, channels: int,
            about: Mapping[str, Any], twin: Twin | None, dataset: data.Dataset | None) -> dict[str, list[float]]:
    """Return mean and std of pixels by channel, as config.json holds them."""
    usual: tuple[Any, Any] = (None, None)
    if "mean" in about and "std" in about:
        usual = about["mean"], about["std"]
    elif twin and channels == 3:
        usual = twin.pixels
    elif dataset is not None:
        usual = dataset.mean.tolist(), dataset.std.tolist()
    found = {"mean": mean or usual[0], "std": std or usual[1]}
    for name, values in found.items():
        if values is None:
            raise ValueError(f"{path} does not say with which mean and std its pixels were normalized; name both, or "
                             "the data that the network was trained on")
        if len(values) != channels:
            raise ValueError(f"{name} must be {channels} numbers, one for each channel, but is {list(values)}")
        if not all(0 <= value <= 1 for value in values) or (name == "std" and min(values) <= 0):
            raise ValueError(f"{name} must hold numbers in 0..1, for pixels in 0..1"
                             f"{', above 0' if name == 'std' else ''}, but is {list(values)}")
    return {name: [float(value) for value in values] for name, values in found.items()}


def _batches(arrays: Mapping[str, Array], names: Names) -> int:
    """Return the number in the counters of batch norms; 0 if there are none, or if they differ."""
    found = {int(arrays[name]) for name in names.counters if name in arrays and arrays[name].size == 1}
    return found.pop() if len(found) == 1 else 0
