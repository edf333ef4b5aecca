"""The judge's diagnosis: mistakes written by hand, mistakes drawn at random, and functions that are not in the book."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from npse import reference
from npse.exercises import find
from npse.gradcheck import CASES, KINDS, cases_of, check_case, check_gradient
from npse.gradcheck.cases.case import distinct, signed
from npse.gradcheck.diagnosis import recognise, trace
from npse.gradcheck.diagnosis.ops import TapeOps, register
from npse.gradcheck.diagnosis.search import mistakes
from npse.reference.conv import window
from npse.zoo.pool import spread, values

pytestmark = pytest.mark.usefixtures("numeric_gradients_once")
WITH_GRADIENTS = [case for case in CASES if case.wrt]
OPS = tuple(dict.fromkeys(op for case in WITH_GRADIENTS for op in case.ops if "backward" in op))


def edition(**planted):
    """Return the book with some of its ops replaced."""
    return SimpleNamespace(**{op: getattr(reference, op) for op in reference.OPS} | planted)


def diagnoses(op, planted, seed=0, book=reference, judged=("gradient",)):
    """Return every diagnosis that a planted op gets, over all cases of the op."""
    ops = edition(**{op: planted})
    return [result.diagnosis for case in cases_of(op) for result in check_case(case, ops, seed, book)
            if result.verdict == "wrong" and (judged is None or result.judged in judged)]


def share(found, *kinds):
    """Return the share of the diagnoses that are of these kinds; a gradient of zeros is degenerate and left out."""
    found = [why for why in found if why.kind != "zero"]
    return np.mean([bool({why.kind, *why.also} & set(kinds)) for why in found]) if found else 0.0


# The tape

@pytest.mark.parametrize("case", [*WITH_GRADIENTS, *find("eca").tasks()[1].cases], ids=str)
def test_the_tape_is_another_derivation_and_agrees_with_the_book_and_an_exercise(case):
    arguments = case.arguments(np.random.default_rng(3))
    found, ops = trace(case, arguments), edition(**find("eca").functions())
    y = np.asarray(case.forward(ops, **arguments))
    dy = np.random.default_rng(4).standard_normal(y.shape)
    np.testing.assert_allclose(found.output.value, y, rtol=1e-12, atol=1e-12)
    for ours, book in zip(found.gradients(dy, case.wrt), case.backward(ops, dy[()], **arguments), strict=True):
        np.testing.assert_allclose(ours, book, rtol=1e-11, atol=1e-11)


def test_an_op_that_is_not_in_the_book_can_be_registered(monkeypatch):
    def eca_twice(ops, u, k):
        return ops.eca(ops.eca(u, k), k)
    u, k = distinct(np.random.default_rng(0), 2, 2, 2, 3), np.array([0.5, 1.0, -0.5])
    eca = find("eca").functions()["eca"]
    assert recognise({"u": u, "k": k}, eca(eca(u, k), k)) is None
    monkeypatch.setattr(TapeOps, "eca_twice", None, raising=False)       # removed afterwards
    register("eca_twice", eca_twice)
    assert recognise({"u": u, "k": k}, eca(eca(u, k), k)).op == "eca_twice"


def test_a_function_is_recognised_by_its_values():
    rng = np.random.default_rng(0)
    x, w = distinct(rng, 2, 6, 5, 3), signed(rng, 3, 3, 3, 2)
    found = recognise({"image": x, "filters": w}, reference.conv2d(x, w, 2, 1), "mine")
    assert found.op == "conv2d"
    assert set(found.leaves) == {"image", "filters"}
    assert recognise({"x": x}, x**3) is None
    assert recognise({"x": x, "w": w}, reference.conv2d(x, w[::-1], 1, 1)) is None


# Any gradient of any op, changed in ways that do not depend on the op

class Adds:
    """A gradient that is added to an array that is never cleared."""

    def __init__(self):
        self.kept = {}

    def __call__(self, gradient):
        key = gradient.shape, gradient.dtype
        self.kept[key] = self.kept.get(key, 0) + gradient
        return self.kept[key].copy()


BLIND = {
    "sign": lambda: lambda g: -g,
    "zero": lambda: np.zeros_like,
    "factor": lambda: lambda g: g * g.dtype.type(7.3),
    "accumulated": Adds,
    "not summed": lambda: lambda g: np.stack([g, 0 * g]),
    "shape": lambda: lambda g: np.append(g, 2 * g.ravel()[0]),
}


def results_of(op):
    """Return the number of results of a backward op."""
    case, calls = next(case for case in WITH_GRADIENTS if op in case.ops), []

    def recorded(*arguments, **options):
        calls.append(getattr(reference, op)(*arguments, **options))
        return calls[-1]
    arguments = case.arguments(np.random.default_rng(0))
    y = np.asarray(case.forward(reference, **arguments))[()]
    case.backward(edition(**{op: recorded}), y, **arguments)
    return len(calls[0]) if isinstance(calls[0], tuple) else 1


def planted(op, k, change):
    """Return the op of the book with its k-th result changed, as a lambda: a source that no repair reads."""
    right = getattr(reference, op)
    return lambda *arguments, **options: changed(right(*arguments, **options), k, change)


def changed(result, k, change):
    """Return a result, or a tuple of results with only the k-th one changed."""
    return tuple(change(a) if i == k else a for i, a in enumerate(result)) if isinstance(result, tuple) \
        else change(result)


# The results of the first are inputs of the next op, and those of the others are added or joined over parts of a batch:
# a mistake in them looks like another one.
WHOLE = [op for op in OPS if op != "bn_scale_add_relu_backward_s" and not op.startswith("shared_batch_norm")]


@pytest.mark.parametrize("shapes", [2, pytest.param(None, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.slow if kind != "sign" else ())
                                  for kind in BLIND])
def test_any_gradient_changed_blindly_is_explained(kind, shapes):
    wrong = []
    for op in WHOLE:
        for k in range(results_of(op)):
            found = [why for case in cases_of(op)[:shapes] if case.wrt for result in
                     check_case(case, edition(**{op: planted(op, k, BLIND[kind]())}), 1)
                     if (why := result.diagnosis) and result.judged in ("gradient", "linear", "repeatable")]
            wrong += [f"{op} {k}: {why.kind}: {why.text}" for why in found if kind not in (why.kind, *why.also)]
            assert found, (op, k)
    assert not wrong, "\n".join(wrong)


# One mistake at any place of any op, on any shape

def plant_on_tape(case, text):
    """Return the case with a backward pass that makes the mistake with this text."""
    def backward(ops, dy, **arguments):
        double = {name: np.asarray(a, float) if a.dtype.kind == "f" else a for name, a in arguments.items()}
        found = trace(case, double)
        mistake = [h for h in every_mistake(found) if h.text == text][:1]
        with np.errstate(all="ignore"):
            gradients = found.gradients(np.asarray(dy, float), case.wrt, *mistake)
        return tuple(g.astype(dy.dtype) for g in gradients)
    return replace(case, backward=backward)


def every_mistake(found):
    return [mistake for mistake in mistakes(found) if "cut off" not in mistake.text]


def draw_mistakes(count, seed):
    """Yield random combinations of op, shape and mistake."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        op = rng.choice(OPS)
        case = rng.choice([case for case in WITH_GRADIENTS if op in case.ops])
        mistakes = every_mistake(trace(case, case.arguments(rng)))
        if mistakes:                                              # a sum of two arrays has only the blind ones
            yield case, mistakes[rng.integers(len(mistakes))]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_random_mistakes_at_random_places_are_named(seed):
    found = []
    for case, mistake in draw_mistakes(60, seed):
        for result in check_case(plant_on_tape(case, mistake.text), reference, seed):
            if result.judged == "gradient" and result.verdict == "wrong":
                found.append((mistake.kind in (result.diagnosis.kind, *result.diagnosis.also), case, mistake, result))
    missed = [f"{case}: {mistake.kind}: {mistake.text}\n  {result.diagnosis.kind}: {result.diagnosis.text}"
              for right, case, mistake, result in found if not right]
    assert len(missed) <= 0.02 * len(found), "\n".join(missed)


