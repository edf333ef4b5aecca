"""The name of a recorded value: the user's own variable, or the user's own expression for it."""

import linecache
import re
from types import FrameType

LONGEST = 44             # letters of an expression that a sentence can hold
_ASSIGNED = re.compile(r"^[^()\[\]=<>!]*(\[[^=]*\])?\s*([-+*/@]|\*\*|//)?=(?!=)")


def expression(frame: FrameType) -> str:
    """The expression that a frame is evaluating, without ``np.``; its line if the expression is long or unknown."""
    code = frame.f_code
    places = list(code.co_positions())
    line, end, start, stop = places[frame.f_lasti // 2] if frame.f_lasti // 2 < len(places) else (None,) * 4
    if line is None or line != end or start is None or stop is None:
        return f"the value of line {frame.f_lineno}"
    source = linecache.getline(code.co_filename, line, frame.f_globals).encode()[start:stop].decode(errors="ignore")
    text = re.sub(r"\b(np|numpy)\.", "", source).strip()
    if not text or len(text) > LONGEST or _ASSIGNED.match(text):
        return f"the value of line {frame.f_lineno}"
    return text


def in_sentence(text: str) -> str:
    """An expression as part of a sentence: a name or a call as it is, anything else in brackets."""
    return text if re.fullmatch(r"\w+", text) else f"({text})"


def first_argument(text: str) -> str:
    """The first argument of a call: "x > 0" of "where(x > 0, a, b)"; "" if there is none."""
    depth, start = 0, text.find("(") + 1
    for k in range(start, len(text)):
        depth += (text[k] in "([") - (text[k] in ")]")
        if depth == 0 and text[k] == ",":
            return text[start:k].strip()
    return ""
