"""The pages follow the template of notebooks/README.md: head, sections, exercises; sliders and listings work."""

import ast
import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from test_notebooks import NOTEBOOKS, refresh
from test_page_formulas import cells, shown_functions

import npse
from npse.exercises import find
from npse.notebook import Play, Source, Worked, numeric_gradient, relative_error
from npse.notebook.figures import squeeze as figures
from npse.notebook.listing import folded
from npse.notebook.picture import Picture
from npse.reference import conv2d, se_backward, squeeze, squeeze_backward

COLUMNS = 85                     # a line of code on a page ends before this column
SECTIONS = ("The formula", "A picture", "With a pencil", "The shipped function", "Backwards", "Checked live",
            "Typical mistakes", "What is saved", "Questions", "Now write it yourself", "Next")
every_page = pytest.mark.parametrize("page", refresh.PAGES, ids=lambda page: page.stem)


def markdown(page):
    return "\n\n".join(cell.source for cell in cells(page) if cell.cell_type == "markdown")


def code(page):
    return [cell.source for cell in cells(page) if cell.cell_type == "code"]


def headings(page, level=2):
    return re.findall(rf"^#{{{level}}} (.+)$", markdown(page), re.MULTILINE)


@every_page
def test_head_has_a_title_a_time_and_a_table_of_contents(page):
    title, source, contents = cells(page)[0].source.split("\n\n")[:3]
    assert title.startswith(f"# {int(page.stem[:2])} · ")
    assert re.search(r" · \d+ minutes$", source)
    entries = re.findall(r"\[([^\]]+)\]\(#([^)]+)\)", contents)
    assert [text for text, _ in entries] == headings(page)
    assert [anchor for _, anchor in entries] == [text.replace(" ", "-") for text in headings(page)]
    everything = headings(page) + headings(page, 3)
    assert len({*everything}) == len(everything)


def test_first_cell_of_code_installs_this_version_where_npse_is_missing(monkeypatch):
    first, = {code(page)[0] for page in refresh.PAGES}
    assert f'"npse=={npse.__version__}"' in first
    ran = []
    monkeypatch.setattr("subprocess.run", lambda *command, **options: ran.append(command))
    exec(first, {})
    assert not ran
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    exec(first, {})
    assert ran[0][0][1:] == ["-m", "pip", "install", "--quiet", f"npse=={npse.__version__}"]


@every_page
def test_a_page_about_an_op_has_all_sections_in_their_order(page):
    found = headings(page)
    assert found[-1] == "Next"
    if "The formula" in found:
        assert [heading for heading in found if heading in SECTIONS] == [*SECTIONS]
        assert any(heading.startswith("On a graph") for heading in headings(page, 3))
        assert "Backwards with a pencil" in headings(page, 3)
        assert "The shipped gradient" in headings(page, 3)


@every_page
def test_questions_have_folded_answers(page):
    questions = markdown(page).split("\n## Questions\n")[1].split("\n## ")[0]
    numbers = re.findall(r"^\*\*(\d)\.\*\*", questions, re.MULTILINE)
    assert numbers == [str(k + 1) for k in range(len(numbers))]
    assert len(numbers) >= 3
    assert questions.count("<details><summary>Answer</summary>\n\n") == questions.count("\n</details>") == len(numbers)
    assert questions.count("\n<br>\n") == len(numbers) - 1


@every_page
def test_exercises_have_the_functions_of_the_page_as_holes(page):
    numbers = {int(number) for number in re.findall(r"npse exercise (?:start|check) (\d+)", markdown(page))}
    shown = {function.__name__ for function in shown_functions(page)}
    for number in numbers:
        holes = {task.function for task in find(str(number)).tasks()}
        assert holes <= shown or "The formula" not in headings(page)          # a page about an op shows what is missing
    assert bool(numbers) == ("Now write it yourself" in headings(page))


@every_page
def test_lines_of_code_are_short(page):
    assert [line for cell in code(page) for line in cell.splitlines() if len(line) >= COLUMNS] == []


@every_page
def test_a_page_draws_nothing_itself(page):
    names = {node.attr for node in ast.walk(ast.parse("\n".join(code(page)))) if isinstance(node, ast.Attribute)}
    assert not names & {"plot", "imshow", "set_title", "subplots", "show"}


