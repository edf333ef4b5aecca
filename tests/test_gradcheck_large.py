"""Large arrays: a sample of entries, random directions through all of them, progress and interruption."""

import sys
import time

import numpy as np
import pytest

from npse.gradcheck import check_gradient
from npse.gradcheck.numeric import sample
from npse.gradcheck.progress import ProgressLine

X = np.random.default_rng(5).standard_normal((90, 110))


def relu(x):
    return np.maximum(x, 0)


def relu_backward(dy, x):
    return dy * (x > 0)


def gradient(backward, x=X, forward=relu, **options):
    return check_gradient(forward, backward, {"x": x}, float32=False, **options).results[0]


@pytest.mark.parametrize("shape", [(7,), (40, 50), (5, 1, 9), (300, 2)])
def test_a_sample_covers_every_axis(shape):
    chosen = sample(shape, 60, np.random.default_rng(0))
    assert len(chosen) <= 60
    assert {(0,) * len(shape), tuple(n - 1 for n in shape)} <= set(chosen)
    for axis, length in enumerate(shape):
        taken = {index[axis] for index in chosen}
        assert taken <= set(range(length))
        assert len(taken) == length if length <= 60 else len(taken) > 50


def test_a_right_gradient_states_how_sure_it_is():
    result = gradient(relu_backward)
    assert result.verdict == "right"
    assert "of 9900 entries were looked at and are right; all were moved along 4 random directions" in result.message
    assert "with a probability of 99.9 %" in result.message


def test_an_error_in_one_entry_that_is_not_in_the_sample_is_seen():
    def backward(dy, x):
        dx = relu_backward(dy, x)
        dx[np.unravel_index(np.abs(dx).argmax(), dx.shape)] *= 1.01
        return dx
    result = gradient(backward)
    assert result.verdict == "wrong"
    assert "but not all of the others: along a random direction ours gives" in result.message


def test_a_sum_that_drops_the_rest_of_a_chunk_is_seen():
    def sums(x):
        return (x**2).sum(axis=0)

    def backward(dy, x):
        dx = 2 * x * dy
        dx[64:] = 0
        return dx
    assert gradient(lambda dy, x: 2 * x * dy, forward=sums).verdict == "right"
    assert gradient(backward, forward=sums).verdict == "wrong"


def test_entries_at_kinks_do_not_disturb():
    x = np.where(X < -1, 0, X)
    assert gradient(relu_backward, x).verdict == "right"
    assert gradient(lambda dy, x: 1.001 * relu_backward(dy, x), x).verdict == "wrong"


def test_ties_everywhere_are_no_verdict():
    x = np.ones((90, 60))
    result = gradient(lambda dy, x: np.where(x == 1, dy, 0), x, lambda x: np.maximum(x, 1))
    assert result.verdict == "cannot tell"


def test_entries_chooses_how_many_are_looked_at():
    x = X[:20, :20]
    assert gradient(relu_backward, x).message == ""
    assert " of 400 entries were looked at" in gradient(relu_backward, x, entries=50).message
    wrong = gradient(lambda dy, x: 1.01 * relu_backward(dy, x), x, entries=50)
    assert wrong.verdict == "wrong"


@pytest.mark.slow
def test_a_million_entries_take_half_a_minute():
    x = np.random.default_rng(1).standard_normal((1000, 1000))
    began = time.process_time()
    assert check_gradient(relu, relu_backward, {"x": x}).ok
    assert time.process_time() - began < 60                       # of the processors; alone on two of them 15 s


def test_ctrl_c_gives_what_is_known():
    calls = iter(range(10**6))

    def forward(x):
        if next(calls) == 50:
            raise KeyboardInterrupt
        return relu(x)
    report = check_gradient(forward, relu_backward, {"x": X[:10, :10]})
    assert not report.ok
    assert [result.verdict for result in report.results] == ["cannot tell", "cannot tell"]
    assert "interrupted: 24 of 100 entries were looked at, and they are right" in str(report)
    assert "the rest was not checked" in str(report)


def test_a_line_shows_progress_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr("npse.gradcheck.progress.PATIENCE", 0)
    ProgressLine()("x", 50, 200)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    line = ProgressLine()
    line("x", 50, 200)
    assert "gradient of x: 25 %" in capsys.readouterr().err
    line.clear()
    assert capsys.readouterr().err == "\r\x1b[K"
