"""The machine code of passes over maps and lists: 128 bits a load and a store where vectors fit, else a number."""

import numpy as np
import pytest
from numba import types

from npse import cuda
from npse.cuda import conv
from npse.cuda.conv_kernels.patches import in_flight
from npse.cuda.runtime import device
from npse.cuda.runtime.machine_code import assemble
from npse.cuda.runtime.ptx import Compiler
from npse.cuda.runtime.vector_type import Vector
from npse.cuda.runtime.vectors import join, lane, where

pytestmark = pytest.mark.ptx
HOPPER = (9, 0)
SMALL = {"batch_statistics", "batch_gradients", "add_images"}       # they read tables (N, C), a number a thread

PASSES = {
    "batch_norm": "x c c", "batch_norm_relu_backward": "x x c c c c", "batch_norm_backward": "x x c c c",
    "batch_norm_inference_backward": "x x c c c", "bn_scale_add_relu": "x c c c c s x",
    "bn_scale_add_relu_backward_s": "x x x c c c c", "bn_scale_add_relu_backward": "x x x s s s s s c c c",
    "squeeze": "x", "global_max_pool": "x",
    "scale": "x s", "scale_backward": "x x s", "scale_add": "x s x", "scale_add_relu": "x s x",
    "scale_add_relu_backward": "x x s x", "add_squeeze_backward": "x s", "add": "x x", "add_relu": "x x", "relu": "x",
    "relu_backward": "x x", "max_pool": "x 2", "max_pool_backward": "p x 2", "average_pool": "x 2",
    "average_pool_backward": "p shape 2", "axis_means_backward": "h w", "scale_axes": "x h w",
    "scale_axes_backward": "x x h w", "sigmoid": "x", "silu": "x", "silu_backward": "x x", "add_bias": "x c",
    "shift": "x s",
}


def builds_of(op, dtype, C):
    """Compile the kernels of an op on maps with C channels; return their builds."""
    arrays = {"x": np.ones((3, 3, 5, C), dtype), "s": np.ones((3, C), dtype), "c": np.ones(C, dtype),
              "p": np.ones((3, 1, 2, C), dtype), "h": np.ones((3, 3, C), dtype), "w": np.ones((3, 5, C), dtype),
              "shape": (3, 3, 5, C), "2": 2}
    compiler = Compiler([HOPPER])
    before = device.use(compiler)
    try:
        getattr(cuda, op)(*(arrays[name] for name in PASSES[op].split()))
    finally:
        device.use(before)
    return [build for build in compiler.builds if build.name.rpartition(".")[2].lstrip("_") not in SMALL]


@pytest.mark.slow
@pytest.mark.parametrize("op", PASSES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_every_load_and_store_of_a_pass_has_128_bits(op, dtype):
    for build in builds_of(op, dtype, 16):
        code = assemble(build.ptx[HOPPER], HOPPER)
        counts = code.instructions
        assert counts["loads"] == counts["wide_loads"], build
        assert counts["stores"] == counts["wide_stores"] > 0, build
        assert code.resources.local == 0, build
        assert dtype == np.float64 or not build.float64_instructions(), build


@pytest.mark.parametrize("variant", ["register", "tensor"])
def test_a_convolution_loads_maps_by_128_bits(variant):
    x, w, dy = (np.ones(shape, np.float32) for shape in ((8, 16, 16, 16), (3, 3, 16, 32), (8, 16, 16, 32)))
    compiler, ops = Compiler([HOPPER]), conv.VARIANTS[variant]
    before = device.use(compiler)
    try:
        ops.conv2d(x, w, 1, 1)
        ops.conv2d_backward_x(dy, w, x.shape, 1, 1)
        ops.conv2d_backward_w(dy, x, w.shape, 1, 1)
    finally:
        device.use(before)
    forward, backward_x, backward_w = (build for build in compiler.builds if not build.name.endswith("sums"))
    for build, maps in (forward, 1), (backward_x, 1), (backward_w, 2):
        code = assemble(build.ptx[HOPPER], HOPPER)
        counts = code.instructions
        loads = maps * in_flight(4) + (build is not backward_w)              # of maps and of filters
        assert (counts["loads"], counts["wide_loads"], code.resources.local) == (loads, loads, 0), build
        assert (counts["stores"] == counts["wide_stores"]) == (variant == "register" and build is not backward_w), build


@pytest.mark.parametrize("op", ["add", "scale", "squeeze", "max_pool"])
def test_channels_that_four_does_not_divide_are_loaded_one_by_one(op):
    for C, wide in ((5, False), (16, True)):
        for build in builds_of(op, np.float32, C):
            counts = assemble(build.ptx[HOPPER], HOPPER).instructions
            assert (counts["wide_loads"] > 0) == (counts["wide_stores"] > 0) == wide, build


def test_one_kernel_has_code_for_numbers_and_for_vectors():
    kinds = [build.signature[0].dtype for C in (5, 16) for build in builds_of("add", np.float32, C)]
    assert kinds == [types.float32, Vector(types.float32, 4)]


def test_a_function_of_vectors_belongs_into_kernels():
    with pytest.raises(TypeError, match="only a kernel can call where"):
        where(True, 1, 2)
    with pytest.raises(TypeError, match="only a kernel can call lane"):
        lane(1, 0)
    with pytest.raises(TypeError, match="only a kernel can call join"):
        join(1, 2)