def test_every_kind_is_in_the_list():
    for case, mistake in draw_mistakes(200, 5):
        assert mistake.kind in KINDS, (case, mistake)


# Mistakes as people write them: the tape is not used here

def conv_x(change_w=lambda w: w, add=True, stride=None, crop=None):
    def planted(dy, w, x_shape, stride_=1, padding=0):
        N, H, W, Cin = x_shape
        w, s, crop_ = change_w(w), stride or stride_, padding if crop is None else crop
        dxp = np.zeros((N, H + 2 * padding, W + 2 * padding, Cin), dy.dtype)
        for i, j in np.ndindex(w.shape[:2]):
            view = window(dxp, i, j, *dy.shape[1:3], s)
            view[...] = dy @ w[i, j].T + (view if add else 0)
        return dxp[:, crop_:crop_ + H, crop_:crop_ + W]
    return planted


def conv_w(change=lambda dw: dw, change_dy=lambda dy: dy):
    def planted(dy, x, w_shape, stride=1, padding=0):
        return change(reference.conv2d_backward_w(change_dy(dy), x, w_shape, stride, padding))
    return planted


def without_last_row(dy):
    dy = dy.copy()
    dy[:, -1] = 0
    return dy


def conv_x_remainder(dy, w, x_shape, stride=1, padding=0):
    dx = reference.conv2d_backward_x(dy, w, x_shape, stride, padding)
    rest = (x_shape[1] + 2 * padding - w.shape[0]) % stride
    if rest and padding:
        dx[:, -rest:] = 0
    return dx


