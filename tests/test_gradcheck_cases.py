"""The list of cases: it covers the book, every edition passes it, and no planted error does."""

from types import SimpleNamespace

import numpy as np
import pytest

from npse import backend, reference
from npse.gradcheck import CASES, KNOWN_OPS, Case, cases_of, check_case, diagnosis, rows
from npse.reference.conv import pad, window

pytestmark = pytest.mark.usefixtures("numeric_gradients_once")
DIFFERENTIABLE = [op for op in dict.fromkeys(case.op for case in CASES) if any(case.wrt for case in cases_of(op))]


def edition(**planted):
    """Return the book with some of its ops replaced."""
    return SimpleNamespace(**{op: getattr(reference, op) for op in reference.OPS} | planted)


def failures(op, ops, seed=0, book=None):
    """Return what the judge finds wrong with an op, up to the first case with a finding."""
    for case in cases_of(op):
        found = [result for result in check_case(case, ops, seed, book) if not result.ok]
        if found:
            return found
    return []


def judged(found):
    return {result.judged for result in found}


# The list

def test_every_op_of_the_book_has_a_case():
    assert set(KNOWN_OPS) == set(reference.OPS)


def test_labels_are_unique():
    titles = [str(case) for case in CASES]
    assert len(titles) == len(set(titles))


def test_a_case_with_gradients_needs_a_backward_pass():
    case = Case(("relu",), "incomplete", make=lambda rng: {"x": rng.standard_normal(3)},
                forward=lambda ops, x: ops.relu(x), wrt=("x",))
    result, = check_case(case, reference)
    assert "relu [incomplete] names arguments to differentiate, so it needs a backward pass" in result.message


def test_arguments_follow_seed_and_dtype():
    for case in CASES:
        one, again, single = (case.arguments(np.random.default_rng(5), dtype) for dtype in (float, float, np.float32))
        for name, value in one.items():
            np.testing.assert_array_equal(value, again[name])
            if value.dtype.kind == "f":
                assert single[name].dtype == np.float32


@pytest.mark.parametrize("name", backend.available())
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 4)),
                                  *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(4, 32))])
def test_every_edition_is_right(name, seed):
    ops = backend.with_numpy_results(name)
    results = [result for case in CASES for result in check_case(case, ops, seed, reference)]
    wrong = [str(result) for result in results if not result.ok]
    assert not wrong, "\n".join(wrong)
    one_reference = {result.op for result in results if result.judged == "gradient" and result.complex_step is None}
    assert not one_reference


def test_ties_are_counted_exactly():
    relu = next(case for case in cases_of("relu") if "kink" in case.label)
    x = relu.arguments(np.random.default_rng(0))["x"]
    crossed = check_case(relu, reference)[0].crossed
    assert len(crossed) == np.count_nonzero(x == 0) == 8
    for case in cases_of("max_pool"):
        assert bool(check_case(case, reference)[0].crossed) == ("ties" in case.label)


def test_rows_summarize_the_cases():
    results = [result for case in cases_of("conv2d") for result in check_case(case, reference)]
    found = rows(results)
    assert [(row.op, row.argument) for row in found] == [("conv2d", "x"), ("conv2d", "w")]
    assert all(row.ok and row.cases == 13 and row.error < 1e-6 and not row.broken for row in found)


# Errors planted in every gradient of every op

def plant(name, k, change):
    """Return the op of that name with its k-th result changed."""
    op = getattr(reference, name)

    def planted(*arguments):
        result = op(*arguments)
        if not isinstance(result, tuple):
            return change(result)
        return tuple(change(array) if i == k else array for i, array in enumerate(result))
    return {name: planted}


