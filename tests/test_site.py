"""The site: its pages come from the code, and a browser without a network shows all of them."""

import html.parser
import json
import os
import re
import subprocess
import sys
import urllib.parse
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, WITHOUT, found_on, run

from npse.reference.contract import TABLE

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))

from website import api, book, diagram, docstrings, links, pages  # noqa: E402

REPOSITORY = "https://github.com/somebody/npse"


# links

PLACES = {"docs/a.md": "a.md", "docs/deep/b.md": "deep/b.md", "docs/show": "show/index.html",
          "notebooks/1.ipynb": "notebooks/1.ipynb"}


@pytest.mark.parametrize(("page", "text", "made"), [
    ("docs/a.md", "[b](deep/b.md#one-two)", "[b](deep/b.md#one-two)"),
    ("docs/deep/b.md", "[a](../a.md)", "[a](../a.md)"),
    ("docs/a.md", "[n](../notebooks/1.ipynb)", "[n](notebooks/1.ipynb)"),
    ("notebooks/1.ipynb", "[a](../docs/a.md), [b](#A-picture)", "[a](../a.md), [b](#a-picture)"),
    ("docs/a.md", "[s](show)", '<a href="show/index.html">s</a>'),
    ("docs/a.md", "[![p](deep/b.md)](show)", '<a href="show/index.html">![p](deep/b.md)</a>'),
    ("docs/a.md", "[f](../npse/no.py)", "f"),
    ("docs/a.md", "[w](https://example.org/a.md)", "[w](https://example.org/a.md)"),
    ("docs/a.md", "```\n[f](../npse/no.py)\n```", "```\n[f](../npse/no.py)\n```"),
])
def test_links_are_rewritten(page, text, made):
    assert links.rewritten(text, page, PLACES) == made


def test_a_file_that_the_site_does_not_have_is_linked_in_the_repository():
    assert (links.rewritten("[f](../npse/no.py#a)", "docs/a.md", PLACES, REPOSITORY)
            == f"[f]({REPOSITORY}/blob/main/npse/no.py#a)")


def test_title_and_first_sentence():
    text = "# The title\n\nOne [link](a.md) and\nmore. Another sentence.\n"
    assert links.title(text) == "The title"
    assert links.first_sentence(text) == "One link and more."
    assert links.first_sentence("# The title\n\n```sh\na\n```\n") == ""


# the book

def test_every_op_is_in_one_chapter():
    chapters = book.chapters()
    listed = [op for ops in chapters.values() for op in ops]
    assert sorted(listed) == sorted(name for name, op in TABLE.items() if op.__name__ == name)
    assert all((ROOT / "npse" / "reference" / f"{chapter}.py").exists() for chapter in chapters)


CHAPTER = '''
from a import kernel, replaces
SIZE = 4
OTHER = 5

@kernel
def _inner(x):
    return x * SIZE

@replaces(book.first)
def first(x):
    return second(_inner(x))

@replaces(book.second)
def second(x):
    return OTHER
'''


def test_a_source_comes_with_what_it_uses():
    found = book.sources_of(CHAPTER, "first", lambda name: name == "second")
    assert found.startswith("SIZE = 4\n\n\n@kernel\ndef _inner")
    assert found.endswith("@replaces(book.first)\ndef first(x):\n    return second(_inner(x))")
    assert "OTHER" not in found
    assert book.sources_of(CHAPTER, "third") == ""
    assert book.sources_of(CHAPTER, "SIZE") == ""


@pytest.mark.parametrize("edition", ["cpu", "cuda"])
def test_the_pages_find_every_op_of_an_edition(edition):
    """What an edition replaces by its decorators is what its sources show."""
    for chapter, ops in book.chapters().items():
        file = ROOT / "npse" / edition / f"{chapter}.py"
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        replaced = {name for name in re.findall(r"@replaces\(book\.(\w+)\)", text) if name in TABLE}
        assert {op for op in ops if book.source_in(edition, chapter, op, ROOT / "npse")} >= replaced & {*ops}


def test_numbers_of_a_forward_and_its_backward_belong_together():
    arguments, results = book.numbers("scale")
    np.testing.assert_array_equal(results["y"], arguments["u"] * arguments["s"][:, None, None, :])
    given, gradients = book.numbers("scale_backward", (arguments, results))
    assert given["u"] is arguments["u"]
    np.testing.assert_array_equal(gradients["du"], given["dy"] * given["s"][:, None, None, :])


def test_no_relu_of_an_example_is_zero_everywhere():
    arguments, results = book.numbers("excite")
    assert np.any(results["s"] != 0.5)
    assert np.any(book.numbers("excite_backward", (arguments, results))[1]["dw2"] != 0)


def test_an_op_that_cannot_be_drawn_shows_a_case():
    arguments, results = book.numbers("average_pool")
    assert arguments["x"].shape == (2, 4, 6, 3)
    assert {*results} == {"y"}


@pytest.mark.parametrize(("value", "text"), [
    (np.array([[1.0, -2.5]]), "[[ 1.  -2.5]]"), (3, "3"), ((1, 2), "(1, 2)"), (np.zeros(100), "0 0 0 0 0 0 0 0 ...")])
