"""The judge's diagnosis of functions that npse does not know: wrong backward passes, and what a record must not do."""

from types import SimpleNamespace

import foreign_functions as foreign
import numpy as np
import pytest
from shares import some

from npse.gradcheck import check_gradient
from npse.gradcheck.diagnosis import blind, places
from npse.gradcheck.diagnosis.foreign import record
from npse.gradcheck.diagnosis.sizes import is_plain, named, readings

pytestmark = pytest.mark.usefixtures("numeric_gradients_once")


def first_sentence(forward, backward, arguments):
    """Return the first diagnosis of a wrong gradient without its advice."""
    report = check_gradient(forward, backward, arguments, float32=False)
    return next(result.diagnosis.text for result in report.failures if result.judged == "gradient")


MISTAKES = [
    ("layer_norm", "no gamma", "dxhat is the upstream gradient without its factor gamma"),
    ("layer_norm", "no mean", "dx treats the mean of x over axis 1 as a constant"),
    ("layer_norm", "no variance", "dx treats the deviation of x over axis 1 as a constant"),
    ("layer_norm", "constant", "dx treats the mean and the deviation of x over axis 1 as constants"),
    ("layer_norm", "sum", "dx sums dxhat over axis 1, where its mean belongs"),
    ("layer_norm", "axis", "dx takes the mean of dxhat over axis 0, where axis 1 belongs"),
    ("layer_norm", "plus", "dx adds the term of the deviation"),
    ("layer_norm", "no root", "dx is not divided by the deviation"),
    ("layer_norm", "stops", "dx is the gradient of xhat, not of x"),
    ("layer_norm", "not scaled", "dgamma takes (x - m) where xhat belongs"),
    ("layer_norm", "dgamma mean", "dgamma is averaged over axis 0, where a sum belongs"),
    ("attention", "axis", "dscores sums over axis 0 where the sum over axis 1 belongs"),
    ("attention", "diagonal", "dscores takes the diagonal of the Jacobian only"),
    ("attention", "no p", "dscores lacks its factor p"),
    ("attention", "no root", "d(q @ k.T) is not divided by (sqrt(q.shape[1]))"),
    ("attention", "order", "dq and dk are swapped"),
    ("lstm_cell", "no tanh", "dcell lacks the factor 1 - (tanh(cell))^2"),
    ("lstm_cell", "i and g", "di and dg are swapped"),
    ("lstm_cell", "cell", "do takes cell where (tanh(cell)) belongs"),
    ("lstm_cell", "no gate", "the factor f*(1 - f) is missing"),
    ("lstm_cell", "g", "has the factor g*(1 - g), where 1 - g^2 belongs"),
    ("lstm_cell", "order", "d(a[:, n:2 * n]) and d(a[:, :n]) are swapped"),
    ("lstm_cell", "no f", "dc is the upstream gradient without its factor f"),
    ("lstm_cell", "mean", "db is averaged over axis 0, where a sum belongs"),
    ("embedding", "assigned", "keeps the last gradient of an entry that y reads more than once"),
    ("embedding", "counted", "divided by how often y reads an entry"),
    ("running_sum", "forward", "summed from the start, where it must be summed from the end"),
    ("running_sum", "axis", "summed along axis 0, where axis 1 belongs"),
    ("running_sum", "exclusive", "leaves out its own entry"),
    ("huber", "no sign", "lacks the factor sign(r)"),
    ("huber", "no clip", "has the factor r, where sign(r) belongs"),
    ("huber", "inverse", "the mask is inverse"),
    ("huber", "no mean", "12 times too large"),
    ("huber", "sign", "dt has the wrong sign"),
    ("log_softmax", "no sum", "dx has dy*p, where p * the sum of dy over axis 1 belongs"),
    ("log_softmax", "axis", "dx sums over axis 0, where the sum over axis 1 belongs"),
    ("log_softmax", "mean", "dx averages dy over axis 1, where a sum belongs"),
    ("log_softmax", "no p", "dx lacks the factor p"),
    ("log_softmax", "plus", "dx adds the term of the sum"),
    ("bilinear", "transposed", "dx uses a transposed"),
    ("bilinear", "no a", "dx lacks its factor a"),
    ("bilinear", "mean", "da is averaged over axis 0 of y"),
    ("batch_norm", "no variance", "dx lacks the part that comes back through var"),
    ("batch_norm", "n - 1", "comes back from the variance is divided by 6, not by 7"),
    ("largest", "all", "dx goes to every entry, not to the largest alone"),
    ("largest", "smallest", "dx goes to the wrong end"),
    ("largest", "axis", "dx goes to the largest entries along axis 0"),
    ("conv1d", "assigned", "dx keeps the last gradient of an entry that (x[i + j]) reads more than once"),
    ("conv1d", "dw assigned", "dw keeps the last gradient of an entry that (w[j]) reads more than once"),
    ("conv1d", "flipped", "w is read mirrored along axis 0"),
    ("conv1d", "transposed", "w is read with axis 1 and axis 2 swapped"),
    ("conv1d", "last", "dx is zero at the last place along axis 0"),
    ("unit", "constant", "dx treats the norm of x over axis 1 as a constant"),
    ("unit", "no n", "dx is not divided by the norm"),
    ("unit", "n twice", "dx is divided by the norm twice"),
    ("unit", "plus", "dx adds the term of the norm"),
    ("unit", "axis", "dx takes the sum of dy*y over axis 0, where axis 1 belongs"),
    ("gelu", "no root", "without its factor (sqrt(2 / pi))"),
    ("gelu", "no 3", "lacks the factor 3 of the power"),
    ("gelu", "no x", "takes 0.5 where (0.5 * x) belongs"),
    ("gelu", "1 - t", "has the factor 1 - t, where 1 - t^2 belongs"),
    ("bce", "slope", "derivative of the sigmoid counted twice"),
    ("bce", "no mean", "10 times too large"),
    ("bce", "half", "dt lacks the part that comes back through (1 - t)"),
    ("distances", "no 2", "ddiff lacks the factor 2 from the square of diff"),
    ("distances", "no diff", "ddiff lacks the factor diff"),
    ("distances", "mean", "da is averaged over axis 1, where a sum belongs"),
    ("rnn", "no tanh", "lacks the factor 1 - h^2, the derivative of h"),
    ("rnn", "next", "du takes the next h where h of the same turn belongs"),
    ("rnn", "transposed", "dh uses u transposed"),
    ("rnn", "cut", "dh is cut off: nothing comes back to h from (h @ u)"),
    ("log_sum_exp", "axis", "has the softmax over axis 0, where that over axis 1 belongs"),
    ("log_sum_exp", "rest", "has the factor 1 - p, where p belongs"),
]