def se_with(direct=lambda dy, u, s: dy * s, area=lambda H, W: H * W, squeeze=1, sum_ds=lambda a: a.sum(axis=(1, 2))):
    def planted(dy, u, w1, w2, b1=None, b2=None):
        s = reference.excite(reference.squeeze(u), w1, w2, b1, b2)
        ds = sum_ds(dy * u)
        dz, *rest = reference.excite_backward(ds, reference.squeeze(u), s, w1, w2, b1)
        _, H, W, _ = u.shape
        return direct(dy, u, s[:, None, None]) + squeeze * dz[:, None, None] / area(H, W) + 0 * u, *rest
    return planted


def excite_with(slope=lambda s: s * (1 - s), mask=lambda dh, h, a1: dh * (h > 0), hidden=lambda h, a1: h, mean=False):
    def planted(ds, z, s, w1, w2, b1=None):
        a1 = reference.dense(z, w1, b1)
        h = reference.relu(a1)
        da2 = ds * slope(s)
        da1 = mask(da2 @ w2, h, a1)
        N = len(z) if mean else 1
        return da1 @ w1, da1.T @ z / N, da2.T @ hidden(h, a1) / N, da1.sum(0) / N, da2.sum(0) / N
    return planted


def norm_with(terms=lambda dy, xhat, B: dy - dy.mean(axis=(0, 1, 2)) - xhat * (dy * xhat).mean(axis=(0, 1, 2)),
              change_var=lambda var, B: var, eps_is=lambda eps: eps, gamma_is=lambda gamma: gamma):
    def planted(dy, x, gamma, mean, var, eps=1e-5):
        B = x.size // x.shape[3]
        root = np.sqrt(change_var(var, B) + eps_is(eps))
        with np.errstate(all="ignore"):
            xhat = (x - mean) / root
            dx = gamma_is(gamma) / root * terms(dy, xhat, B)
        return dx.astype(x.dtype), (dy * xhat).sum(axis=(0, 1, 2)), dy.sum(axis=(0, 1, 2))
    return planted


def channel_norm_with(change_var):
    def planted(dzhat, z, eps=1e-5):
        D = z.shape[2]
        right = reference.channel_norm_backward(dzhat, z, eps)
        var = z.var(axis=2, keepdims=True)
        return right * np.sqrt((var + eps) / (change_var(var, D) + eps))
    return planted


def dense_with(w_of_dx=lambda w: w, dw=lambda dy, x: dy.T @ x, db=lambda dy: dy.sum(0)):
    def planted(dy, x, w):
        return dy @ w_of_dx(w), dw(dy, x), db(dy)
    return planted


def loss_with(formula):
    def planted(dloss, logits, labels, smoothing=0.0):
        N, K = logits.shape
        onehot = np.eye(K, dtype=logits.dtype)[labels]
        q = (1 - smoothing) * onehot + smoothing / K
        return (dloss * formula(reference.softmax(logits), q, onehot, N)).astype(logits.dtype)
    return planted


def pool_with(share):
    def planted(dy, x, size, stride=None, padding=0, ceil_mode=False):
        how = size, stride or size, padding, ceil_mode
        return spread(dy * share(values(x, how)), x.shape, how)
    return planted


