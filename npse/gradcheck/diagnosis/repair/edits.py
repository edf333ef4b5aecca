"""Small changes of an expression: another operator, name, number, axis, index, function; a factor or term more or less.

They follow Python's grammar, not a list of mistakes: each sort of node can be replaced by what could stand there too.
Each change has the kind of mistake that it repairs.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations, permutations
from typing import Any, TypeAlias

import numpy as np

from npse.gradcheck.diagnosis.repair.source import is_array
from npse.types import Shape

Change: TypeAlias = tuple[str, ast.expr]
"""The kind of mistake that a change repairs, and the new expression."""

OTHER_OPERATORS: dict[type, tuple[tuple[str, type], ...]] = {
    ast.Add: (("sign", ast.Sub),), ast.Sub: (("sign", ast.Add),), ast.Mult: (("factor", ast.Div),),
    ast.Div: (("factor", ast.Mult),), ast.BitAnd: (("mask misplaced", ast.BitOr),),
    ast.BitOr: (("mask misplaced", ast.BitAnd),)}
COMPARISONS = (ast.Gt, ast.GtE, ast.Lt, ast.LtE, ast.Eq, ast.NotEq)
FAMILIES = (                     # functions of NumPy that are taken for each other
    ("averaged", ("sum", "mean")), ("mask misplaced", ("max", "min")), ("mask misplaced", ("argmax", "argmin")),
    ("mask misplaced", ("maximum", "minimum")), ("wrong value", ("zeros_like", "ones_like")),
    ("wrong value", ("exp", "log", "sqrt", "tanh", "abs", "sign", "square")), ("variance", ("var", "std")))
REDUCTIONS = ("sum", "mean", "max", "min", "prod", "var", "std", "argmax", "argmin", "cumsum", "total", "average")
KIND_OF_PLACE = {"index": "borders", "axis": "not summed", "condition": "mask misplaced"}
AXES = 4                         # axes that an array of a gradient has at most


@dataclass(frozen=True)
class Scope:
    """What can be named where an expression stands.

    Attributes
    ----------
    values : dict of name -> value
        The local variables at the end of the function.
    functions : tuple of str
        Functions that the code calls.
    """

    values: dict[str, Any]
    functions: tuple[str, ...] = ()
    sizes: tuple[str, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        found: dict[int, str] = {}
        for name, value in self.values.items():
            if is_array(value) and np.ndim(value):
                for axis, n in enumerate(np.shape(value)):
                    found.setdefault(n, f"{name}.shape[{axis}]")
                found.setdefault(np.size(value), f"{name}.size")
                rest = f"{name}.size // {name}.shape[-1]"
                found.setdefault(np.size(value) // max(np.shape(value)[-1], 1), rest)
        object.__setattr__(self, "sizes", tuple(text for n, text in found.items() if n > 1))

    def instead_of(self, name: str) -> Iterator[str]:
        """Other variables that can stand in the place of one: first those of the same shape, then those that fit."""
        mine = _shape(self.values.get(name))

        def distance(other: str) -> int:
            its = _shape(self.values[other])
            if its is None or mine is None:
                return 0 if its is mine else 3
            return 0 if its == mine else 1 if _broadcast(its, mine) else 2
        return iter(sorted((other for other in self.values if other != name), key=distance))

    def names(self) -> Iterator[str]:
        """The variables that are arrays or numbers."""
        return (name for name, value in self.values.items() if is_array(value) or isinstance(value, (int, float)))

    def numbers(self) -> Iterator[str]:
        """The variables that are whole numbers, such as that of a loop."""
        return (name for name, value in self.values.items() if isinstance(value, (int, np.integer)))


def _shape(value: Any) -> Shape | None:
    """The shape of an array; None of any other value."""
    return value.shape if is_array(value) else None


def _broadcast(a: Shape, b: Shape) -> bool:
    try:
        np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return True


def small(node: ast.expr, place: str, scope: Scope) -> Iterator[Change]:
    """The changes of one expression that need nothing new; ``place`` is what it stands in."""
    for kind, new in _by_type(node, place, scope):
        yield KIND_OF_PLACE.get(place, kind), new


def _by_type(node: ast.expr, place: str, scope: Scope) -> Iterator[Change]:
    match node:
        case ast.BinOp():
            yield from _of_operation(node)
        case ast.UnaryOp():
            yield ("sign" if isinstance(node.op, ast.USub) else "mask misplaced"), node.operand
        case ast.BoolOp():
            yield from (("mask misplaced", value) for value in node.values)
        case ast.IfExp():
            yield from (("path missing", value) for value in (node.body, node.orelse))
        case ast.Constant():
            yield from _of_constant(node, place, scope)
        case ast.Name():
            yield from (("wrong value", _name(other)) for other in scope.instead_of(node.id))
        case ast.Compare():
            yield from _of_comparison(node)
        case ast.Call():
            yield from _of_call(node, scope)
        case ast.Subscript():
            yield from _of_subscript(node)
        case ast.Attribute() if node.attr == "T":
            yield "transposed", node.value
        case ast.Tuple() | ast.List():
            yield from _of_tuple(node, place)
        case ast.Slice():
            yield from _of_slice(node, scope)                     # type: ignore[misc]
        case _:
            return


def _of_operation(node: ast.BinOp) -> Iterator[Change]:
    for kind, other in OTHER_OPERATORS.get(type(node.op), ()):
        yield kind, ast.BinOp(node.left, other(), node.right)
    kind = "mask misplaced" if isinstance(node.op, (ast.BitAnd, ast.BitOr)) else "path twice"
    yield kind, node.left
    if not isinstance(node.op, (ast.Div, ast.Pow)):
        yield kind, node.right
    if isinstance(node.op, ast.Sub):
        yield kind, ast.UnaryOp(ast.USub(), node.right)
    if isinstance(node.op, (ast.Sub, ast.Div, ast.MatMult)):
        words = {ast.Sub: "sign", ast.Div: "factor", ast.MatMult: "transposed"}
        yield words[type(node.op)], ast.BinOp(node.right, node.op, node.left)
    if isinstance(node.op, ast.MatMult):
        for left, right in ((_transposed(node.left), node.right), (node.left, _transposed(node.right)),
                            (_transposed(node.left), _transposed(node.right))):
            yield "transposed", ast.BinOp(left, node.op, right)
            yield "transposed", ast.BinOp(right, node.op, left)


def _of_constant(node: ast.Constant, place: str, scope: Scope) -> Iterator[Change]:
    value = node.value
    if isinstance(value, bool):
        yield "not summed", ast.Constant(not value)
    elif isinstance(value, int) and place in ("index", "axis"):
        for name in scope.numbers() if place == "index" else ():
            yield "borders", _name(name)
        for other in (value + 1, value - 1, 0, 1, 2, 3, -1):
            if other != value:
                yield "borders", _number(other)
        if place == "axis":
            for count in (2, 3):
                for axes in combinations(range(AXES), count):
                    yield "not summed", _axes(axes)
    elif isinstance(value, (int, float)):
        for number in dict.fromkeys((1, 2, 0.5, 0, value + 1, value - 1, 2 * value, value / 2, 3, -1)):
            if number != value:
                yield "factor", _number(number)
    elif isinstance(value, str) and "->" in value:
        yield from _of_subscripts(value)


def _of_subscripts(value: str) -> Iterator[Change]:
    """The subscripts of an einsum with two letters exchanged in one term."""
    left, _, out = value.partition("->")
    terms = [*left.split(","), out]
    for k, term in enumerate(terms):
        for i, j in combinations(range(len(term)), 2):
            letters = list(term)
            letters[i], letters[j] = letters[j], letters[i]
            changed = [*terms[:k], "".join(letters), *terms[k + 1:]]
            yield "channels swapped", ast.Constant(f"{','.join(changed[:-1])}->{changed[-1]}")


def _of_comparison(node: ast.Compare) -> Iterator[Change]:
    if len(node.ops) == 1:
        for other in COMPARISONS:
            if other is not type(node.ops[0]):
                yield "mask misplaced", ast.Compare(node.left, [other()], node.comparators)


def _of_call(node: ast.Call, scope: Scope) -> Iterator[Change]:
    name = _called(node)
    for kind, family in FAMILIES if isinstance(node.func, ast.Attribute) else ():
        for other in family if name in family else ():
            if other != name:
                yield kind, ast.Call(ast.Attribute(node.func.value, other, ast.Load()), node.args, node.keywords)
    for other in scope.functions if isinstance(node.func, ast.Name) else ():
        if other != name:
            yield ("averaged" if name in REDUCTIONS else "wrong value"), ast.Call(_name(other), node.args, node.keywords)
    if isinstance(node.func, ast.Attribute) and not _is_numpy(node.func.value):
        yield "wrong value", node.func.value
    for k, given in enumerate(node.args):
        if not isinstance(given, ast.Starred):
            yield "wrong value", given
        if k + 1 < len(node.args):
            order = [*node.args[:k], node.args[k + 1], given, *node.args[k + 2:]]
            yield "swapped", ast.Call(node.func, order, node.keywords)
    for k, word in enumerate(node.keywords):
        yield "not summed", ast.Call(node.func, node.args, [*node.keywords[:k], *node.keywords[k + 1:]])
        if isinstance(word.value, ast.Call):                      # a default that holds the value
            yield "wrong value", word.value
    for given in node.args:                                       # f(g(x)): x alone
        if isinstance(given, ast.Call):
            yield from (("wrong value", inner) for inner in given.args if not isinstance(inner, ast.Starred))
    if name in REDUCTIONS and not any(word.arg == "keepdims" for word in node.keywords):
        yield "not summed", ast.Call(node.func, node.args, [*node.keywords, ast.keyword("keepdims", ast.Constant(True))])


def _of_subscript(node: ast.Subscript) -> Iterator[Change]:
    yield "borders", node.value
    items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    for k, item in enumerate(items):
        if isinstance(item, ast.Constant) and type(item.value) is int:      # the first entry alone, where a sum belongs
            rest = [*items[:k], ast.Slice(None, None, None), *items[k + 1:]]
            axis = sum(not (isinstance(one, ast.Constant) and type(one.value) is int) for one in items[:k])
            whole = node.value if len(items) == 1 else ast.Subscript(node.value, ast.Tuple(rest, ast.Load()), ast.Load())
            yield "not summed", ast.Call(ast.Attribute(whole, "sum", ast.Load()), [],
                                         [ast.keyword("axis", _number(axis))])
    if len(items) > 1:
        for order in permutations(items) if len(items) < 5 else [items[::-1]]:
            if list(order) != items:
                yield "transposed", ast.Subscript(node.value, ast.Tuple(list(order), ast.Load()), ast.Load())


def _of_slice(node: ast.Slice, scope: Scope) -> Iterator[tuple[str, ast.Slice]]:
    """Bounds that are one larger or smaller, left out, or set to 1 from either end; another step."""
    names = [_name(name) for name in scope.numbers()]
    for changed in (ast.Slice(None, node.upper, node.step), ast.Slice(node.lower, None, node.step),
                    ast.Slice(node.lower, node.upper, None), ast.Slice(node.lower, node.upper, _number(-1)),
                    *(ast.Slice(_plus(node.lower, by), node.upper, node.step) for by in (1, -1)),
                    *(ast.Slice(node.lower, _plus(node.upper, by), node.step) for by in (1, -1)),
                    *(ast.Slice(name, node.upper, node.step) for name in names if node.lower is None),
                    *(ast.Slice(node.lower, name, node.step) for name in names if node.upper is None),
                    *(ast.Slice(node.lower, node.upper, name) for name in names if node.step is None)):
        if ast.dump(changed) != ast.dump(node):
            yield "borders", changed


def _of_tuple(node: ast.Tuple | ast.List, place: str) -> Iterator[Change]:
    kind = "swapped" if place == "value" else KIND_OF_PLACE.get(place, "channels swapped")
    make = type(node)
    if place == "axis":
        known = [item.value for item in node.elts if isinstance(item, ast.Constant)]
        for axis in range(AXES):
            if axis not in known:
                yield kind, make([*node.elts, _number(axis)], node.ctx)
    for i, j in combinations(range(len(node.elts)), 2):
        order = list(node.elts)
        order[i], order[j] = order[j], order[i]
        yield kind, make(order, node.ctx)
    for k in range(len(node.elts) if place in ("axis", "index") and len(node.elts) > 1 else 0):
        yield kind, make([*node.elts[:k], *node.elts[k + 1:]], node.ctx)


def larger(node: ast.expr, scope: Scope, is_factor: bool) -> Iterator[Change]:
    """Changes of a value by something more: a sign, a number, a size, a function, another order of its entries.

    A factor of a product gets no other factor: the product does.
    """
    if not is_factor:
        yield "sign", ast.UnaryOp(ast.USub(), node)
        yield "factor", _times(_number(2), node)
        yield "factor", ast.BinOp(node, ast.Div(), _number(2))
    yield "path missing", _times(node, node)
    yield "factor", ast.BinOp(_number(1), ast.Div(), node)
    yield "sigmoid", ast.BinOp(_number(1), ast.Sub(), node)
    yield "mask misplaced", ast.UnaryOp(ast.Invert(), node)
    yield "transposed", _transposed(node)
    for text in ("::-1", ":, ::-1", "..., ::-1"):
        index = ast.parse(f"_[{text}]", mode="eval").body
        yield "transposed", ast.Subscript(node, index.slice, ast.Load())     # type: ignore[attr-defined]
    for axis in range(AXES - 1):
        yield "not summed", ast.Call(ast.Attribute(node, "sum", ast.Load()), [], [ast.keyword("axis", _number(axis))])
    for name in ("exp", "log", "sqrt", "tanh", "abs", "sign"):
        yield "wrong value", _numpy(name, node)
    yield "mask missing", _numpy("maximum", node, _number(0))
    for name in scope.functions:
        yield "wrong value", ast.Call(_name(name), [node], [])
    for text in scope.sizes if not is_factor else ():
        size = ast.parse(text, mode="eval").body
        yield "averaged", ast.BinOp(node, ast.Div(), size)
        yield "averaged", _times(node, size)


def with_another(node: ast.expr, scope: Scope, name: str, is_factor: bool) -> Iterator[Change]:
    """Changes of a value by another one: in its place, or as a factor, a term, a mask or an argument."""
    v = _name(name)
    if not isinstance(node, (ast.Name, ast.Constant)):
        yield "wrong value", v
    if not is_factor:
        yield "path missing", _times(node, v)
        yield "path missing", ast.BinOp(node, ast.Div(), v)
        yield "mask missing", _times(node, ast.Compare(v, [ast.Gt()], [_number(0)]))
        yield "sigmoid", _times(node, ast.BinOp(_number(1), ast.Sub(), v))
    yield "path missing", ast.BinOp(node, ast.Add(), v)
    yield "path missing", ast.BinOp(node, ast.Sub(), v)
    yield from (("mask missing", ast.Call(_name(function), [node, v], [])) for function in scope.functions)


def _numpy(name: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.Attribute(_name("np"), name, ast.Load()), list(arguments), [])


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _is_numpy(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("np", "numpy")


def _name(text: str) -> ast.Name:
    return ast.Name(text, ast.Load())


def _number(value: float) -> ast.expr:
    return ast.Constant(value) if value >= 0 else ast.UnaryOp(ast.USub(), ast.Constant(-value))


def _axes(axes: tuple[int, ...]) -> ast.expr:
    return ast.Tuple([ast.Constant(axis) for axis in axes], ast.Load())


def _times(a: ast.expr, b: ast.expr) -> ast.expr:
    return ast.BinOp(a, ast.Mult(), b)


def _transposed(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.Attribute) and node.attr == "T" else ast.Attribute(node, "T", ast.Load())


def _plus(bound: ast.expr | None, by: int) -> ast.expr | None:
    """A bound of a slice that is ``by`` larger; a bound that is left out is next to its end."""
    if bound is None:
        return _number(1) if by > 0 else _number(-1)
    if isinstance(bound, ast.Constant) and isinstance(bound.value, int):
        return _number(bound.value + by)
    if isinstance(bound, ast.BinOp) and isinstance(bound.right, ast.Constant) and bound.right.value == 1:
        if (isinstance(bound.op, ast.Add) and by < 0) or (isinstance(bound.op, ast.Sub) and by > 0):
            return bound.left
    return ast.BinOp(bound, ast.Add() if by > 0 else ast.Sub(), _number(1))
