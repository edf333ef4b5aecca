"""Squeezes other than the mean: against their formulas in PyTorch, the cosine transform, and cases at the edge."""

import math
import re

import numpy as np
import pytest

from npse import backend, reference
from npse.layers.dct import BEST_FREQUENCIES, dct_basis

EDITIONS = pytest.mark.parametrize("edition", backend.available())
SHAPES = pytest.mark.parametrize("shape", [(3, 5, 7, 4), (2, 6, 4, 16), (1, 1, 3, 1), (70, 3, 2, 32)], ids=str)


def ops_of(edition):
    return backend.with_numpy_results(edition)


# Against PyTorch: each entry has the formula, the gradients of the book, and the shapes of the arguments after u.

def _attention(torch, u, k):
    shares = torch.softmax((u @ k).flatten(1), 1).view(u.shape[:3])
    return torch.einsum("nij,nijc->nc", shares, u)


FORMULAS = {
    "deviation": (lambda torch, u: torch.sqrt(u.var((1, 2)) + 1e-5),
                  lambda ops, dy, y, u: (ops.deviation_backward(dy, u, y),), ()),
    "weighted_squeeze": (lambda torch, u, b: (u * b).sum((1, 2)),
                         lambda ops, dy, y, u, b: ops.weighted_squeeze_backward(dy, u, b), ("HWC",)),
    "attention_squeeze": (_attention, lambda ops, dy, y, u, k: ops.attention_squeeze_backward(dy, u, k, *y), ("C",)),
    "norm_squeeze": (lambda torch, u: torch.sqrt((u * u).sum((1, 2)) + 1e-5),
                     lambda ops, dy, y, u: (ops.norm_squeeze_backward(dy, u, y),), ()),
    "channel_rms": (lambda torch, z: z / torch.sqrt((z * z).mean(1, keepdim=True) + 1e-5),
                    lambda ops, dy, y, z: (ops.channel_rms_backward(dy, z),), ()),
    "one_plus_tanh": (lambda torch, x: 1 + torch.tanh(x),
                      lambda ops, dy, y, x: (ops.one_plus_tanh_backward(dy, y),), ()),
}


@EDITIONS
@SHAPES
@pytest.mark.parametrize("op", FORMULAS)
def test_values_and_gradients_are_those_of_pytorch(op, shape, edition):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
    (formula, gradients, others), ops, rng = FORMULAS[op], ops_of(edition), np.random.default_rng(1)
    sizes = dict(zip("NHWC", shape, strict=True))
    first = (sizes["N"], sizes["C"]) if op == "channel_rms" else shape
    arguments = [0.3 + rng.standard_normal(of) for of in (first, *(tuple(sizes[a] for a in axes) for axes in others))]
    tensors = [torch.tensor(array, requires_grad=True) for array in arguments]
    expected, y = formula(torch, *tensors), getattr(ops, op)(*arguments)
    dy = rng.standard_normal(expected.shape)
    expected.backward(torch.tensor(dy))
    np.testing.assert_allclose(y[0] if isinstance(y, tuple) else y, expected.detach(), rtol=1e-9, atol=1e-9)
    for ours, tensor in zip(gradients(ops, dy, y, *arguments), tensors, strict=True):
        np.testing.assert_allclose(ours, tensor.grad, rtol=1e-9, atol=1e-9)


# The cosine transform

@pytest.mark.parametrize(("H", "W", "C", "frequencies"), [(7, 7, 32, 16), (14, 14, 64, 32), (8, 16, 16, 16),
                                                          (5, 3, 6, 2), (1, 1, 4, 1)])