def join_with(mask_du=True, mask_dx=True, times=1):
    def planted(dy, u, s, y):
        g = reference.relu_backward(dy, y)
        du, ds = reference.scale_backward(g if mask_du else dy, u, s)
        return du, ds, times * (g if mask_dx else dy)
    return planted


def gated_with(change):
    def planted(dy, x, y, s, dz, dgammas, dbetas, means, gamma, mean, var, eps=1e-5):
        changed = change(dy, x, y, s, dz, dgammas, dbetas, means, gamma, mean, var, eps)
        return reference.bn_scale_add_relu_backward(*changed)
    return planted


MISTAKES = [
    ("conv2d_backward_x", "flipped kernel", conv_x(lambda w: w[::-1, ::-1])),
    ("conv2d_backward_x", "flipped kernel", conv_x(lambda w: w[:, ::-1])),
    ("conv2d_backward_x", "not summed", conv_x(add=False)),
    ("conv2d_backward_x", "stride", conv_x(stride=1)),
    ("conv2d_backward_x", "borders", conv_x(crop=0)),
    ("conv2d_backward_x", "stride", conv_x_remainder),
    ("conv2d_backward_x", "channels swapped", conv_x(lambda w: w.swapaxes(2, 3) if w.shape[2] == w.shape[3] else w)),
    ("conv2d_backward_w", "flipped kernel", conv_w(lambda dw: dw[::-1, ::-1])),
    ("conv2d_backward_w", "borders", conv_w(change_dy=without_last_row)),
    ("conv2d_backward_w", "averaged", lambda dy, x, *rest: reference.conv2d_backward_w(dy, x, *rest) / len(x)),
    ("squeeze_backward", "averaged", lambda dz, shape: reference.squeeze_backward(dz, shape) * shape[1] * shape[2]),
    ("squeeze_backward", "averaged", lambda dz, shape: reference.squeeze_backward(dz, shape) * shape[1]),
    ("scale_backward", "averaged", lambda dy, u, s: (dy * s[:, None, None], (dy * u).mean(axis=(1, 2)))),
    ("scale_backward", "path missing", lambda dy, u, s: (dy, reference.scale_backward(dy, u, s)[1])),
    ("scale_backward", "sigmoid", lambda dy, u, s: (dy * (s * (1 - s))[:, None, None], (dy * u).sum(axis=(1, 2)))),
    ("scale_backward", "changed in place",
     lambda dy, u, s: (dy * s[:, None, None], (dy * u * s[:, None, None]).sum(axis=(1, 2)))),
    ("scale_backward", "not summed", lambda dy, u, s: (dy * s[:, None, None], dy * u)),
    ("se_backward", "path missing", se_with(squeeze=0)),
    ("se_backward", "path missing", se_with(direct=lambda dy, u, s: 0 * dy)),
    ("se_backward", "path missing", se_with(direct=lambda dy, u, s: dy)),
    ("se_backward", "averaged", se_with(area=lambda H, W: 1)),
    ("se_backward", "averaged", se_with(area=lambda H, W: H)),
    ("se_backward", "averaged", se_with(sum_ds=lambda a: a.mean(axis=(1, 2)))),
    ("se_backward", "path twice", se_with(squeeze=2)),
    ("se_backward", "sign", se_with(squeeze=-1)),
    ("excite_backward", "sigmoid", excite_with(slope=lambda s: reference.sigmoid(s) * (1 - reference.sigmoid(s)))),
    ("excite_backward", "sigmoid", excite_with(slope=lambda s: np.ones_like(s))),
    ("excite_backward", "sigmoid", excite_with(slope=lambda s: s)),
    ("excite_backward", "mask missing", excite_with(mask=lambda dh, h, a1: dh)),
    ("excite_backward", "mask misplaced", excite_with(mask=lambda dh, h, a1: dh * (h <= 0))),
    ("excite_backward", "mask misplaced", excite_with(mask=lambda dh, h, a1: dh * (dh > 0))),
    ("excite_backward", "mask missing", excite_with(hidden=lambda h, a1: a1)),
    ("excite_backward", "averaged", excite_with(mean=True)),
    ("batch_norm_backward", "constant statistics", norm_with(lambda dy, xhat, B: dy)),
    ("batch_norm_backward", "constant statistics", norm_with(lambda dy, xhat, B: dy - dy.mean(axis=(0, 1, 2)))),
    ("batch_norm_backward", "constant statistics",
     norm_with(lambda dy, xhat, B: dy - xhat * (dy * xhat).mean(axis=(0, 1, 2)))),
    ("batch_norm_backward", "variance", norm_with(change_var=lambda var, B: var * B / max(B - 1, 1))),
    ("batch_norm_backward", "variance", norm_with(eps_is=lambda eps: 1e-300)),
    ("batch_norm_backward", "path missing", norm_with(gamma_is=np.ones_like)),
    ("channel_norm_backward", "variance", channel_norm_with(lambda var, D: var * D / max(D - 1, 1))),
    ("relu_backward", "mask missing", lambda dy, y: dy.copy()),
    ("relu_backward", "mask misplaced", lambda dy, y: dy * (dy > 0)),
    ("relu_backward", "mask misplaced", lambda dy, y: dy * (y <= 0)),
    ("sigmoid_backward", "sigmoid", lambda dy, y: dy * y),
    ("sigmoid_backward", "sigmoid", lambda dy, y: dy * reference.sigmoid(y) * (1 - reference.sigmoid(y))),
    ("dense_backward", "averaged", dense_with(db=lambda dy: dy.mean(0))),
    ("dense_backward", "averaged", dense_with(dw=lambda dy, x: dy.T @ x / len(x))),
    ("dense_backward", "channels swapped", dense_with(w_of_dx=lambda w: w.T if w.shape[0] == w.shape[1] else w)),
    ("dense_backward", "transposed", dense_with(dw=lambda dy, x: x.T @ dy)),
    ("dense_backward", "not summed", dense_with(db=lambda dy: dy)),
    ("add_backward", "zero", lambda dy: (dy, 0 * dy)),
    ("add_relu_backward", "mask missing", lambda dy, y: (dy, reference.relu_backward(dy, y))),
    ("scale_add_relu_backward", "mask missing", join_with(mask_dx=False)),
    ("scale_add_relu_backward", "mask missing", join_with(mask_du=False)),
    ("scale_add_relu_backward", "factor", join_with(times=2)),
    ("batch_norm_relu_backward", "mask missing",
     lambda dy, x, gamma, beta, mean, var, eps=1e-5: reference.batch_norm_backward(dy, x, gamma, mean, var, eps)),
    ("batch_norm_relu_backward", "constant statistics",
     lambda dy, x, gamma, beta, mean, var, eps=1e-5: reference.batch_norm_inference_backward(
         reference.relu_backward(dy, reference.batch_norm_inference(x, gamma, beta, mean, var, eps)),
         x, gamma, mean, var, eps)),
    ("batch_norm_inference_backward", "variance",
     lambda dy, x, gamma, mean, var, eps=1e-5: reference.batch_norm_inference_backward(dy, x, gamma, mean, var, 0.0)),
    ("average_pool_backward", "averaged",
     lambda dy, shape, size, *window, **options:
         reference.average_pool_backward(dy, shape, size, *window, **options) * size**2),
    ("max_pool_backward", "mask missing", pool_with(np.ones_like)),
    ("max_pool_backward", "mask misplaced", pool_with(lambda taps: np.eye(len(taps), dtype=taps.dtype)[
        np.where(np.isinf(taps), np.inf, taps).argmin(axis=0)].transpose(4, 0, 1, 2, 3))),
    ("softmax_backward", "path missing", lambda dp, p: dp * p * (1 - p)),
    ("softmax_backward", "path missing", lambda dp, p: dp * p),
    ("softmax_cross_entropy_backward", "averaged", loss_with(lambda p, q, onehot, N: p - q)),
    ("softmax_cross_entropy_backward", "factor", loss_with(lambda p, q, onehot, N: (p - q) / N**2)),
    ("softmax_cross_entropy_backward", "path missing", loss_with(lambda p, q, onehot, N: p / N)),
    ("softmax_cross_entropy_backward", "sign", loss_with(lambda p, q, onehot, N: (q - p) / N)),
    ("softmax_cross_entropy_backward", "upstream ignored", lambda dloss, logits, *rest:
        reference.softmax_cross_entropy_backward(logits.dtype.type(1), logits, *rest)),
    ("bn_scale_add_relu_backward", "path missing",
     gated_with(lambda dy, x, y, s, dz, *rest: (dy, x, y, s, 0 * dz, *rest))),
    ("bn_scale_add_relu_backward", "sign",
     gated_with(lambda dy, x, y, s, dz, *rest: (dy, x, y, s, -dz, *rest))),
    ("bn_scale_add_relu_backward", "factor",
     gated_with(lambda dy, x, y, s, dz, *rest: (dy, x, y, s, 7 * dz, *rest))),
    ("scale_add_relu_backward", "swapped", lambda *a: reference.scale_add_relu_backward(*a)[::-1]),
    ("scale_add_relu_backward", "mask missing", lambda dy, u, s, y: (
        reference.scale_add_relu_backward(dy, u, s, y)[0], (dy * u).sum(axis=(1, 2)), dy * (y > 0))),
    ("scale_add_relu_backward", "mask misplaced", lambda dy, u, s, y: (
        dy * s[:, None, None] * (u > 0), (dy * u * (u > 0)).sum(axis=(1, 2)), dy * (u > 0))),
    ("batch_norm_relu_backward", "mask misplaced", lambda dy, x, gamma, beta, mean, var, eps=1e-5: (
        reference.batch_norm_backward(dy, x, gamma, mean, var, eps)[0]
        * (reference.batch_norm_inference(x, gamma, beta, mean, var, eps) > 0),
        *reference.batch_norm_relu_backward(dy, x, gamma, beta, mean, var, eps)[1:])),
    ("dense_backward", "averaged", dense_with(dw=lambda dy, x: dy.T @ np.broadcast_to(x.mean(0), x.shape))),
]


