"""The layers that the hosts of squeeze-and-excitation share: chains, axis convolutions, fixed factors, rows of maps."""

import weakref

import numpy as np
import pytest

from npse import backend
from npse.layers import BatchNorm, BatchNormReLU, Conv2d, Sequential
from npse.layers.axis_conv import AxisConv2d
from npse.layers.flatten import Flatten
from npse.layers.layer import Layer
from npse.layers.scaled import Scaled
from npse.layers.sequential import PoolConcat, SkipSum, once

RNG = np.random.default_rng


def layers():
    """Batch norms after each kind of convolution, and not after one; running statistics that are not the usual ones."""
    rng = RNG(2)
    found = convolutions() | {"conv4": Conv2d(4, 5, 3, dilation=2, rng=rng), "bn4": BatchNormReLU(5),
                              "conv5": AxisConv2d(5, 6, (3, 1), rng=rng), "bn5": BatchNorm(6, scale=False),
                              "bn6": BatchNorm(6), "conv7": Conv2d(6, 18, 3, 2, rng=rng), "bn7": BatchNormReLU(18),
                              "conv8": Conv2d(18, 17, 3, rng=rng), "bn8": BatchNormReLU(17, eps=0.1)}
    for layer in found.values():
        if isinstance(layer, BatchNorm):
            layer.buffers["running_mean"] = rng.standard_normal(layer.gamma.shape)
            layer.buffers["running_var"] = rng.uniform(0.5, 2, layer.gamma.shape)
    return found


def convolutions(cin=4, cout=4, stride=1):
    rng = RNG(1)
    return {"conv1": Conv2d(cin, 6, 1, rng=rng), "bn1": BatchNormReLU(6),
            "conv2": Conv2d(6, 6, 3, stride, groups=6, rng=rng), "bn2": BatchNorm(6),
            "conv3": Conv2d(6, cout, 1, bias=True, rng=rng)}


def results(network, x, dy_of=np.cos):
    y, backward = network.astype(np.float64)(x)
    dx, gradients = backward(dy_of(y))
    return {"y": y, "dx": dx} | gradients | network.named_buffers()


class OneAfterAnother(Sequential):
    """The same layers, each by itself."""

    def with_norms(self):
        return ((name, layer, "", None) for name, layer in self.children.items())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("edition", ["reference", "cpu"])
def test_a_convolution_and_its_batch_norm_give_what_they_give_one_after_another(edition, training):
    x = RNG(0).standard_normal((3, 5, 6, 4))
    with backend.using_edition(edition):
        found, expected = (results(kind(layers())._switch(training), x) for kind in (Sequential, OneAfterAnother))
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-9, atol=1e-12, err_msg=name)


class Saving(Layer):
    """Saves its input; its backward pass notes how many of all saved inputs are still in memory."""

    def __init__(self, saved, counts):
        super().__init__()
        self.saved, self.counts = saved, counts

    def __call__(self, x):
        self.saved.append(weakref.ref(x))

        def backward(dy):
            self.counts.append(sum(saved() is not None for saved in self.saved))
            return dy * x, {"sum": dy.sum()}
        return x + 1, backward


def test_a_backward_pass_that_is_called_once_lets_go_of_what_it_has_used():
    saved, counts = [], []
    network = Sequential({name: Sequential({key: Saving(saved, counts) for key in "abc"}) for name in "de"})
    _, backward = network(RNG(0).standard_normal((2, 3, 3, 2)))
    dy = RNG(1).standard_normal((2, 3, 3, 2))
    dx, gradients = backward(dy)
    again, found = once(backward)(dy)
    assert (again.tobytes(), found) == (dx.tobytes(), gradients)
    assert list(found) == ["e.c.sum", "e.b.sum", "e.a.sum", "d.c.sum", "d.b.sum", "d.a.sum"]
    assert counts == 6 * [6] + [6, 5, 4, 3, 2, 1]


def test_none_is_a_layer_that_is_left_out():
    assert [*Sequential({"conv1": Conv2d(3, 3, 1, rng=RNG(0)), "se": None}).children] == ["conv1"]


