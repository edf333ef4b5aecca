"""Turns code for IPython, as notebooks and their exports contain it, into Python code.

Lines that only IPython understands become ``pass``. The lines keep their numbers. The time is proportional to the
length of the code, whatever it contains: there is no regular expression that can go back.
"""

import ast
import re

BODY_IS_PYTHON = ("time", "timeit", "capture", "prun", "python", "python3")      # cell magics with Python below them
_PIECE = re.compile(r"#.*|\"{3}|'{3}|\"(?:\\.|[^\"\\])*\"?|'(?:\\.|[^'\\])*'?|[()\[\]{}]")
_QUERY = re.compile(r"\?{0,2}%{0,2}[\w.*]+\?{0,2}\Z")


def without_magics(source):
    """Return code for IPython as Python code. Code that is Python already is returned unchanged."""
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _plain(source)
    return source


def _plain(source):
    lines, kept, quote, depth, magic = source.split("\n"), [], "", 0, False
    first = next((line for line in lines if line.strip()), "")
    if first.startswith("%%") and first[2:].split(" ")[0] not in BODY_IS_PYTHON:
        return "pass" + "\n" * (len(lines) - 1)
    for line in lines:
        if magic or not (quote or depth):                        # at the beginning of a statement
            plain = _without_magic(line) if not magic else "pass"
            magic = plain != line and line.endswith("\\")        # it goes on in the next line
            if plain != line:
                kept.append(plain)
                continue
        quote, depth = _open_at_end(line, quote, depth)
        kept.append(line)
    return "\n".join(kept)


def _without_magic(line):
    """Return a line that begins a statement as Python: a magic or a shell command becomes ``pass``."""
    text = line.strip()
    indent = line[:len(line) - len(line.lstrip())]
    if text.startswith(("%", "!")) or ("?" in text and _QUERY.match(text)):
        return f"{indent}pass"
    name, equals, right = line.partition("=")
    if equals and right.lstrip().startswith(("%", "!")) and name.replace(",", " ").replace("_", "a").strip():
        names = [part.strip() for part in name.split(",")]
        if all(part.isidentifier() for part in names if part):
            return f"{name}= {'[]' if right.lstrip().startswith('!') else None}"
    return line


def _open_at_end(line, quote, depth):
    """Return the triple quote and the number of brackets that are open after a line."""
    place = 0
    while place < len(line):
        if quote:
            end = line.find(quote, place)
            if end < 0:
                return quote, depth
            place, quote = end + 3, ""
            continue
        piece = _PIECE.search(line, place)
        if piece is None:
            break
        place, found = piece.end(), piece[0]
        if found in ('"""', "'''"):
            quote = found
        elif found in "([{":
            depth += 1
        elif found in ")]}":
            depth = max(depth - 1, 0)
    return quote, depth
