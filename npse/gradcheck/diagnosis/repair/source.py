"""The source of a backward pass as a syntax tree that can be changed and compiled."""

from __future__ import annotations

import ast
import builtins
import copy
import inspect
import textwrap
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from npse.types import Op

# What a changed function must not do by accident: loop for ever, touch files, or change names outside.
REFUSED = (ast.While, ast.Global, ast.Nonlocal, ast.Import, ast.ImportFrom, ast.With, ast.Try, ast.ClassDef,
           ast.AsyncFunctionDef, ast.Yield, ast.YieldFrom, ast.Await, ast.Delete, ast.NamedExpr)
SAFE = {"abs", "all", "any", "bool", "divmod", "enumerate", "float", "int", "isinstance", "len", "list", "max", "min",
        "range", "reversed", "round", "slice", "sorted", "sum", "tuple", "zip"}


class _Returned(Exception):
    """A statement inside a loop or a branch has returned."""


@dataclass(eq=False)
class Source:
    """A function, its syntax tree, and the names that it reads.

    Attributes
    ----------
    tree : ast.FunctionDef
        Without decorators, annotations and docstring. Edits change it in place.
    signature : inspect.Signature
    names : dict
        Its globals, and the values in its closure.
    functions : tuple of str
        Global functions that this function and those of the forward pass call: others may stand in their place.
    kept : dict
        Those of the names that hold a list, a dict, a set or an array: the function may change it.
    """

    tree: ast.FunctionDef
    signature: inspect.Signature
    names: dict[str, Any]
    functions: tuple[str, ...]
    kept: dict[str, Any]
    _codes: dict[ast.stmt, CodeType] = field(default_factory=dict, init=False)

    @classmethod
    def of(cls, op: Op, others: Iterable[Op] = ()) -> Source | None:
        """The source of a plain Python function; None if it is unknown, or does more than arithmetic on arrays."""
        function = _plain(op)
        tree = _tree_of(function) if function else None
        if function is None or tree is None or not _is_arithmetic(tree):
            return None
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        names = {**function.__globals__, **{name: cell.cell_contents for name, cell in cells}, "_Returned": _Returned}
        called: dict[str, None] = {}
        for one in (function, *(plain for other in others if (plain := _plain(other)))):
            for name in one.__code__.co_names:
                value = one.__globals__.get(name)
                if isinstance(value, FunctionType) and names.setdefault(name, value) is value:
                    called[name] = None
        read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        kept = {name: names[name] for name in read if isinstance(names.get(name), (dict, list, set, np.ndarray))}
        return cls(tree, inspect.signature(function), names, tuple(called), copy.deepcopy(kept))

    def compiled(self, changed: ast.stmt | None = None) -> Callable[..., Any]:
        """The function of the tree as it is now; SyntaxError, TypeError or ValueError if it is none.

        Each statement of its body is compiled once, but ``changed`` anew.
        """
        codes = [self._code_of(step, step is changed) for step in self.tree.body]

        def run(*arguments: Any, **options: Any) -> Any:
            names = self._start(arguments, options)
            self._run(codes, names)
            return names.get("_result")
        return run

    def observed(self, after: Callable[[int, dict[str, Any]], None]) -> Callable[..., Any]:
        """The function; ``after(k, names)`` is called after the k-th statement, and may change the variables."""
        codes = [self._code_of(step) for step in self.tree.body]

        def run(*arguments: Any, **options: Any) -> Any:
            names = self._start(arguments, options)
            after(-1, names)
            self._run(codes, names, after)
            return names.get("_result")
        return run

    def forgetting(self, name: str) -> Callable[..., Any]:
        """The function with one of the dicts, lists or sets that it keeps empty at the start of each call."""
        empty = copy.copy(self.kept[name])
        empty.clear()
        return replace(self, kept={**self.kept, name: empty}).compiled()

    def is_local(self, name: str, names: dict[str, Any]) -> bool:
        """Whether a name is one of the function's variables."""
        return name not in ("_result", "__builtins__") and names[name] is not self.names.get(name, _Returned)

    def _run(self, codes: Iterable[CodeType], names: dict[str, Any],
             after: Callable[[int, dict[str, Any]], None] = lambda k, names: None) -> None:
        """Run the statements: the result is in the names as "_result"."""
        try:
            for k, code in enumerate(codes):
                exec(code, names)
                after(k, names)
        except _Returned:
            pass

    def _start(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
        """The names at the start of a call; what the function may change outside of itself is a copy."""
        return self.names | copy.deepcopy(self.kept) | self._bound(arguments, options)

    def _bound(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
        bound = self.signature.bind(*arguments, **options)
        bound.apply_defaults()
        return bound.arguments

    def _code_of(self, step: ast.stmt, is_new: bool = False) -> CodeType:
        known = None if is_new else self._codes.get(step)
        if known is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)    # about a change that makes no sense
                known = compile(ast.Module(_without_return(step), []), "<repair>", "exec")
            if not is_new:
                self._codes[step] = known
        return known


def _without_return(step: ast.stmt) -> list[ast.stmt]:
    """A statement with its results in a variable: what is left of a function body can stand alone."""
    match step:
        case ast.Return():
            result = ast.Assign([ast.Name("_result", ast.Store())], step.value or ast.Constant(None))
            ends = ast.Raise(ast.Name("_Returned", ast.Load()))
            return [ast.fix_missing_locations(ast.copy_location(one, step)) for one in (result, ends)]
        case ast.If() | ast.For():
            inner = copy.copy(step)
            for name in ("body", "orelse"):
                setattr(inner, name, [part for one in getattr(step, name) for part in _without_return(one)])
            return [inner]
        case _:
            return [step]


def _plain(op: Op) -> FunctionType | None:
    """The Python function under decorators, also that of Numba."""
    function = inspect.unwrap(op)
    function = getattr(function, "py_func", function)
    return function if isinstance(function, FunctionType) else None


def _tree_of(function: FunctionType) -> ast.FunctionDef | None:
    try:
        lines, first = inspect.getsourcelines(function)
        statements = ast.parse(textwrap.dedent("".join(lines))).body
    except (OSError, TypeError, SyntaxError):
        return None
    tree = statements[0] if len(statements) == 1 else None
    if not isinstance(tree, ast.FunctionDef) or tree.name != function.__name__:
        return None
    ast.increment_lineno(tree, first - 1)
    tree.decorator_list, tree.returns = [], None
    for argument in (*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs):
        argument.annotation = None
    if ast.get_docstring(tree) is not None and len(tree.body) > 1:
        tree.body = tree.body[1:]
    return tree


def _is_arithmetic(tree: ast.FunctionDef) -> bool:
    """Whether a function only computes, so that a changed copy of it can be run without harm."""
    inner = [node for statement in tree.body for node in ast.walk(statement)]
    if any(isinstance(node, (*REFUSED, ast.FunctionDef)) for node in inner):
        return False
    called = {node.func.id for node in inner if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    return all(name in SAFE or not hasattr(builtins, name) for name in called)


def is_array(value: Any) -> bool:
    """Whether a local variable holds numbers in an array."""
    return isinstance(value, (np.ndarray, np.generic))
