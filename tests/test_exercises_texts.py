"""What the texts and hints of the exercises say is true: each claim that can be checked is checked on the solution."""

import itertools
import math
import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest

from npse.exercises import exercises, find
from npse.exercises.annotated import ANSWER, STUDENT, uncomment

CLAIMS = []                      # (exercise, sentences of its text, the function that checks them)


def claim(exercise, *words):
    """Enter a function that checks some sentences; it gets the functions of the solution, and a generator."""
    def enter(function):
        CLAIMS.append(pytest.param(exercise, words, function, id=f"{exercise}: {words[0]}"))
        return function
    return enter


def text_of(exercise):
    """Return all that a student can read of an exercise, on one line."""
    texts = [uncomment(cell.text) for cell in exercise.cells_for(STUDENT)] + list(exercise.hints)
    return " ".join(" ".join(texts).split())


def close(a, b):
    return np.allclose(a, b, rtol=1e-9, atol=1e-11)


def numeric(forward, x, dy):
    """Return the gradient of sum(dy * forward(x)) by central differences."""
    found = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[at] = 1e-5
        found[at] = (dy * (forward(x + step) - forward(x - step))).sum() / 2e-5
    return found


@claim("convolution", "the formula takes seven loops", "The kernel is not flipped", "with a border of zeros",
       "A tap is one position `(i, j)` in the kernel")
def _(f, rng):
    x, w, S, p = rng.normal(size=(2, 4, 5, 2)), rng.normal(size=(2, 3, 2, 3)), 2, 1
    padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    y = f["conv2d"](x, w, S, p)
    expected, letters = np.zeros_like(y), [*map(range, y.shape), *map(range, w.shape[:3])]
    assert len(letters) == 7
    for n, a, b, k, i, j, c in itertools.product(*letters):
        expected[n, a, b, k] += padded[n, S * a + i, S * b + j, c] * w[i, j, c, k]
    assert close(y, expected)


@claim("convolution", "The last row that tap i uses is i + stride*(Ho - 1)", "There are Ho of them",
       "otherwise the view may have a row too many")
def _(f, rng):
    H, kh, stride = 8, 3, 2
    Ho = (H - kh) // stride + 1
    rows = [list(range(H))[i:i + stride * (Ho - 1) + 1:stride] for i in range(kh)]
    assert all(len(row) == Ho and row[-1] == i + stride * (Ho - 1) for i, row in enumerate(rows))
    assert any(len(range(H)[i::stride]) > Ho for i in range(kh))


@claim("convolution_gradients", "so its gradient is a sum over all windows", "Windows overlap, therefore `+=`",
       "At the end the border of zeros is cut off", "some rows are used by no window: they stay zero")
def _(f, rng):
    x, w, S, p = rng.normal(size=(2, 6, 5, 2)), rng.normal(size=(3, 2, 2, 3)), 2, 0
    y = find("convolution").functions()["conv2d"](x, w, S, p)
    dy = rng.normal(size=y.shape)
    padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    dw, dx, used = np.zeros_like(w), np.zeros_like(padded), np.zeros(padded.shape[1], int)
    for n, a, b, k, i, j, c in itertools.product(*map(range, y.shape), *map(range, w.shape[:3])):
        dw[i, j, c, k] += padded[n, S * a + i, S * b + j, c] * dy[n, a, b, k]
        dx[n, S * a + i, S * b + j, c] += dy[n, a, b, k] * w[i, j, c, k]
        used[S * a + i] += 1
    assert close(f["conv2d_backward_w"](dy, x, w.shape, S, p), dw)
    found = f["conv2d_backward_x"](dy, w, x.shape, S, p)
    assert close(found, dx)
    assert used[-1] == 0 < len(set(used)) - 2                    # the last row: no window; others: several
    assert not found[:, -1].any()


@claim("squeeze", "Every pixel of the channel has the same share in the mean",
       "so every pixel gets the same part of the gradient", "dz has two axes and du has four",
       "The result is a read-only view: copy it")
def _(f, rng):
    u, dz = rng.normal(size=(2, 3, 4, 2)), rng.normal(size=(2, 2))
    du = f["squeeze_backward"](dz, u.shape)
    assert close(du, du[:, :1, :1])
    assert np.allclose(du, numeric(f["squeeze"], u, dz), atol=1e-8)
    assert (dz.ndim, du.ndim, np.broadcast_to(dz[:, None, None, :], u.shape).flags.writeable) == (2, 4, False)


