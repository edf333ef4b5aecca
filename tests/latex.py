"""Reads formulas as the pages write them, in LaTeX, and computes them.

`parse` returns a tree of tuples; `Formula` is a chain of equal sides with indices; `value` computes one side.
"""

import itertools
import math
import re

import numpy as np

TOKEN = re.compile(r"\s*(\\text\{[^}]*\}|\\\\|\\[A-Za-z]+|\d+\.\d+|\d+|[A-Za-z]|\S)")
SPACES = {r"\left", r"\right", r"\displaystyle", r"\,", r"\;"}
FUNCTIONS = {
    r"\sigma": lambda a: 1 / (1 + np.exp(-a)),
    r"\sigma'": lambda a: np.exp(-a) / (1 + np.exp(-a)) ** 2,
    r"\delta": lambda a: np.maximum(a, 0),
    r"\max": lambda *values: max(values),
    r"\ln": np.log,
    r"\sqrt": np.sqrt,
}
MARKS = {r"\tilde": "~", r"\hat": "^"}
GREEK = {r"\gamma", r"\beta", r"\mu", r"\epsilon"}


class Unknown(KeyError):
    """A name has no value."""


def tokens(text):
    text = re.sub(r"(?<!\\)\\[ ,;]", " ", text)
    return [token for token in TOKEN.findall(text) if token not in SPACES]


class Parser:
    """A recursive descent parser; ValueError where the text is not understood."""

    def __init__(self, text):
        self.tokens = tokens(text)
        self.text = text
        self.at = 0

    def peek(self, ahead=0):
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else ""

    def take(self, *expected):
        token = self.peek()
        if not token or (expected and token not in expected):
            raise ValueError(f"expected {' or '.join(expected) or 'more'}, got {token or 'the end'} in: {self.text}")
        self.at += 1
        return token

    def whole(self):
        tree = self.sum()
        if self.peek().startswith(r"\text"):                      # ... if h > 0, else 0
            tree = self.choice(tree)
        if self.peek():
            raise ValueError(f"cannot read {self.peek()!r} in: {self.text}")
        return tree

    def choice(self, tree):
        if self.take().strip() != r"\text{ if }":
            raise ValueError(f"expected 'if' in: {self.text}")
        left = self.sum()
        self.take(r"\gt")
        right = self.sum()
        self.take(",")
        if self.take().strip() != r"\text{ else }":
            raise ValueError(f"expected 'else' in: {self.text}")
        return "if", left, right, tree, self.sum()

    def sum(self):
        sign = self.peek() in ("-", "+") and self.take()
        tree = self.product()
        tree = ("-", ("number", 0.0), tree) if sign == "-" else tree
        while self.peek() in ("+", "-"):
            tree = self.take(), tree, self.product()
        return tree

    def product(self):
        tree = self.power()
        while token := self.peek():
            if token in (r"\cdot", r"\times", "*", r"\odot"):
                self.take()
                sign = self.peek() == "-" and self.take()
                right = self.power()
                tree = "*", tree, ("-", ("number", 0.0), right) if sign else right
            elif token == "/":
                self.take()
                tree = "/", tree, self.power()
            elif token in ("(", "{") or token[0].isalnum() or (token[0] == "\\" and not token.startswith(
                    (r"\end", r"\text{", r"\\", r"\gt"))):
                tree = "*", tree, self.power()                    # juxtaposition
            else:
                break
        return tree

    def power(self):
        tree = self.atom()
        if self.peek() == "^":
            self.take()
            exponent = self.group()
            tree = ("T", tree) if exponent == ("name", "T") else ("^", tree, exponent)
        return tree

    def group(self):
        if self.peek() == "{":
            self.take()
            tree = self.sum()
            self.take("}")
            return tree
        token = self.take()
        return ("number", float(token)) if token.isdigit() else ("name", token)

    def atom(self):
        token = self.take()
        if token[0].isdigit():
            return "number", float(token)
        if token == "{":
            self.at -= 1
            return self.group()
        if token == "(":
            return self.brackets(")")
        if token in (r"\frac", r"\tfrac"):
            return "/", self.group(), self.group()
        if token == r"\sum":
            self.take("_")
            return "sum", self.names_below(), self.product()
        if token == r"\begin":
            return self.matrix()
        if token == r"\underbrace":
            tree = self.group()
            self.take("_")
            self.skip_group()
            return tree
        if token in (r"\sigma", r"\delta") and self.peek() == "'":
            token += self.take()
        if token in FUNCTIONS:
            if self.peek() != "(":
                return "call", token, self.power()
            self.take()
            argument = self.brackets(")")
            return "call", token, *(argument[1:] if argument[0] == "tuple" else (argument,))
        if token.isalpha() or token in MARKS or token in GREEK:
            return self.name(token)
        raise ValueError(f"cannot read {token!r} in: {self.text}")

    def brackets(self, end):
        parts = [self.sum()]
        while self.peek() == ",":
            self.take()
            parts.append(self.sum())
        self.take(end)
        return ("tuple", *parts) if len(parts) > 1 else parts[0]

    def skip_group(self):
        start = self.at
        if self.take() == "{":
            depth = 1
            while depth:
                depth += {"{": 1, "}": -1}.get(self.take(), 0)
        return "".join(self.tokens[start:self.at]).strip("{}")

    def names_below(self):
        below = self.skip_group()
        if self.peek() == "^":
            self.take()
            self.skip_group()
        return tuple(re.findall("[A-Za-z]", re.sub("=.*", "", below)))

    def matrix(self):
        self.at += self.tokens[self.at:].index("}") + 1           # {pmatrix}
        rows, row = [], [self.sum()]
        while True:
            token = self.take("&", r"\\", r"\end")
            if token == "&":
                row.append(self.sum())
                continue
            rows.append(("tuple", *row))
            if token == r"\end":
                break
            row = [self.sum()]
        self.at += self.tokens[self.at:].index("}") + 1
        return "matrix", *rows

    def name(self, token):
        """Read d, a letter, a tilde or a hat, subscripts, a superscript that is a digit, and indices in brackets."""
        if token == "d" and (self.peek().isalpha() or self.peek() in MARKS or self.peek() in GREEK):
            token += self.letter(self.take())
        else:
            token = self.letter(token)
        while self.peek() == "'":
            token += self.take()
        if self.peek() == "_":
            self.take()
            token += "_" + re.sub(r"\\text|[{}]", "", self.skip_group())
        if self.peek() == "^" and self.peek(1).isdigit() and "_" in token:
            self.take()
            token += "^" + self.take()
        if self.peek() == "[":
            self.take()
            indices = self.brackets("]")
            return "index", token, *(indices[1:] if indices[0] == "tuple" else (indices,))
        return "name", token

    def letter(self, token):
        return self.skip_group() + MARKS[token] if token in MARKS else token