@pytest.mark.parametrize(("op", "kind", "mistake"), [
    pytest.param(*row, marks=pytest.mark.slow if k % 2 or row[0] == "bn_scale_add_relu_backward" else ())
    for k, row in enumerate(MISTAKES)],
    ids=lambda value: value if isinstance(value, str) else "")
def test_mistakes_as_people_write_them_are_named(op, kind, mistake):
    found = diagnoses(op, mistake)
    assert found
    assert share(found, kind) == 1 or kind == found[0].kind == "zero", \
        "\n".join(f"{why.kind} {why.also}: {why.text}" for why in found)
    assert all(why.argument and f"d{why.argument}" in why.text for why in found)


# The contract, and what only the book can tell

def mutates(dy, y):
    dy *= y > 0
    return dy


class Reuses:
    def __init__(self):
        self.kept = {}

    def __call__(self, dy, y):
        kept = self.kept.setdefault((dy.shape, dy.dtype), np.empty_like(dy))
        kept[...] = dy * (y > 0)
        return kept


class Drifts:
    def __init__(self):
        self.calls = 0

    def __call__(self, dy, y):
        self.calls += 1
        return dy * (y > 0) * dy.dtype.type(1 + np.random.default_rng(self.calls).uniform())


class Loses:
    """Loses a number in every ``period``-th call."""

    def __init__(self, period):
        self.calls, self.period = 0, period

    def __call__(self, dy, y):
        self.calls += 1
        dx = reference.sigmoid_backward(dy, y)
        dx.flat[0] *= self.calls % self.period != 0
        return dx


