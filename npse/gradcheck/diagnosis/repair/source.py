"""The source of a backward pass as a syntax tree that can be changed and compiled."""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from npse.types import Op

# What a changed function must not do by accident: loop for ever, touch files, or change names outside.
REFUSED = (ast.While, ast.Global, ast.Nonlocal, ast.Import, ast.ImportFrom, ast.With, ast.Try, ast.ClassDef,
           ast.AsyncFunctionDef, ast.Yield, ast.YieldFrom, ast.Await, ast.Delete, ast.NamedExpr)
SAFE = {"abs", "all", "any", "bool", "divmod", "enumerate", "float", "int", "isinstance", "len", "list", "max", "min",
        "range", "reversed", "round", "slice", "sorted", "sum", "tuple", "zip"}


@dataclass(eq=False)
class Source:
    """A function, its syntax tree, and the names that it reads.

    Attributes
    ----------
    tree : ast.FunctionDef
        Without decorators, annotations and docstring. Edits change it in place.
    names : dict
        Its globals, and the values in its closure.
    functions : tuple of str
        Global functions that this function and its relatives call: others may stand in their place.
    """

    tree: ast.FunctionDef
    names: dict[str, Any]
    functions: tuple[str, ...]

    @classmethod
    def of(cls, op: Op, relatives: Iterable[Op] = ()) -> Source | None:
        """The source of a plain Python function; None if it is unknown, or does more than arithmetic on arrays."""
        function = _plain(op)
        if function is None:
            return None
        tree = _tree_of(function)
        if tree is None or not _is_arithmetic(tree):
            return None
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        names = {**function.__globals__, **{name: cell.cell_contents for name, cell in cells}}
        called: dict[str, None] = {}
        for one in filter(None, map(_plain, (function, *relatives))):
            for name in one.__code__.co_names:
                value = one.__globals__.get(name)
                if isinstance(value, FunctionType) or (callable(value) and hasattr(value, "__wrapped__")):
                    names.setdefault(name, value)
                    if names[name] is value:
                        called[name] = None
        return cls(tree, names, tuple(called))

    def compiled(self) -> Callable[..., Any]:
        """The function of the tree as it is now; SyntaxError or ValueError if it is none."""
        exec(compile(ast.Module([self.tree], []), "<repair>", "exec"), self.names)
        return self.names[self.tree.name]                         # type: ignore[no-any-return]

    def values(self, run: Callable[[Op], object]) -> dict[str, Any]:
        """The local variables at the end of the function; ``run`` calls the function that it is given."""
        seen: dict[str, Any] = {}
        blocks = [block for node in ast.walk(self.tree) for block in (getattr(node, "body", 0), getattr(node, "orelse", 0))
                  if isinstance(block, list) and any(isinstance(step, ast.Return) for step in block)]
        before = [list(block) for block in blocks]
        note = ast.parse("_seen.update(locals())").body
        try:
            for block in blocks:
                at = next(k for k, step in enumerate(block) if isinstance(step, ast.Return))
                block[at:at] = note
            ast.fix_missing_locations(self.tree)
            self.names["_seen"] = seen
            run(self.compiled())
        finally:
            for block, steps in zip(blocks, before, strict=True):
                block[:] = steps
        return seen


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


def is_module(value: Any) -> bool:
    """Whether a name stands for a module, such as np."""
    return isinstance(value, ModuleType)
