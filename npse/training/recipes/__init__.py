"""Recipes: settings of a run that have a name, and a TOML file. `NAMES` lists those that come with npse.

    about = "94 % on CIFAR-10, averaged over six views"
    measured = "..."                     # accuracy and time, with their conditions

    [accuracy]                           # optional: measured test accuracies of one view, by number of epochs
    8 = 0.929

    [settings]                           # as in `npse.training.Config`
    model = "fast"

    [settings.options]                   # of the model
    activation = "silu"
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npse.support.names import suggest
from npse.training.config import Config

FOLDER = Path(__file__).parent
OF_MUON = ("filter_lr", "filter_momentum")
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


@dataclass(frozen=True)
class Recipe:
    """Settings of a run, what they are for, and what was measured with them."""

    name: str
    about: str
    measured: str
    accuracy: dict[int, float]
    settings: dict[str, Any]


def text(name: str) -> str:
    """Return the TOML text of a recipe; arguments and errors as for `load`."""
    path = FOLDER / f"{name}.toml" if name in NAMES else Path(name)
    if path.suffix != ".toml":
        raise ValueError(f"unknown recipe {name!r}; {suggest(name, NAMES)}; the name of a file must end with .toml")
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not a TOML file: {error}") from error


def load(name: str) -> Recipe:
    """Return the recipe with a name of `NAMES`, or that in a file whose name ends with .toml.

    Raises
    ------
    ValueError
        An unknown name, or a file that is no TOML, or whose settings are unknown or wrong.
    FileNotFoundError
        No such file.
    """
    try:
        found = tomllib.loads(text(name))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{name} is not a TOML file: {error}") from error
    known = ("about", "measured", "accuracy", "settings")
    for key in found:
        if key not in known:
            raise ValueError(f"{name}: unknown entry {key}; {suggest(key, known)}; settings belong below [settings]")
    settings = found.get("settings")
    if not isinstance(settings, dict) or not all(isinstance(found.get(key, ""), str) for key in known[:2]):
        raise ValueError(f"{name}: expected [settings], and text for about and measured")
    fields = tuple(Config().as_dict())
    for key in settings:
        if key not in fields:
            raise ValueError(f"{name}: unknown setting {key}; {suggest(key, fields)}")
    try:
        Config(**settings)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return Recipe(Path(name).stem, found.get("about", ""), found.get("measured", ""),
                  _accuracy(name, found.get("accuracy", {})), settings)


def _accuracy(name: str, table: Any) -> dict[int, float]:
    """Return the table of measured accuracies; ValueError unless it holds numbers of epochs and shares."""
    if not isinstance(table, dict) or not all(
            key.isdecimal() and int(key) > 0 and isinstance(value, float) and 0 < value < 1
            for key, value in table.items()):
        raise ValueError(f"{name}: [accuracy] must have lines such as 8 = 0.929: epochs, and the share of right images")
    return {int(key): value for key, value in table.items()}


def merged(settings: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in which those given replace others; options of the model are replaced one by one.

    Another optimizer than Muon leaves out the settings that only Muon has.
    """
    if given.get("optimizer", "muon") != "muon":
        settings = {name: value for name, value in settings.items() if name not in OF_MUON}
    both = {**settings, **given}
    if "options" in settings and "options" in given:
        both["options"] = {**settings["options"], **given["options"]}
    return both
