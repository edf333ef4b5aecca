"""Trained networks that come with npse. Each is a folder of this package with the files of a run.

    network = load("se_resnet20-cifar10")
    network.predict(x)                        # x: (N, 32, 32, 3), normalized with the mean and std of the card

The card, card.md, says how the network was trained and what it is for. config.json and metrics.jsonl are those of its
run; the weights are last.safetensors, without what only a further training needs.
"""

import json
from pathlib import Path
from typing import Any

from npse.layers import Sequential
from npse.models.naming import MODELS
from npse.support.names import suggest

_FOLDER = Path(__file__).with_name("trained_networks")
USUAL = "se_resnet20-cifar10"


def names() -> list[str]:
    """Return the names of the networks, in alphabetical order."""
    return sorted(folder.name for folder in _FOLDER.iterdir() if (folder / "card.md").is_file())


def folder(name: str = USUAL) -> Path:
    """Return the folder of a trained network, which `npse.training.RunFolder` reads.

    Raises
    ------
    ValueError
        There is no such network.
    """
    if name not in names():
        raise ValueError(f"unknown trained network {name!r}; {suggest(name, names())}")
    return _FOLDER / name


def facts(name: str = USUAL) -> dict[str, Any]:
    """Return the settings of the run, and ``classes``, ``mean``, ``std`` and ``image_shape`` of its data."""
    found: dict[str, Any] = json.loads((folder(name) / "config.json").read_text(encoding="utf-8"))
    return found


def load(name: str = USUAL) -> Sequential:
    """Return a trained network, ready for inference. ValueError if there is no such network."""
    from safetensors.numpy import load_file

    about = facts(name)
    network = MODELS[about["model"]](classes=len(about["classes"]))
    network.load(load_file(folder(name) / "last.safetensors"))
    return network.eval()
