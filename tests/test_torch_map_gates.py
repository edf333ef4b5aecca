"""Gates that differ between pixels, SimAM and coordinate attention against PyTorch's autograd in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npse import backend

pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
import torch
from test_torch import FEWER, judge, maps

SEEDS = st.integers(0, 99)


@pytest.fixture(params=["reference", *(pytest.param(name, marks=pytest.mark.slow)
                                       for name in backend.available() if name != "reference")], scope="module")
def ops(request):
    return backend.with_numpy_results(request.param)


def drawn(seed, **shapes):
    rng = np.random.default_rng(seed)
    return rng, {name: rng.standard_normal(shape) for name, shape in shapes.items()}


@FEWER
@given(maps(), SEEDS)
def test_products(ops, shape, seed):
    rng, a = drawn(seed, u=shape, s=shape[:3])
    judge(lambda u, s: u * s[..., None], ops.scale_pixels(**a), a, rng, lambda dy: ops.scale_pixels_backward(dy, **a))
    rng, a = drawn(seed, u=shape, s=shape)
    judge(lambda u, s: u * s, ops.multiply(**a), a, rng, lambda dy: ops.multiply_backward(dy, **a))


@FEWER
@given(maps(), SEEDS)
def test_sums(ops, shape, seed):
    N, H, W, C = shape
    rng, a = drawn(seed, u=shape, t=(N, C))
    judge(lambda u, t: u + t[:, None, None], ops.shift(**a), a, rng, ops.shift_backward)
    rng, a = drawn(seed, a=(N, C), p=(N, H, W))
    judge(lambda a, p: a[:, None, None] + p[..., None], ops.outer_sum(**a), a, rng, ops.outer_sum_backward)


@FEWER
@given(maps(), SEEDS)
def test_channel_pool(ops, shape, seed):
    rng, a = drawn(seed, u=shape)

    def pooled(u):
        return torch.stack([u.max(dim=3).values, u.mean(dim=3)], dim=3)
    judge(pooled, ops.channel_pool(**a), a, rng, lambda dy: (ops.channel_pool_backward(dy, **a),))


@FEWER
@given(maps(), st.sampled_from([1e-4, 0.5]), SEEDS)
def test_simam(ops, shape, lam, seed):
    rng, a = drawn(seed, u=shape)
    pixels = max(shape[1] * shape[2] - 1, 1)

    def simam(u):
        squares = (u - u.mean(dim=(1, 2), keepdim=True)) ** 2
        variance = squares.sum(dim=(1, 2), keepdim=True) / pixels
        return u * torch.sigmoid(squares / (4 * (variance + lam)) + 0.5)
    judge(simam, ops.simam(**a, lam=lam), a, rng, lambda dy: (ops.simam_backward(dy, **a, lam=lam),))


@FEWER
@given(maps(), SEEDS)
def test_coordinate_attention(ops, shape, seed):
    """Means along both axes, joined, split again, and as gates: all of the structure but its layers."""
    N, H, W, C = shape
    rng, a = drawn(seed, u=shape)
    judge(lambda u: torch.cat([u.mean(dim=2), u.mean(dim=1)], dim=1)[:, :, None],
          ops.join_rows(*ops.axis_means(**a)), a, rng,
          lambda dz: (ops.axis_means_backward(*ops.split_rows(dz, H)),))
    rng, a = drawn(seed, u=shape, sh=(N, H, C), sw=(N, W, C))
    judge(lambda u, sh, sw: u * sh[:, :, None] * sw[:, None], ops.scale_axes(**a), a, rng,
          lambda dy: ops.scale_axes_backward(dy, **a))