def test_values_are_written(value, text):
    assert book.written(value) == text


def test_a_page_shows_formula_declaration_numbers_and_sources():
    known = book.lessons(ROOT / "notebooks")
    text = book.page("se", book.chapters()["se"], ROOT, known)
    assert re.search(r"## squeeze\n\n\$\$\n.*\\frac.*\(2\)\n\$\$", text)             # the paper's, from the notebook
    assert "(../notebooks/02_squeeze.ipynb)" in text
    assert "z[n, c] = 1/(H*W) * sum over i, j" in text
    assert "| `u` | `N H W C` |" in text
    assert "return average(u, (1, 2))" in text                                    # the book
    assert "z[n, c] = sums[n, c] / count" in text                                  # the cpu edition
    assert "def _squeeze_backward(dz, R, share, du):" in text                      # a kernel of the cuda edition


# docstrings, diagrams, notebooks, the reference

def test_docstrings_become_markup():
    lines = ["Two * three, and `name` of a_.", "", "    z = a * b", "", "Parameters", "----------",
             "*words : function of (**arguments)", "    What * is `so`."]
    assert docstrings.marked_up(lines) == [
        r"Two \* three, and ``name`` of a\_.", "", "::", "", "    z = a * b", "", "Parameters", "----------",
        r"*words : function of (\*\*arguments)", r"    What \* is ``so``."]


def test_types_have_their_names():
    assert docstrings.short("(x: ndarray[tuple[Any, ...], dtype[Any]] | None)") == "(x: Array | None)"
    assert docstrings.short(None) is None


FLOW = """flowchart BT
  subgraph g [a group]
    a["A<br>two"] --> b --> c
  end
  d -. "why" .-> g
  d -->|"w"| a
"""


def test_a_flowchart_is_read():
    chart = diagram.Chart(FLOW)
    assert chart.nodes == {"a": ["A", "two"], "b": ["b"], "c": ["c"], "d": ["d"]}
    assert chart.arrows == [("a", "b", [], False), ("b", "c", [], False), ("d", "a", ["w"], False)]
    assert chart.ranks() == [["c"], ["b"], ["a"], ["d"]]


def test_a_flowchart_that_cannot_be_drawn_is_an_error():
    with pytest.raises(ValueError, match="cannot be drawn: a ==> b"):
        diagram.svg("flowchart LR\na ==> b")


def test_a_flowchart_becomes_a_picture():
    text = diagram.drawn(f"before\n\n```mermaid\n{FLOW}```\n\nafter")
    assert text.startswith('before\n\n<div class="diagram" tabindex="0"><svg')
    assert text.count("<rect") == 4
    assert text.count('class="arrow"') == 3
    assert "mermaid" not in text


def test_a_notebook_offers_to_be_run():
    cells = [{"cell_type": "markdown", "metadata": {}, "source": ["# 1 · A\n", "text [a](#B-c)"]},
             {"cell_type": "code", "metadata": {}, "source": ["# On Colab and Kaggle\n"], "outputs": []}]
    made = json.loads(pages.notebook(json.dumps({"cells": cells}), "notebooks/1.ipynb", PLACES, REPOSITORY))["cells"]
    assert made[0]["source"].startswith("# 1 · A\n\n**Run it yourself:**")
    assert made[0]["source"].endswith("text [a](#b-c)")
    assert "https://mybinder.org/v2/gh/somebody/npse/main?labpath=notebooks/1.ipynb" in made[0]["source"]
    assert "https://colab.research.google.com/github/somebody/npse/blob/main/notebooks/1.ipynb" in made[0]["source"]
    assert made[1]["metadata"]["tags"] == ["remove-cell"]
    without = json.loads(pages.notebook(json.dumps({"cells": cells}), "notebooks/1.ipynb", PLACES))["cells"]
    assert "http" not in without[0]["source"]


def test_links_of_the_explainer_lead_to_the_site():
    where = {"notebooks/README.md": "notebooks/index.md"}
    assert (pages.explainer('<a href="../../notebooks/README.md">n</a><a href="style.css">', where)
            == '<a href="../notebooks/index.html">n</a><a href="style.css">')


def test_every_page_of_the_docs_has_a_place():
    """A page that nobody has put into a section stands in the how-to section."""
    made = pages.sections({"cost.md": "# Cost\n\nWhat it costs.\n", "brand_new.md": "# New\n\nA page.\n"})
    assert "* [Cost](cost.md): What it costs." in made["how_fast_and_why.md"]
    assert "* [New](brand_new.md): A page." in made["how_to.md"]
    assert "cuda" not in made["on_a_gpu.md"]                          # a page that does not exist is left out


def test_the_reference_lists_what_packages_offer():
    import npse.layers

    text = api.page(npse.layers)
    assert ".. autoclass:: npse.layers.SqueezeExcite\n   :members:" in text
    assert ".. autofunction:: npse.layers.make_excitation" in text
    assert "PLACEMENTS" not in text                               # neither a function nor a class