@pytest.mark.parametrize(("name", "how", "words"), some(MISTAKES, 2), ids=lambda value: value.replace(" ", "_")[:24])
def test_a_mistake_in_a_foreign_function_is_named(name, how, words):
    forward = getattr(foreign, name)
    backward = foreign.BACKWARD[forward]
    text = first_sentence(forward, lambda dy, **a: backward(dy, **a, how=how), foreign.ARGUMENTS[forward])
    assert words in text


@pytest.mark.parametrize("forward", foreign.ARGUMENTS, ids=lambda forward: forward.__name__)
def test_the_record_is_another_derivation_and_agrees_with_the_right_backward_pass(forward):
    arguments, backward = foreign.ARGUMENTS[forward], foreign.BACKWARD[forward]
    y = np.asarray(forward(**arguments))
    dy = np.random.default_rng(1).standard_normal(y.shape)
    tape, output, leaves = record(lambda ops, **a: ops.forward(**a), SimpleNamespace(forward=forward), arguments, y)
    gradients = backward(dy[()], **arguments)
    for ours, right in zip(tape.gradients(output, dy, list(leaves.values())),
                           gradients if isinstance(gradients, tuple) else (gradients,), strict=True):
        np.testing.assert_allclose(ours, right, rtol=1e-9, atol=1e-9)


