"""Small changes of an expression: another operator, name, number, axis, index, function; a factor or term more or less.

They follow Python's grammar, not a list of mistakes: each sort of node can be replaced by what could stand there too.
Each change has the kind of mistake that it repairs.
"""

import ast
from collections.abc import Iterator
from itertools import combinations, permutations
from typing import TypeAlias

from npse.gradcheck.diagnosis.repair.nodes import axes_of, name_of, number, transposed
from npse.gradcheck.diagnosis.repair.scope import Scope

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
            yield from (("wrong value", name_of(other)) for other in scope.instead_of(node.id))
        case ast.Compare():
            yield from _of_comparison(node)
        case ast.Call():
            yield from _of_call(node, scope)
        case ast.Subscript():
            yield from _of_subscript(node)
        case ast.Attribute(attr="T", value=value):
            yield "transposed", value
        case ast.Tuple() | ast.List():
            yield from _of_tuple(node, place)
        case ast.Slice():
            yield from _of_slice(node, scope)
        case _:
            return


def kind_of_operand(operator: ast.operator) -> str:
    """The kind of mistake that an operand too many is."""
    if isinstance(operator, (ast.BitAnd, ast.BitOr)):
        return "mask misplaced"
    return "path twice" if isinstance(operator, (ast.Add, ast.Sub)) else "factor"


def _of_operation(node: ast.BinOp) -> Iterator[Change]:
    for kind, other in OTHER_OPERATORS.get(type(node.op), ()):
        yield kind, ast.BinOp(node.left, other(), node.right)
    kind = kind_of_operand(node.op)
    yield kind, node.left
    if not isinstance(node.op, (ast.Div, ast.Pow)):
        yield kind, node.right
    if isinstance(node.op, ast.Sub):
        yield kind, ast.UnaryOp(ast.USub(), node.right)
    if isinstance(node.op, (ast.Sub, ast.Div, ast.MatMult)):
        words = {ast.Sub: "sign", ast.Div: "factor", ast.MatMult: "transposed"}
        yield words[type(node.op)], ast.BinOp(node.right, node.op, node.left)
    if isinstance(node.op, ast.MatMult):
        for left, right in ((transposed(node.left), node.right), (node.left, transposed(node.right)),
                            (transposed(node.left), transposed(node.right))):
            yield "transposed", ast.BinOp(left, node.op, right)
            yield "transposed", ast.BinOp(right, node.op, left)


def _of_constant(node: ast.Constant, place: str, scope: Scope) -> Iterator[Change]:
    value = node.value
    if isinstance(value, bool):
        yield "not summed", ast.Constant(not value)
    elif isinstance(value, int) and place in ("index", "axis"):
        for name in scope.numbers() if place == "index" else ():
            yield "borders", name_of(name)
        for other in (value + 1, value - 1, 0, 1, 2, 3, -1):
            if other != value:
                yield "borders", number(other)
        if place == "axis":
            for count in (2, 3):
                for axes in combinations(range(AXES), count):
                    yield "not summed", axes_of(axes)
    elif isinstance(value, (int, float)):
        yield from (("wrong value", name_of(name)) for name in scope.scalars())
        for factor in dict.fromkeys((1, 2, 0.5, 0, value + 1, value - 1, 2 * value, value / 2, 3, -1)):
            if factor != value:
                yield "factor", number(factor)
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
    if isinstance(node.func, ast.Attribute):
        for kind, family in FAMILIES:
            for other in family if name in family else ():
                if other != name:
                    yield kind, ast.Call(ast.Attribute(node.func.value, other, ast.Load()), node.args, node.keywords)
    for other in scope.functions if isinstance(node.func, ast.Name) else ():
        if other != name:
            kind = "averaged" if name in REDUCTIONS else "wrong value"
            yield kind, ast.Call(name_of(other), node.args, node.keywords)
    if isinstance(node.func, ast.Attribute) and not _is_numpy(node.func.value):
        yield "wrong value", node.func.value
    for k, given in enumerate(node.args):
        if not isinstance(given, ast.Starred):
            yield "wrong value", given
        if k + 1 < len(node.args):
            order = [*node.args[:k], node.args[k + 1], given, *node.args[k + 2:]]
            yield "swapped", ast.Call(node.func, order, node.keywords)
    for k, word in enumerate(node.keywords):
        kind = "not summed" if word.arg in ("axis", "keepdims") else "wrong value"
        yield kind, ast.Call(node.func, node.args, [*node.keywords[:k], *node.keywords[k + 1:]])
        if isinstance(word.value, ast.Call):                      # a default that holds the value
            yield "wrong value", word.value
    for given in node.args:                                       # f(g(x)): x alone
        if isinstance(given, ast.Call):
            yield from (("wrong value", inner) for inner in given.args if not isinstance(inner, ast.Starred))
    if name in REDUCTIONS and not any(word.arg == "keepdims" for word in node.keywords):
        kept = ast.keyword("keepdims", ast.Constant(True))
        yield "not summed", ast.Call(node.func, node.args, [*node.keywords, kept])


