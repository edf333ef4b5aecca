"""Operators on arithmetic: terms, factors, signs, exponents, constants, sums and means."""

import ast

from npse.zoo.mutation.operator import (
    arithmetic,
    called,
    calls,
    edited,
    expression,
    is_size,
    nodes,
    number,
    operator,
    product,
)


@operator("path missing", "constant statistics", "sigmoid", "variance", "wrong value")
def drops_a_term(function):
    """One of two terms is left out."""
    for node in arithmetic(function, ast.Add, ast.Sub):
        yield node, node.left
        yield node, node.right if isinstance(node.op, ast.Add) else ast.UnaryOp(ast.USub(), node.right)


@operator("path twice", words=("twice", "times 2"))
def doubles_a_term(function):
    """One of two terms counts twice."""
    for node in arithmetic(function, ast.Add, ast.Sub):
        yield node, ast.BinOp(product(number(2), node.left), node.op, node.right)
        yield node, ast.BinOp(node.left, node.op, product(number(2), node.right))


@operator("path missing", "sigmoid", "mask missing", "factor", "averaged", "variance", "wrong value")
def loses_a_factor(function):
    """One of two factors, or a divisor, is left out."""
    for node in arithmetic(function, ast.Mult):
        yield node, node.left
        yield node, node.right
    for node in arithmetic(function, ast.Div):
        yield node, node.left


@operator("path twice", "sigmoid", "factor", "averaged")
def squares_a_factor(function):
    """A factor or a divisor is used twice."""
    for node in arithmetic(function, ast.Mult, ast.Div):
        yield node, ast.BinOp(node, node.op, node.right)


@operator("factor", "averaged", "variance", "sigmoid", words=("is divided by its factor", "where it must be divided"))
def takes_the_reciprocal(function):
    """A product becomes a quotient, or a quotient a product."""
    for node in arithmetic(function, ast.Mult):
        yield node, ast.BinOp(node.left, ast.Div(), node.right)
    for node in arithmetic(function, ast.Div):
        yield node, product(node.left, node.right)


@operator("sign", "sigmoid", words=("sign", "subtracted", "adds the"))
def flips_a_sign(function):
    """A plus becomes a minus, a minus becomes a plus, or a leading minus is lost."""
    for node in arithmetic(function, ast.Add, ast.Sub):
        other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield node, ast.BinOp(node.left, other, node.right)
    for node in nodes(function, ast.UnaryOp):
        if isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
            yield node, node.operand


@operator("sign", words=("sign",))
def exchanges_the_sides_of_a_difference(function):
    """A difference a - b becomes b - a."""
    for node in arithmetic(function, ast.Sub):
        yield node, ast.BinOp(node.right, node.op, node.left)


@operator("sign", words=("sign",))
def negates_a_result(function):
    """A gradient is returned with the wrong sign."""
    for node in nodes(function, ast.Return):
        results = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
        for result in results:
            if not isinstance(result, ast.Starred):
                yield result, ast.UnaryOp(ast.USub(), result)


@operator("factor", "path missing", "path twice", "variance", "sigmoid", "wrong value", words=("square", "^2", "root"))
def changes_an_exponent(function):
    """A square is lost or becomes a cube, or a square root is lost."""
    for node in nodes(function, ast.BinOp):
        if isinstance(node.op, ast.Pow) and isinstance(node.right, ast.Constant):
            yield node, node.left
            yield node, ast.BinOp(node.left, node.op, number(node.right.value + 1))
        if isinstance(node.op, ast.Mult) and ast.dump(node.left) == ast.dump(node.right):
            yield node, ast.BinOp(node.left, ast.Pow(), number(3))
    for node in calls(function, "sqrt"):
        yield node, node.args[0]


@operator("factor", "sigmoid", "averaged", "path missing", "path twice", "constant statistics", "sign")
def changes_a_constant(function):
    """A constant factor or term is another one: 1/2, 1 and 2 take the place of each other."""
    for node in arithmetic(function, ast.Add, ast.Sub, ast.Mult, ast.Div):
        for side in (node.left, node.right):
            if isinstance(side, ast.Constant):
                for value in (0.5, 1, 2):
                    if value != side.value:
                        yield side, number(value)


@operator("averaged", "factor", words=("mean", "averag"))
def takes_a_mean_for_a_sum(function):
    """A mean is taken where a sum belongs."""
    yield from _reductions(function, {"total": "average", "sum": "mean"})


@operator("averaged", "factor", words=("where a mean belongs", "not divided by", "where its mean belongs"))
def takes_a_sum_for_a_mean(function):
    """A sum is taken where a mean belongs."""
    yield from _reductions(function, {"average": "total", "mean": "sum"})


def _reductions(function, other):
    """Yield the calls of a reduction, and the same calls of the other one."""
    for call in calls(function, *other):
        name = other[called(call)]
        renamed = ast.Name(name, ast.Load()) if isinstance(call.func, ast.Name) else \
            ast.Attribute(call.func.value, name, ast.Load())
        yield call, edited(call, call.func, renamed)


@operator("averaged", "variance", "factor", words=("- 1",))
def divides_by_one_less(function):
    """A size that divides is smaller by one, as in an unbiased variance, or the reverse."""
    for node in arithmetic(function, ast.Div):
        if is_size(node.right):
            yield node, ast.BinOp(node.left, node.op, ast.BinOp(node.right, ast.Sub(), number(1)))
    for node in nodes(function, ast.BinOp):
        if isinstance(node.op, ast.Sub) and isinstance(node.right, ast.Constant) and node.right.value == 1 \
                and not isinstance(node.left, ast.Constant):
            yield node, node.left


@operator("wrong value", "path missing", "mask missing", "sigmoid", "variance", "factor")
def forgets_a_function(function):
    """The argument of a function is used in place of its value: no exp, no sigmoid, no ReLU."""
    for call in calls(function, "exp", "log", "tanh", "sqrt", "sigmoid", "relu", "softmax", "abs", "maximum",
                      "relu_backward", "sigmoid_backward", "squeeze", "sign"):
        if call.args:
            yield call, call.args[0]


@operator("path missing", "path twice", "wrong value", "upstream ignored", "not linear")
def keeps_the_other_factor(function):
    """In a product of two arrays one factor stands in the place of the other."""
    for node in arithmetic(function, ast.Mult):
        if not isinstance(node.left, ast.Constant) and not isinstance(node.right, ast.Constant):
            yield node, product(node.left, node.left)
            yield node, product(node.right, node.right)


@operator("constant statistics", "variance", "wrong value", words=("eps",))
def forgets_eps(function):
    """The small number that keeps a divisor from zero is left out, or has another value."""
    for node in nodes(function, ast.Name):
        if node.id in ("eps", "lam") and isinstance(node.ctx, ast.Load):
            yield node, number(0.0)
            yield node, expression("1e-2")
