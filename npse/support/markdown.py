"""Text that a command writes into a page, between two lines of it."""

from pathlib import Path


def between_markers(document: str, text: str, markers: tuple[str, str]) -> str:
    """Return the document with ``text`` between its markers; ValueError unless each marker is there once, in order."""
    first, last = markers
    before, begin, rest = document.partition(first)
    _, end, after = rest.partition(last)
    if not (begin and end) or first in rest or last in after:
        raise ValueError(f"the document needs one line {first} and after it one line {last}; the text between them is "
                         "replaced")
    return f"{before}{first}\n\n{text}\n\n{last}{after}"


def page_with(path: Path | None, markers: tuple[str, str]) -> str:
    """Return the text of the page to write into, checked before the long work begins; empty without a path.

    Raises
    ------
    ValueError
        The page does not have each marker once, in order.
    OSError
        It cannot be read.
    """
    if path is None:
        return ""
    document = path.read_text(encoding="utf-8")
    try:
        between_markers(document, "", markers)
    except ValueError as error:
        raise ValueError(f"cannot write into {path}: {error}") from error
    return document