X = np.random.default_rng(3).standard_normal((4, 6))
CALLS = [
    lambda x: np.concatenate([x[:, ::2], 2 * x[:, 1:2]], axis=1), lambda x: np.pad(x, ((0, 1), (2, 0))) * 3,
    lambda x: np.pad(x, 1, mode="reflect") ** 2, lambda x: np.sort(x, axis=1)[:, :3], lambda x: np.roll(x, 2, 1) * x,
    lambda x: np.moveaxis(x.reshape(2, 2, 6), 0, 2).sum(axis=1), lambda x: np.tensordot(x, x, axes=([1], [1])),
    lambda x: np.outer(x[0], x[1]), lambda x: np.einsum("ij,kj->ik", x, np.exp(x)), lambda x: x.std(axis=1),
    lambda x: np.linalg.norm(x, axis=0), lambda x: np.clip(x, -0.5, 0.7), lambda x: x.prod(axis=0),
    lambda x: np.take_along_axis(x, np.argsort(x, axis=0), axis=0) * x, lambda x: np.logaddexp(x, 2 * x),
    lambda x: np.stack([x, x.T.T], axis=-1).mean(axis=(0, 2)), lambda x: np.broadcast_to(x[:1], (4, 6)) * x,
    lambda x: np.split(x, 2, axis=1)[0] / (1 + np.abs(np.split(x, 2, axis=1)[1])), lambda x: x.dot(x.T) @ x,
    lambda x: np.add.reduce(x, axis=1), lambda x: np.minimum(x, 0.3) + np.maximum(x[::-1], x), lambda x: np.diff(x),
    lambda x: np.array([x[0, 0], x[1, 1] ** 2]), lambda x: np.expand_dims(x, 0).squeeze(0).copy().astype(float) ** 0.5
    if x.min() > 0 else np.square(x), lambda x: np.reciprocal(2 + np.cos(x)) - x.min(axis=1, keepdims=True),
    lambda x: np.tril(x @ x.T) + np.diag(x[:, 0]), lambda x: np.repeat(x, 2, axis=0) * np.tile(x, (2, 1)),
]


@pytest.mark.parametrize("forward", CALLS, ids=range(len(CALLS)))
def test_calls_of_numpy_are_recorded_with_the_right_derivative(forward):
    y = np.asarray(forward(X.copy()))
    found = record(lambda ops, x: ops.forward(x), SimpleNamespace(forward=forward), {"x": X}, y)
    assert found is not None
    tape, output, leaves = found
    rng = np.random.default_rng(1)
    dy, along = rng.standard_normal(y.shape), rng.standard_normal(X.shape)
    dx, = tape.gradients(output, dy, [leaves["x"]])
    step = 1e-6
    slope = (dy * (forward(X + step * along) - forward(X - step * along))).sum() / (2 * step)
    assert np.sum(dx * along) == pytest.approx(slope, rel=1e-6, abs=1e-7)


# A record changes nothing, and never raises

class Remembers:
    """A function that keeps its argument for the backward pass, and counts."""

    def __init__(self):
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        self.x = x
        return np.exp(x) * x

    def backward(self, dy, x):
        assert type(self.x) is np.ndarray
        return dy * np.exp(self.x) * self.x


def test_what_a_function_keeps_for_its_backward_pass_is_not_a_recorded_array():
    kept = Remembers()
    text = first_sentence(kept.forward, kept.backward, {"x": X})
    assert type(kept.x) is np.ndarray
    assert "lacks the part that comes back" in text


COUNTS = {"calls": 0}


def changes_a_global(x):
    COUNTS["calls"] += 1
    x *= 2
    return x**3


def test_arguments_and_globals_stay_as_they_are():
    x = X.copy()
    text = first_sentence(changes_a_global, lambda dy, x: dy * 24 * x, {"x": x})
    assert np.array_equal(x, X)
    assert "exponent 1, where 2 belongs" in text or "lacks the factor x" in text


