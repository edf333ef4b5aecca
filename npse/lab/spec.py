"""The spec of an experiment, a TOML file: which networks are compared, and how they are trained.

    title = "Reduction"
    question = "How wide must the hidden layer of the excitation be?"
    baseline = "4"                        # the variant that the others are compared with
    seeds = "0-4"

    recipe = "fast94"                     # optional: all variants begin with its settings
    [base]                                # settings of `npse train` that all variants share
    data = "cifar10"
    epochs = 4

    [variants.2]                          # the name of a variant, and the settings in which it differs
    reduction = 2

    [paper]                               # optional: numbers to show beside the results
    column = "SE-ResNet-50 on ImageNet, top-1 error, %"
    numbers = {2 = 22.29}
"""

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from npse import data, models
from npse.support.names import suggest
from npse.training import Config, recipes, records

FOLDER = Path(__file__).with_name("specs")
SHIPPED = sorted(path.stem for path in FOLDER.glob("*.toml"))
KEYS = {"title": str, "question": str, "baseline": str, "seeds": str, "recipe": str, "base": dict, "variants": dict,
        "paper": dict}
OPTIONAL = ("recipe", "base", "paper")
SETTINGS = [setting.name for setting in dataclasses.fields(Config) if setting.name != "seed"]
NAME = re.compile(r"\w[\w.+-]*", re.ASCII)         # of a variant: it becomes a part of the name of a folder


@dataclass(frozen=True)
class Spec:
    """An experiment. The constructor raises ValueError if its parts do not fit together.

    Attributes
    ----------
    name, title, question : str
    baseline : str
        The variant that the others are compared with.
    seeds : tuple of int
        Each variant is trained once with each seed.
    base : dict
        Settings that all variants share, by the names of `npse.training.Config`.
    variants : dict of str to dict
        For each variant the settings in which it differs.
    paper_column : str
        Title of a column with numbers from elsewhere; empty if there is none.
    paper : dict of str to str
        The numbers in that column, by variant.
    recipe : str
        The recipe with whose settings all variants begin; empty if there is none.
    """

    name: str
    title: str
    question: str
    baseline: str
    seeds: tuple[int, ...]
    base: Mapping[str, Any]
    variants: Mapping[str, Mapping[str, Any]]
    paper_column: str = ""
    paper: Mapping[str, str] = field(default_factory=dict)
    recipe: str = ""

    def __post_init__(self) -> None:
        if len(self.variants) < 2:
            raise ValueError(f"expected at least two variants, but found {len(self.variants)}")
        if self.baseline not in self.variants:
            raise ValueError(f"baseline must be a variant, but is {self.baseline!r}; "
                             + suggest(self.baseline, self.variants))
        if len(self.seeds) < 2:
            raise ValueError(f"seeds must be at least two, such as 0-4, but are {', '.join(map(str, self.seeds))}; "
                             "one seed never shows that one network is better than another")
        _expect_settings(self.base, "base")
        seen: dict[Config, str] = {}
        for name in self.variants:
            key = self._checked(name).identity()
            if key in seen:
                raise ValueError(f"variants {seen[key]} and {name} have the same settings")
            seen[key] = name
        for name in self.paper:
            if name not in self.variants:
                raise ValueError(f"paper has a number for the unknown variant {name!r}; {suggest(name, self.variants)}")

    def config(self, variant: str, seed: int) -> Config:
        """Return the settings of a run, with the defaults of `npse train`; ValueError if one is wrong."""
        settings = recipes.load(self.recipe).settings if self.recipe else {}
        given = recipes.merged(recipes.merged(settings, self.base), self.variants[variant])
        return Config(**{"epochs": data.epochs_of(given.get("data", Config.data)), **given, "seed": seed})

    def _checked(self, name: str) -> Config:
        """Return the settings of a variant with the first seed; ValueError if no network can be trained with them."""
        if not NAME.fullmatch(name):
            raise ValueError(f"the name of a variant must be letters, digits and . _ + -, but is {name!r}")
        _expect_settings(self.variants[name], f"variant {name}")
        try:
            config = self.config(name, self.seeds[0])
            data.expect_known(config.data)
            models.build(config.model, input_gradient=False, **config.model_options())
        except ValueError as error:
            raise ValueError(f"variant {name}: {error}") from error
        return config


def load(name: str) -> Spec:
    """Read a spec: the path of a TOML file, or the name of one of `SHIPPED`.

    Raises
    ------
    ValueError
        No spec has this name, or its content is wrong; the message begins with the path.
    FileNotFoundError
        There is no such file.
    """
    path = Path(name)
    if path.suffix != ".toml":
        if name not in SHIPPED:
            raise ValueError(f"unknown spec {name!r}, and not the path of a .toml file; {suggest(name, SHIPPED)}")
        path = FOLDER / f"{name}.toml"
    content = path.read_bytes()
    try:
        return _spec(path.stem, tomllib.loads(content.decode()))
    except ValueError as error:                                   # of TOML and UTF-8 too
        raise ValueError(f"{path}: {error}") from error


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds of "0-4" or "0,2,5-7", each once; ValueError for anything else."""
    seeds: dict[int, None] = {}
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,9})(?:-(\d{1,9}))?\s*", part, re.ASCII)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if last < first or last - first > 999:
            raise ValueError(f"seeds must be numbers and ranges such as 0-4 or 0,2,5, but are {text!r}")
        seeds |= dict.fromkeys(range(first, last + 1))
    return tuple(seeds)


def _spec(name: str, content: Mapping[str, Any]) -> Spec:
    for key in content:
        if key not in KEYS:
            raise ValueError(f"unknown entry {key!r}; {suggest(key, KEYS)}")
    for key, kind in KEYS.items():
        if key not in content and key not in OPTIONAL:
            raise ValueError(f"{key} is missing")
        if not isinstance(content.get(key, kind()), kind):
            what = "a table" if kind is dict else "text in quotation marks"
            raise ValueError(f"{key} must be {what}, but is {records.short(content[key])}")
    column, numbers = _paper(content.get("paper", {}))
    return Spec(name, content["title"], content["question"], content["baseline"], parse_seeds(content["seeds"]),
                content.get("base", {}), content["variants"], column, numbers, content.get("recipe", ""))


def _paper(table: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    if not table:
        return "", {}
    column, numbers = table.get("column"), table.get("numbers")
    if set(table) != {"column", "numbers"} or not isinstance(column, str) or not isinstance(numbers, dict):
        raise ValueError("paper must have a text named column and a table named numbers, and nothing else, "
                         f"but has {', '.join(table)}")
    return column, {name: str(number) for name, number in numbers.items()}


def _expect_settings(given: Any, where: str) -> None:
    if not isinstance(given, Mapping):
        raise ValueError(f"{where} must be a table of settings, but is {records.short(given)}")
    for name in given:
        if name == "seed":
            raise ValueError(f"{where} sets the seed; list all seeds in seeds")
        if name not in SETTINGS:
            raise ValueError(f"{where} has the unknown setting {name!r}; "
                             + suggest(name, SETTINGS, "npse train --help"))