@claim("excite", "gate between 0 and 1 for each channel",
       "The derivative of the sigmoid can be written with its output",
       "The matrix products contain the sum over the batch", "not from its input a2 and not from ds",
       "only where the output of the ReLU is above zero")
def _(f, rng):
    z, w1, w2 = rng.normal(size=(4, 3)), rng.normal(size=(2, 3)), rng.normal(size=(3, 2))
    s = f["excite"](z, w1, w2)
    assert np.all((s > 0) & (s < 1))
    a, h = np.linspace(-3, 3, 9), 1e-5
    sigmoid = 1 / (1 + np.exp(-a))
    assert np.allclose((1 / (1 + np.exp(-a - h)) - 1 / (1 + np.exp(-a + h))) / (2 * h), sigmoid * (1 - sigmoid))
    ds = rng.normal(size=s.shape)
    dz, dw1, dw2 = f["excite_backward"](ds, z, s, w1, w2)
    one = [f["excite_backward"](ds[n:n + 1], z[n:n + 1], s[n:n + 1], w1, w2) for n in range(len(z))]
    assert close(dw1, sum(g[1] for g in one))
    assert close(dw2, sum(g[2] for g in one))
    assert np.allclose(dz, numeric(lambda z: f["excite"](z, w1, w2), z, ds), atol=1e-7)


@claim("scale", "So its gradient is a sum over these pixels", "a mean would make ds H*W times too small",
       "NumPy repeats it over the map", "Each factor of a product gets the gradient times the other factor")
def _(f, rng):
    u, s = rng.normal(size=(2, 3, 4, 2)), rng.normal(size=(2, 2))
    dy = rng.normal(size=u.shape)
    du, ds = f["scale_backward"](dy, u, s)
    assert np.allclose(ds, numeric(lambda s: f["scale"](u, s), s, dy), atol=1e-7)
    assert np.allclose(du, numeric(lambda u: f["scale"](u, s), u, dy), atol=1e-7)
    assert close((dy * u).mean(axis=(1, 2)) * 12, ds)
    assert s[:, None, None, :].shape == (2, 1, 1, 2)


def falls(gradients, loss, parameters):
    """Whether the loss falls if the parameters follow the gradients."""
    before = loss(*parameters)
    for _ in range(60):
        parameters = [p - 0.05 * g for p, g in zip(parameters, gradients(*parameters), strict=True)]
    return loss(*parameters) < 0.8 * before


@claim("block", "that raises no error, and the loss may still fall", "every pixel of $u$ influences every gate",
       "If dw1 and dw2 are right and du is not, look at the second part", "If only dw2 is right, look at the mask",
       "which is the same at every pixel of the map", "This file does not have `excite`")
def _(f, rng):
    u, w1, w2 = rng.normal(size=(2, 2, 3, 3)) + 1, rng.uniform(0.2, 1, (3, 3)), rng.normal(size=(3, 3))
    w1[2] *= -1                                                  # this hidden unit is off
    dy, target = rng.normal(size=u.shape), rng.normal(size=u.shape)
    right = f["se_backward"](dy, u, w1, w2)
    s = f["se"](u, w1, w2) / u
    part = right[0] - dy * s
    assert close(part, part[:, :1, :1])
    moved = u.copy()
    moved[0, 1, 2, 0] += 1
    moved = f["se"](moved, w1, w2) / moved
    assert not np.any(np.isclose(moved[0, 0, 0], s[0, 0, 0], rtol=1e-9))
    assert close(moved[1], s[1])
    code = find("block").solution_code()
    without_mask, without_path = {}, {}
    exec(code.replace(" * (h > 0)", ""), without_mask)
    exec(code.replace(" + dz[:, None, None, :] / (H * W)", ""), without_path)
    assert [close(a, b) for a, b in zip(without_mask["se_backward"](dy, u, w1, w2), right, strict=True)] == [
        False, False, True]
    assert [close(a, b) for a, b in zip(without_path["se_backward"](dy, u, w1, w2), right, strict=True)] == [
        False, True, True]
    assert falls(lambda *p: without_path["se_backward"](f["se"](*p) - target, *p),
                 lambda *p: ((f["se"](*p) - target) ** 2).sum(), [u, w1, w2])
    assert "excite" not in f


@claim("batch_norm_staged", "Each channel is normalized to mean 0 and variance 1 over the batch",
       "The variance is the biased one", "`centred` is used twice", "`x` is used twice",
       "The derivative of 1/std is -1/std^2", "The derivative of std = sqrt(var + eps) is 1/(2 std)",
       "each pixel of centred gets 2 * centred / B * dvar", "Each pixel of x gets 1/B of dmean")
