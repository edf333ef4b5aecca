"""Check the functions in a Python file of the user.

    def scale(u, s): ...                      an op of the book: checked on all its cases
    def scale_backward(dy, u, s): ...         ops that the file does not define come from the book

    def swish(x): ...                         any other function: forward, backward,
    def swish_backward(dy, x): ...
    def swish_arguments(rng): ...             a dict of arguments, or a function that draws one
    def swish_kinks(x): ...                   if there are kinks: the input of each ReLU
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from npse.gradcheck.against import LIBRARIES, TITLES
from npse.gradcheck.cases import CASES, KNOWN_OPS
from npse.gradcheck.cases.case import Case
from npse.gradcheck.check import check_case, check_gradient, prepared
from npse.gradcheck.draw import generator
from npse.gradcheck.measure import USUAL, Options
from npse.gradcheck.raised import Watched, raised, unwrapped
from npse.gradcheck.results import CANNOT_TELL, Result
from npse.support.names import suggest
from npse.support.python_file import imports_beside, run_python_file
from npse.support.wrapped import Overlay
from npse.types import Op, Ops

BACKWARD = "_backward"
WANTED = "wanted are functions name(x, ...) and name_backward(dy, x, ...)"


def check_file(path: str | Path, book: Ops, seed: int = 0, options: Options = USUAL, cases: int | None = None,
               against: str | None = None) -> list[Result]:
    """Check every op and every pair of functions in a Python file.

    A function may also be compiled by Numba, a `functools.partial`, or an object that can be called.

    Parameters
    ----------
    path : str or Path
    book : an edition
        Ops that the file does not define come from it; those that it defines must agree with it.
    seed : int
    options : Options
    cases : int, optional
        The most cases of an op of the book.
    against : "torch" or "jax", optional
        Compare a pair with PyTorch or JAX too; then the file needs name_torch(x, ...) or name_jax(x, ...), the same
        forward pass there.

    Returns
    -------
    list of Result
        A backward pass that has no forward pass is among them: it cannot be checked.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file, a file that is not Python, raises an exception or ends the program, nothing to check in it, or a
        pair of functions without arguments.
    """
    if against is not None and against not in LIBRARIES:
        raise ValueError(f"unknown library {against!r} to check against; {suggest(against, LIBRARIES)}")
    path = Path(path)
    module = run_python_file(path)
    functions = _functions(module)
    pairs = [name for name in functions if name + BACKWARD in functions]
    own = [name for name in pairs if hasattr(module, f"{name}_arguments")]
    ops = [name for name in functions if name in KNOWN_OPS and name.removesuffix(BACKWARD) not in own
           and functions[name] is not getattr(book, name, None)]
    _expect_arguments(path, module, functions, [name for name in pairs if name not in own and name not in ops])
    if not own and not ops:
        raise ValueError(f"{path}: nothing to check; {WANTED}, found are: {_found(module, functions)}")
    results: list[Result] = []
    with imports_beside(path):
        for name in own:
            twins = {against: _twin(path, name, functions, against)} if against else {}
            results += _check_pair(path, name, functions, getattr(module, f"{name}_arguments"), seed,
                                   replace(options, against=twins))
        edition = Overlay(book, **{name: functions[name] for name in ops})
        for case in few([case for case in CASES if set(case.ops) & set(ops)], cases):
            results += check_case(case, edition, seed, book, options)
    alone = [name for name in functions if name.endswith(BACKWARD) and name not in ops
             and name.removesuffix(BACKWARD) not in pairs]
    return results + [_not_looked_at(path, name, functions) for name in alone]


def few(cases: Sequence[Case], most: int | None) -> list[Case]:
    """The first ``most`` cases of each op; all if it is None."""
    return [case for k, case in enumerate(cases)
            if most is None or sum(case.op == other.op for other in cases[:k]) < most]


def _twin(path: Path, name: str, functions: Mapping[str, Op], library: str) -> Op:
    twin = f"{name}_{library}"
    if twin not in functions:
        raise ValueError(f"{path}: to compare {name} with {TITLES[library]}, add {twin}, the same function of its "
                         "arrays")
    return functions[twin]


def _functions(module: ModuleType) -> dict[str, Op]:
    """The public functions of a file, and its other objects that can be called, by name; not what it imports."""
    return {name: value for name, value in vars(module).items()
            if callable(value) and not inspect.isclass(value) and not name.startswith("_")
            and not _is_imported(name, value, module)}


def _is_imported(name: str, value: Any, module: ModuleType) -> bool:
    """Whether a callable is imported from an installed package; functions from files beside this one are not."""
    home = inspect.getmodule(unwrapped(value)) or inspect.getmodule(type(value))
    if home is None or home is module:
        return False
    names = (name, getattr(value, "__name__", name))
    is_its_own = any(getattr(home, known, None) is value for known in names)
    folder = Path(str(module.__file__)).resolve().parent
    return is_its_own and folder not in Path(str(getattr(home, "__file__", ""))).resolve().parents


def _expect_arguments(path: Path, module: ModuleType, functions: Mapping[str, Op], without: list[str]) -> None:
    """ValueError for a pair that is no op and has no arguments, and for arguments of no pair."""
    if without:
        raise ValueError(f"{path}: {without[0]} is not an op of the book, so its arguments are unknown; add "
                         f"def {without[0]}_arguments(rng): return {{...}}, a dict of arrays by name")
    for title in vars(module):
        name = title.removesuffix("_arguments")
        if title.endswith("_arguments") and not name.startswith("_"):
            for wanted in (name, name + BACKWARD):
                if wanted not in functions:
                    raise ValueError(f"{path}: there is {title}, but no function {wanted}; "
                                     f"{suggest(wanted, functions)}")


def _found(module: ModuleType, functions: Mapping[str, Op]) -> str:
    """What a file holds if there is nothing to check, with advice on other conventions."""
    classes = [name for name, value in vars(module).items()
               if inspect.isclass(value) and value.__module__ == module.__name__]
    found = [*functions, *(f"class {name}" for name in classes)]
    advice = "; write the methods of a class as functions" if classes else ""
    if any(name.endswith("_forward") for name in functions):
        advice = "; a forward pass is called name, not name_forward, and returns one array without a cache"
    return (", ".join(found) or "none") + advice


def _not_looked_at(path: Path, name: str, functions: Mapping[str, Op]) -> Result:
    forward = name.removesuffix(BACKWARD)
    return Result(name, path.name, "runs", CANNOT_TELL, message=f"not looked at: there is no forward pass {forward}; "
                  f"{suggest(forward, [other for other in functions if other != name])}")


def _check_pair(path: Path, name: str, functions: Mapping[str, Op], arguments: Any, seed: int,
                options: Options) -> tuple[Result, ...]:
    drawn = _drawn(path, name, arguments, seed)
    watched = Watched(SimpleNamespace(forward=functions[name], backward=functions[name + BACKWARD]))
    try:
        return check_gradient(watched.forward, watched.backward, drawn, kinks=functions.get(f"{name}_kinks"),
                              seed=seed, float32=options.float32, entries=options.entries,
                              tolerance=options.tolerance, step=options.step, taylor=options.taylor,
                              torch=options.against.get("torch"), jax=options.against.get("jax")).results
    except Exception as error:
        return (raised(name, path.name, error, watched.culprit(error)),)


def _drawn(path: Path, name: str, arguments: Any, seed: int) -> dict[str, Any]:
    """The arguments of a pair; ValueError if they cannot be drawn, or are no arrays to differentiate."""
    title = f"{path}: {name}_arguments"
    try:
        drawn = arguments(generator(seed, name)) if callable(arguments) else arguments
    except (Exception, SystemExit) as error:
        raise ValueError(f"{title} raises {type(error).__name__}: {error}") from error
    if not isinstance(drawn, dict) or not any(np.asarray(value).dtype.kind == "f" for value in drawn.values()):
        raise ValueError(f"{title} must be a dict with at least one array of floating-point numbers, "
                         f"or a function of a Generator that returns one, but gives {type(drawn).__name__}")
    try:
        prepared(drawn)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{title}: {error}") from error
    return drawn
