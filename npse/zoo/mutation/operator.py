"""An operator: one way in which people change a correct backward pass by mistake, as a change of its syntax tree."""

import ast
import copy
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

OPERATORS: dict[str, "Operator"] = {}            # by name; the modules of operators fill it
SIZES = {"reshape", "zeros", "empty", "zeros_like", "empty_like", "range", "ndindex", "broadcast_to", "window"}


@dataclass(frozen=True)
class Operator:
    """One way to change a function.

    Attributes
    ----------
    name : str
    change : str
        One sentence: what it changes.
    kinds : tuple of str
        Kinds of diagnosis that name this change.
    words : tuple of str
        Words that name it as well, whatever the kind is. A sentence with one of them is right.
    edits : function of ast.FunctionDef -> iterator of (node, replacement)
        Each pair is one mutant: the node of the tree, or the list of statements, and what takes its place.
    """

    name: str
    change: str
    kinds: tuple[str, ...]
    words: tuple[str, ...]
    edits: Callable

    @property
    def is_held_out(self) -> bool:
        """Whether it belongs to the half that is run to report only: the first bit of the hash of its name says so."""
        return bool(hashlib.sha256(self.name.encode()).digest()[0] & 1)


def operator(*kinds, words=()):
    """Enter the decorated generator of edits as an operator; its docstring states the change."""
    def register(edits):
        if edits.__name__ in OPERATORS:
            raise ValueError(f"two operators are named {edits.__name__}; rename one")
        OPERATORS[edits.__name__] = Operator(edits.__name__, " ".join(edits.__doc__.split()), kinds, words, edits)
        return edits
    return register


def edited(function, node, replacement):
    """Return a copy of the function with a node, or a list of statements, replaced."""
    changed = copy.deepcopy(function, {id(node): replacement})
    return ast.fix_missing_locations(changed)


def expression(template, **parts):
    """Return the syntax tree of an expression; names in ``parts`` stand for trees."""
    return _Fill(parts).visit(ast.parse(template, mode="eval").body)


def statements(template, **parts):
    """Return the syntax trees of statements; names in ``parts`` stand for trees."""
    return [_Fill(parts).visit(statement) for statement in ast.parse(template).body]


class _Fill(ast.NodeTransformer):
    """Puts trees in place of names."""

    def __init__(self, parts):
        self.parts = parts

    def visit_Name(self, node):
        return self.parts.get(node.id, node)


def nodes(function, *types):
    """Return the nodes of these types in the body of a function, outer ones first."""
    return [node for statement in function.body for node in ast.walk(statement) if isinstance(node, types)]


def arithmetic(function, *types):
    """Return the operations of these types on values: not those in an index, and not those that compute a size."""
    sizes = [part for node in nodes(function, ast.Subscript) for part in ast.walk(node.slice)]
    sizes += [part for call in nodes(function, ast.Call) if called(call) in SIZES for argument in call.args
              for part in ast.walk(argument)]
    left_out = {id(part) for part in sizes}
    return [node for node in nodes(function, ast.BinOp) if isinstance(node.op, types) and id(node) not in left_out]


def calls(function, *names):
    """Return the calls of functions or methods with these names; of all if no name is given."""
    return [node for node in nodes(function, ast.Call) if not names or called(node) in names]


def is_size(node):
    """Whether an expression computes a number of elements: from shapes, lengths, and names such as N and H alone."""
    names = [name.id for name in ast.walk(node) if isinstance(name, ast.Name)]
    measures = [part for part in ast.walk(node) if getattr(part, "attr", "") in ("shape", "size")
                or (isinstance(part, ast.Call) and called(part) == "len")]
    return bool(names) and (bool(measures) or all(re.fullmatch(r"[A-Z][a-z]?|size|count", name) for name in names))


def called(call):
    """Return the name of the function or method that a call names last: ``np.sum`` is "sum"."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def parameters(function):
    """Return the names of the parameters without a default."""
    arguments = function.args.args
    return [argument.arg for argument in arguments[:len(arguments) - len(function.args.defaults)]]


def names_read(function, *names):
    """Return the places where these names are read."""
    return [node for node in nodes(function, ast.Name) if isinstance(node.ctx, ast.Load) and node.id in names]


def assignments(function):
    """Return the statements ``name = value``."""
    return [node for node in nodes(function, ast.Assign)
            if len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)]


def blocks(function):
    """Return the lists of statements: the body, and those of its loops and branches."""
    inner = [block for node in nodes(function, ast.For, ast.If, ast.With) for block in (node.body, node.orelse)]
    return [block for block in (function.body, *inner) if block]


def number(value):
    """Return the syntax tree of a number."""
    return ast.Constant(value)


def product(a, b):
    """Return the syntax tree of a product."""
    return ast.BinOp(a, ast.Mult(), b)