def _(f, rng):
    x, gamma, beta = rng.normal(size=(2, 3, 4, 2)), rng.normal(size=2), rng.normal(size=2)
    y, mean, var = f["batch_norm"](x, gamma, beta, 0.0)
    xhat = (y - beta) / gamma
    assert np.allclose(xhat.mean((0, 1, 2)), 0)
    assert close(xhat.var((0, 1, 2)), 1)
    assert close(var, x.var((0, 1, 2)))
    dy, h = rng.normal(size=x.shape), 1e-6
    found = f["batch_norm_backward_staged"](dy, x, gamma, mean, var, 0.0)
    assert np.allclose(found[0], numeric(lambda x: f["batch_norm"](x, gamma, beta, 0.0)[0], x, dy), atol=1e-7)
    std = np.sqrt(var)
    assert np.allclose((1 / (std + h) - 1 / (std - h)) / (2 * h), -1 / std**2)
    assert np.allclose((np.sqrt(var + h) - np.sqrt(var - h)) / (2 * h), 1 / (2 * std))


@claim("batch_norm", "If a constant is added to all $x$ of a channel, $y$ does not change",
       "$y$ does not change either, apart from the effect of $\\epsilon$", "$dx$ sums to zero over every channel",
       "it is not x.size, and not N", "So $dx$ has no part in these two directions",
       "NumPy broadcasts (C,) along the last axis")
def _(f, rng):
    forward = find("batch_norm_staged").functions()["batch_norm"]
    x, gamma, beta, dy = (rng.normal(size=size) for size in ((2, 3, 4, 2), 2, 2, (2, 3, 4, 2)))
    y, mean, var = forward(x, gamma, beta, 0.0)
    assert close(forward(x + np.array([3.0, 5.0]), gamma, beta, 0.0)[0], y)
    assert close(forward(mean + 7 * (x - mean), gamma, beta, 0.0)[0], y)
    assert not close(forward(mean + 7 * (x - mean), gamma, beta, 0.1)[0], forward(x, gamma, beta, 0.1)[0])
    dx = f["batch_norm_backward"](dy, x, gamma, mean, var, 0.0)[0]
    assert np.allclose(dx.sum((0, 1, 2)), 0)
    assert np.allclose((dx * (x - mean)).sum((0, 1, 2)), 0)


@claim("join", "y is positive exactly where the sum was positive", "the gradient is zero: that is the convention",
       "called with g in place of dy, gives du and ds", "Both terms of the sum get $g$")
def _(f, rng):
    u, s, x = rng.normal(size=(2, 3, 4, 2)), rng.normal(size=(2, 2)), rng.normal(size=(2, 3, 4, 2))
    x[0, 0] = -(u * s[:, None, None, :])[0, 0]
    y, dy = f["scale_add_relu"](u, s, x), rng.normal(size=x.shape)
    total = u * s[:, None, None, :] + x
    assert np.array_equal(y > 0, total > 0)
    du, ds, dx = f["scale_add_relu_backward"](dy, u, s, y)
    assert not dx[0, 0].any()
    expected = find("scale").functions()["scale_backward"](dx, u, s)
    assert close(du, expected[0])
    assert close(ds, expected[1])
    assert close(dx, dy * (total > 0))


@claim("loss", "and $e^{1000}$ overflows", "The softmax does not change if the largest score of a row is first",
       "so the loss is log(10) = 2.3", "then the logarithm of zero never occurs",
       "In the backward pass, most terms cancel", "float32 scores give a float32 result",
       "divides the rest, the smoothing $a$, equally among all $K$ classes")
def _(f, rng):
    with np.errstate(over="ignore"):
        assert np.isinf(np.exp(1000.0))
    loss = f["softmax_cross_entropy"]
    assert round(float(loss(np.zeros((4, 10)), np.arange(4))), 1) == round(math.log(10), 1) == 2.3
    scores, labels = rng.normal(size=(3, 4)), np.array([0, 3, 1])
    assert close(loss(scores + 500, labels), loss(scores, labels))
    far = np.array([[0.0, 2000.0]])
    assert loss(far, np.array([0])) == 2000
    gradient = f["softmax_cross_entropy_backward"](1.0, scores, labels, 0.1)
    assert np.allclose(gradient, numeric(lambda s: loss(s, labels, 0.1), scores, 1.0), atol=1e-8)
    assert loss(scores.astype(np.float32), labels).dtype == np.float32
    uniform = loss(scores, labels, 1.0)
    assert close(uniform, np.mean([loss(scores, np.full(3, k)) for k in range(4)]))


