"""``npse check``: a table, a summary line, and exit code 1 as soon as any gradient is wrong."""

import pytest
import typer
from shares import some
from typer.testing import CliRunner

from npse import backend, reference
from npse.cli.check import check
from npse.gradcheck import CASES

pytestmark = pytest.mark.usefixtures("numeric_gradients_once")


def run(*words):
    """Call the command; return exit code and output. Other exceptions are raised."""
    app = typer.Typer()
    app.command()(check)
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    return done.exit_code, done.output


@pytest.mark.slow
def test_everything_is_right():
    code, output = run()
    assert code == 0, output
    for name in backend.available():
        assert name in output.splitlines()[-1]
    for op in dict.fromkeys(case.op for case in CASES):
        assert output.count(f"\n{op} ") >= len(backend.available())
    assert "not right" not in output
    assert "\x1b" not in output


def test_one_op_of_one_edition():
    code, output = run("--op", "relu_backward", "--edition", "reference", "--seed", "3")
    assert code == 0
    table, summary = output.splitlines()[:-1], output.splitlines()[-1]
    assert sum(" reference " in line for line in table) == 1
    assert "8 of 84" in output
    assert summary.startswith("reference: all ")
    assert "8 of them at a kink and left out" in summary


def test_verbose_prints_every_check():
    _, output = run("--op", "scale", "--edition", "reference", "--verbose")
    assert "reference: scale [1x1 map] gradient of s: right" in output
    assert "reference: scale [wide] layout: right" in output


@pytest.mark.parametrize("op", some(dict.fromkeys(op for case in CASES if case.wrt for op in case.ops
                                              if "backward" in op), 4))
def test_one_sign_flipped_anywhere_exits_with_1(op, monkeypatch):
    right = getattr(reference, op)

    def flipped(*arguments):
        result = right(*arguments)
        return (-result[0], *result[1:]) if isinstance(result, tuple) else -result
    monkeypatch.setattr(reference, op, flipped)
    code, output = run("--op", op, "--edition", "reference")
    assert code == 1, output
    assert "not right" in output
    assert "FAILED" in output.splitlines()[-1]


def test_a_failure_says_where(monkeypatch):
    right = reference.dense_backward
    monkeypatch.setattr(reference, "dense_backward", lambda dy, x, w: (-right(dy, x, w)[0], *right(dy, x, w)[1:]))
    code, output = run("--op", "dense", "--edition", "reference")
    line = next(line for line in output.splitlines() if "C > K" in line)
    assert code == 1
    assert line.startswith("reference: dense [C > K] gradient of x: wrong, 15 of 15 entries differ, worst at x[")
    assert "ours " in line
    assert "numeric " in line


def test_a_broken_edition_beside_the_book(monkeypatch):
    class Broken:
        def __getattr__(self, name):
            op = getattr(reference, name)
            return (lambda x: 1.0001 * op(x)) if name == "relu" else op

    monkeypatch.setattr(backend, "edition", lambda name: reference if name == "reference" else Broken())
    monkeypatch.setattr(backend, "available", lambda: ["reference", "broken"])
    code, output = run("--op", "relu")
    assert code == 1
    assert "broken: relu [two axes] book: wrong, relu differs from the book by" in output
    assert not any(line.startswith("reference: relu") for line in output.splitlines())


def test_it_runs_without_numba(monkeypatch):
    monkeypatch.setattr(backend, "available", lambda: ["reference"])
    code, output = run("--op", "add")
    assert code == 0
    assert output.splitlines()[-1].startswith("reference: all ")


@pytest.mark.parametrize(("words", "known"), [(("--op", "conv3d"), "did you mean conv2d"),
                                               (("--edition", "gpu"), "known are: all, reference")])
def test_an_error_of_an_unknown_name_lists_the_known_ones(words, known):
    with pytest.raises(ValueError, match=f"unknown .*{known}"):
        run(*words)
