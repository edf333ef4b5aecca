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


@pytest.mark.slow
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


# Options

def square(factor, more=""):
    return (f"def square(x):\n    return x * x\n\ndef square_backward(dy, x):\n    return {factor} * dy * x\n\n{more}"
            "def square_arguments(rng):\n    return {'x': rng.normal(size=(9, 10))}\n")


def test_tolerance_decides(tmp_path):
    file = write(tmp_path, square(2.00001))
    assert run(file)[0] == 1
    assert run(file, "--tolerance", "1e-4")[0] == 0
    with pytest.raises(ValueError, match="tolerance must lie between 0 and 1"):
        run(file, "--tolerance", "2")


def test_step_seeds_cases_and_fast(tmp_path):
    file = write(tmp_path, square(2))
    lines = {words: run(file, "-v", *words)[1] for words in (
        (), ("--seeds", "3"), ("--fast",), ("--step", "1e-4", "--entries", "20"))}
    assert lines[()].count("gradient of x: right") == 1
    assert lines["--seeds", "3"].count("gradient of x: right") == 3
    assert "of 90 entries were looked at" in lines[("--fast",)]
    assert "float32" not in lines[("--fast",)].split("verdict")[-1]
    assert "of 90 entries were looked at" in lines["--step", "1e-4", "--entries", "20"]
    op = write(tmp_path, SCALE.format(how="sum"), "op.py")
    assert run(op, "-v", "--cases", "1")[1].count("gradient of s: right") == 1


@pytest.mark.parametrize(("factor", "code", "order"), [(2, 0, "2.00, where 2 is right"), (2.1, 1, "1.0")])
def test_taylor(tmp_path, factor, code, order):
    found, output = run(write(tmp_path, square(factor)), "--taylor", "-v")
    assert found == code
    assert f"taylor x: {'wrong' if code else 'right'}, the remainder falls as the step to the power {order}" in output


@pytest.mark.parametrize(("library", "title", "function"), [
    ("torch", "PyTorch", "def square_torch(x):\n    return x.square()\n\n"),
    ("jax", "JAX", "def square_jax(x):\n    return x**2\n\n")])
def test_against_another_library(tmp_path, library, title, function):
    pytest.importorskip(library)
    code, output = run(write(tmp_path, square(2, function)), "--against", library, "-v")
    assert code == 0
    assert f"{library} x: right" in output
    code, output = run(write(tmp_path, square(2.1, function), "b.py"), "--against", library)
    assert f"{library} x: wrong, differs from {title}'s gradient by" in output
    other = function.replace("return x", "return 2 + x")
    code, output = run(write(tmp_path, square(2, other), "c.py"), "--against", library)
    assert f"the forward pass in {title} gives other values" in output
    other = function.replace("return x", "return x.reshape(-1)[:1]")
    code, output = run(write(tmp_path, square(2, other), "d.py"), "--against", library)
    assert f"the forward pass in {title} gives other values" in output
    with pytest.raises(ValueError, match=f"add square_{library}"):
        run(write(tmp_path, square(2), "e.py"), "--against", library)


def test_a_library_that_cannot_be_asked(tmp_path):
    with pytest.raises(ValueError, match="give the file"):
        run("--against", "torch")
    with pytest.raises(ValueError, match="unknown library 'torhc' to check against; did you mean torch"):
        run(write(tmp_path, square(2)), "--against", "torhc")


# Files as Python reads them

@pytest.mark.parametrize("text", [
    "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    a: int = 1\n",
    "import pickle\nfrom typing import NamedTuple\nclass P(NamedTuple):\n    a: int\npickle.dumps(P(1))\n",
    "from __future__ import annotations\nimport typing\nclass A:\n    b: A | None\ntyping.get_type_hints(A)\n",
    "import sys\nassert sys.modules[__name__].__file__ == __file__\n",
    "import sys\nsys.path.insert(0, 'nowhere')\n",
])
def test_a_file_finds_itself_as_after_an_import(tmp_path, text):
    for name in ("mine.py", "statistics.py", "numpy.py"):
        results = check_file(write(tmp_path, text + square(2), name), reference)
        assert {result.verdict for result in results} == {"right"}


@pytest.mark.parametrize("end", [
    "import sys\nsys.exit(0)\n", "import unittest\nunittest.main(argv=['x'])\n",
    "import argparse\nargparse.ArgumentParser().parse_args(['--help'])\n"])
def test_a_file_that_ends_the_program_is_no_success(tmp_path, end):
    with pytest.raises(ValueError, match="ends the program when it is run"):
        check_file(write(tmp_path, square(3) + end), reference)