def centres(x, gamma, beta, eps=1e-5):
    result = reference.batch_norm_relu(x, gamma, beta, eps)
    x -= result[1]
    return result


def raises(dy, y):
    raise IndexError("tuple index out of range")


@pytest.mark.parametrize(("op", "kind", "planted", "words"), [
    ("relu_backward", "changed in place", mutates, "changes dy"),
    ("relu_backward", "changed in place", Reuses(), "same array at every call"),
    ("relu_backward", "not repeatable", Drifts(), "from call to call"),
    ("relu_backward", "raises", raises, "IndexError"),
    ("relu_backward", "not linear", lambda dy, y: dy**3 * (y > 0), "dy as a factor 3 times"),
    ("relu_backward", "dtype", lambda dy, y: (dy * (y > 0)).astype(np.float64), "float64"),
    ("relu_backward", "layout", lambda dy, y: dy.ravel(order="K").reshape(dy.shape) * (y > 0), "Fortran"),
    ("max_pool_backward", "ties", pool_with(lambda taps: (taps == taps.max(0)) / (taps == taps.max(0)).sum(
        axis=0, dtype=taps.dtype)), "equal winners"),
    ("conv2d", "forward", lambda *a: reference.conv2d(*a) * (1 + 1e-4), "differs from the book"),
    ("conv2d", "flipped kernel", lambda x, w, *a: reference.conv2d(x, w[::-1, ::-1], *a), "in forward w is mirrored"),
    ("sgd", "forward", lambda w, dw, v, lr, **o: reference.sgd(w, dw, v, 2 * lr, **o), "sgd differs"),
    ("average_pool_backward", "dtype", lambda dy, *a, **options: reference.average_pool_backward(
        dy.astype(np.float32), *a, **options).astype(dy.dtype), "precision of float32"),
    ("sigmoid_backward", "not repeatable", Loses(4), "differs when called again"),
    ("batch_norm_relu", "changed in place", centres, "since batch_norm_relu changes x"),
])
def test_contract_and_conventions_are_named(op, kind, planted, words):
    found = diagnoses(op, planted, judged=None)
    assert kind in {why.kind for why in found}, found
    assert any(words in why.text for why in found if why.kind == kind), found


