"""A user's file, the JSON report, and the page in a notebook."""

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from npse import reference
from npse.cli.check import check
from npse.gradcheck import cases_of, check_case, check_file, check_gradient, pictures

SCALE = """
import numpy as np

def scale(u, s):
    return u * s[:, None, None, :]

def scale_backward(dy, u, s):
    return dy * s[:, None, None, :], (dy * u).{how}(axis=(1, 2))
"""
SWISH = """
import numpy as np

def swish(x):
    return x / (1 + np.exp(-x))

def swish_backward(dy, x):
    s = 1 / (1 + np.exp(-x))
    return {sign}dy * (s + x * s * (1 - s))

swish_arguments = {arguments}
"""


def write(tmp_path, text, name="mine.py"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def run(*words):
    app = typer.Typer()
    app.command()(check)
    done = CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)
    return done.exit_code, done.output


def test_an_op_of_the_book_is_checked_on_its_shapes(tmp_path):
    code, output = run(write(tmp_path, SCALE.format(how="sum")))
    assert code == 0, output
    assert "mine.py: all " in output
    code, output = run(write(tmp_path, SCALE.format(how="mean")))
    assert code == 1
    assert "ds is averaged over H, W, where a sum belongs (H*W is 12 here)" in output


def test_a_backward_pass_alone_is_checked_with_the_forward_pass_of_the_book(tmp_path):
    results = check_file(write(tmp_path, "def relu_backward(dy, y):\n    return dy\n"), reference)
    wrong = [result for result in results if not result.ok and result.judged == "gradient"]
    assert {result.diagnosis.kind for result in wrong} == {"mask missing"}


@pytest.mark.parametrize("arguments", ['{"x": np.linspace(-2, 2, 7)}', 'lambda rng: {"x": rng.normal(size=(2, 3))}'])
def test_functions_that_are_not_in_the_book(tmp_path, arguments):
    assert run(write(tmp_path, SWISH.format(sign="", arguments=arguments)))[0] == 0
    code, output = run(write(tmp_path, SWISH.format(sign="-", arguments=arguments)))
    assert code == 1
    assert "dx has the wrong sign, everywhere" in output


def test_files_beside_it_are_found_and_what_raises_is_a_result(tmp_path):
    write(tmp_path, "FACTOR = 2.0\n", "beside.py")
    file = write(tmp_path, "import numpy as np\nfrom beside import FACTOR\n\ndef double(x):\n    return FACTOR * x\n\n"
                 "def double_backward(dy, x):\n    return dy[7]\n\ndouble_arguments = {'x': np.ones(3)}\n")
    results = check_file(file, reference)
    assert [(result.judged, result.diagnosis.kind) for result in results] == [("runs", "raises")]
    assert "IndexError" in str(results[0])


@pytest.mark.parametrize(("text", "name", "message"), [
    (None, "mine.py", "there is no file"),
    ("x", "mine.txt", "must end in .py"),
    ("def f(:\n", "mine.py", "line 1: invalid syntax"),
    ("1 / 0\n", "mine.py", "raises ZeroDivisionError when it is run"),
    ("x = 1\n", "mine.py", "nothing to check; .* found are: none"),
    ("def g(x): pass\n", "mine.py", "nothing to check; .* found are: g"),
    ("def g(x): pass\ndef g_backward(dy, x): pass\n", "mine.py", "def g_arguments"),
    ("def g(x): pass\ndef g_backward(dy, x): pass\ng_arguments = 3\n", "mine.py", "must be a dict"),
])
def test_wrong_files_are_answered_clearly(tmp_path, text, name, message):
    file = write(tmp_path, text, name) if text is not None else tmp_path / name
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        check_file(file, reference)


def test_a_file_and_an_edition_do_not_go_together(tmp_path):
    with pytest.raises(ValueError, match="as a whole"):
        run(write(tmp_path, SCALE.format(how="sum")), "--op", "scale")


def test_json_holds_every_result(tmp_path):
    code, _ = run(write(tmp_path, SCALE.format(how="mean")), "--json", tmp_path / "report.json")
    assert code == 1
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["ok"] is False
    results = report["results"]["mine.py"]
    wrong = [result for result in results if result["diagnosis"]]
    assert wrong[0]["diagnosis"]["kind"] == "averaged"
    assert wrong[0]["argument"] == "s"
    right = next(result for result in results if result["judged"] == "gradient" and result["verdict"] == "right")
    assert right["complex_step"] < 1e-12
    assert set(right["budget"]) == {"value", "step", "truncation", "rounding"}


def test_numbers_that_are_not_finite_are_null_in_json():
    report = check_gradient(lambda x: 2 * x, lambda dy, x: dy[:1], {"x": np.ones(2)})
    assert json.loads(json.dumps(report.results[0].as_dict(), allow_nan=False))["error"] is None


# Pictures

def wrong_results():
    """Return wrong gradients with every number of axes."""
    def halves(result):
        return tuple(a / 3 for a in result) if isinstance(result, tuple) else result / 3

    class Wrong:
        def __getattr__(self, name):
            op = getattr(reference, name)
            return (lambda *a: halves(op(*a))) if name.endswith(("backward", "backward_w")) else op

    for op in ("conv2d", "scale", "excite", "sigmoid", "batch_norm"):
        for case in cases_of(op):
            yield from (result for result in check_case(case, Wrong()) if result.view)


def test_every_wrong_gradient_can_be_drawn():
    drawn = {result.view.ours.ndim: result for result in wrong_results()}
    assert set(drawn) == {1, 2, 4}
    for result in drawn.values():
        assert pictures.png(result).startswith(b"\x89PNG")


def test_a_picture_contains_every_number_once():
    array = np.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    for is_filter in (False, True):
        picture = pictures.flat(array, is_filter)
        assert sorted(picture[~np.isnan(picture)]) == array.ravel().tolist()
    assert pictures.flat(array)[1, 2] == array[0, 1, 2, 0]
    assert pictures.flat(array, True)[1, 2] == array[1, 2, 0, 0]


def test_a_right_result_has_no_picture():
    result = check_gradient(lambda x: 2 * x, lambda dy, x: 2 * dy, {"x": np.ones(2)}).results[0]
    with pytest.raises(ValueError, match="nothing to draw"):
        pictures.draw(result)


def test_a_notebook_shows_verdicts_reasons_and_pictures():
    wrong = check_gradient(lambda x: x**2, lambda dy, x: dy * x, {"x": np.array([[1.0, 2.0], [3.0, 4.0]])})
    page = wrong._repr_html_()
    assert "1 of" in page
    assert "dx lacks the factor 2 from the square of x" in page
    assert page.count("data:image/png;base64,") == 1
    right = check_gradient(lambda x: x**2, lambda dy, x: 2 * dy * x, {"x": np.ones(2)})._repr_html_()
    assert "everything is right" in right
    assert "<img" not in right