@claim("training_step", "Weight decay moves the weights towards zero", "Return new arrays: the old parameters stay",
       "all probabilities are 1/3 and the first loss is log(3)", "If the loss rises, a gradient has the wrong sign",
       "variant adds the momentum of the next step in advance")
def _(f, rng):
    w = np.array([1.0, -2.0])
    zeros = np.zeros(2)
    assert np.all(np.abs(f["sgd"](w, zeros, zeros, 0.1, weight_decay=0.1)[0]) < np.abs(w))
    dw, v = rng.normal(size=2), rng.normal(size=2)
    (ahead, new), (plain, _) = (f["sgd"](w, dw, v, 0.1, nesterov=yes) for yes in (True, False))
    assert close(ahead, w - 0.1 * (dw + 0.9 * new))
    assert close(plain, w - 0.1 * new)
    printed = find("training_step").as_file(ANSWER).partition("It should print")[2]
    losses = [float(number) for number in re.findall(r"step \d loss ([\d.]+)", printed)]
    assert len(losses) == 3
    assert losses == sorted(losses, reverse=True)
    assert losses[0] == round(math.log(3), 4)


@claim("numba_kernel", "the channels of one pixel are neighbours", "each step skips C numbers")
def _(f, rng):
    u = np.zeros((2, 3, 4, 5))
    assert u.strides[3] == u.itemsize
    assert u.strides[2] == 5 * u.itemsize


@claim("cuda_kernel", "The launch starts whole blocks of 32 threads", "the last block may have threads beyond the end",
       "the channel changes fastest, then the pixel, then the picture", "t is (n * P + p) * C + c")
def _(f, rng):
    assert "[(u.size + 31) // 32, 32]" in find("cuda_kernel").given
    N, P, C = 2, 3, 5
    assert (N * P * C + 31) // 32 * 32 > N * P * C
    assert [(t // (C * P), t // C % P, t % C) for t in range(N * P * C)] == list(np.ndindex(N, P, C))
    assert all((n * P + p) * C + c == t for t, (n, p, c) in enumerate(np.ndindex(N, P, C)))


@claim("eca", "have $2 C^2 / r$ weights", "zeros beyond both ends", "It has both paths of exercise 6",
       "Tap t then uses C neighbouring columns of the padded z")
def _(f, rng):
    assert find("bug_museum").functions()["excitation_weights"](64, 16)[0].size * 2 == 2 * 64**2 // 16
    u, k, dy = rng.normal(size=(2, 3, 2, 5)), rng.normal(size=3), rng.normal(size=(2, 3, 2, 5))
    z = u.mean(axis=(1, 2))
    a = [[sum(k[t] * z[n, c + t - 1] for t in range(3) if 0 <= c + t - 1 < 5) for c in range(5)] for n in range(2)]
    assert close(f["eca"](u, k), u / (1 + np.exp(-np.array(a)))[:, None, None, :])
    du, dk = f["eca_backward"](dy, u, k)
    assert np.allclose(du, numeric(lambda u: f["eca"](u, k), u, dy), atol=1e-7)
    assert np.allclose(dk, numeric(lambda k: f["eca"](u, k), k, dy), atol=1e-7)
    direct = dy * f["eca"](u, k) / u
    assert not close(du, direct)


def given(name):
    """Return the functions of the file as the student gets it."""
    names = {"__name__": name}
    exec(find(name).as_file(STUDENT), names)
    return names


@claim("bug_museum", "with C = 16 and r = 4, the first function gives the right result", "all gates are above 1/2",
       "each pixel gets its own gates", "All of them ran", "the hidden width is C divided by r, not r")
def _(f, rng):
    buggy = given("bug_museum")
    shapes = [[w.shape for w in names["excitation_weights"](16, 4)] for names in (f, buggy)]
    assert shapes[0] == shapes[1] == [(4, 16), (16, 4)]
    assert buggy["excitation_weights"](64, 4)[0].shape == (4, 64) != f["excitation_weights"](64, 4)[0].shape
    z, w1, w2 = rng.normal(size=(3, 4)), rng.normal(size=(2, 4)), rng.normal(size=(4, 2))
    assert np.all(buggy["gates"](z, w1, w2) > 0.5)
    assert np.any(f["gates"](z, w1, w2) < 0.5)
    u = rng.normal(size=(2, 3, 3, 4))
    assert not close(buggy["block"](u, w1, w2) / u, (buggy["block"](u, w1, w2) / u)[:, :1, :1])
    assert close(f["block"](u, w1, w2) / u, (f["block"](u, w1, w2) / u)[:, :1, :1])


@claim("bug_backward", "it does not sum to zero over each channel", "all shapes are right, and the loss may still fall",
       "A second call with the same arguments gives another result", "has one mistake",
       "one term of the closed form is missing", "makes a second name of the same array")
def _(f, rng):
    buggy = given("bug_backward")
    x, gamma, dy = rng.normal(size=(2, 3, 4, 2)), rng.normal(size=2), rng.normal(size=(2, 3, 4, 2))
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    sums = [names["batch_norm_backward"](dy, x, gamma, mean, var)[0].sum((0, 1, 2)) for names in (f, buggy)]
    assert np.allclose(sums[0], 0)
    assert np.all(np.abs(sums[1]) > 1e-3)
    u, s = x, rng.normal(size=(2, 2))
    changed = dy.copy()
    first, second = buggy["scale_backward"](changed, u, s), buggy["scale_backward"](changed, u, s)
    assert not close(first[1], second[1])
    assert [np.shape(a) for a in first] == [np.shape(a) for a in f["scale_backward"](dy, u, s)]
    target = rng.normal(size=x.shape)
    assert falls(lambda u, x: buggy["add_relu_backward"](np.maximum(u + x, 0) - target, np.maximum(u + x, 0)),
                 lambda u, x: ((np.maximum(u + x, 0) - target) ** 2).sum(), [u, x])
    assert falls(lambda u, s: buggy["scale_backward"](u * s[:, None, None, :] - target, u, s),
                 lambda u, s: ((u * s[:, None, None, :] - target) ** 2).sum(), [u, np.abs(s)])

    def normalized(x):
        return (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-5)

    ones = np.ones(2)
    assert falls(lambda x: buggy["batch_norm_backward"](normalized(x) - target, x, ones, x.mean((0, 1, 2)),
                                                        x.var((0, 1, 2)))[:1],
                 lambda x: ((normalized(x) - target) ** 2).sum(), [x])


@pytest.mark.parametrize(("name", "words", "function"), CLAIMS)
def test_a_claim_of_a_text_is_true(name, words, function):
    exercise = find(name)
    for sentence in words:
        assert sentence in text_of(exercise)
    function(exercise.functions(), np.random.default_rng(5))


def test_every_exercise_has_claims_that_are_checked():
    assert {exercise.name for exercise in exercises()} == {claimed.values[0] for claimed in CLAIMS}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "variable"), [("numba_kernel", "NUMBA_DISABLE_JIT"),
                                                ("cuda_kernel", "NUMBA_ENABLE_CUDASIM")])