def one_entry(gradient):
    """Add 0.1 % to the entry of middle size."""
    gradient = gradient.copy()
    gradient.flat[np.argsort(np.abs(gradient), axis=None)[gradient.size // 2]] *= 1.001
    return gradient


def backward_results():
    for op in dict.fromkeys(op for case in CASES if case.wrt for op in case.ops if "backward" in op):
        case = next(case for case in cases_of(op) if op in case.ops)
        calls, ops = [], edition()

        def recorded(*arguments, op=op, calls=calls):
            calls.append(getattr(reference, op)(*arguments))
            return calls[-1]
        setattr(ops, op, recorded)
        arguments = case.arguments(np.random.default_rng(0))
        case.backward(ops, np.asarray(case.forward(ops, **arguments))[()], **arguments)
        for k in range(len(calls[0]) if isinstance(calls[0], tuple) else 1):
            yield op, k


CHANGES = {
    "sign": lambda gradient: -gradient,
    "0.1 % too much": lambda gradient: gradient * gradient.dtype.type(1.001),
    "0.1 % in one entry": one_entry,
    "zero": np.zeros_like,
    "float64": lambda gradient: gradient.astype(np.float64),
    "mirrored": lambda gradient: gradient[..., ::-1],
}
IN_DEFAULT_SUITE = ("sign", "0.1 % in one entry")


@pytest.mark.parametrize("explained", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("change", [pytest.param(change, marks=() if change in IN_DEFAULT_SUITE else pytest.mark.slow)
                                    for change in CHANGES])
def test_an_error_in_any_gradient_of_any_op_is_caught(change, explained, monkeypatch):
    if not explained:            # only the verdict is tested; the diagnosis takes most of the time
        monkeypatch.setattr(diagnosis, "explain", lambda trial, name: None)
    missed = [f"{op} result {k}" for op, k in backward_results()
              if not failures(op, edition(**plant(op, k, CHANGES[change])))]
    assert not missed


# The mistakes that people make, op by op

def conv2d_backward_x_with(assign):
    def planted(dy, w, x_shape, stride=1, padding=0):
        N, H, W, Cin = x_shape
        Ho, Wo = dy.shape[1:3]
        dxp = np.zeros((N, H + 2 * padding, W + 2 * padding, Cin), dy.dtype)
        for i, j in np.ndindex(w.shape[:2]):
            assign(window(dxp, i, j, Ho, Wo, stride), dy, w, i, j)
        return dxp[:, padding:padding + H, padding:padding + W]
    return planted


def overwrites(view, dy, w, i, j):
    view[...] = dy @ w[i, j].T


def flips_the_kernel(view, dy, w, i, j):
    view[...] += dy @ w[-1 - i, -1 - j].T


def swaps_kernel_axes(view, dy, w, i, j):
    view[...] += dy @ w[min(j, len(w) - 1), min(i, w.shape[1] - 1)].T


def loses_the_remainder(dy, w, x_shape, stride=1, padding=0):
    dx = reference.conv2d_backward_x(dy, w, x_shape, stride, padding)
    rest = (x_shape[1] + 2 * padding - w.shape[0]) % stride
    if rest and rest < stride and padding:
        dx[:, -rest:] = 0
    return dx


def loses_the_last_row_of_x(dy, x, w_shape, stride=1, padding=0):
    x = x.copy()
    x[:, -1] = 0
    return reference.conv2d_backward_w(dy, x, w_shape, stride, padding)


def loses_the_border(dy, x, w_shape, stride=1, padding=0):
    dw = np.zeros(w_shape, x.dtype)
    xp, (Ho, Wo) = pad(x, padding), dy.shape[1:3]
    for i, j in np.ndindex(w_shape[:2]):
        dw[i, j] = np.tensordot(window(xp, i, j, Ho, Wo, stride)[:, :-1], dy[:, :-1], axes=([0, 1, 2], [0, 1, 2]))
    return dw


def squeeze_forgets_the_area(dz, u_shape):
    return reference.squeeze_backward(dz, u_shape) * u_shape[1] * u_shape[2]


def se_of_one_path(dy, u, w1, w2, b1=None, b2=None):
    _, *rest = reference.se_backward(dy, u, w1, w2, b1, b2)
    return reference.scale_backward(dy, u, reference.excite(reference.squeeze(u), w1, w2, b1, b2))[0], *rest


def se_forgets_the_area(dy, u, w1, w2, b1=None, b2=None):
    du, *rest = reference.se_backward(dy, u, w1, w2, b1, b2)
    direct = se_of_one_path(dy, u, w1, w2, b1, b2)[0]
    return direct + (du - direct) * (u.shape[1] * u.shape[2]), *rest


def scale_averages(dy, u, s):
    du, ds = reference.scale_backward(dy, u, s)
    return du, ds / (u.shape[1] * u.shape[2])


def excite_without_mask(ds, z, s, w1, w2, b1=None):
    da2 = ds * s * (1 - s)
    da1 = da2 @ w2
    _, _, dw2, _, db2 = reference.excite_backward(ds, z, s, w1, w2, b1)
    return da1 @ w1, da1.T @ z, dw2, da1.sum(0), db2


def excite_derives_at_the_wrong_place(ds, z, s, w1, w2, b1=None):
    gates = reference.sigmoid(s)
    return reference.excite_backward(ds * gates * (1 - gates) / (s * (1 - s)), z, s, w1, w2, b1)


def norm_of_constant_statistics(dy, x, gamma, mean, var, eps=1e-5):
    return dy * gamma / np.sqrt(var + eps), *reference.batch_norm_backward(dy, x, gamma, mean, var, eps)[1:]


def norm_of_constant_variance(dy, x, gamma, mean, var, eps=1e-5):
    dx = gamma / np.sqrt(var + eps) * (dy - dy.mean(axis=(0, 1, 2)))
    return dx, *reference.batch_norm_backward(dy, x, gamma, mean, var, eps)[1:]


def norm_with_unbiased_variance(dy, x, gamma, mean, var, eps=1e-5):
    B = x.size // x.shape[3]
    return reference.batch_norm_backward(dy, x, gamma, mean, var * (B / max(B - 1, 1)), eps)


def norm_with_its_own_eps(dy, x, gamma, mean, var, eps=1e-5):
    return reference.batch_norm_backward(dy, x, gamma, mean, var)


def relu_masks_the_shortcut_only(dy, u, s, y):
    du, ds = reference.scale_backward(dy, u, s)
    return du, ds, reference.relu_backward(dy, y)


def spreads_to_the_last_window(dy, x, *window):
    dx = reference.max_pool_backward(dy, x, *window)
    dx[:, -1] += dx[:, 0]
    return dx


def loss_averages_twice(dloss, logits, labels, smoothing=0.0):
    return reference.softmax_cross_entropy_backward(dloss, logits, labels, smoothing) / len(logits)


def loss_without_smoothing(dloss, logits, labels, smoothing=0.0):
    return reference.softmax_cross_entropy_backward(dloss, logits, labels)


def loss_ignores_upstream(dloss, logits, labels, smoothing=0.0):
    return reference.softmax_cross_entropy_backward(logits.dtype.type(1), logits, labels, smoothing)


def softmax_of_the_diagonal(dp, p):
    return dp * p * (1 - p)


def dense_averages_the_bias(dy, x, w):
    dx, dw, db = reference.dense_backward(dy, x, w)
    return dx, dw, db / len(x)


MISTAKES = [
    ("conv2d_backward_x", conv2d_backward_x_with(overwrites)),
    ("conv2d_backward_x", conv2d_backward_x_with(flips_the_kernel)),
    ("conv2d_backward_x", conv2d_backward_x_with(swaps_kernel_axes)),
    ("conv2d_backward_x", loses_the_remainder),
    ("conv2d_backward_w", loses_the_last_row_of_x),
    ("conv2d_backward_w", loses_the_border),
    ("squeeze_backward", squeeze_forgets_the_area),
    ("global_average_pool_backward", squeeze_forgets_the_area),
    ("se_backward", se_of_one_path),
    ("se_backward", se_forgets_the_area),
    ("se_backward_staged", se_of_one_path),
    ("scale_backward", scale_averages),
    ("excite_backward", excite_without_mask),
    ("excite_backward", excite_derives_at_the_wrong_place),
    ("batch_norm_backward", norm_of_constant_statistics),
    ("batch_norm_backward", norm_of_constant_variance),
    ("batch_norm_backward", norm_with_unbiased_variance),
    ("batch_norm_backward", norm_with_its_own_eps),
    ("relu_backward", lambda dy, y: dy.copy()),
    ("add_relu_backward", lambda dy, y: (dy, dy)),
    ("add_backward", lambda dy: (dy, 0 * dy)),
    ("batch_norm_relu_backward", lambda dy, x, gamma, beta, *rest: reference.batch_norm_backward(dy, x, gamma, *rest)),
    ("scale_add_relu_backward", relu_masks_the_shortcut_only),
    ("max_pool_backward", spreads_to_the_last_window),
    ("average_pool_backward",
     lambda dy, *rest, **options: reference.average_pool_backward(dy, *rest, **options) * rest[1] ** 2),
    ("global_max_pool_backward", lambda dz, u: dz[:, None, None] * np.ones_like(u)),
    ("relu6_backward", lambda dy, y: dy * (y > 0)),
    ("hard_swish_backward", lambda dy, x: dy * reference.hard_sigmoid(x)),
    ("silu_backward", lambda dy, x: dy * reference.sigmoid(x)),
    ("gelu_backward", lambda dy, x, approximate=False: reference.gelu_backward(dy, x, True)),
    ("concat_backward", lambda dy, widths: reference.concat_backward(dy, widths[::-1])[::-1]),
    ("split_backward", lambda a, *more: reference.split_backward(a, *[0 * part for part in more])),
    ("channel_shuffle_backward", lambda dy, groups: reference.channel_shuffle(dy, groups)),
    ("dropout_backward", lambda dy, mask, rate: dy * mask),
    ("sigmoid_backward", lambda dy, y: dy * y),
    ("softmax_backward", softmax_of_the_diagonal),
    ("softmax_cross_entropy_backward", loss_averages_twice),
    ("softmax_cross_entropy_backward", loss_without_smoothing),
    ("softmax_cross_entropy_backward", loss_ignores_upstream),
    ("dense_backward", dense_averages_the_bias),
]


@pytest.mark.parametrize(("op", "mistake"), MISTAKES, ids=lambda value: getattr(value, "__name__", value))
def test_mistakes_are_caught_as_wrong_gradients(op, mistake):
    for seed in range(3):
        assert "gradient" in judged(failures(op, edition(**{op: mistake}), seed))


# The contract

def mutates_upstream(dy, y):
    dy *= y > 0
    return dy


def mutates_a_saved_array(dy, u, s, y):
    y *= y > 0
    y[y > 0] = 1
    return reference.scale_add_relu_backward(dy, u, s, y)


def mutates_the_branch(dy, u, s, y):
    result = reference.scale_add_relu_backward(dy, u, s, y)
    u *= s[:, None, None, :]
    return result


def mutates_an_input(u, s):
    u *= s[:, None, None, :]
    return u


class Reuses:
    """Returns the same array each time, like a workspace that is used again."""

    def __init__(self):
        self.buffers = {}

    def __call__(self, dy, y):
        buffer = self.buffers.setdefault((dy.shape, dy.dtype), np.empty_like(dy))
        buffer[...] = dy * (y > 0)
        return buffer


class Drifts:
    """Returns slightly different values at every call."""

    def __init__(self):
        self.calls = 0

    def __call__(self, dy, y):
        self.calls += 1
        return dy * (y > 0) * dy.dtype.type(1 + 1e-12 * self.calls)


def ignores_strides(dy, y):
    return dy.ravel(order="K").reshape(dy.shape) * (y > 0)


def float64_inside(x):
    return np.maximum(x, np.float64(0) + np.zeros(x.shape))


def raises(dy, y):
    raise IndexError("tuple index out of range")


@pytest.mark.parametrize(("op", "planted", "rule", "words"), [
    ("relu_backward", mutates_upstream, "unchanged", "relu_backward changes dy"),
    ("scale_add_relu_backward", mutates_a_saved_array, "unchanged", "changes y"),
    ("scale_add_relu_backward", mutates_the_branch, "unchanged", "unchanged: wrong, scale_add_relu_backward changes u"),
    ("scale", mutates_an_input, "unchanged", "scale changes u"),
    ("relu_backward", Reuses(), "linear", "not linear"),
    ("relu_backward", Drifts(), "repeatable", "a different result when called again"),
    ("relu_backward", ignores_strides, "layout", "Fortran-ordered"),
    ("relu", float64_inside, "dtype", "given float32 but returns float64"),
    ("relu_backward", raises, "runs", "raises IndexError: tuple index out of range"),
    ("relu_backward", lambda dy, y: dy[0] * (y[0] > 0), "gradient", "has shape"),
    ("relu_backward", lambda dy, y: dy * np.nan, "gradient", "ours nan"),
    ("scale_backward", lambda dy, u, s: reference.scale_backward(dy, u, s)[:1], "runs", "2 gradients (u, s)"),
    ("relu_backward", lambda dy, y: np.where(y > 0, dy**3, 0), "linear", "not linear"),
    ("relu_backward", lambda dy, y: (dy * (y > 0) * (1 + 1e-3 * (dy.dtype == np.float32))).astype(dy.dtype),
     "float32", "deviates from float64"),
])
def test_a_broken_contract_is_named(op, planted, rule, words):
    found = failures(op, edition(**{op: planted}))
    assert rule in judged(found)
    assert any(words in str(result) for result in found if result.judged == rule), "\n".join(map(str, found))


@pytest.mark.parametrize(("op", "planted"), [
    ("conv2d", lambda *a: reference.conv2d(*a) * (1 + 1e-4)),
    ("relu_backward", lambda dy, y: dy * (y >= 0)),                     # y is the output: this mask is always on
    ("max_pool_backward", lambda dy, x, *a: reference.max_pool_backward(dy[:, :, ::-1], x[:, :, ::-1], *a)[:, :, ::-1]),
    ("batch_norm", lambda *a: (*reference.batch_norm(*a)[:2], reference.batch_norm(*a)[2] * (1 + 1e-4))),
    ("sgd", lambda w, dw, v, lr, momentum=0.9, weight_decay=0.0, nesterov=True:
        reference.sgd(w, dw, v, lr, momentum, weight_decay)),
    ("running_statistics", lambda mean, var, count, rm, rv, momentum=0.1:
        reference.running_statistics(mean, var * ((count - 1) / count), count, rm, rv, momentum)),
    ("augment", lambda images, top, left, flip, *a: reference.augment(images, left, top, flip, *a)),
    ("normalize", lambda images, mean, std: (reference.normalize(images, mean, std)).astype(np.float64)),
])
def test_another_edition_must_agree_with_the_book(op, planted):
    found = failures(op, edition(**{op: planted}), book=reference)
    assert "book" in judged(found)
    assert any("book" in result.message for result in found)


# The two derivations of the book

@pytest.mark.parametrize("op", ["se_backward", "batch_norm_backward"])
def test_staged_and_closed_form_agree(op):
    worst = 0
    for case in cases_of(op):
        arguments = case.arguments(np.random.default_rng(3))
        dy = np.random.default_rng(4).standard_normal(np.shape(case.forward(reference, **arguments)))
        closed = case.backward(reference, dy, **arguments)
        staged = case.backward(edition(**{op: getattr(reference, f"{op}_staged")}), dy, **arguments)
        for one, other in zip(closed, staged, strict=True):
            worst = max(worst, np.abs(one - other).max() / max(np.abs(one).max(), 1))
    assert worst < 1e-13