@pytest.mark.parametrize("forward", [
    lambda x: np.asarray(x.tolist()) ** 2, lambda x: np.linalg.inv(np.eye(4) + x @ x.T), lambda x: np.fft.fft(x).real,
    lambda x: np.interp(x, [-3.0, 3.0], [0.0, 1.0]), lambda x: np.float64(float(x[0, 0])) * np.ones(2),
    lambda x: x.view(np.ndarray) + 1, lambda x: np.asarray(bytes(x.tobytes())[:8].hex() and [1.0, 2.0])])
def test_what_cannot_be_recorded_is_left_to_the_blind_rules(forward):
    y = np.asarray(forward(X.copy()))
    assert record(lambda ops, x: ops.forward(x), SimpleNamespace(forward=forward), {"x": X}, y) is None


def test_a_function_that_cannot_be_recorded_gets_a_blind_diagnosis():
    text = first_sentence(lambda x: np.linalg.inv(np.eye(3) * 4 + x), lambda dy, x: -3 * np.linalg.inv(
        np.eye(3) * 4 + x).T @ dy @ np.linalg.inv(np.eye(3) * 4 + x).T, {"x": X[:3, :3]})
    assert "3 times too large" in text


# Rules without a tape

RIGHT = np.random.default_rng(8).standard_normal((4, 5, 6))
LETTERS = ("axis 0", "axis 1", "axis 2")


def changed(change):
    """Return the right gradient after a change in place."""
    ours = RIGHT.copy()
    change(ours)
    return ours


@pytest.mark.parametrize(("change", "words"), [
    (lambda g: g.__setitem__(np.s_[:, -1], 0), "dx is zero at the last place along axis 1 and right elsewhere"),
    (lambda g: g.__setitem__(np.s_[2], 3 * g[2]), "dx is 3 times the right one at place 2 along axis 0"),
    (lambda g: g.__setitem__(np.s_[1, :, :2], -g[1, :, :2]),
     "dx has the wrong sign at place 1 along axis 0 and at the first 2 places along axis 2"),
    (lambda g: g.__setitem__(np.s_[:, 1:3, ::5], 0),
     "at the places 1 and 2 along axis 1 and at the first and the last place along axis 2"),
])
def test_a_part_of_the_entries_is_described(change, words):
    found = list(places.part("x", changed(change), RIGHT, LETTERS, {}, 1e-7))
    assert words in found[0][1]


def test_an_upstream_gradient_that_passes_a_mask_is_recognised():
    dy, y = np.random.default_rng(5).standard_normal((2, *RIGHT.shape))
    factors = np.arange(1, 7)
    ours = RIGHT + np.where(y > 0, 0, dy * factors)
    (kind, text, _), = places.part("x", ours, RIGHT, LETTERS, {"y": y, "dy": dy}, 1e-7)
    assert kind == "mask missing"
    assert text.startswith("dy reaches dx also where y <= 0, and dx is right elsewhere")
    assert not list(places.part("x", ours + np.where(y > 0, 0, y), RIGHT, LETTERS, {"y": y, "dy": dy}, 1e-7))


@pytest.mark.parametrize(("order", "words"), [
    ([1, 0, 2, 3], "those of places 1, 0, 2 and 3"), ([2, 2, 2, 2], "dx has the gradient of place 2 at every place"),
])
def test_the_gradient_of_another_place_is_recognised(order, words):
    found = list(places.moved("x", RIGHT[order], RIGHT, LETTERS, 1e-7))
    assert words in found[0][1]
    assert not list(places.moved("x", RIGHT, RIGHT, LETTERS, 1e-7))


def test_an_error_in_the_span_of_a_constant_and_another_array_is_recognised():
    x = np.random.default_rng(9).standard_normal(RIGHT.shape)
    ours = RIGHT + x.mean(axis=2, keepdims=True) + 0.3 * x * RIGHT.mean(axis=2, keepdims=True)
    (_, text, _), = places.rows("x", ours, RIGHT, LETTERS, {"x": x}, 1e-7)
    assert text == "the error of dx along axis 2 is a constant and a multiple of x"
    (_, text, _), = places.rows("x", RIGHT + x.mean(axis=2, keepdims=True), RIGHT, LETTERS, {"x": x}, 1e-7)
    assert text == "the error of dx is the same for all entries along axis 2"


