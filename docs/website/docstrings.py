"""Docstrings of npse are plain text with the sections of numpydoc. Here they become the markup that Sphinx reads."""

import re
from typing import Any

CODE = re.compile(r"(``[^`]+``|`[^`]+`)")
SPECIAL = re.compile(r"([*|\\]|\b_|(?<=\w)_(?!\w))")
UNDERLINE = re.compile(r"-{3,}$")


def escaped(line: str) -> str:
    """Return a line of text in which no character is markup, except names between backticks, which become code."""
    parts = CODE.split(line)
    return "".join(f"``{part.strip('`')}``" if number % 2 else SPECIAL.sub(r"\\\1", part)
                   for number, part in enumerate(parts))


def indent_of(line: str) -> int:
    """Return the number of spaces at the start of a line."""
    return len(line) - len(line.lstrip())


def marked_up(lines: list[str]) -> list[str]:
    """Return the lines of a docstring as reStructuredText: paragraphs are escaped, indented blocks become code.

    Sections of numpydoc (a line, and under it dashes) keep their heads and their entries.
    """
    made: list[str] = []
    section = False
    number = 0
    while number < len(lines):
        line = lines[number]
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if UNDERLINE.match(following.strip()) and line.strip():
            section = True
            made += [line, following]
            number += 2
            continue
        if not section and line.strip() and indent_of(line) > 0:
            if made and made[-1].strip():
                made.append("")
            made += ["::", ""]
            while number < len(lines) and (not lines[number].strip() or indent_of(lines[number]) > 0):
                made.append(lines[number])
                number += 1
            if made[-1].strip():
                made.append("")
            continue
        name, colon, kind = line.partition(" : ")
        entry = section and indent_of(line) == 0             # numpydoc itself escapes the name of an entry
        made.append(name + colon + escaped(kind) if entry else escaped(line))
        number += 1
    return made


def process(app: Any, what: str, name: str, object_: Any, options: Any, lines: list[str]) -> None:
    """Change the lines of a docstring in place; Sphinx calls this for each."""
    lines[:] = marked_up(lines)


TYPES = {"ndarray[tuple[Any, ...], dtype[Any]]": "Array",
         "Callable[[Array], tuple[Array, dict[str, Array]]]": "Backward"}


def short(signature: str | None) -> str | None:
    """Return a signature with the names of `npse.types` instead of what they stand for."""
    for whole, name in TYPES.items():
        signature = signature and signature.replace(whole, name)
    return signature


def process_signature(app: Any, what: str, name: str, object_: Any, options: Any, signature: str | None,
                      returned: str | None) -> tuple[str | None, str | None]:
    """Return both parts of a signature as they are shown; Sphinx calls this for each."""
    return short(signature), short(returned)