@pytest.mark.parametrize("relu", [True, False])
def test_a_skip_sum_adds_its_input(relu):
    x, branch = RNG(0).standard_normal((2, 5, 6, 4)), results(Sequential(convolutions()),
                                                              RNG(0).standard_normal((2, 5, 6, 4)))
    total = branch["y"] + x
    expected = np.where(total > 0, total, 0) if relu else total
    network = SkipSum(convolutions(), relu).astype(np.float64)
    y, backward = network(x)
    np.testing.assert_allclose(y, expected, atol=1e-12)
    dy = RNG(2).standard_normal(y.shape)
    dx, _ = backward(dy)
    dtotal = np.where(total > 0, dy, 0) if relu else dy
    through, _ = Sequential(convolutions()).astype(np.float64)(x)[1](dtotal)
    np.testing.assert_allclose(dx, through + dtotal, atol=1e-12)


def test_a_pool_concat_puts_the_pooled_input_first():
    x = np.abs(RNG(0).standard_normal((2, 5, 6, 4)))
    y, backward = PoolConcat(convolutions(cout=3, stride=2)).astype(np.float64)(x)
    assert y.shape == (2, 3, 3, 7)
    np.testing.assert_allclose(y[:, 1, 1, :4], x[:, 1:4, 1:4].mean((1, 2)))
    only_pooled = np.zeros_like(y)
    only_pooled[:, 1, 1, :4] = 9
    dx, gradients = backward(only_pooled)
    np.testing.assert_allclose(dx[:, 1:4, 1:4], 1)
    assert all((found == 0).all() for found in gradients.values())


@pytest.mark.parametrize(("edition", "kernel"), [
    ("reference", (1, 7)), ("reference", (7, 1)), ("reference", (1, 3)), ("cpu", (3, 1)), ("cpu", (1, 7))])
def test_axis_convolution_agrees_with_pytorch(edition, kernel):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
    x, dy = RNG(0).standard_normal((2, 5, 6, 3)), RNG(1).standard_normal((2, 5, 6, 4))
    with backend.using_edition(edition):
        layer = AxisConv2d(3, 4, kernel, rng=RNG(2)).astype(np.float64)
        y, backward = layer(x)
        dx, gradients = backward(dy)
        moments, again = layer.and_moments(x)
        dx_again, _ = again(dy)
    w, theirs = (torch.tensor(array, requires_grad=True) for array in
                 (layer.parameters["weight"].transpose(3, 2, 0, 1).copy(), x.transpose(0, 3, 1, 2).copy()))
    result = torch.nn.functional.conv2d(theirs, w, padding=tuple(size // 2 for size in kernel))
    result.backward(torch.tensor(dy.transpose(0, 3, 1, 2).copy()))
    values, slopes = result.detach(), theirs.grad
    for mine, other in ((y, values), (moments[0], values), (dx, slopes), (dx_again, slopes)):
        np.testing.assert_allclose(mine, other.numpy().transpose(0, 2, 3, 1), atol=1e-9)
    np.testing.assert_allclose(gradients["weight"], w.grad.numpy().transpose(2, 3, 1, 0), atol=1e-9)
    np.testing.assert_allclose(moments[1], y.mean((0, 1, 2)), atol=1e-9)


@pytest.mark.parametrize("kernel", [(3, 3), (1, 4), (1, 1)])
def test_an_axis_convolution_has_an_odd_filter_of_one_row_or_column(kernel):
    with pytest.raises(ValueError, match="kernel must be"):
        AxisConv2d(3, 4, kernel, rng=RNG(0))


def test_a_factor_multiplies_both_ways():
    x = RNG(0).standard_normal((2, 3, 4, 5))
    y, backward = Scaled(0.17)(x)
    np.testing.assert_allclose(y, 0.17 * x)
    np.testing.assert_allclose(backward(x)[0], 0.17 * x)


def test_a_flat_map_has_the_channels_of_a_pixel_side_by_side():
    x = RNG(0).standard_normal((2, 3, 4, 5))
    y, backward = Flatten()(x)
    np.testing.assert_array_equal(y[1, (1 * 4 + 2) * 5:][:5], x[1, 1, 2])
    np.testing.assert_array_equal(backward(y)[0], x)
