"""Networks for 224x224 images against timm: the same arrays under the same names, and the same logits."""

import numpy as np
import pytest

from npse import backend, models

timm_models = pytest.importorskip("timm_models")
torch = timm_models.torch

PAIRS = {
    "resnet50": ("resnet50", 25_557_032), "se_resnet50": ("seresnet50", 28_088_024),
    "resnet101": ("resnet101", 44_549_160), "se_resnet101": ("seresnet101", 49_326_872),
    "resnet152": ("resnet152", 60_192_808), "se_resnet152": ("seresnet152", 66_821_848),
    "resnext50_32x4d": ("resnext50_32x4d", 25_028_904), "se_resnext50_32x4d": ("seresnext50_32x4d", 27_559_896),
    "resnext101_32x4d": ("resnext101_32x4d", 44_177_704), "se_resnext101_32x4d": ("seresnext101_32x4d", 48_955_416),
    "senet154": ("legacy_senet154", 115_088_984),
}
QUICK = ("se_resnet50", "se_resnext50_32x4d")
ALL = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in PAIRS]


def pair(name):
    """Return the network of npse, that of timm with the same arrays, and how timm names them."""
    theirs, ours = timm_models.create(PAIRS[name][0]), models.build(name).eval()
    return ours, theirs, timm_models.load(ours, theirs, name)


def images(batch, size):
    return np.random.default_rng(0).standard_normal((batch, size, size, 3)).astype(np.float32)


def nchw(x):
    return torch.tensor(x).permute(0, 3, 1, 2)


@pytest.mark.parametrize("name", ALL)
def test_logits_are_those_of_timm(name):
    ours, theirs, _ = pair(name)
    assert timm_models.count(theirs) == PAIRS[name][1]
    assert sum(array.size for array in ours.named_parameters().values()) == PAIRS[name][1]
    x = images(2, 64)
    with backend.using_edition("cpu"), torch.no_grad():
        logits, expected = ours.predict(x), theirs(nchw(x)).numpy()
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("name", PAIRS)
def test_forward_and_backward_at_224(name, batch):
    """Logits and all gradients at full size. Batch norm is at inference: with one image it has no statistics.

    The gradients are compared in float64: in float32 a ReLU whose input is nearly zero may be on the other side.
    """
    ours, theirs, names = pair(name)
    x = images(batch, 224)
    with backend.using_edition("cpu"), torch.no_grad():
        logits, expected = ours.predict(x), theirs(nchw(x)).numpy()
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    there = nchw(x.astype(np.float64)).requires_grad_()
    theirs.double()(there).sum().backward()
    with backend.using_edition("cpu"):
        logits, backward = ours.astype(np.float64)(x.astype(np.float64))
        dx, gradients = backward(np.ones_like(logits))
    close(dx, there.grad.permute(0, 2, 3, 1).numpy(), "images")
    found = timm_models.gradients(theirs, names)
    assert gradients.keys() == found.keys()
    for key, gradient in gradients.items():
        close(gradient, found[key], key)


def close(ours, theirs, name):
    """Compare gradients by the size of their difference."""
    assert np.linalg.norm(ours - theirs) <= 1e-9 * np.linalg.norm(theirs), name