@pytest.mark.parametrize("where", ["def square(x):\n", "def square_backward(dy, x):\n"])
def test_a_function_that_ends_the_program_is_a_result(tmp_path, where):
    file = write(tmp_path, square(2).replace(where, f"{where}    raise SystemExit(0)\n"))
    code, output = run(file)
    assert code == 1
    assert "ends the program: sys.exit(0)" in output
    with pytest.raises(ValueError, match="square_arguments raises SystemExit"):
        run(write(tmp_path, square(2).replace("(rng):\n", "(rng):\n    raise SystemExit(0)\n"), "b.py"))


def test_an_op_of_the_book_that_ends_the_program_is_a_result(tmp_path):
    file = write(tmp_path, "def scale(u, s):\n    return u * s[:, None, None, :]\n"
                           "def scale_backward(dy, u, s):\n    raise SystemExit(0)\n")
    code, output = run(file)
    assert code == 1
    assert "raises SystemExit" in output


@pytest.mark.parametrize("made", [
    "import functools\ndef _relu(x, a):\n    return np.maximum(x, a)\nrelu = functools.partial(_relu, a=1.0)\n",
    "class Relu:\n    def __call__(self, x):\n        return np.maximum(x, 1.0)\nrelu = Relu()\n",
    "relu = np.vectorize(lambda x: max(x, 1.0), otypes=[float])\n",
    "def _decorated(f):\n    return lambda *a: f(*a)\n@_decorated\ndef relu(x):\n    return np.maximum(x, 1.0)\n"])
def test_objects_that_can_be_called_are_checked(tmp_path, made):
    file = write(tmp_path, f"import numpy as np\n{made}\ndef relu_backward(dy, y):\n    return dy * (y > 0)\n")
    assert run(file, "--cases", "1")[0] == 1


def test_functions_compiled_by_numba_are_checked(tmp_path):
    pytest.importorskip("numba")
    text = square(2).replace("def square(x)", "@njit\ndef square(x)").replace("def square_b", "@njit\ndef square_b")
    assert run(write(tmp_path, f"from numba import njit\n{text}"), "--fast")[0] == 0
    wrong = text.replace("x * x", "x * x * x")
    assert run(write(tmp_path, f"from numba import njit\n{wrong}", "wrong.py"), "--fast")[0] == 1


def test_functions_of_installed_packages_are_not_the_users(tmp_path):
    file = write(tmp_path, f"from numpy import add, maximum\nfrom numpy.linalg import norm\n{square(2)}")
    assert {result.op for result in check_file(file, reference)} == {"square"}
    write(tmp_path, "def scale(u, s):\n    return u + s[:, None, None, :]\n", "neighbour.py")
    assert run(write(tmp_path, "from neighbour import scale\n", "imports.py"), "--cases", "1")[0] == 1


@pytest.mark.parametrize(("text", "message"), [
    ("class Conv:\n    def forward(ctx, x): pass\n", "wanted are functions name.x, .*found are: class Conv; write"),
    ("def f_forward(x): pass\ndef f_backward(dy, cache): pass\n", "a forward pass is called name, not name_forward"),
    ("def f(x): pass\ndef f_bakward(dy, x): pass\nf_arguments = 1\n", "no function f_backward; did you mean f_bak"),
    (square(2).replace("rng.normal(size=(9, 10))", "__import__('numpy').array([1.0, float('nan')])"),
     r"square_arguments: x holds nan at \(1,\)"),
])
def test_what_is_wanted_is_said(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        check_file(write(tmp_path, text), reference)


def test_a_backward_pass_without_a_forward_pass_is_named(tmp_path):
    results = check_file(write(tmp_path, square(2) + "def cube_backward(dy, x):\n    return dy\n"), reference)
    assert [str(result) for result in results if not result.ok] == [
        "cube_backward [mine.py] runs: cannot tell, not looked at: there is no forward pass cube; "
        "known are: square, square_backward, square_arguments"]


def test_the_function_that_raises_and_its_line_are_named(tmp_path):
    file = write(tmp_path, SCALE.format(how="sum").replace("(dy * u).sum(axis=(1, 2))", "(dy * u)[99]"))
    result = check_file(file, reference)[0]
    assert result.diagnosis.text.startswith("scale_backward raises IndexError: index 99 is out of bounds")
    assert result.diagnosis.text.endswith("(mine.py, line 8).")
    own = check_file(write(tmp_path, square(2).replace("return x * x", "return x @ x"), "own.py"), reference)[0]
    assert "square raises ValueError: matmul" in own.diagnosis.text
    assert own.diagnosis.text.endswith("(own.py, line 2).")


def test_a_tuple_is_refused_with_a_reason(tmp_path):
    assert "forward must return one array, but returned a tuple of 2 values" in str(
        check_file(write(tmp_path, square(2).replace("return x * x", "return x * x, x")), reference)[0])
