"""The name of a recorded value: the user's own variable, or the user's own expression for it."""

import ast
import linecache
import re
from types import FrameType

LONGEST = 44             # letters of an expression that a sentence can hold
_ASSIGNED = re.compile(r"^[^()\[\]=<>!]*(\[[^=]*\])?\s*([-+*/@]|\*\*|//)?=(?!=)")


def expression(frame: FrameType) -> str:
    """The expression that a frame is evaluating, without ``np.``; its line if the expression is long or unknown."""
    text = _source(frame)
    if not text or len(text) > LONGEST or _ASSIGNED.match(text):
        return f"the value of line {frame.f_lineno}"
    return text


def operand(frame: FrameType, side: int) -> str:
    """The left (0) or right (1) operand of the operator that a frame is evaluating; "" if it is not one, or long."""
    try:
        tree = ast.parse(_source(frame), mode="eval").body
    except SyntaxError:
        return ""
    text = ast.unparse((tree.left, tree.right)[side]) if isinstance(tree, ast.BinOp) else ""
    return text if len(text) <= LONGEST else ""


def first_argument(frame: FrameType) -> str:
    """The first argument of the call that a frame is evaluating: "x > 0" of "where(x > 0, a, b)"; else ""."""
    try:
        tree = ast.parse(_source(frame), mode="eval").body
    except SyntaxError:
        return ""
    return ast.unparse(tree.args[0]) if isinstance(tree, ast.Call) and tree.args else ""


def _source(frame: FrameType) -> str:
    """The source of the expression that a frame is evaluating, without ``np.``; "" if it is unknown."""
    places = list(frame.f_code.co_positions())
    line, end, start, stop = places[frame.f_lasti // 2] if frame.f_lasti // 2 < len(places) else (None,) * 4
    if line is None or line != end or start is None or stop is None:
        return ""
    source = linecache.getline(frame.f_code.co_filename, line, frame.f_globals).encode()[start:stop]
    return re.sub(r"\b(np|numpy)\.", "", source.decode(errors="ignore")).strip()


def in_sentence(text: str) -> str:
    """An expression as part of a sentence: a name or a number as it is, anything else in brackets."""
    return text if re.fullmatch(r"[\w.]+", text) else f"({text})"
