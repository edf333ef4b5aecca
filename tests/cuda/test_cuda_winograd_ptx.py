"""Winograd's convolution compiled for every GPU: it fits a launch, spills nothing, and loads what it should."""

from collections import Counter

import numpy as np
import pytest
from test_cuda_ptx import ALL, check

from npse import cuda
from npse.cuda import conv
from npse.cuda.runtime import device
from npse.cuda.runtime.machine_code import assemble
from npse.cuda.runtime.ptx import Compiler

pytestmark = [pytest.mark.ptx, pytest.mark.slow]


@pytest.mark.parametrize(("channels", "products"), [(64, 2), (256, 3)])      # of 256, the images are in two groups
def test_it_compiles_and_spills_nothing(channels, products):
    compiler = Compiler(ALL)
    compiler.checked = set()
    before = device.use(compiler)
    try:
        with conv.VARIANTS.limited_to("winograd"):
            x, w = (cuda.to_device(np.zeros(shape, np.float32)) for shape in
                    ((128, 8, 8, channels), (3, 3, channels, channels)))
            y = cuda.conv2d(x, w, 1, 1)
            cuda.conv2d_backward_x(y, w, x.shape, 1, 1)
            cuda.conv2d_backward_x_add(y, w, x, 1, 1)
            cuda.conv2d_backward_w(y, x, w.shape, 1, 1)
    finally:
        device.use(before)
    check(compiler)
    kernels = Counter(build.name.rpartition(".")[2].lstrip("_") for build in compiler.builds)
    assert kernels == {"windows_to_points": 1, "maps_to_points": 1, "filters_to_points": 2, "points_to_maps": 2,
                       "points_to_filters": 1, "products_of_points": products}
    for build in compiler.builds:
        for capability in ALL:
            code = assemble(build.ptx[capability], capability)
            assert code.resources.local == 0, build
            if build.name.endswith("products_of_points"):
                assert code.instructions["fma"] >= 128
                assert code.instructions["stores"] == code.instructions["wide_stores"]
