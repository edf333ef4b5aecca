"""The table of an experiment as Markdown, CSV and JSON, and all its files."""

import csv
import io
import json
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Any

from npse.lab.picture import picture
from npse.lab.table import Table, cells, notes, titles
from npse.support.files import write_atomically
from npse.support.style import png

FILES = ("table.md", "table.csv", "table.json", "table.png")
WIDTH = 97                       # of lines of Markdown, except those of the table


def markdown(table: Table) -> str:
    """Return a page that can be pasted: the question, the table, what a reader must know of it."""
    heads = titles(table)
    rule = ["---" if title.startswith("<") else "---:" for title in heads]
    lines = ["| " + " | ".join(row) + " |" for row in
             ([title.lstrip("<") for title in heads], rule, *(["`" + row[0] + "`", *row[1:]] for row in cells(table)))]
    paragraphs = [textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
                  for text in (table.spec.question, *notes(table))]
    return "\n\n".join([paragraphs[0], "\n".join(lines), *paragraphs[1:]]) + "\n"


def as_dicts(table: Table) -> list[dict[str, Any]]:
    """Return the rows as dicts of numbers and text. Accuracies and differences are in 0..1; None: there is none."""
    found = []
    for row in table.rows:
        difference = asdict(row.difference) if row.difference else dict.fromkeys(
            ("pairs", "mean", "low", "high", "word"))
        found.append({"variant": row.variant, "n": len(row.accuracies), "mean": row.mean, "deviation": row.deviation,
                      **{f"difference_{name}": value for name, value in difference.items()},
                      "parameters": row.parameters, "multiply_adds": row.multiply_adds, "paper": row.paper or None})
    return found


def as_csv(table: Table) -> str:
    """Return the rows as CSV, with the accuracy of each seed in a column of its own."""
    text, seeds = io.StringIO(), {f"seed_{seed}": seed for seed in table.seeds}
    rows = [found | {name: row.accuracies.get(seed) for name, seed in seeds.items()}
            for found, row in zip(as_dicts(table), table.rows, strict=True)]
    writer = csv.DictWriter(text, [*rows[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_json(table: Table) -> str:
    """Return the experiment as JSON: its spec, its rows with the accuracy of each seed, and the notes."""
    spec = table.spec
    rows = [found | {"accuracies": row.accuracies} for found, row in zip(as_dicts(table), table.rows, strict=True)]
    return json.dumps({"spec": spec.name, "title": spec.title, "question": spec.question, "baseline": spec.baseline,
                       "seeds": table.seeds, "recipe": spec.recipe, "base": dict(spec.base), "variants": spec.variants,
                       "paper_column": spec.paper_column, "rows": rows, "intervals": table.intervals,
                       "notes": notes(table)}, indent=1) + "\n"


def expect_ours(folder: Path) -> None:
    """Check that files of these names in a folder are of an experiment, so that they may be written again.

    ValueError if the folder has one, but no results.jsonl.
    """
    ours = [name for name in FILES if (folder / name).exists()]
    if ours and not (folder / "results.jsonl").exists():
        raise ValueError(f"{folder} holds {ours[0]} but no results.jsonl, so it is not the folder of an experiment; "
                         "choose another folder")


def write(table: Table, folder: Path) -> list[Path]:
    """Write the table into a folder, as `FILES`; without a finished run there is no picture. Return their paths."""
    content: list[str | bytes] = [markdown(table), as_csv(table), as_json(table)]
    if table.results:
        content.append(png(picture(table)))
    written = [folder / name for name in FILES[:len(content)]]
    for path, text in zip(written, content, strict=True):
        write_atomically(path, text)
    return written