@every_page
def test_links_between_pages_have_targets(page):
    targets = re.findall(r"\]\((\w+\.ipynb)\)", markdown(page))
    assert targets
    assert all((NOTEBOOKS / target).exists() for target in targets)


def test_a_listing_folds_declaration_and_docstring():
    text, rest = folded(conv2d)
    assert text.startswith("def conv2d(")
    assert '"""Convolve a batch of maps with a bank of filters."""' in text
    assert "Parameters" not in text
    assert rest.startswith("@op(")
    assert "y[n, a, b, k] = sum over i, j, c of" in rest
    compile(text, "listing", "exec")
    assert folded(squeeze)[0].count('"""') == 2
    shown = Source(conv2d, squeeze)
    assert repr(shown) in shown._repr_markdown_()
    assert "white-space: pre" in shown._repr_html_()
    assert shown._repr_html_().count("<details>") == 1
    assert "<details>" not in Source(relative_error)._repr_html_()


def test_a_listing_keeps_every_line_of_code():
    text, rest = folded(se_backward)
    assert text.endswith("return du, dw1, dw2, db1, db2")
    assert [line for line in rest.splitlines() if line.startswith("    du[n, i, j, c]")]


def test_the_measured_gradient_is_that_of_the_book():
    rng = np.random.default_rng(0)
    u, dz = rng.normal(size=(2, 3, 2, 2)), rng.normal(size=(2, 2))
    assert relative_error(squeeze_backward(dz, u.shape), numeric_gradient(squeeze, u, dz)) < 1e-9


def test_worked_numbers_are_shown_with_their_names():
    shown = repr(Worked({"z_1": 3.0, "u": np.array([[4, -0.0], [8, 1 / 3]]), "s": [0.75, 0.25]}))
    assert shown == "computed by the code:\nz_1 = 3   u = [4 0], [8 0.3333]   s = [0.75 0.25]"


DISC = {"row": (16, 8, 22), "column": (20, 8, 32), "radius": (8, 0, 8), "colour": ["red", "blue"]}


def displayed(play, monkeypatch):
    """Return what `play` shows at the end of a cell."""
    display = pytest.importorskip("IPython.display")
    shown = []
    monkeypatch.setattr(display, "display", lambda what, **options: shown.append((what, options)))
    play._ipython_display_()
    (what, options), = shown
    return what, options


def test_while_pages_are_executed_a_slider_is_a_picture(monkeypatch):
    monkeypatch.setenv("NPSE_STATIC_PAGES", "1")
    bundle, options = displayed(Play(figures.disc, **DISC), monkeypatch)
    assert options["raw"]
    assert bundle["text/plain"].startswith("[A picture with a disc")
    picture = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
    assert picture.width <= 1040


def test_with_a_kernel_sliders_draw_the_picture_anew(monkeypatch):
    pytest.importorskip("ipywidgets")
    monkeypatch.delenv("NPSE_STATIC_PAGES", raising=False)
    widget, _ = displayed(Play(figures.disc, **DISC), monkeypatch)
    box, image = widget.children
    before = image.value
    assert [slider.description for slider in box.children] == [*DISC]
    box.children[3].value = "blue"
    after = image.value
    assert after != before
    box.children[3].value = "red"
    assert np.array_equal(*(np.asarray(Image.open(io.BytesIO(png))) for png in (before, image.value)))


def test_every_kind_of_slider(monkeypatch):
    ipywidgets = pytest.importorskip("ipywidgets")
    got = []

    def draw(**values):
        got.append(values)
        return Picture(lambda: figures.Figure(figsize=(1, 1)), "nothing")

    play = Play(draw, whole=(1, 0, 3), number=(0.5, 0.0, 1.0, 0.25), name=["a", "b"], yes=True)
    play.first()
    play.widget()
    assert got[0] == got[1] == {"whole": 1, "number": 0.5, "name": "a", "yes": True}
    kinds = [type(slider) for slider in play.widget().children[0].children]
    assert kinds == [ipywidgets.IntSlider, ipywidgets.FloatSlider, ipywidgets.Dropdown, ipywidgets.Checkbox]