def _of_subscript(node: ast.Subscript) -> Iterator[Change]:
    yield "borders", node.value
    items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    for k, item in enumerate(items):
        if isinstance(item, ast.Constant) and type(item.value) is int:      # the first entry alone, where a sum belongs
            rest = [*items[:k], ast.Slice(None, None, None), *items[k + 1:]]
            axis = sum(not (isinstance(one, ast.Constant) and type(one.value) is int) for one in items[:k])
            index = ast.Tuple(rest, ast.Load())
            whole = node.value if len(items) == 1 else ast.Subscript(node.value, index, ast.Load())
            if isinstance(node.value, ast.Call) and _called(node.value) in REDUCTIONS:
                yield from _of_reduction(node.value, axis, [*items[:k], *items[k + 1:]])
            yield "not summed", ast.Call(ast.Attribute(whole, "sum", ast.Load()), [],
                                         [ast.keyword("axis", number(axis))])
    if len(items) > 1:
        for order in permutations(items) if len(items) < 5 else [items[::-1]]:
            if list(order) != items:
                yield "transposed", ast.Subscript(node.value, ast.Tuple(list(order), ast.Load()), ast.Load())


def _of_reduction(call: ast.Call, place: int, rest: list[ast.expr]) -> Iterator[Change]:
    """A reduction along one more axis: that at a place among those that remain; ``rest`` indexes the others."""
    for given in (*call.args, *(word.value for word in call.keywords)):
        known = given.elts if isinstance(given, ast.Tuple) else [given]
        axes = [item.value for item in known if isinstance(item, ast.Constant) and type(item.value) is int]
        if len(axes) == len(known):
            more = axes_of(tuple(sorted([*axes, [axis for axis in range(AXES + 1) if axis not in axes][place]])))
            args = [more if one is given else one for one in call.args]
            words = [ast.keyword(word.arg, more) if word.value is given else word for word in call.keywords]
            whole = ast.Call(call.func, args, words)
            is_all = all(isinstance(item, ast.Slice) and ast.unparse(item) == ":" for item in rest)
            yield "not summed", whole if is_all else ast.Subscript(whole, ast.Tuple(rest, ast.Load()), ast.Load())


def _of_slice(node: ast.Slice, scope: Scope) -> Iterator[tuple[str, ast.Slice]]:
    """Bounds that are one larger or smaller, left out, or set to 1 from either end; another step."""
    names = [name_of(name) for name in scope.numbers()]
    for changed in (ast.Slice(None, node.upper, node.step), ast.Slice(node.lower, None, node.step),
                    ast.Slice(node.lower, node.upper, None), ast.Slice(node.lower, node.upper, number(-1)),
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
                yield kind, make([*node.elts, number(axis)], node.ctx)
    for i, j in combinations(range(len(node.elts)), 2):
        order = list(node.elts)
        order[i], order[j] = order[j], order[i]
        yield kind, make(order, node.ctx)
    for k in range(len(node.elts) if place in ("axis", "index") and len(node.elts) > 1 else 0):
        yield kind, make([*node.elts[:k], *node.elts[k + 1:]], node.ctx)


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _is_numpy(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("np", "numpy")


def _plus(bound: ast.expr | None, by: int) -> ast.expr | None:
    """A bound of a slice that is ``by`` larger; a bound that is left out is next to its end."""
    if bound is None:
        return number(1) if by > 0 else number(-1)
    if isinstance(bound, ast.Constant) and isinstance(bound.value, int):
        return number(bound.value + by)
    if isinstance(bound, ast.BinOp) and isinstance(bound.right, ast.Constant) and bound.right.value == 1 \
            and isinstance(bound.op, ast.Sub if by > 0 else ast.Add):
        return bound.left
    return ast.BinOp(bound, ast.Add() if by > 0 else ast.Sub(), number(1))
