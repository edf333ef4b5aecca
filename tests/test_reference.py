"""The book on its own: dtype in = dtype out, the two derivations agree, accuracy of long sums, and clear refusals."""

import numpy as np
import pytest

from npse import reference as ops
from npse.gradcheck import CASES, calls


def test_every_op_is_listed_and_documented():
    assert len(set(ops.OPS)) == len(ops.OPS)
    for name in ops.OPS:
        assert getattr(ops, name).__doc__, name


def test_squeeze_is_global_average_pooling():
    assert ops.global_average_pool is ops.squeeze
    assert ops.global_average_pool_backward is ops.squeeze_backward


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_dtype_in_is_dtype_out(dtype):
    rng, met = np.random.default_rng(0), set()
    for case in CASES:
        recording = calls.Recording(ops)
        arguments = case.arguments(rng, dtype)
        y = case.forward(recording, **arguments)
        if case.backward:
            case.backward(recording, np.ones_like(y), **arguments)
        for call in recording.calls:
            assert [result.dtype for result in call.results] == [dtype] * len(call.results), f"{call.name} in {case}"
        met |= {call.name for call in recording.calls}
    assert not set(ops.OPS) - met, "the cases call none of these ops"


@pytest.mark.parametrize("shape", [(2, 4, 5, 6), (1, 1, 7, 3), (3, 2, 2, 1)])
def test_staged_and_closed_form_agree(shape):
    rng = np.random.default_rng(1)
    x, dy, C = rng.standard_normal(shape), rng.standard_normal(shape), shape[3]
    gamma = rng.standard_normal(C)
    _, mean, var = ops.batch_norm(x, gamma, gamma)
    w1, w2, b1, b2 = (rng.standard_normal(s) for s in ((2, C), (C, 2), (2,), (C,)))
    pairs = [(ops.batch_norm_backward(dy, x, gamma, mean, var),
              ops.batch_norm_backward_staged(dy, x, gamma, mean, var)),
             (ops.se_backward(dy, x, w1, w2, b1, b2), ops.se_backward_staged(dy, x, w1, w2, b1, b2))]
    for closed, staged in pairs:
        for a, b in zip(closed, staged, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-13 * np.abs(a).max() + 1e-15)