def test_silence_says_where_and_how_large_the_error_is():
    noise = np.random.default_rng(4).standard_normal((4, 6))
    ours = RIGHT.copy()
    ours[:, 2] += noise
    text = places.whereabouts("x", ours, RIGHT, LETTERS, {}, 1e-7)
    assert text.startswith("dx: no simple mistake explains it; 24 of 120 entries differ, all of them at place 2 along")
    assert "times the largest right entry" in text
    assert "Ruled out" in text
    column = np.ones((4, 1, 1)) * noise[0]
    assert "rank 1, one column times one row" in places.whereabouts("x", RIGHT + column, RIGHT, LETTERS, {}, 1e-7)


@pytest.mark.parametrize(("order", "factor", "words"), [
    ((1, 0, 2), 1, "dx and dw are swapped"), ((2, 0, 1), 1, "dx is the gradient of b: the results are returned in"),
    ((1, 0, 2), 3, "dx has the shape of w, and dw that of x: they seem to be swapped, and wrong besides")])
def test_results_in_another_order_are_called_swapped(order, factor, words):
    def backward(dy, x, w, b):
        d = factor * dy * np.cos(x @ w + b)
        gradients = d @ w.T, x.T @ d, d.sum(axis=0)
        return tuple(gradients[k] for k in order)
    w, b = np.random.default_rng(2).standard_normal((6, 3)), np.ones(3)
    text = first_sentence(lambda x, w, b: np.sin(x @ w + b), backward, {"x": X, "w": w, "b": b})
    assert text.startswith(words)


@pytest.mark.parametrize(("factor", "sizes", "there", "words"), [
    (12.0, {"H*W": 12}, [], "12, which is H*W"),
    (-1 / 12, {"H*W": 12}, [], "-0.0833333, which is minus 1/(H*W)"),
    (2.0, {"M": 2}, [], "2 (M is 2 here)"),                                         # a 2 has many causes
    (0.5, {"M": 2, "N": 2}, [], "0.5 (1/M or 1/N are 0.5 here)"),
    (1.5, {"W": 3, "H": 2}, [], "1.5 (W/(W - 1) or W/H are 1.5 here)"),             # one of both is so by chance
    (1.5, {"W": 3, "H": 2}, [(4.0, {"W": 8, "H": 2})], "1.5, which is W/H"),        # and other shapes tell which
    (12.0, {"C": 12}, [(12.0, {"C": 5})], "12"),
    (12.0, {"C": 12}, [(None, {"C": 5})], "12")])
def test_a_factor_is_a_size_if_nothing_else_gives_it_here_and_elsewhere(factor, sizes, there, words):
    assert named(factor, readings(factor, sizes, there)) == words


@pytest.mark.parametrize(("reading", "expected"), [
    ("N", True), ("H*W", True), ("1/(H*W)", True), ("1/x.shape[0]", True), ("W/H", False), ("1/N^2", False),
    ("sqrt(N)", False), ("(N - 1)/N", False)])
def test_a_sum_and_a_mean_differ_by_a_size_or_one_divided_by_it(reading, expected):
    assert is_plain(reading) is expected


@pytest.mark.parametrize("factor", [1 + 1e-6, 1 - 3e-6])
def test_a_factor_near_one_is_told_by_its_distance(factor):
    (_, text, _), = blind._factor("x", factor * RIGHT, RIGHT, lambda factor: [], lambda candidate: True)
    assert "1 times" not in text
    assert "of itself away" in text


def test_an_error_of_zero_is_not_blamed_on_float32():
    assert not list(blind.rounded("x", RIGHT, RIGHT))
    assert list(blind.rounded("x", RIGHT.astype(np.float32).astype(float), RIGHT))
