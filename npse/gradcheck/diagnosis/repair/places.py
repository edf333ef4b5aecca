"""Where a syntax tree can be changed: its expressions and its statements, and how a change is made and described."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from npse.gradcheck.diagnosis.repair.additions import larger, with_another
from npse.gradcheck.diagnosis.repair.edits import REDUCTIONS, kind_of_operand, small
from npse.gradcheck.diagnosis.repair.nodes import name_of
from npse.gradcheck.diagnosis.repair.scope import Scope

LONGEST = 64                     # letters of an expression in a sentence
SHOWN = (ast.expr, ast.Assign, ast.AugAssign, ast.Return)
SIZES = {"reshape", "zeros", "empty", "zeros_like", "empty_like", "range", "ndindex", "broadcast_to", "len"}


@dataclass(frozen=True)
class Place:
    """A node of a tree by its parent: an attribute of it, or an item of one that is a list.

    Attributes
    ----------
    parent, field, k : where it is; k is None if the attribute is no list
    within : str
        What an expression stands in: "value", "condition", "index" or "axis".
    around : tuple of ast nodes
        The expressions that it is a part of, and its statement: the outermost first, without itself.
    root : ast.stmt
        The statement of the function's body that it is in.
    """

    parent: ast.AST
    field: str
    k: int | None
    within: str
    around: tuple[ast.AST, ...]
    root: ast.stmt

    @property
    def node(self) -> Any:
        """What stands there."""
        value = getattr(self.parent, self.field)
        return value if self.k is None else value[self.k]

    def put(self, new: Any) -> None:
        """Let another node stand there."""
        if self.k is None:
            setattr(self.parent, self.field, new)
        else:
            getattr(self.parent, self.field)[self.k] = new

    @property
    def line(self) -> int:
        """The line of its statement."""
        return int(getattr(self.around[0], "lineno", 0))

    @property
    def is_factor(self) -> bool:
        """Whether it is part of a product, which is itself a place for another factor."""
        return isinstance(self.parent, ast.BinOp) and isinstance(self.parent.op, (ast.Mult, ast.Div))


@dataclass(frozen=True)
class Edit:
    """One change: ``new`` in a place. A list of statements in the place of a statement may be empty."""

    kind: str
    place: Place
    new: Any

    @contextmanager
    def made(self) -> Iterator[None]:
        """The tree is changed in this context, and as before after it."""
        before = self.place.node
        for new in self.new if isinstance(self.new, list) else [self.new]:
            _locate(new, self.place.line)
        if isinstance(self.new, list):
            block: list[Any] = getattr(self.place.parent, self.place.field)
            kept = list(block)
            k = self.place.k or 0
            block[k:k + 1] = self.new or ([ast.Pass()] if len(block) == 1 else [])
        else:
            self.place.put(self.new)
        try:
            yield
        finally:
            if isinstance(self.new, list):
                block[:] = kept
            else:
                self.place.put(before)

    def described(self) -> str:
        """What is wrong, in words, with the line of the user's file and the code before and after."""
        line, node = f"line {self.place.line}", self.place.node
        if isinstance(self.new, list):
            before, after = _first_line(node), "; ".join(map(_first_line, self.new))
            return f"`{before}` ({line}) must be `{after}`" if after else f"`{before}` ({line}) must be left out"
        for whole in (*self.place.around, node):
            before = ast.unparse(whole)
            with self.made():
                after = ast.unparse(self.new if whole is node else whole)
            if whole is node or (isinstance(whole, SHOWN) and max(len(before), len(after)) <= LONGEST):
                break
        return f"`{before}` ({line}) must be `{after}`"


def _locate(node: ast.AST, line: int) -> None:
    """Say on which line a new node stands, and the new nodes in it."""
    if not hasattr(node, "col_offset"):
        if isinstance(node, (ast.expr, ast.stmt, ast.keyword)):
            node.lineno = node.end_lineno = line
            node.col_offset = node.end_col_offset = 0
        for inner in ast.iter_child_nodes(node):
            _locate(inner, line)


def _first_line(step: ast.stmt) -> str:
    return ast.unparse(step).splitlines()[0]