def named(name, known):
    """Return the value of a name; x_2 is also the second entry of a vector x."""
    if name in known:
        return known[name]
    vector, _, place = name.partition("_")
    if place.isdigit() and np.ndim(known.get(vector, 0)) == 1:
        if not 1 <= int(place) <= len(known[vector]):
            raise ValueError(f"{vector} has {len(known[vector])} entries, so there is no {name}")
        return known[vector][int(place) - 1]
    if name == "e":
        return math.e
    raise Unknown(name)


def value(tree, known):
    """Compute a tree; `Unknown` if a name has no value."""
    kind, *parts = tree
    if kind == "number":
        return parts[0]
    if kind == "name":
        return named(parts[0], known)
    if kind == "index":
        if parts[0] not in known:
            raise Unknown(parts[0])
        place = tuple(int(value(part, known)) for part in parts[1:])
        if len(place) != np.ndim(known[parts[0]]):
            raise ValueError(f"{parts[0]} has {np.ndim(known[parts[0]])} axes, not {len(place)}")
        return known[parts[0]][place]
    if kind in ("tuple", "matrix"):
        return np.array([value(part, known) for part in parts], float)
    if kind == "sum":
        names, body = parts
        ranges = [range(known["sizes"][name]) for name in names]
        return sum(value(body, known | dict(zip(names, places, strict=True))) for places in itertools.product(*ranges))
    if kind == "call":
        return FUNCTIONS[parts[0]](*(value(part, known) for part in parts[1:]))
    if kind == "if":
        left, right, then, otherwise = parts
        return value(then if value(left, known) > value(right, known) else otherwise, known)
    if kind == "T":
        return np.transpose(value(parts[0], known))
    left, right = (value(part, known) for part in parts)
    if kind == "*":
        return left @ right if np.ndim(left) == 2 and np.ndim(right) else np.multiply(left, right)
    return {"+": np.add, "-": np.subtract, "/": np.divide, "^": np.power}[kind](left, right)