def test_the_slope_at_the_kink_is_a_convention_that_only_the_book_decides():
    class Remembers:
        def relu(self, x):
            self.x = x
            return reference.relu(x)

        def relu_backward(self, dy, y):
            return dy * (self.x >= 0)

    ops = Remembers()
    case = next(case for case in cases_of("relu") if "kink" in case.label)
    wrong = [result for result in check_case(case, edition(relu=ops.relu, relu_backward=ops.relu_backward),
                                             book=reference) if not result.ok]
    assert [(result.judged, result.diagnosis.kind) for result in wrong] == [("book", "relu at zero")]
    assert "exactly 0" in str(wrong[0])


def test_arguments_that_the_book_refuses_cause_no_crash():
    def batch_norm(x, gamma, beta, eps=1e-5):
        y, mean, var = reference.batch_norm(x, gamma, beta, eps)
        return y, mean[None], var[None]

    def backward(dy, x, gamma, mean, var, eps=1e-5):
        return reference.batch_norm_backward(dy, x, gamma, mean[0], var[0], eps)

    case = next(case for case in cases_of("batch_norm_backward") if case.wrt)
    ops = edition(batch_norm=batch_norm, batch_norm_backward=backward)
    wrong = [result for result in check_case(case, ops, book=reference) if not result.ok]
    assert [(result.judged, result.diagnosis.kind) for result in wrong] == [("book", "shape")]
    assert "batch_norm has shape (1, 3), the book's (3,)" in str(wrong[0])


def test_variance_of_the_forward_pass():
    def unbiased(x, gamma, beta, eps=1e-5):
        mean, B = x.mean(axis=(0, 1, 2)), x.size // x.shape[3]
        var = ((x - mean) ** 2).sum(axis=(0, 1, 2)) / max(B - 1, 1)
        return gamma * (x - mean) / np.sqrt(var + eps) + beta, mean, var * max(B - 1, 1) / B

    assert share(diagnoses("batch_norm", unbiased), "variance") > 0.5


# Functions that have nothing to do with npse

def softplus(x):
    return np.log1p(np.exp(x))


def distance(a, b):
    return np.sqrt(((a - b) ** 2).sum(axis=1))


def distance_backward(dy, a, b):
    da = dy[:, None] * (a - b) / distance(a, b)[:, None]
    return da, -da


def attention(q, k):
    return q @ k.T


RNG = np.random.default_rng(8)
Q, K = RNG.standard_normal((4, 3)), RNG.standard_normal((5, 3))


