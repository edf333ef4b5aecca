"""New nodes of a syntax tree."""

import ast


def name_of(text: str) -> ast.Name:
    """A name that is read."""
    return ast.Name(text, ast.Load())


def number(value: float) -> ast.expr:
    """A number; a negative one has a minus sign in front."""
    return ast.Constant(value) if value >= 0 else ast.UnaryOp(ast.USub(), ast.Constant(-value))


def axes_of(axes: tuple[int, ...]) -> ast.expr:
    """A tuple of axes."""
    return ast.Tuple([ast.Constant(axis) for axis in axes], ast.Load())


def times(a: ast.expr, b: ast.expr) -> ast.expr:
    """The product a * b."""
    return ast.BinOp(a, ast.Mult(), b)


def transposed(node: ast.expr) -> ast.expr:
    """The transpose; of a transpose what was transposed."""
    return node.value if isinstance(node, ast.Attribute) and node.attr == "T" else ast.Attribute(node, "T", ast.Load())
