"""Measured numbers that the pages quote are those of the documents that they come from."""

import re

from test_notebooks import NOTEBOOKS

DOCS = NOTEBOOKS.parent / "docs"


def rows(text):
    """Return the cells of each row of the tables in Markdown, also in the comments of a page."""
    return [[cell.strip() for cell in line.lstrip("# ").strip("|").split("|")]
            for line in text.splitlines() if re.match(r"(# )?\|", line)]


def page(stem):
    return (NOTEBOOKS / f"{stem}.py").read_text("utf-8")


def document(name):
    return (DOCS / name).read_text("utf-8")


def spaced(number):
    return f"{int(number):,}".replace(",", " ")


def test_page_5_quotes_the_zoo():
    zoo, text = rows(document("zoo.md")), page("05_is_my_gradient_right")
    bugs = re.search(r"caught, of (\d+)", text)[1]
    measured = {row[0]: row for row in zoo if len(row) == 7 and row[2] == bugs}
    assert len(measured) == 6
    quoted = {row[0]: row[2] for row in rows(text) if row[0] in measured}
    assert quoted == {name: row[1] for name, row in measured.items()}
    assert {name: int(number) for name, number in re.findall(r'\("([\w, ]+)", (\d+)\)', text)} == {
        name: int(number) for name, number in quoted.items()}
    assert measured["judge"][4] == "0"
    alarms, checks = zip(*(map(int, row[4:6]) for row in measured.values() if row[6] == "5"), strict=True)
    for fact in (f"no false alarm in {spaced(measured['judge'][5])} checks, with {measured['judge'][6]} seeds",
                 f"between {min(alarms)} and {max(alarms)} in {spaced(checks[0])}."):
        assert fact in text.replace("\n#", ""), fact

    held_out = {row[1]: row for row in zoo if row[0] == "held out" and row[1] in ("ops", "foreign")}
    for which, name in (("ops", "ops of the book"), ("foreign", "foreign functions")):
        _, _, mutants, _, _, caught, right, _, _, misleading = held_out[which]
        assert [name, caught, right, misleading] in rows(text)
        assert f"with {mutants} mutants in each row" in text


def test_page_8_quotes_the_recipe():
    recipe, text = " ".join(document("recipes.md").split()), page("08_training")
    section = " ".join(text.split("\n# ## What 94 percent takes\n")[1].split("\n# %%")[0].replace("\n#", " ").split())
    for fact in ("94.1 %", "93.3 %", "8 epochs", "means of seeds 0 to 4", "abel smoothing 0.2", "six views",
                 "worth 0.8 points", "5 000", "GELU"):
        assert fact in recipe, fact
        assert fact in section, fact
