"""Parts of an HTML page that needs no other file, no script and no network: headings, tables, pictures."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from matplotlib.figure import Figure

from npse.bench.report import Table
from npse.support.style import png

LONG = 24                        # letters in a cell that may be broken into lines
ERROR = "± "                     # what stands before the error of a number


def document(title: str, body: Iterable[str]) -> str:
    """Return a whole page."""
    style = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    return ('<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<link rel="icon" href="data:,">\n'                   # else a browser asks a server for one
            f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
            + "\n".join(body) + "\n</body>\n</html>\n")


def fragment(body: Iterable[str]) -> str:
    """Return parts for the output of a notebook."""
    return "<div style='max-width: 44rem'>" + "\n".join(body) + "</div>"


def heading(text: str, level: int = 2) -> str:
    """Return a heading."""
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph, of a kind such as "note"."""
    return f"<p class='{kind}'>{escape(text)}</p>" if kind else f"<p>{escape(text)}</p>"


def points(texts: Sequence[str]) -> str:
    """Return a list; nothing if there are no texts."""
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>" if texts else ""


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the most important numbers, each with its meaning."""
    items = "".join(f"<li><b>{escape(value)}</b><span>{escape(meaning)}</span></li>" for meaning, value in pairs)
    return f"<ul class='facts'>{items}</ul>"


def picture(drawn: Figure | bytes, text: str) -> str:
    """Return a picture with its caption, which also stands in place of the picture for those who cannot see it.

    The picture is a figure, or the bytes of a PNG file.
    """
    data = base64.b64encode(drawn if isinstance(drawn, bytes) else png(drawn)).decode()
    shown = f"<img alt=\"{escape(text, quote=True)}\" src='data:image/png;base64,{data}' style='max-width: 100%'>"
    return f"<figure>{shown}<figcaption>{escape(text)}</figcaption></figure>"


def grid(parts: Iterable[str]) -> str:
    """Return parts side by side where there is room."""
    return f"<div class='grid'>{''.join(parts)}</div>"


def table(content: Table) -> str:
    """Return a table with its title and its notes; on a narrow page without its spare columns."""
    kinds = [f"{'text' * column.startswith('<')} {'spare' * (column.lstrip('<') in content.spare)}".strip()
             for column in content.columns]
    head = _row("th", [column.lstrip("<") for column in content.columns], kinds)
    rows = "".join(_row("td", row, kinds) for row in content.rows)
    shown = f"<thead>{head}</thead>" if any(column.strip("<") for column in content.columns) else ""
    return (f"<div>{heading(content.title, 3) if content.title else ''}<div class='wide'><table>{shown}"
            f"<tbody>{rows}</tbody></table></div>{''.join(paragraph(note, 'note') for note in content.notes)}</div>")


def _row(tag: str, cells: Iterable[object], kinds: Iterable[str]) -> str:
    """Return a row; long texts may be broken."""
    row = ""
    for text, kind in zip(map(str, cells), kinds, strict=True):
        classes = f"{kind} {'long' * (len(text) > LONG)} {'measured' * (ERROR in text)}".split()
        inside = escape(text).replace(ERROR, "±&nbsp;")           # a line ends before the error, not in it
        row += f"<{tag} class='{' '.join(classes)}'>{inside}</{tag}>" if classes else f"<{tag}>{inside}</{tag}>"
    return f"<tr>{row}</tr>"
