"""Random directions through whole networks: right gradients pass, planted errors do not, kinks are never tolerated."""

import numpy as np
import pytest

from npse import backend
from npse.gradcheck import KinkRecorder, check_direction
from npse.gradcheck.cases.case import distinct, signed

LABELS = np.array([0, 2, 1])


def network(x, p):
    """Return loss, backward of a network made of ops: a convolution, an SE block, two joins, a pooling and a loss."""
    ops = backend.active()
    u = ops.conv2d(x, p["conv"], 1, 1)
    f, mean, var = ops.batch_norm_relu(u, p["gamma"], p["beta"])
    z = ops.squeeze(f)
    s = ops.excite(z, p["w1"], p["w2"], p["b1"], p["b2"])
    joined = ops.scale_add_relu(f, s, u)
    pooled = ops.max_pool(joined, 2)
    rows = ops.global_average_pool(pooled)
    logits = ops.dense(rows, p["fc"], p["bias"])

    def backward():
        dlogits = ops.softmax_cross_entropy_backward(1.0, logits, LABELS)
        drows, dfc, dbias = ops.dense_backward(dlogits, rows, p["fc"])
        djoined = ops.max_pool_backward(ops.global_average_pool_backward(drows, pooled.shape), joined, 2)
        df, ds, du = ops.scale_add_relu_backward(djoined, f, s, joined)
        dz, dw1, dw2, db1, db2 = ops.excite_backward(ds, z, s, p["w1"], p["w2"], p["b1"])
        df = df + ops.squeeze_backward(dz, f.shape)
        dx, dgamma, dbeta = ops.batch_norm_relu_backward(df, u, p["gamma"], p["beta"], mean, var)
        dconv = ops.conv2d_backward_w(dx + du, x, p["conv"].shape, 1, 1)
        return {"conv": dconv, "gamma": dgamma, "beta": dbeta, "w1": dw1, "w2": dw2, "b1": db1, "b2": db2,
                "fc": dfc, "bias": dbias}
    return ops.softmax_cross_entropy(logits, LABELS), backward


def draw(seed):
    rng = np.random.default_rng(seed)
    shapes = {"conv": (3, 3, 2, 4), "gamma": (4,), "beta": (4,), "w1": (2, 4), "w2": (4, 2), "b1": (2,), "b2": (4,),
              "fc": (3, 4), "bias": (3,)}
    return distinct(rng, 3, 6, 4, 2), {name: signed(rng, *shape) / 2 for name, shape in shapes.items()}


def report(seed=0, edition="reference", **planted):
    """Check the network, with gradients changed by the functions in ``planted``."""
    x, parameters = draw(seed)
    recorder = KinkRecorder()
    with backend.using_edition(backend.with_numpy_results(edition)), backend.observing(recorder):
        gradients = network(x, parameters)[1]()
        gradients |= {name: change(gradients[name]) for name, change in planted.items()}
        return check_direction(lambda p: network(x, p)[0], parameters, gradients, recorder, seed)


@pytest.mark.parametrize("edition", backend.available())
def test_right_networks_pass(edition):
    for seed in range(10):
        found = report(seed, edition)
        assert found.ok, f"seed {seed}:\n{found}"
    assert [result.argument for result in found.results] == [*draw(0)[1], "all"]


@pytest.mark.parametrize("name", draw(0)[1])
@pytest.mark.parametrize("change", [lambda g: g * 1.001, lambda g: -g, np.zeros_like], ids=["0.1 %", "sign", "zero"])
def test_an_error_in_any_array_is_found(name, change):
    for seed in range(3):
        found = report(seed, **{name: change})
        assert name in {result.argument for result in found.failures}
        assert {result.argument for result in found.failures} <= {name, "all"}
        assert "relative error" in str(found)


def test_the_direction_does_not_repeat_the_callers_numbers():
    """A scale-invariant function has no slope along its own argument, so a check in that direction finds no error."""
    w = np.random.default_rng(0).standard_normal(9)

    def loss(p):
        return (p["w"] / np.linalg.norm(p["w"]))[0]

    gradient = np.eye(9)[0] / np.linalg.norm(w) - w[0] * w / np.linalg.norm(w) ** 3
    assert check_direction(loss, {"w": w}, {"w": gradient}, seed=0).ok
    assert not check_direction(loss, {"w": w}, {"w": 1.001 * gradient}, seed=0).ok