def test_batch_norm_gradient_obeys_its_identities():
    rng = np.random.default_rng(2)
    x, dy, gamma, eps = rng.standard_normal((3, 4, 5, 6)), rng.standard_normal((3, 4, 5, 6)), rng.random(6) + 1, 1e-2
    _, mean, var = ops.batch_norm(x, gamma, gamma, eps)
    dx, dgamma, _ = ops.batch_norm_backward(dy, x, gamma, mean, var, eps)
    xhat = (x - mean) / np.sqrt(var + eps)
    np.testing.assert_allclose(dx.sum((0, 1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose((dx * xhat).sum((0, 1, 2)), gamma * dgamma * eps / (var + eps) ** 1.5, atol=1e-12)


def test_convolution_and_its_gradients_are_adjoint():
    rng = np.random.default_rng(3)
    x, w = rng.standard_normal((2, 8, 7, 3)), rng.standard_normal((3, 3, 3, 4))
    y = ops.conv2d(x, w, 2, 1)                                    # 8 + 2 - 3 is odd: the last padded row is not read
    dy = rng.standard_normal(y.shape)
    inner = (y * dy).sum()
    np.testing.assert_allclose((x * ops.conv2d_backward_x(dy, w, x.shape, 2, 1)).sum(), inner, rtol=1e-12)
    np.testing.assert_allclose((w * ops.conv2d_backward_w(dy, x, w.shape, 2, 1)).sum(), inner, rtol=1e-12)


def test_long_float32_sums_stay_accurate():
    x = np.full((128, 32, 32, 2), 0.1, np.float32)
    _, mean, var = ops.batch_norm(x, np.ones(2, np.float32), np.zeros(2, np.float32))
    assert abs(mean[0] - np.float32(0.1)) < 1e-7
    assert var[0] < 1e-14


@pytest.mark.parametrize("shape", [(3, 3, 4, 8), (7, 7), (2, 6), (1, 1, 5, 1)])
def test_orthogonalize_is_a_polynomial_of_the_singular_values(shape):
    u = np.random.default_rng(0).standard_normal(shape)
    left, values, right = np.linalg.svd(u.reshape(-1, shape[-1]), full_matrices=False)
    s = values / np.linalg.norm(values)
    for _ in range(3):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    np.testing.assert_allclose(ops.orthogonalize(u).reshape(-1, shape[-1]), left * s @ right, rtol=0, atol=1e-13)
    assert s[values > 0.05 * np.linalg.norm(values)].min() > 0.6
    assert s.max() < 1.25


def test_muon_makes_steps_of_a_known_length_and_keeps_the_length_of_the_filters():
    rng = np.random.default_rng(0)
    w, v = 5 * rng.standard_normal((3, 3, 8, 16)), np.zeros((3, 3, 8, 16))
    for size in (1e-20, 1.0, 1e20):                               # the size of the gradient has no effect
        dw = size * rng.standard_normal(w.shape)
        moved, speed = ops.muon(w, dw, v, 0.01)
        shortened = 4 * w / np.linalg.norm(w)                     # 4: the root of the number of columns
        step = shortened - moved
        assert 0.7 < np.linalg.norm(step) / (0.01 * 4) < 1.2
        assert (step * dw).sum() > 0
        np.testing.assert_array_equal(speed, dw)
    again, faster = ops.muon(moved, dw, speed, 0.01, 0.9)
    np.testing.assert_allclose(faster, 1.9 * dw)
    np.testing.assert_allclose(4 * moved / np.linalg.norm(moved) - again, step, rtol=0, atol=1e-12)   # along dw only
    for still in (*ops.muon(v, v, v, 0.1), ops.orthogonalize(v)):
        np.testing.assert_array_equal(still, v)


def test_sigmoid_never_overflows():
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        s = ops.sigmoid(np.array([-1e4, -800.0, 0.0, 800.0, 1e4]))
    np.testing.assert_array_equal(s, [0, 0, 0.5, 1, 1])


def test_conventions_at_the_edges():
    assert ops.relu_backward(np.ones(1), ops.relu(np.zeros(1)))[0] == 0           # relu'(0) = 0
    tied = np.ones((1, 2, 2, 1))
    np.testing.assert_array_equal(ops.max_pool_backward(np.ones((1, 1, 1, 1)), tied, 2)[0, :, :, 0], [[1, 0], [0, 0]])


def test_augment_crops_and_flips_where_told():
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    mean, std = np.zeros(1), np.full(1, 1 / 255)
    still = ops.augment(image, np.array([2]), np.array([2]), np.array([False]), mean, std, padding=2)
    np.testing.assert_allclose(still[0, :, :, 0], image[0, :, :, 0], rtol=1e-12)
    moved = ops.augment(image, np.array([1]), np.array([3]), np.array([True]), mean, std, padding=2)
    expected = [[6, 7, 6, 5], [2, 3, 2, 1], [6, 7, 6, 5], [10, 11, 10, 9]]     # row 1 and column 2 mirrored outside
    np.testing.assert_allclose(moved[0, :, :, 0], expected, rtol=1e-12)


ONE = np.ones
REFUSED = {
    "channels that do not match": (ValueError, "Cin = 3", lambda: ops.conv2d(ONE((1, 4, 4, 3)), ONE((3, 3, 4, 2)))),
    "filter larger than the map": (ValueError, "padding of at least 1",
                                   lambda: ops.conv2d(ONE((1, 2, 2, 1)), ONE((3, 3, 1, 1)))),
    "stride of zero": (ValueError, "stride", lambda: ops.conv2d(ONE((1, 4, 4, 3)), ONE((3, 3, 3, 2)), 0)),
    "fractional stride": (ValueError, "stride", lambda: ops.conv2d(ONE((1, 4, 4, 3)), ONE((3, 3, 3, 2)), 1.5)),
    "negative padding": (ValueError, "padding", lambda: ops.conv2d(ONE((1, 4, 4, 3)), ONE((3, 3, 3, 2)), 1, -1)),
    "dy of another size": (ValueError, "expected 2, but got 3", lambda: ops.conv2d_backward_x(
        ONE((1, 3, 3, 2)), ONE((3, 3, 3, 2)), (1, 4, 4, 3))),
    "too few axes": (ValueError, "needs 4 axes", lambda: ops.squeeze(ONE((4, 4, 3)))),
    "empty batch": (ValueError, "empty", lambda: ops.squeeze(ONE((0, 4, 4, 3)))),
    "gates of another batch": (ValueError, "N = 2", lambda: ops.scale(ONE((2, 4, 4, 3)), ONE((1, 3)))),
    "w2 not w1 turned round": (ValueError, "C = 6", lambda: ops.excite(ONE((2, 6)), ONE((3, 6)), ONE((3, 6)))),
    "integers": (TypeError, "floating", lambda: ops.relu(np.arange(3))),
    "a list": (TypeError, "np.asarray", lambda: ops.relu([1.0])),
    "mixed dtypes": (TypeError, "float32", lambda: ops.scale(ONE((1, 2, 2, 3)), ONE((1, 3), np.float32))),
    "label out of range": (ValueError, "label 3 is at position 1",
                           lambda: ops.softmax_cross_entropy(ONE((2, 3)), np.array([0, 3]))),
    "negative label": (ValueError, "label -1", lambda: ops.softmax_cross_entropy(ONE((2, 3)), np.array([0, -1]))),
    "labels for another batch": (ValueError, "N = 2", lambda: ops.softmax_cross_entropy(ONE((2, 3)), np.array([0]))),
    "labels as floats": (TypeError, "integers", lambda: ops.softmax_cross_entropy(ONE((2, 3)), np.array([0.0, 1.0]))),
    "smoothing of one": (ValueError, "smoothing",
                         lambda: ops.softmax_cross_entropy(ONE((2, 3)), np.array([0, 1]), 1.0)),
    "variance of one number": (ValueError, "at least 2",
                               lambda: ops.running_statistics(ONE(1), ONE(1), 1, ONE(1), ONE(1))),
    "window larger than the map": (ValueError, "fit", lambda: ops.max_pool(ONE((1, 2, 2, 1)), 3)),
    "float images": (TypeError, "uint8", lambda: ops.normalize(ONE((1, 4, 4, 3)), ONE(3), ONE(3))),
    "crop outside the padding": (ValueError, "0..8", lambda: ops.augment(
        np.zeros((1, 5, 5, 3), np.uint8), np.array([9]), np.array([0]), np.array([False]), ONE(3), ONE(3))),
    "padding larger than the mirror": (ValueError, "0..3 for images of 4 x 4", lambda: ops.augment(
        np.zeros((1, 4, 4, 3), np.uint8), np.array([0]), np.array([0]), np.array([False]), ONE(3), ONE(3))),
    "velocity of another shape": (ValueError, "one shape", lambda: ops.sgd(ONE(3), ONE(3), ONE(4), 0.1)),
    "muon's of another shape": (ValueError, "one shape", lambda: ops.muon(ONE((3, 2)), ONE((3, 2)), ONE((2, 3)), 0.1)),
    "a vector to orthogonalize": (ValueError, "matrix", lambda: ops.orthogonalize(ONE(3))),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_line_that_helps(case):
    kind, words, call = REFUSED[case]
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    assert words in message
    assert "\n" not in message


def test_gelu_vanishes_far_below_zero_and_is_the_identity_far_above():
    x = np.array([-1e30, -100, -9.5, 9.5, 100, 1e30])
    for approximate in (False, True):
        np.testing.assert_array_equal(np.abs(ops.gelu(x, approximate)), [0, 0, 0, 9.5, 100, 1e30])
        slopes = ops.gelu_backward(np.ones(6), x, approximate)
        np.testing.assert_allclose(slopes, [0, 0, 0, 1, 1, 1], rtol=0, atol=1e-18)


def test_ceil_mode_leaves_out_a_window_that_would_begin_behind_the_map():
    x = np.arange(1.0, 4).reshape(1, 3, 1, 1)
    assert ops.max_pool(x, 1, 2, 0, True).ravel().tolist() == [1, 3]
    assert ops.max_pool(x, 2, 2, 1, True).shape == (1, 2, 1, 1)             # PyTorch leaves the third out, too
    assert ops.average_pool(x[:, :, [0, 0, 0]], 2, 2, 0, True)[0, 1, :, 0].tolist() == [3, 3]


def test_channels_are_put_together_shuffled_and_taken_apart_in_the_stated_order():
    a, b, c = (np.full((1, 1, 1, width), value) for width, value in ((1, 1.0), (2, 2.0), (3, 3.0)))
    y = ops.concat(a, b, c)
    assert y.ravel().tolist() == [1, 2, 2, 3, 3, 3]
    assert [part.ravel().tolist() for part in ops.split(y, (1, 2, 3))] == [[1], [2, 2], [3, 3, 3]]
    order = np.arange(6.0).reshape(1, 1, 1, 6)
    assert ops.channel_shuffle(order, 2).ravel().tolist() == [0, 3, 1, 4, 2, 5]
    for widths, error in (((3, 4), ValueError), ((6,), ValueError), ([3, 3], TypeError), ((0, 6), ValueError)):
        with pytest.raises(error, match="widths must be"):
            ops.split(y, widths)