def edits(tree: ast.FunctionDef, scope: Scope, located: Collection[ast.stmt] = (),
          likely: Collection[ast.stmt] = ()) -> Iterator[Edit]:
    """Every change of a function that is tried.

    First those of the ``located`` statements, then small ones, and among them those of the ``likely`` statements first.
    """
    blocks = list(_blocks(tree))
    statements = [Place(owner, name, k, "statement", (step,), root or step)
                  for root, owner, name, block in blocks for k, step in enumerate(block)]
    parts: list[list[Place]] = [[], [], []]
    for place in statements:
        parts[0 if place.root in located else 1 if place.root in likely else 2].append(place)
    read = Counter(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    names = sorted(scope.names(), key=lambda name: read[name])               # first what is not used at all
    for group in (parts[:1], parts[1:]):
        for part in group:
            yield from _simple(part, scope)
        for part in group:
            yield from _additional(part, scope, names)


def _simple(statements: Collection[Place], scope: Scope) -> Iterator[Edit]:
    """The changes of some statements that need nothing new."""
    for place in statements:
        yield from _of_statement(place)
    for place in _values(statements):
        yield from (Edit(kind, place, new) for kind, new in small(place.node, place.within, scope))


def _additional(statements: Collection[Place], scope: Scope, names: Collection[str]) -> Iterator[Edit]:
    """The changes of some statements by something more; ``names`` are those of values that may be added."""
    wide = [place for place in _values(statements)
            if place.within in ("value", "condition") and not isinstance(place.node, ast.Tuple)]
    for place in wide:
        if not isinstance(place.node, (ast.Name, ast.Constant)):
            yield from (Edit("wrong value", place, name_of(name)) for name in names)
    for place in wide:
        yield from (Edit(kind, place, new) for kind, new in larger(place.node, scope, place.is_factor))
    for name in names:
        for place in wide:
            new = with_another(place.node, scope, name, place.is_factor)
            yield from (Edit(kind, place, changed) for kind, changed in new)


def _values(statements: Collection[Place]) -> Iterator[Place]:
    """The expressions of some statements."""
    return (inner for place in statements for inner in _expressions(place.node, place.root))


def _blocks(tree: ast.FunctionDef) -> Iterator[tuple[ast.stmt | None, ast.AST, str, list[ast.stmt]]]:
    """The body of a function, and each block in it with the statement of the body that it is in."""
    yield None, tree, "body", tree.body
    for root in tree.body:
        for node in ast.walk(root):
            for name in ("body", "orelse"):
                block = getattr(node, name, None)
                if isinstance(block, list) and block:
                    yield root, node, name, block


def _of_statement(place: Place) -> Iterator[Edit]:
    step = place.node
    match step:
        case ast.If():
            yield Edit("wrong value", place, list(step.orelse))
            yield Edit("wrong value", place, list(step.body))
        case ast.AugAssign():
            yield Edit(kind_of_operand(step.op), place, [])
            for other in (ast.Add, ast.Sub, ast.Mult, ast.Div):
                if not isinstance(step.op, other):
                    yield Edit("sign" if other in (ast.Add, ast.Sub) else "factor", place,
                               [ast.AugAssign(step.target, other(), step.value)])
            yield Edit("not summed", place, [ast.Assign([step.target], step.value, lineno=step.lineno)])
        case ast.Assign(targets=[ast.Name() | ast.Subscript() as target]):
            yield Edit(_kind_of_change(target, step.value), place, [])
            yield Edit("not summed", place, [ast.AugAssign(target, ast.Add(), step.value)])
        case ast.Assign(targets=[ast.Tuple() as names]):
            for k in range(len(names.elts) - 1):
                order = [*names.elts[:k], names.elts[k + 1], names.elts[k], *names.elts[k + 2:]]
                swapped = ast.Tuple(order, ast.Store())
                yield Edit("swapped", place, [ast.Assign([swapped], step.value, lineno=step.lineno)])
        case ast.Expr() | ast.For():
            yield Edit("wrong value", place, [])


def _kind_of_change(target: ast.expr, value: ast.expr) -> str:
    """The kind of mistake that ``target = value`` is, if it must be left out."""
    if isinstance(value, ast.BinOp) and ast.unparse(target) in (ast.unparse(value.left), ast.unparse(value.right)):
        return kind_of_operand(value.op)
    return "wrong value"


def _expressions(step: ast.stmt, root: ast.stmt) -> Iterator[Place]:
    """The expressions of a statement, not those of the statements inside it; outer ones first."""
    for field, value in ast.iter_fields(step):
        if field in ("body", "orelse", "target", "targets") and not isinstance(step, ast.AugAssign):
            if field in ("target", "targets"):
                yield from _in_targets(step, value, root)
            continue
        if isinstance(value, ast.expr):
            if isinstance(getattr(value, "ctx", None), ast.Store):
                yield from _in_targets(step, value, root)
            else:
                yield from _inside(step, field, None, "condition" if field == "test" else "value", (step,), root)


def _in_targets(step: ast.stmt, value: Any, root: ast.stmt) -> Iterator[Place]:
    """The indices of what a statement assigns to, and the call whose result it changes."""
    for target in value if isinstance(value, list) else [value]:
        if isinstance(target, ast.Subscript):
            yield from _inside(target, "slice", None, "index", (step, target), root)
            if isinstance(target.value, ast.Call):
                yield from _inside(target, "value", None, "value", (step, target), root)


def _inside(parent: ast.AST, field: str, k: int | None, within: str, around: tuple[ast.AST, ...],
            root: ast.stmt) -> Iterator[Place]:
    place = Place(parent, field, k, within, around, root)
    node = place.node
    yield place
    inner = (*around, node)
    match node:
        case ast.Call():
            yield from _in_call(node, within, inner, root)
        case ast.Subscript():
            yield from _inside(node, "value", None, within, inner, root)
            yield from _inside(node, "slice", None, "index", inner, root)
        case ast.Compare():
            yield from _inside(node, "left", None, "condition", inner, root)
            for i in range(len(node.comparators)):
                yield from _inside(node, "comparators", i, "condition", inner, root)
        case ast.Attribute():
            if not isinstance(node.value, ast.Name) or node.attr in ("T", "shape", "size"):
                yield from _inside(node, "value", None, within, inner, root)
        case _:
            for name, value in ast.iter_fields(node):
                if isinstance(value, ast.expr):
                    yield from _inside(node, name, None, within, inner, root)
                elif isinstance(value, list):
                    for i, item in enumerate(value):
                        if isinstance(item, ast.expr):
                            yield from _inside(node, name, i, within, inner, root)


def _in_call(node: ast.Call, within: str, inner: tuple[ast.AST, ...], root: ast.stmt) -> Iterator[Place]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    is_method = isinstance(node.func, ast.Attribute) and not (
        isinstance(node.func.value, ast.Name) and node.func.value.id in ("np", "numpy"))
    if is_method:
        yield from _inside(node.func, "value", None, within, inner, root)
    for i in range(len(node.args)):
        is_axis = name in REDUCTIONS and i == (0 if is_method else 1)
        yield from _inside(node, "args", i, "index" if name in SIZES else "axis" if is_axis else within, inner, root)
    for word in node.keywords:
        yield from _inside(word, "value", None, "axis" if word.arg == "axis" else within, inner, root)