def relu_report(w, gradient=None):
    recorder = KinkRecorder()
    gradient = 2 * (w > 0) * np.maximum(w, 0) + (w > 0) if gradient is None else gradient

    def loss(p):
        y = backend.active().relu(p["w"])
        return (y + y**2).sum()

    with backend.observing(recorder):
        return check_direction(loss, {"w": w}, {"w": gradient}, recorder)


def test_at_a_kink_there_is_no_verdict():
    found = relu_report(np.array([0.0, 1.0, -1.0]))
    assert {result.verdict for result in found.results} == {"cannot tell"}
    assert "crossed kinks" in str(found)


def test_near_a_kink_a_smaller_step_decides():
    w = np.array([1e-7, 1.0, -1.0, 2.0])
    found = relu_report(w)
    assert found.ok
    assert "given up" in str(found)
    assert not relu_report(w, gradient=np.array([1.0, 3.003, 0.0, 5.005])).ok


def test_without_a_recorder_the_kink_would_look_like_an_error():
    w = np.array([1e-7, 1.0])
    assert not check_direction(lambda p: np.maximum(p["w"], 0).sum(), {"w": w}, {"w": np.ones(2)}).ok


def test_the_recorder_records_every_op_with_a_kink():
    rng, recorder = np.random.default_rng(0), KinkRecorder()
    u, s = distinct(rng, 2, 4, 4, 3), rng.uniform(0.1, 0.9, (2, 3))
    w1, w2, b = signed(rng, 2, 3), signed(rng, 3, 2), signed(rng, 2)
    with backend.observing(recorder) as ops:
        seen = [ops.relu(u) > 0, ops.batch_norm_relu(u, s[0], s[1])[0] > 0, ops.add_relu(u, -2 * u) > 0,
                ops.scale_add_relu(u, s, -u / 2) > 0]
        ops.excite(s, w1, w2, b)
        ops.se(u, w1, w2)
        ops.max_pool(u, 2, 1)
        ops.sigmoid(u)
    assert len(recorder.choices) == 7
    for mask, choice in zip(seen, recorder.choices[:4], strict=True):
        np.testing.assert_array_equal(mask, choice)
    np.testing.assert_array_equal(recorder.choices[4], s @ w1.T + b > 0)
    np.testing.assert_array_equal(recorder.choices[5], u.mean(axis=(1, 2)) @ w1.T > 0)
    assert recorder.choices[6][1, 2, 0, 1] == u[1, 2:4, 0:2, 1].argmax()
    recorder.clear()
    assert recorder.choices == []


def test_the_recorder_records_arguments_given_by_name():
    x = np.random.default_rng(0).standard_normal((1, 5, 5, 2))
    recorder = KinkRecorder()
    with backend.observing(recorder) as ops:
        y = ops.max_pool(x, 2, stride=1)
    assert [choice.shape for choice in recorder.choices] == [y.shape]


@pytest.mark.parametrize(("parameters", "gradients", "message"), [
    ({"w": np.ones(2)}, {}, "w is among the parameters"),
    ({"w": np.ones(2)}, {"w": np.ones(2), "v": np.ones(2)}, "v is among the gradients"),
    (dict.fromkeys("zyxwv", np.ones(2)), {}, "z is among the parameters"),
    ({}, dict.fromkeys("zyxwv", np.ones(2)), "no parameters"),
    ({"w": np.ones(2)}, dict.fromkeys("zyxwv", np.ones(2)), "z is among the gradients"),
    ({"w": np.ones(2, np.float32)}, {"w": np.ones(2)}, "float64"),
    ({"w": np.ones(2)}, {"w": np.ones(3)}, "shape"),
    ({}, {}, "no parameters"),
])
def test_misuse_is_explained(parameters, gradients, message):
    with pytest.raises(ValueError, match=message):
        check_direction(lambda p: 0.0, parameters, gradients)