def test_the_command_in_the_text_runs_the_example(name, variable, tmp_path):
    pytest.importorskip("numba")
    exercise = find(name)
    assert f"`{variable}=1 python {exercise.stem}.py`" in text_of(exercise)
    (tmp_path / f"{exercise.stem}.py").write_text(exercise.as_file(ANSWER))
    ran = subprocess.run([sys.executable, f"{exercise.stem}.py"], cwd=tmp_path, capture_output=True, text=True,
                         env=os.environ | {variable: "1"})
    expected = exercise.as_file(ANSWER).partition("# It should print:\n")[2]
    assert ran.stdout.split() == expected.replace("#", "").split(), ran.stderr


@pytest.mark.slow
def test_a_kernel_with_the_channels_outside_is_slower():
    numba = pytest.importorskip("numba")
    words = "If the loop over c is outside of those over i and j, the result is right but the kernel is slower"
    assert words in text_of(find("numba_kernel"))

    def outside(u, z):
        for n in range(u.shape[0]):
            for c in range(u.shape[3]):
                for i in range(u.shape[1]):
                    for j in range(u.shape[2]):
                        z[n, c] += u[n, i, j, c]
                z[n, c] /= u.shape[1] * u.shape[2]

    names = {}
    exec(find("numba_kernel").solution_code(), names)
    u, best, results = np.ones((8, 64, 64, 64)), [], []
    for kernel in (names["squeeze_kernel"], numba.njit(outside)):
        z = np.zeros((8, 64))
        kernel(u, z)
        results.append(z)
        times = []
        for _ in range(5):
            began = time.thread_time()
            kernel(u, np.zeros((8, 64)))
            times.append(time.thread_time() - began)
        best.append(min(times))
    assert close(*results)
    assert best[1] > best[0]
