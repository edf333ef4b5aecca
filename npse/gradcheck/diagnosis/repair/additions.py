"""Changes of an expression by something more: a factor, a term, a function, another value."""

import ast
from collections.abc import Iterator

from npse.gradcheck.diagnosis.repair.edits import AXES, Change
from npse.gradcheck.diagnosis.repair.nodes import name_of, number, times, transposed
from npse.gradcheck.diagnosis.repair.scope import Scope


def larger(node: ast.expr, scope: Scope, is_factor: bool) -> Iterator[Change]:
    """Changes of a value by something more: a sign, a number, a size, a function, another order of its entries.

    A factor of a product gets no other factor: the product does.
    """
    if not is_factor:
        yield "sign", ast.UnaryOp(ast.USub(), node)
        yield "factor", times(number(2), node)
        yield "factor", ast.BinOp(node, ast.Div(), number(2))
    yield "path missing", times(node, node)
    yield "factor", ast.BinOp(number(1), ast.Div(), node)
    yield "sigmoid", ast.BinOp(number(1), ast.Sub(), node)
    yield "mask misplaced", ast.UnaryOp(ast.Invert(), node)
    yield "transposed", transposed(node)
    for text in ("::-1", ":, ::-1", "..., ::-1"):
        index = ast.parse(f"_[{text}]", mode="eval").body
        yield "transposed", ast.Subscript(node, index.slice, ast.Load())     # type: ignore[attr-defined]
    for axis in range(AXES - 1):
        yield "not summed", ast.Call(ast.Attribute(node, "sum", ast.Load()), [], [ast.keyword("axis", number(axis))])
    for name in ("exp", "log", "sqrt", "tanh", "abs", "sign"):
        yield "wrong value", _numpy(name, node)
    yield "mask missing", _numpy("maximum", node, number(0))
    for name in scope.functions:
        yield "wrong value", ast.Call(name_of(name), [node], [])
    for text in scope.sizes if not is_factor else ():
        size = ast.parse(text, mode="eval").body
        yield "averaged", ast.BinOp(node, ast.Div(), size)
        yield "averaged", times(node, size)


def with_another(node: ast.expr, scope: Scope, name: str, is_factor: bool) -> Iterator[Change]:
    """Changes of a value by another one: as a factor, a term, a mask or an argument."""
    v = name_of(name)
    if not is_factor:
        yield "path missing", times(node, v)
        yield "path missing", ast.BinOp(node, ast.Div(), v)
        yield "mask missing", times(node, ast.Compare(v, [ast.Gt()], [number(0)]))
        yield "sigmoid", times(node, ast.BinOp(number(1), ast.Sub(), v))
    yield "path missing", ast.BinOp(node, ast.Add(), v)
    yield "path missing", ast.BinOp(node, ast.Sub(), v)
    yield from (("mask missing", ast.Call(name_of(function), [node, v], [])) for function in scope.functions)


def _numpy(name: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.Attribute(name_of("np"), name, ast.Load()), list(arguments), [])
