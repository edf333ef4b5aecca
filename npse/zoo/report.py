"""The zoo's results as Markdown: a table of the designs, one of the bugs for each chapter, and those of the mutants."""

import textwrap
from importlib import import_module

from npse.zoo import mutation
from npse.zoo.designs import DESIGNS

BEGIN, END = "<!-- npse zoo: begin -->", "<!-- npse zoo: end -->"
MUTANTS = "<!-- npse zoo --mutate: begin -->", "<!-- npse zoo --mutate: end -->"
CAUGHT, MISSED = "●", "·"
WIDTH = 98                       # columns of a line of text


def page(rows, alarms, facts):
    """Return the text between the markers: facts about the run, the designs, the bugs by chapter."""
    parts = [_text(facts), _table(*summary(rows, alarms)), "## The bugs",
             _text(f"{CAUGHT} caught, {MISSED} not, in the order of the designs above. The kind is that of the judge's "
                   "first sentence; it is in brackets if it is not the planted mistake.")]
    for chapter in dict.fromkeys(row.bug.chapter for row in rows):
        header = import_module(f"npse.zoo.{chapter}").__doc__.split("\n\n")[0]
        parts += [f"### {chapter}", _text(header),
                  _table(*bugs([row for row in rows if row.bug.chapter == chapter]))]
    return "\n\n".join(parts)


def summary(rows, alarms):
    """Return the header and the lines of the table of designs, one for each."""
    header = ("design", "caught", "of", "diagnosed", "false alarms", "checks of the correct book", "seeds")
    lines = []
    for name in DESIGNS:
        caught = sum(bool(row.caught[name]) for row in rows)
        diagnosed = sum(row.diagnosed for row in rows) if name == "judge" else "–"
        on_book = alarms.get(name)
        lines.append((name, caught, len(rows), diagnosed, *(
            (on_book.false, on_book.checks, on_book.seeds) if on_book else ("–",) * 3)))
    return header, lines


def bugs(rows):
    """Return the header and the lines of the table of bugs, one for each."""
    header = ("bug", "op", "the mistake", "caught", "first seen on", "kind")
    return header, [(f"`{row.bug.name}`", "<br>".join(f"`{op}`" for op in row.bug.ops), _mistake(row.bug),
                     "".join(CAUGHT if row.caught[name] else MISSED for name in DESIGNS),
                     row.caught["judge"], row.kind if row.diagnosed else f"({row.kind or 'none'})") for row in rows]


def mutants_page(rows, facts):
    """Return the text between the markers of the mutants: facts about the run, the rates, the rates by operator."""
    missed = [row for row in rows if row.what == "mistake" and not row.caught and not row.is_held_out]
    parts = [_text(facts), _table(*mutation.table(rows)), _table(*mutation.table_of_operators(rows))]
    if missed:
        parts += ["Mutants of the operators that are developed on, and that the judge misses:", _table(
            ("function", "operator", "right", "mutant"),
            [(f"`{row.mutant.target}`", f"`{row.mutant.operator}`", *(f"`{code}`" for code in row.change))
             for row in missed])]
    return "\n\n".join(parts)


def as_json(row):
    """Return a row as a dict of plain values."""
    return {"bug": row.bug.name, "chapter": row.bug.chapter, "ops": row.bug.ops, "mistake": row.bug.mistake,
            "source": row.bug.source, "kinds": row.bug.kinds, "caught": row.caught, "kind": row.kind,
            "sentence": row.sentence, "diagnosed": row.diagnosed}


def _mistake(bug):
    mistake = bug.mistake.replace("*", "\\*")
    repository, _, thread = bug.source.partition(" #")
    if thread:                                                    # the same address works for issues and pull requests
        return f"{mistake} [{bug.source}](https://github.com/{repository}/issues/{thread})"
    return f"{mistake} ({bug.source})" if bug.source else mistake


def _text(paragraph):
    return textwrap.fill(" ".join(paragraph.split()), WIDTH, break_on_hyphens=False)


def _table(header, lines):
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows)