@pytest.mark.parametrize(("latex", "part"), [
    (r"\frac{1}{HW}", "<mfrac>"), ("(-1)", '<mo form="prefix">&#x02212;</mo>'), ("a - b", "<mo>&#x02212;</mo>"),
    ("a < b", 'alttext="a &lt; b"')])
def test_formulas_become_mathml(latex, part):
    pytest.importorskip("sphinx")
    pytest.importorskip("latex2mathml")
    from website import maths

    assert part in maths.mathml(latex)


def test_an_unknown_command_in_a_formula_is_an_error():
    pytest.importorskip("sphinx")
    pytest.importorskip("latex2mathml")
    from website import maths

    with pytest.raises(ValueError, match=r"\\nosuch in a formula cannot be shown"):
        maths.mathml(r"a \nosuch b")


# the built site

PACKAGES = "sphinx", "myst_nb", "furo", "numpydoc", "latex2mathml"
PAGES_AT_ONCE = 30
MEASURE = """
return frames.map(frame => {
  const page = frame.contentDocument, formulas = [...page.querySelectorAll("math")];
  const missing = [...page.images].filter(image => !image.complete || image.naturalWidth == 0);
  const prose = [...page.querySelectorAll("article p")].map(paragraph => {
    const copy = paragraph.cloneNode(true);
    copy.querySelectorAll("code").forEach(code => code.remove());
    return copy.textContent;
  }).join(" ");
  return {address: frame.src, width: frame.clientWidth, scroll: page.documentElement.scrollWidth,
          missing: missing.map(image => image.src), formulas: formulas.length,
          empty: formulas.filter(formula => formula.getBoundingClientRect().width < 2).length,
          font: [...page.fonts].filter(font => font.family.includes("STIX")).every(font => font.status != "error"),
          raw: /\\$\\$|\\\\frac|\\\\sum/.test(prose), text: page.body.innerText.length};
});"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    for package in PACKAGES:
        pytest.importorskip(package, reason=f"{package} is not installed; run: pip install -e '.[docs]'")
    out = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run([sys.executable, str(ROOT / "docs" / "website"), "--out", str(out)], capture_output=True,
                          text=True, encoding="utf-8", timeout=600, env=environment)
    assert done.returncode == 0, done.stderr
    return out / "html"


class Reader(html.parser.HTMLParser):
    """Reads a page: its links to other files, what it loads, and its anchors."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loaded, self.anchors = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag in ("link", "script", "img", "iframe", "source"):
            self.loaded += [given[name] for name in ("href", "src") if given.get(name)]


@pytest.mark.slow
def test_every_link_of_the_site_has_a_target(site):
    read = {file: Reader(file.read_text(encoding="utf-8")) for file in site.rglob("*.html")}
    assert len(read) > 80
    broken = []
    for file, page in read.items():
        assert [address for address in page.loaded if re.match(r"https?:|//", address)] == [], file
        for target in page.links + page.loaded:
            path, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:", path) or "=" in anchor:        # elsewhere; a state of the explainer
                continue
            there = (file.parent / urllib.parse.unquote(path.partition("?")[0])).resolve() if path else file.resolve()
            lacking = anchor and there in read and urllib.parse.unquote(anchor) not in read[there].anchors
            if lacking or not there.exists():
                broken.append((file.name, target))
    assert broken == []


@pytest.mark.slow
def test_the_site_names_no_path_of_the_machine(site):
    """Sources, docstrings and outputs of notebooks are shown as they are; none of them holds where it was built."""
    named = [file.relative_to(site).as_posix() for file in site.rglob("*")
             if file.suffix in (".html", ".js", ".txt") and str(ROOT) in file.read_text(encoding="utf-8")]
    assert named == []


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason=WITHOUT)
def test_a_browser_shows_every_page(site, tmp_path):
    files = sorted(site.rglob("*.html"))
    shown = [(file.as_uri(), 400) for file in files]
    shown += [((site / name).as_uri(), 1400) for name in ("index.html", "book/se.html", "notebooks/02_squeeze.html",
                                                          "api/npse.gradcheck.html", "explainer/index.html")]
    found, console = [], []
    for first in range(0, len(shown), PAGES_AT_ONCE):
        measured, lines = found_on(shown[first:first + PAGES_AT_ONCE], tmp_path, MEASURE, height=1200)
        found += measured
        console += lines
    assert console == []
    assert [page for page in found if page["scroll"] > page["width"]] == []
    assert [page["missing"] for page in found if page["missing"]] == []
    assert [page for page in found if page["empty"] or page["raw"] or not page["font"]] == []
    assert all(page["text"] > 50 for page in found)
    assert sum(page["formulas"] for page in found) > 200


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason=WITHOUT)
def test_search_answers(site, tmp_path):
    address = f"{(site / 'search.html').as_uri()}?q=squeeze"
    dom, console = run(tmp_path, "--virtual-time-budget=10000", "--dump-dom", address)
    assert console == []
    results = re.search(r'<ul[^>]* class="search".*?</ul>', dom, re.DOTALL)
    assert results
    assert "notebooks/02_squeeze.html" in results[0]
    assert "book/se.html" in results[0]
