"""Parts of an HTML page that needs no other file, no script and no network: headings, tables, pictures."""

import base64
from collections.abc import Iterable, Sequence
from html import escape

from matplotlib.figure import Figure

from npse.bench.report import Table
from npse.support.style import png

LONG = 24                        # letters in a cell that may be broken into lines
ERROR = "± "                     # what stands before the error of a number
STYLE = """
:root { color-scheme: light dark; --ink: #1f2933; --soft: #5b6470; --paper: #ffffff; --line: #d5d9df; --card: #f5f6f8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --soft: #a3acb8; --paper: #16191d; --line: #3a414a; --card: #20252b; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 84rem; padding: 1rem; background: var(--paper); color: var(--ink);
       font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0.5rem 0; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 0.5rem; border-bottom: 1px solid var(--line); padding-bottom: 0.2rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 0.3rem; }
p, ul { max-width: 48rem; margin: 0.5rem 0; }
figure { margin: 0; min-width: 0; }
figure img { display: block; width: 100%; height: auto; background: #ffffff; border-radius: 6px;
             border: 1px solid var(--line); }
figcaption, .note { color: var(--soft); font-size: 0.875rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 1rem;
        align-items: start; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.6rem; text-align: right; border-bottom: 1px solid var(--line); overflow-wrap: normal;
         vertical-align: top; }
td { white-space: nowrap; }
th:first-child, td:first-child { padding-left: 0; }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
th.text, td.text { text-align: left; }
td.long { white-space: normal; overflow-wrap: anywhere; }
@media (max-width: 30rem) {
  th, td { padding: 0.2rem 0.3rem; }
  td.measured { white-space: normal; }
  .spare { display: none; }
}
code { background: var(--card); padding: 0.1rem 0.3rem; border-radius: 3px; font-size: 0.875rem; }
.facts { display: flex; flex-wrap: wrap; gap: 0.75rem; padding: 0; margin: 1rem 0; list-style: none; max-width: none; }
.facts li { background: var(--card); border-radius: 6px; padding: 0.5rem 0.9rem; }
.facts b { display: block; font-size: 1.25rem; }
.facts span { color: var(--soft); font-size: 0.875rem; }
"""


def document(title: str, body: Iterable[str]) -> str:
    """Return a whole page."""
    return ('<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<link rel="icon" href="data:,">\n'                   # else a browser asks a server for one
            f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
            + "\n".join(body) + "\n</body>\n</html>\n")


def fragment(body: Iterable[str]) -> str:
    """Return parts for the output of a notebook, where pictures are not wider than they are clear."""
    return "<div><style scoped>figure { max-width: 44rem; margin: 0; }</style>" + "\n".join(body) + "</div>"


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
    return (f"<figure><img alt=\"{escape(text, quote=True)}\" src='data:image/png;base64,{data}'>"
            f"<figcaption>{escape(text)}</figcaption></figure>")


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
