"""The pages in Markdown: lines are short; every link, anchor and path that they name exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "notebooks" / "README.md"])
COLUMNS = 100                    # a line ends before this column
FENCE, FORMULA = "```", "$$"
FILE = re.compile(r"(?<![\w./-])(?:npse|tests|benchmarks|notebooks|docs)/[\w./*-]+")
MADE = re.compile(r'^`(npse/[\w/]+\.py)`\n\n```python\n"""', re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
# a table, a formula, a link or a picture with nothing else on its line
UNLIMITED = re.compile(r"\||\$\$.*\$\$$|<?https?://\S+$|[*-]? *!?\[[^\]]*\]\([^)]*\)[.,;:]?$")


def prose(text):
    """Yield the number and the text of each line outside of fenced code and formulas."""
    inside = None
    for number, line in enumerate(text.splitlines(), 1):
        marks = [mark for mark in (FENCE, FORMULA) if line.lstrip().startswith(mark)]
        if inside:
            inside = None if inside in marks else inside
        elif marks and not UNLIMITED.match(line):
            inside = marks[0]
        else:
            yield number, line


def long_lines(text):
    return [number for number, line in prose(text) if len(line) >= COLUMNS and not UNLIMITED.match(line)]


def links(text):
    """Return the targets of all links and pictures within npse, as they are written."""
    targets = LINK.finditer("\n".join(line for _, line in prose(text)))
    return [found["target"] for found in targets if not re.match(r"https?:|mailto:", found["target"])]


def anchors(text):
    """Return the anchors that GitHub makes of the headings of a page."""
    found = []
    for _, line in prose(text):
        if heading := re.match(r"#{1,6} +(.*)", line):
            words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).strip().lower()
            found.append(re.sub(r"[^\w\- ]", "", words).replace(" ", "-"))
    return found


def broken(page, text):
    """Return the links of a page with this text whose targets do not exist."""
    for target in links(text):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in anchors(text if file == page else file.read_text("utf-8"))):
            yield target


def missing(text):
    """Return the files and folders of this project that a page names, in text or code, and that do not exist.

    A file that the page itself makes, from its docstring on, need not exist.
    """
    named = {path.rstrip(".-") for path in FILE.findall(text)} - {*MADE.findall(text)}
    return sorted(path for path in named if not any(ROOT.glob(path)))


def name(page):
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_lines_are_short(page):
    assert long_lines(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_has_a_target(page):
    assert list(broken(page, page.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_path_exists(page):
    assert missing(page.read_text(encoding="utf-8")) == []


def test_the_decisions_are_all_in_their_list():
    folder = ROOT / "docs" / "decisions"
    listed = [target for target in links((folder / "README.md").read_text(encoding="utf-8")) if "/" not in target]
    assert listed == sorted(file.name for file in folder.glob("[0-9]*.md"))


@pytest.mark.parametrize("text", ["a" * 100, f"* {'word ' * 20}", f"```\ncode\n```\n{'a' * 100}",
                                  f"[name](page.md) and {'a' * 100}"])
def test_a_long_line_is_seen(text):
    assert long_lines(text)


@pytest.mark.parametrize("text", [f"```\n{'a' * 100}\n```", f"| {'a' * 100} |", f"$$\n{'x' * 100}\n$$", "a" * 99,
                                  f"$${'x' * 100}$$\na", f"![picture]({'a' * 100}.png)", f"https://{'a' * 100}"])
def test_a_long_line_of_another_kind_passes(text):
    assert not long_lines(text)


@pytest.mark.parametrize("text", ["[a](no_such_page.md)", "# Here\n[a](#there)", "![a](pictures/none.png)",
                                  "[a](docs/architecture.md#no-such-part)", "two lines\n[of\ntext](none.md)"])
def test_a_broken_link_is_seen(text):
    assert len(list(broken(ROOT / "README.md", text))) == 1


@pytest.mark.parametrize("text", ["[a](README.md)", "# What `it` is, here\n[a](#what-it-is-here)", "[a](docs)",
                                  "[a](docs/architecture.md#five-rules)", "[a](https://example.org/none)",
                                  "```\n[a](none.md)\n```"])
def test_a_link_with_a_target_passes(text):
    assert not list(broken(ROOT / "README.md", text))


@pytest.mark.parametrize("text", ["`npse/no_such_file.py`", "npse/reference/none.py, and more", "in `npse/nowhere/`.",
                                  "```\npytest tests/test_none*.py\n```"])
def test_a_path_that_does_not_exist_is_seen(text):
    assert len(missing(text)) == 1


@pytest.mark.parametrize("text", ["`npse/reference/se.py`", "a file of npse/reference.", "[a](npse/reference/)",
                                  "tests/test_cuda*.py", "https://example.org/npse/none", "other/npse/none.py"])
def test_a_path_that_exists_passes(text):
    assert missing(text) == []
