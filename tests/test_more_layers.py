"""Layers for other networks than ResNets: pooling, activations by name, branches, channel shuffle, dropout."""

import numpy as np
import pytest

from npse import backend, reference
from npse.gradcheck import KinkRecorder, check_direction
from npse.layers import (
    ACTIVATIONS,
    Activation,
    AveragePool,
    Branches,
    ChannelShuffle,
    Conv2d,
    Dropout,
    GlobalMaxPool,
    MaxPool,
    Sequential,
)

X = np.random.default_rng(1).standard_normal((2, 5, 6, 4))


def report_on(layer, x=X, change=None):
    """Check dx and the gradients of a layer along random directions; ``change`` plants an error in dx."""
    layer.astype(np.float64)
    parameters = {"x": x, **layer.named_parameters()}
    before = layer.state()
    y, _ = layer(x)
    weights = np.random.default_rng(2).standard_normal(y.shape)

    def loss(at):
        layer.update({**before, **{name: array for name, array in at.items() if name != "x"}})   # the same masks too
        return (layer(at["x"])[0] * weights).sum()

    recorder = KinkRecorder()
    with backend.observing(recorder):
        layer.update(before)
        _, backward = layer(x)
        dx, gradients = backward(weights)
        dx = dx if change is None else change(dx)
        return check_direction(loss, parameters, {"x": dx, **gradients}, recorder)


def inception():
    rng = np.random.default_rng(0)
    return Branches({"1x1": Conv2d(4, 2, 1, rng=rng),
                     "3x3": Sequential({"conv1": Conv2d(4, 3, 1, rng=rng), "conv2": Conv2d(3, 5, 3, rng=rng)}),
                     "pool": Sequential({"pool": MaxPool(3, 1, 1), "conv": Conv2d(4, 1, 1, rng=rng)}),
                     "identity": Sequential()})


LAYERS = {
    "max pool": lambda: MaxPool(3, 2, 1, True), "average pool": lambda: AveragePool(3, 2, 1, False, False),
    "global max pool": GlobalMaxPool, "shuffle": lambda: ChannelShuffle(2), "branches": inception,
    "dropout": lambda: Dropout(0.3, 5),
    **{name: lambda name=name: Activation(name) for name in ACTIVATIONS},
    "gelu, approximate": lambda: Activation("gelu", approximate=True),
}


@pytest.mark.parametrize("edition", backend.available())
@pytest.mark.parametrize("layer", LAYERS)
def test_gradients(layer, edition):
    with backend.using_edition(backend.with_numpy_results(edition)):
        report = report_on(LAYERS[layer](), 4 * X)
        assert report.ok, str(report)


def test_an_error_of_a_thousandth_is_found():
    assert not report_on(inception(), change=lambda dx: 1.001 * dx).ok


def test_shapes():
    assert MaxPool(2)(X)[0].shape == (2, 2, 3, 4)
    assert MaxPool(3, 2, padding=1)(X)[0].shape == (2, 3, 3, 4)
    assert MaxPool(2, ceil_mode=True)(X)[0].shape == (2, 3, 3, 4)
    assert AveragePool(3, 1, 1)(X)[0].shape == X.shape
    assert GlobalMaxPool()(X)[0].shape == (2, 4)
    assert inception()(X.astype(np.float32))[0].shape == (2, 5, 6, 2 + 5 + 1 + 4)


def test_branches_are_put_together_in_their_order():
    layer = Branches({"a": Activation("relu"), "b": Sequential()})
    np.testing.assert_array_equal(layer(X)[0], np.concatenate([np.maximum(X, 0), X], axis=3))
    np.testing.assert_array_equal(layer.predict(X), layer(X)[0])
    assert list(inception().named_parameters()) == [
        "1x1.weight", "3x3.conv1.weight", "3x3.conv2.weight", "pool.conv.weight"]


def test_every_elementwise_op_of_the_book_is_an_activation():
    found = {name: op.contract for name, op in ((name, getattr(reference, name)) for name in reference.OPS)
             if list(op.contract.arguments.items()) == [("x", "*")]}
    saved = {name: [*getattr(reference, f"{name}_backward").contract.arguments] for name in found}
    assert {name: arguments[-1] for name, arguments in saved.items() if len(arguments) == 2} == ACTIVATIONS


def test_dropout_keeps_the_mean_and_drops_the_rate():
    x = np.ones((64, 8, 8, 16), np.float32)
    y, backward = Dropout(0.3)(x)
    assert y.dtype == np.float32
    assert np.unique(y).tolist() == [0, np.float32(1 / 0.7)]
    assert abs((y == 0).mean() - 0.3) < 0.01
    dx, gradients = backward(2 * x)
    np.testing.assert_array_equal(dx, 2 * y)
    assert not gradients


def test_dropout_is_the_identity_in_inference_and_at_rate_0():
    for layer in (Dropout(0.5).eval(), Dropout(0.0)):
        y, backward = layer(X)
        assert y is X
        assert backward(X)[0] is X
        assert layer.buffers["count"][0] == 0


def test_dropout_draws_another_mask_for_each_call_and_each_seed():
    layer = Dropout(0.5, seed=1)
    first, second, other = layer(X)[0], layer(X)[0], Dropout(0.5, seed=2)(X)[0]
    assert (first != second).any()
    assert (first != other).any()
    np.testing.assert_array_equal(first, Dropout(0.5, seed=1)(X)[0])


@pytest.mark.parametrize("edition", backend.available())
def test_dropout_goes_on_after_loading_as_if_it_had_not_been_interrupted(edition):
    with backend.using_edition(backend.with_numpy_results(edition)):
        layer, resumed = (Sequential({"dropout": Dropout(0.5, seed=3)}) for _ in range(2))
        for _ in range(3):
            layer(X)
        saved = {name: np.copy(array) for name, array in layer.state().items()}
        assert saved["dropout.count"].tolist() == [3]
        resumed.load(saved)
        for _ in range(3):
            np.testing.assert_array_equal(resumed(X)[0], layer(X)[0])
        layer.load(saved)                                         # and back again
        resumed.load(saved)
        np.testing.assert_array_equal(resumed(X)[0], layer(X)[0])


@pytest.mark.parametrize(("words", "make"), [
    ("unknown activation 'silou'; did you mean silu?", lambda: Activation("silou")),
    ("there must be two to four layers, but there are 1", lambda: Branches({"a": Sequential()})),
    ("rate must lie in 0 <= rate < 1, but is 1", lambda: Dropout(1)),
    ("MaxPool: size must be an integer of at least 1, but is 0", lambda: MaxPool(0)),
    ("AveragePool: stride must be an integer of at least 1, but is 0", lambda: AveragePool(2, 0)),
    ("padding must be at most half of the size 3, but is 2", lambda: MaxPool(3, 1, 2)(X)),
    ("groups must be an integer that divides C = 4, but is 3", lambda: ChannelShuffle(3)(X)),
])
def test_refusals(words, make):
    with pytest.raises(ValueError, match=words):
        make()
