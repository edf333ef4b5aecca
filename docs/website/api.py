"""The pages of the reference of the packages: one for each, in reStructuredText, from the names that it offers."""

import importlib
import importlib.util
import inspect
from types import ModuleType
from typing import Any

PACKAGES = ("npse", "npse.backend", "npse.gradcheck", "npse.layers", "npse.models", "npse.training", "npse.data",
            "npse.analysis", "npse.lab", "npse.interop", "npse.bench", "npse.notebook")


def installed(names: tuple[str, ...] = PACKAGES) -> list[ModuleType]:
    """Return the packages of a list that exist and offer something."""
    return [module for name in names
            if importlib.util.find_spec(name) and offered(module := importlib.import_module(name))]


def offered(module: ModuleType) -> dict[str, Any]:
    """Return the functions and classes that a package offers: those in its __all__, or all that it has of npse."""
    names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    values = {name: getattr(module, name) for name in names}
    return {name: value for name, value in values.items()
            if (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__.startswith("npse")}


def page(module: ModuleType) -> str:
    """Return the page of a package."""
    name = module.__name__
    parts = [f"{name}\n{'=' * len(name)}", f".. automodule:: {name}\n   :no-index:"]
    values = offered(module)
    for kind, directive, options in ((inspect.isfunction, "autofunction", ""),
                                     (inspect.isclass, "autoclass", "\n   :members:")):
        chosen = sorted((entry for entry, value in values.items() if kind(value)), key=str.lower)
        if chosen:
            words = "Functions" if directive == "autofunction" else "Classes"
            parts.append(f"{words}\n{'-' * len(words)}")
        parts += [f".. {directive}:: {name}.{entry}{options}" for entry in chosen]
    return "\n\n".join(parts) + "\n"


def contents(modules: list[ModuleType]) -> str:
    """Return the first page of the reference, in Markdown."""
    rows = [f"| [`{module.__name__}`]({module.__name__}.rst) | {(inspect.getdoc(module) or '').splitlines()[0]} |"
            for module in modules]
    table = "\n".join(["| package | what it is |", "|---|---|", *rows])
    return f"""# API

What users import. The ops of the book have [pages of their own](../book/index.md). Every name is
described by its docstring.

{table}
"""