@pytest.mark.parametrize(("forward", "backward", "arguments", "kind", "words"), [
    (softplus, lambda dy, x: -dy / (1 + np.exp(-x)), {"x": Q}, "sign", "dx has the wrong sign"),
    (softplus, lambda dy, x: 5 * dy / (1 + np.exp(-x)), {"x": K}, "factor", "5 times too large, and x.shape[0] is 5"),
    (softplus, lambda dy, x: 1 / (1 + np.exp(-x)), {"x": Q}, "upstream ignored", "does not depend"),
    (lambda x, w: x * w, lambda dy, x, w: (dy * w, dy * x), {"x": Q, "w": Q[0]}, "not summed", "Sum it over axis 0"),
    (lambda x, w: x * w, lambda dy, x, w: (dy, (dy * x).sum(0)), {"x": Q, "w": Q[0]}, "path missing", "factor w"),
    (lambda x, w: x * w, lambda dy, x, w: (dy * w, (dy * x).mean(0)), {"x": Q, "w": Q[0]}, "averaged",
     "4 times too small: dw is averaged over N"),
    (lambda x, b: x + b, lambda dy, x, b: (dy, dy.mean()), {"x": Q, "b": np.array(2.0)}, "averaged",
     "where a sum belongs"),
    (attention, lambda dy, q, k: (dy @ k, q.T @ dy), {"q": Q, "k": K}, "transposed", "dk has its axes"),
    (lambda a, b: a @ b, lambda dy, a, b: (dy @ b.T, a.T @ dy), {"a": Q[:3], "b": Q[0]}, "shape", "da has shape ()"),
    (distance, lambda dy, a, b: (distance_backward(dy, a, b)[0],) * 2, {"a": Q, "b": Q[::-1] + 1}, "sign", "db has"),
    (np.cumsum, lambda dy, a: np.cumsum(dy), {"a": Q[0]}, None, ""),
    (lambda a: np.maximum(a, 0) ** 2, lambda dy, a: 2 * dy * np.abs(a), {"a": Q}, "mask missing", "must be 0"),
    (lambda x: x**2, lambda dy, x: 2 * dy * x + 0.1 * x, {"x": Q}, "not linear", "not a multiple of dy"),
])
def test_any_pair_of_functions_is_explained(forward, backward, arguments, kind, words):
    found = [result.diagnosis for result in check_gradient(forward, backward, arguments).failures
             if result.judged == "gradient"]
    assert found
    if kind:
        assert any(why.kind == kind and words in why.text for why in found), found


def test_the_classic_mistake_in_full():
    """The required text: du is dy*s only, u also reaches y through the squeeze, add dz/(H*W), equation 2."""
    rng = np.random.default_rng(0)
    arguments = {"u": rng.normal(size=(2, 4, 3, 6)), "w1": rng.normal(size=(2, 6)), "w2": rng.normal(size=(6, 2))}

    def forgetful(dy, u, w1, w2):
        _, dw1, dw2, _, _ = reference.se_backward(dy, u, w1, w2)
        return dy * reference.excite(reference.squeeze(u), w1, w2)[:, None, None, :], dw1, dw2

    report = check_gradient(reference.se, forgetful, arguments)
    assert report.failures[0].diagnosis.text == (
        "du is dy*s only: u also reaches y through the squeeze. Add dz/(H*W), Eq. 2.")
    assert "through the squeeze" in str(report)


def test_a_mistake_that_cannot_be_explained_is_called_unexplained():
    noise = np.random.default_rng(0).standard_normal((2, 3, 4, 2))
    found = diagnoses("relu_backward", lambda dy, y: dy * (y > 0) * (
        noise.astype(dy.dtype) if dy.shape == noise.shape else 1))
    assert found
    assert {why.kind for why in found} == {"unexplained"}
    assert "entries differ" in found[0].text


def test_right_results_carry_no_diagnosis():
    for case in cases_of("se_backward"):
        assert all(result.diagnosis is None for result in check_case(case, reference))


@pytest.mark.parametrize(("change", "kind"), [
    (lambda g: (100 * g).astype(int), "dtype"), (lambda g: None, "raises"), (lambda g: g.astype(object), "raises"),
    (lambda g: "abc", "raises"), (lambda g: g + 1j, "raises"), (lambda g: 1.0, "shape"), (lambda g: g[:0], "shape"),
    (lambda g: g[None, None], "not summed"), (lambda g: g * np.inf, "unexplained"), (lambda g: g > 0, "dtype"),
    (lambda g: np.where(g == g.max(), np.nan, g), "unexplained"), (lambda g: g * 1e-300, "factor"),
])
def test_every_returned_value_gets_a_diagnosis(change, kind):
    case, odd = cases_of("scale")[0], edition(scale_backward=planted("scale_backward", 0, change))
    with np.errstate(all="ignore"):
        wrong = [result for result in check_case(case, odd, book=reference) if not result.ok]
    assert wrong[0].diagnosis.kind == kind, wrong[0]
    assert kind == "raises" or not any(result.judged == "runs" for result in wrong), wrong[-1]
