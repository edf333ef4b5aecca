"""The notebooks: each runs from top to bottom, and the committed outputs are those of today."""

import ast
import copy
import importlib.util
import re
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest

from npse.reference import OPS

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
REFRESH = "if the change is meant, run: python notebooks/refresh.py"
NUMBER = re.compile(r" *[-+]?(\d[\d,]*\.?\d*|\.\d+)(e[-+]?\d+)?")                # with the spaces that align it


def _load_refresh():
    spec = importlib.util.spec_from_file_location("refresh", NOTEBOOKS / "refresh.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


refresh = _load_refresh()
QUICK = "02_squeeze"             # the page that runs by default; each takes seconds
every_page = pytest.mark.parametrize("source", refresh.PAGES, ids=lambda source: source.stem)
NEEDS = {"12_cuda": "numba_cuda"}             # packages without which the outputs of a page are others


def committed(source):
    return nbformat.read(source.with_suffix(".ipynb"), as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(cell):
    """Return the text outputs of a cell. If the cell is marked as varying, numbers are replaced."""
    said = []
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stdout":
            said.append(output.text)
        elif "image/png" in output.get("data", {}):
            said.append("<picture>")
        elif "data" in output:
            kinds = {kind for kind in output.data if kind.startswith("text/")}
            if "text/markdown" in kinds:                          # a listing, and the same in HTML by Pygments
                kinds.discard("text/html")
            said += [output.data[kind] for kind in sorted(kinds)]
    varies = "varies" in cell.metadata.get("tags", ())
    return [NUMBER.sub("#", text) if varies else text for text in said]


def differences(live, kept):
    """Return one message for each cell whose outputs differ between two runs of a page."""
    return [f"In this cell\n\n{new.source}\n\nthe page says\n{texts(old)}\nand today it is\n{texts(new)}\n{REFRESH}"
            for new, old in zip(code_cells(live), code_cells(kept), strict=True) if texts(new) != texts(old)]


def test_readme_lists_every_page():
    listed = re.findall(r"^\| \[.*?\]\((\w+)\.ipynb\)", (NOTEBOOKS / "README.md").read_text("utf-8"), re.MULTILINE)
    assert listed == [page.stem for page in refresh.PAGES]
    assert listed == sorted(page.stem for page in NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize("source", [
    pytest.param(page, id=page.stem, marks=[pytest.mark.slow] * (page.stem != QUICK)) for page in refresh.PAGES])
def test_page_runs_and_shows_what_is_committed(source):
    pytest.importorskip(NEEDS.get(source.stem, "npse"))
    live = refresh.execute(source)                # raises if a cell fails
    assert not differences(live, committed(source)), "\n\n".join(differences(live, committed(source)))


@every_page
def test_source_and_notebook_have_the_same_cells(source):
    pair = [[(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]
            for notebook in (refresh.read(source), committed(source))]
    assert pair[0] == pair[1], f"{source.name} and its .ipynb differ; run: python notebooks/refresh.py"


@every_page
def test_committed_outputs_are_complete_and_clean(source):
    page = source.with_suffix(".ipynb")
    assert page.stat().st_size < 400_000
    cells = code_cells(committed(source))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 2
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]

    said = "\n".join(text for cell in cells for text in texts(cell)) + source.read_text("utf-8")
    places = [sys.prefix, tempfile.gettempdir() + "/", str(NOTEBOOKS.parent), "/home/", "/Users/", "C:\\"]
    assert not [place for place in places if place in said]


@every_page
def test_every_picture_is_described_in_words(source):
    pictures = [output for cell in code_cells(committed(source)) for output in cell.outputs
                if "image/png" in output.get("data", {})]
    assert [output.metadata["image/png"]["alt"] for output in pictures] == [
        output.data["text/plain"].strip("[]") for output in pictures]


@every_page
def test_page_copies_no_shipped_function(source):
    tree = ast.parse(source.read_text("utf-8"))
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert not defined & {*OPS, "numeric_gradient", "relative_error"}
    assert any(isinstance(node, ast.Name) and node.id == "Source" for node in ast.walk(tree))


@every_page
def test_page_needs_nothing_but_npse_and_numpy(source):
    tree = ast.parse(source.read_text("utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in imported} <= {"npse", "numpy", *sys.stdlib_module_names}


@every_page
def test_listings_scroll_and_keep_their_lines(source):
    listings = [output.data["text/html"] for cell in code_cells(committed(source)) for output in cell.outputs
                if "text/markdown" in output.get("data", {})]
    assert listings
    assert all("white-space: pre; overflow-x: auto" in listing for listing in listings)


def test_a_stale_output_is_noticed():
    kept = committed(refresh.PAGES[-1])
    stale = copy.deepcopy(kept)
    said = [(cell, output) for cell in code_cells(stale) for output in cell.outputs if "text" in output]

    for cell, output in said:
        before = output.text
        output.text = re.sub(r"\d", lambda digit: str(9 - int(digit[0])), before, count=1)
        varies = "varies" in cell.metadata.get("tags", ())
        assert bool(differences(stale, kept)) == (not varies and output.text != before)
        output.text = before + "and more"
        assert differences(stale, kept)
        output.text = before
