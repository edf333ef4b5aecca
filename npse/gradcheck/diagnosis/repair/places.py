"""Where a syntax tree can be changed: its expressions and its statements, and how a change is made and described."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from npse.gradcheck.diagnosis.repair.edits import REDUCTIONS, Scope, larger, small

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
    """

    parent: ast.AST
    field: str
    k: int | None
    within: str
    around: tuple[ast.AST, ...]

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
            ast.fix_missing_locations(ast.copy_location(new, self.place.around[0]))
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


def _first_line(step: ast.stmt) -> str:
    return ast.unparse(step).splitlines()[0]


def edits(tree: ast.FunctionDef, scope: Scope) -> Iterator[Edit]:
    """Every change of a function that is tried: small ones first."""
    places = [place for block, _ in _blocks(tree) for step in block for place in _expressions(step)]
    statements = [Place(owner, field, k, "statement", (step,)) for block, (owner, field) in _blocks(tree)
                  for k, step in enumerate(block)]
    for place in statements:
        yield from _of_statement(place, tree)
    for place in places:
        for kind, new in small(place.node, place.within, scope):
            yield Edit(kind, place, new)
    for place in places:
        if place.within in ("value", "condition") and not place.is_factor and not isinstance(place.node, (ast.Tuple, ast.Slice)):
            for kind, new in larger(place.node, scope):
                yield Edit(kind, place, new)


def _blocks(tree: ast.FunctionDef) -> Iterator[tuple[list[ast.stmt], tuple[ast.AST, str]]]:
    for node in (tree, *(inner for step in tree.body for inner in ast.walk(step))):
        for field in ("body", "orelse"):
            block = getattr(node, field, None)
            if isinstance(block, list) and block:
                yield block, (node, field)


def _of_statement(place: Place, tree: ast.FunctionDef) -> Iterator[Edit]:
    step = place.node
    match step:
        case ast.If():
            yield Edit("wrong value", place, list(step.orelse))
            yield Edit("wrong value", place, list(step.body))
        case ast.AugAssign():
            yield Edit("path twice", place, [])
            for other in (ast.Add, ast.Sub, ast.Mult, ast.Div):
                if not isinstance(step.op, other):
                    yield Edit("sign" if other in (ast.Add, ast.Sub) else "factor", place,
                               [ast.AugAssign(step.target, other(), step.value)])
            yield Edit("not summed", place, [ast.Assign([step.target], step.value, lineno=step.lineno)])
        case ast.Assign(targets=[ast.Name() | ast.Subscript() as target]):
            yield Edit("wrong value", place, [])
            yield Edit("not summed", place, [ast.AugAssign(target, ast.Add(), step.value)])
        case ast.Assign(targets=[ast.Tuple() as names]):
            for k in range(len(names.elts) - 1):
                order = [*names.elts[:k], names.elts[k + 1], names.elts[k], *names.elts[k + 2:]]
                yield Edit("swapped", place, [ast.Assign([ast.Tuple(order, ast.Store())], step.value, lineno=step.lineno)])
        case ast.Expr() | ast.For():
            yield Edit("wrong value", place, [])


def _expressions(step: ast.stmt) -> Iterator[Place]:
    """The expressions of a statement, not those of the statements inside it; outer ones first."""
    for field, value in ast.iter_fields(step):
        if field in ("body", "orelse", "target", "targets") and not isinstance(step, ast.AugAssign):
            if field in ("target", "targets"):
                yield from _in_targets(step, value)
            continue
        if isinstance(value, ast.expr):
            if isinstance(getattr(value, "ctx", None), ast.Store):
                yield from _in_targets(step, value)
            else:
                yield from _inside(step, field, None, "condition" if field == "test" else "value", (step,))


def _in_targets(step: ast.stmt, value: Any) -> Iterator[Place]:
    """The indices of what a statement assigns to."""
    for target in value if isinstance(value, list) else [value]:
        if isinstance(target, ast.Subscript):
            yield from _inside(target, "slice", None, "index", (step, target))


def _inside(parent: ast.AST, field: str, k: int | None, within: str, around: tuple[ast.AST, ...]) -> Iterator[Place]:
    place = Place(parent, field, k, within, around)
    node = place.node
    yield place
    inner = (*around, node)
    match node:
        case ast.Call():
            yield from _in_call(node, within, inner)
        case ast.Subscript():
            yield from _inside(node, "value", None, within, inner)
            yield from _inside(node, "slice", None, "index", inner)
        case ast.Compare():
            yield from _inside(node, "left", None, "condition", inner)
            for i in range(len(node.comparators)):
                yield from _inside(node, "comparators", i, "condition", inner)
        case ast.Attribute():
            if not isinstance(node.value, ast.Name) or node.attr in ("T", "shape", "size"):
                yield from _inside(node, "value", None, within, inner)
        case _:
            for name, value in ast.iter_fields(node):
                if isinstance(value, ast.expr):
                    yield from _inside(node, name, None, within, inner)
                elif isinstance(value, list):
                    for i, item in enumerate(value):
                        if isinstance(item, ast.expr):
                            yield from _inside(node, name, i, within, inner)


def _in_call(node: ast.Call, within: str, inner: tuple[ast.AST, ...]) -> Iterator[Place]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    is_method = isinstance(node.func, ast.Attribute) and not (
        isinstance(node.func.value, ast.Name) and node.func.value.id in ("np", "numpy"))
    if is_method:
        yield from _inside(node.func, "value", None, within, inner)
    for i in range(len(node.args)):
        is_axis = name in REDUCTIONS and i == (0 if is_method else 1)
        yield from _inside(node, "args", i, "index" if name in SIZES else "axis" if is_axis else within, inner)
    for word in node.keywords:
        yield from _inside(word, "value", None, "axis" if word.arg == "axis" else within, inner)