def test_the_basis_is_the_cosine_transform(H, W, C, frequencies):
    b = dct_basis(H, W, C, frequencies)
    assert (b.shape, b.dtype) == ((H, W, C), np.float64)
    for c in range(C):
        v, h = BEST_FREQUENCIES[c * frequencies // C]
        for i in range(H):
            for j in range(W):
                down, across = (math.sqrt(2 if f else 1) / size * math.cos(math.pi * f * (at + 0.5) / size)
                                for f, at, size in ((v * H // 7, i, H), (h * W // 7, j, W)))
                assert b[i, j, c] == pytest.approx(down * across, abs=1e-15)


def test_the_first_group_is_the_mean():
    u = np.random.default_rng(0).standard_normal((2, 8, 8, 16))
    z = reference.weighted_squeeze(u, dct_basis(8, 8, 16, 4))
    np.testing.assert_allclose(z[:, :4], reference.squeeze(u)[:, :4], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("size", [7, 8, 14, 32])
def test_all_frequencies_are_orthogonal(size):
    b = dct_basis(size, size, 32, 32).reshape(-1, 32)
    np.testing.assert_allclose(b.T @ b, np.eye(32) / size**2, rtol=0, atol=1e-15)


def test_all_frequencies_differ():
    assert len(set(BEST_FREQUENCIES)) == 32


@pytest.mark.parametrize("frequencies", [0, 3, 33])
def test_a_number_of_frequencies_that_does_not_fit_is_refused(frequencies):
    words = f"dct_basis: frequencies must be at most 32 and divide the 64 channels, but is {frequencies}"
    with pytest.raises(ValueError, match=re.escape(words)):
        dct_basis(8, 8, 64, frequencies)


# Edges

@EDITIONS
@pytest.mark.parametrize("C", [3, 32])
def test_the_deviation_keeps_its_digits_if_the_mean_is_large(edition, C):
    u = (1000 + np.random.default_rng(2).standard_normal((2, 9, 7, C))).astype(np.float32)
    d = ops_of(edition).deviation(u)
    assert d.dtype == np.float32
    np.testing.assert_allclose(d, np.sqrt(u.astype(np.float64).var((1, 2), ddof=1) + 1e-5), rtol=1e-5)


@EDITIONS
def test_a_map_of_one_pixel_has_the_deviation_of_eps_and_no_gradient(edition):
    ops, u = ops_of(edition), np.full((2, 1, 1, 3), 5.0)
    d = ops.deviation(u, 0.25)
    np.testing.assert_array_equal(d, np.full((2, 3), 0.5))
    np.testing.assert_array_equal(ops.deviation_backward(np.ones((2, 3)), u, d), np.zeros_like(u))


@EDITIONS
@pytest.mark.parametrize("C", [3, 32])
def test_attention_without_weights_is_the_mean_and_large_scores_do_not_overflow(edition, C):
    ops, u = ops_of(edition), np.random.default_rng(3).standard_normal((2, 5, 4, C)).astype(np.float32)
    z, p = ops.attention_squeeze(u, np.zeros(C, np.float32))
    np.testing.assert_allclose(p, 1 / 20, rtol=1e-6)
    np.testing.assert_allclose(z, u.mean((1, 2)), rtol=1e-5, atol=1e-6)
    k = np.zeros(C, np.float32)
    k[0] = 1e4                                                    # one pixel gets all of it
    z, p = ops.attention_squeeze(u, k)
    best = u[..., 0].reshape(2, -1).argmax(1)
    np.testing.assert_array_equal(p.reshape(2, -1).argmax(1), best)
    np.testing.assert_allclose(z, u.reshape(2, 20, C)[np.arange(2), best], rtol=1e-4, atol=1e-4)


@EDITIONS
@pytest.mark.parametrize("C", [3, 32])
def test_a_nan_reaches_its_image_and_no_other(edition, C):
    ops, u = ops_of(edition), np.ones((3, 4, 5, C), np.float32)
    u[1, 2, 3, 0] = np.nan
    for op, others in (("deviation", ()), ("weighted_squeeze", (np.ones((4, 5, C), np.float32),)),
                       ("norm_squeeze", ()), ("attention_squeeze", (np.ones(C, np.float32),))):
        z = getattr(ops, op)(u, *others)
        z = z[0] if isinstance(z, tuple) else z
        expected = np.zeros((3, C), bool)
        expected[1, slice(None) if op == "attention_squeeze" else 0] = True
        np.testing.assert_array_equal(np.isnan(z), expected, err_msg=op)
