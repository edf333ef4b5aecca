"""Output of the commands: in every encoding, and tables whose numbers are never broken."""

import codecs
import contextlib
import errno
import os
import sys
import unicodedata

UNLIMITED = 1000                 # columns of a table in a file or a pipe
PLAIN = {"█": "#", "×": "x", "·": ".", "•": "*", "–": "-", "—": "-", "−": "-", "≤": "<=", "≥": ">=", "≈": "~",
         "→": "->", "←": "<-", "‘": "'", "’": "'", "“": '"', "”": '"'}
ADVICE = {errno.ENOSPC: "free some space; files saved before are unchanged",
          errno.EDQUOT: "free some space; files saved before are unchanged",
          errno.EACCES: "choose another folder, or get permission to read and write here",
          errno.EISDIR: "expected a file; move the folder away"}


def fit_encoding():
    """From here on, replace characters that the encoding of the terminal lacks, instead of failing."""
    codecs.register_error("npse.plain", _plainly)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):                        # tests and notebooks may replace the stream
            stream.reconfigure(errors="npse.plain")


def _plainly(error):
    """Replace characters that cannot be encoded: by similar plain ones, or by a question mark."""
    return "".join(map(_plain, error.object[error.start:error.end])), error.end


def _plain(character):
    alike = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return PLAIN.get(character) or alike or "?"


def console(stderr=False):
    """Return a rich Console that prints text unchanged; its width is that of the terminal, COLUMNS, or unlimited."""
    from rich.console import Console

    live = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False,
                   width=None if live or os.environ.get("COLUMNS") else UNLIMITED)


def say(text):
    """Print text: folded between words if the width is limited, else unchanged."""
    to = console()
    to.print(text, soft_wrap=to.width == UNLIMITED)


def complain(error):
    """Print an error to standard error, in one line."""
    print(f"npse: {describe(error)}", file=sys.stderr)


def describe(error):
    """Return an error as one line, with its notes at the end."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = ": ".join(str(part) for part in (error.filename, error.strerror, ADVICE.get(error.errno)) if part)
    return " ".join("; ".join([text, *getattr(error, "__notes__", ())]).split()) or type(error).__name__


@contextlib.contextmanager
def noted(note, kind=Exception):
    """Within the ``with`` block add a note to errors of a kind: an option or a file that only the command knows."""
    try:
        yield
    except kind as error:
        error.add_note(note)
        raise


def status(text=""):
    """Return a rich Status on standard error: a line that changes; it prints nothing if that is not a terminal."""
    to = console(stderr=True)
    return to.status(text, spinner="line" if to.options.ascii_only else "dots")


def show(columns, rows, title="", notes=(), spare=()):
    """Print a table, and notes below it.

    Parameters
    ----------
    columns : sequence of str
        Titles of one line. ``<`` before a title marks a column of text: it is aligned left and folded between words
        if there is little room. Other columns hold numbers: they are aligned right and never folded.
    rows : iterable of sequences
        Cells: str, or rich Text for a coloured one.
    title : str
    notes : sequence of str
    spare : sequence of str
        Titles of the columns to leave out if there is no room for all, in this order.
    """
    from rich.table import Table

    to, rows = console(), list(rows)
    kept = _fitting(columns, rows, spare, to.width)
    grid = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False,
                 padding=(0, 1), show_header=any(column.strip("<") for column in columns))
    for k in kept:
        is_text, cells = columns[k].startswith("<"), [columns[k], *(str(row[k]) for row in rows)]
        grid.add_column(columns[k].lstrip("<"), justify="left" if is_text else "right", overflow="fold",
                        no_wrap=not is_text or not any(" " in cell for cell in cells))
    for row in rows:
        grid.add_row(*(row[k] for k in kept))
    _print(grid, to)
    for note in notes:
        say(note)
    if missing := dict.fromkeys(column.lstrip("<") for k, column in enumerate(columns) if k not in kept):
        say(f"No room for: {', '.join(missing)}. A wider window shows all.")


def _print(grid, to):
    """Print a table; in a file or a pipe, without spaces at the ends of lines."""
    if to.is_terminal:
        to.print(grid)
        return
    with to.capture() as lines:
        to.print(grid)
    to.print("\n".join(line.rstrip() for line in lines.get().splitlines()), soft_wrap=True)


def _fitting(columns, rows, spare, width):
    """Return the indices of the columns to show: all, or all but the first of the spare ones."""
    titles = [column.lstrip("<") for column in columns]
    needs = [_least(column, [str(row[k]) for row in rows]) for k, column in enumerate(columns)]
    kept = list(range(len(columns)))
    for title in spare:
        if sum(needs[k] + 2 for k in kept) <= width:
            break
        kept = [k for k in kept if titles[k] != title]
    return kept


def _least(column, cells):
    """Return the least width of a column: that of its title, and of its longest number or word."""
    if not column.startswith("<"):
        return max(map(len, (column, *cells)))
    return max(len(word) for text in (column.lstrip("<"), *cells) for word in (*text.split(), ""))