def parse(text):
    return Parser(text).whole()


def walk(tree):
    if isinstance(tree, tuple):
        yield tree
        for part in tree:
            yield from walk(part)


def split(text, pattern):
    """Split at a pattern, but not inside brackets, and not inside a matrix."""
    parts, depth, last = [], 0, 0
    for found in re.finditer(rf"(?P<open>\\begin|[(\[{{])|(?P<close>\\end|[)\]}}])|(?P<cut>{pattern})", text):
        if found["open"]:
            depth += 1
        elif found["close"]:
            depth -= 1
        elif depth == 0:
            parts.append(text[last:found.start()])
            last = found.end()
    return [part.strip() for part in [*parts, text[last:]] if part.strip()]


class Formula:
    """A chain of equal sides, or an accumulation with +=, over indices that run over the axes of arrays.

    Parameters
    ----------
    text : str
    known : dict of arrays and numbers by name
    """

    def __init__(self, text, known):
        self.text = text
        self.added = r"\mathrel{+}=" in text
        sides = split(text.replace(r"\mathrel{+}=", "=").replace(r"\approx", "="), "=")
        if len(sides) < 2:
            raise ValueError(f"no equality: {text}")
        self.sides = [parse(side) for side in sides]
        sizes, bound, used = {}, set(), set()
        for tree in itertools.chain.from_iterable(map(walk, self.sides)):
            if tree and tree[0] == "sum":
                bound.update(tree[1])
            if tree and tree[0] == "index":
                if tree[1] not in known:
                    raise Unknown(tree[1])
                for axis, index in enumerate(tree[2:]):
                    used.update(name[1] for name in walk(index) if name and name[0] == "name")
                    if index[0] == "name" and axis < np.ndim(known[tree[1]]):
                        size = np.shape(known[tree[1]])[axis]
                        if sizes.setdefault(index[1], size) != size:
                            raise ValueError(f"{index[1]} runs over {size} and over {sizes[index[1]]} in: {text}")
        self.known = known | {"sizes": sizes}
        self.free = sorted((used & {*sizes}) - bound - {*known})
        left = {name[1] for name in walk(self.sides[0]) if name and name[0] == "name"} - bound
        if extra := not self.added and {*self.free} - left:
            raise ValueError(f"{', '.join(sorted(extra))} is not on the left side of: {text}")
        if missing := (used | bound) - {*sizes} - {*known}:
            raise ValueError(f"no array says over what {', '.join(sorted(missing))} runs in: {text}")

    def holds_for(self, letters):
        """Whether the formula has these letters as free indices; with +=, those that a place is made of, as S a + i."""
        if not self.added:
            return {*letters} <= {*self.free}
        made = {name[1] for index in self.sides[0][2:] if index[0] != "name" for name in walk(index)
                if name and name[0] == "name"}
        return {*letters} == made & {*self.free}

    def holds(self):
        """Whether all sides are equal for all indices."""
        places = itertools.product(*(range(self.known["sizes"][name]) for name in self.free))
        if self.added:
            return self._accumulates(places)
        for place in places:
            known = self.known | dict(zip(self.free, place, strict=True))
            first, *rest = (value(side, known) for side in self.sides)
            if not all(np.shape(first) == np.shape(other) and np.allclose(first, other, 1e-9, 1e-9) for other in rest):
                return False
        return True

    def _accumulates(self, places):
        left, right = self.sides
        total = np.zeros_like(self.known[left[1]])
        for place in places:
            known = self.known | dict(zip(self.free, place, strict=True))
            total[tuple(int(value(index, known)) for index in left[2:])] += value(right, known)
        return np.allclose(total, self.known[left[1]], 1e-9, 1e-9)
