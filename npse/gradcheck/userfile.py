"""Check the functions in a Python file of the user.

    def scale(u, s): ...                      an op of the book: checked on all its cases
    def scale_backward(dy, u, s): ...         ops that the file does not define come from the book

    def swish(x): ...                         any other function: forward, backward,
    def swish_backward(dy, x): ...
    def swish_arguments(rng): ...             a dict of arguments, or a function that draws one
    def swish_kinks(x): ...                   if there are kinks: the input of each ReLU
"""

import inspect
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

from npse.gradcheck.cases import CASES, KNOWN_OPS
from npse.gradcheck.check import check_case, check_gradient, raised
from npse.gradcheck.draw import generator
from npse.gradcheck.results import Result
from npse.support.python_file import run_python_file
from npse.support.wrapped import Overlay
from npse.types import Ops


def check_file(path: str | Path, book: Ops, seed: int = 0) -> list[Result]:
    """Check every op and every pair of functions in a Python file.

    Parameters
    ----------
    path : str or Path
    book : an edition
        Ops that the file does not define come from it; those that it defines must agree with it.
    seed : int

    Returns
    -------
    list of Result

    Raises
    ------
    FileNotFoundError, ValueError
        No such file, a file that is not Python or raises an exception, nothing to check in it, or a pair of functions
        without arguments.
    """
    path = Path(path)
    module = run_python_file(path)
    functions = {name: value for name, value in vars(module).items()
                 if inspect.isfunction(value) and not name.startswith("_")}
    pairs = [name for name in functions if f"{name}_backward" in functions]
    own = [name for name in pairs if hasattr(module, f"{name}_arguments")]
    ops = [name for name in functions if name in KNOWN_OPS and name.removesuffix("_backward") not in own
           and functions[name] is not getattr(book, name, None)]
    without = [name for name in pairs if name not in own and name not in ops]
    if without:
        raise ValueError(f"{path}: {without[0]} is not an op of the book, so its arguments are unknown; add "
                         f"def {without[0]}_arguments(rng): return {{...}}, a dict of arrays by name")
    if not own and not ops:
        raise ValueError(f"{path}: nothing to check; expected functions name and name_backward, "
                         f"found are: {', '.join(functions) or 'none'}")
    results: list[Result] = []
    for name in own:
        results += _check_pair(path, name, functions, getattr(module, f"{name}_arguments"), seed)
    edition = Overlay(book, **{name: functions[name] for name in ops})
    for case in CASES:
        if set(case.ops) & set(ops):
            results += check_case(case, edition, seed, book)
    return results


def _check_pair(path: Path, name: str, functions: dict[str, FunctionType], arguments: Any,
                seed: int) -> tuple[Result, ...]:
    drawn = arguments(generator(seed, name)) if callable(arguments) else arguments
    if not isinstance(drawn, dict) or not any(np.asarray(value).dtype.kind == "f" for value in drawn.values()):
        raise ValueError(f"{path}: {name}_arguments must be a dict with at least one array of floating-point numbers, "
                         f"or a function of a Generator that returns one, but gives {type(drawn).__name__}")
    try:
        return check_gradient(functions[name], functions[f"{name}_backward"], drawn,
                              kinks=functions.get(f"{name}_kinks"), seed=seed).results
    except Exception as error:
        return (raised(name, path.name, error),)
