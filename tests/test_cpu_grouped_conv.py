"""Grouped, depthwise and dilated convolution of the cpu edition: the kernels against the book and against PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npse import reference as book

cpu = pytest.importorskip("npse.cpu", reason="Numba is not installed")
from npse.cpu import grouped_conv  # noqa: E402
from npse.cpu.conv_kernels import direct, loops  # noqa: E402
from npse.cpu.conv_kernels import lanes as in_lanes  # noqa: E402
from npse.cpu.simd import tile, tile_llvm  # noqa: E402
from npse.editions.convolution import Geometry  # noqa: E402

EQUAL_TO = {np.float32: 5e-6, np.float64: 1e-13}        # of the result's largest element
needs_tile = pytest.mark.skipif(tile.lanes(np.float32) == 0, reason="no tile on this CPU")


def problem(shape, filters, groups, stride=1, padding=0, dilation=1, dtype=np.float32):
    """Return random x, w, dy, and (groups, stride, padding, dilation)."""
    random = np.random.default_rng(0)
    g = Geometry.of(shape, filters, stride, padding, groups, dilation)
    return (*(random.standard_normal(shape).astype(dtype) for shape in (g.x_shape, g.w_shape, g.y_shape)),
            (groups, stride, padding, dilation))


def passes(ops, x, w, dy, how):
    return (ops.grouped_conv2d(x, w, *how), ops.grouped_conv2d_backward_x(dy, w, x.shape, *how),
            ops.grouped_conv2d_backward_w(dy, x, w.shape, *how))


def assert_equals_the_book(x, w, dy, how):
    expected = passes(book, *(array.astype(np.float64) for array in (x, w, dy)), how)
    for ours, books in zip(passes(cpu, x, w, dy, how), expected, strict=True):
        assert (ours.shape, ours.dtype) == (books.shape, x.dtype)
        np.testing.assert_allclose(ours, books, rtol=0, atol=EQUAL_TO[x.dtype.type] * max(abs(books).max(), 1e-30))


AWKWARD = {                                             # x, w, groups, stride, padding, dilation
    "depthwise, one channel more than a vector": ((2, 5, 9, 17), (3, 3, 1, 17), 17, 1, 1, 1),
    "depthwise, a column more than a tile": ((2, 4, 33, 16), (3, 3, 1, 16), 16, 1, 1, 1),
    "depthwise, stride 2 with a remainder": ((2, 8, 10, 24), (3, 3, 1, 24), 24, 2, 1, 1),
    "depthwise 5x5, stride 2, padding 2": ((1, 9, 7, 16), (5, 5, 1, 16), 16, 2, 2, 1),
    "depthwise, taps beyond a map of one pixel": ((3, 1, 1, 16), (3, 3, 1, 16), 16, 1, 2, 1),
    "depthwise, stride 3 and dilation 2": ((2, 11, 12, 16), (3, 2, 1, 16), 16, 3, 1, 2),
    "depthwise, pixels that no filter reads": ((1, 9, 11, 16), (2, 2, 1, 16), 16, 3, 0, 1),
    "depthwise, dilation as large as the map": ((2, 4, 5, 16), (3, 3, 1, 16), 16, 1, 4, 4),
    "groups of 2, a vector that overlaps": ((2, 5, 6, 22), (3, 3, 2, 22), 11, 1, 1, 1),
    "groups of 4, stride 2": ((2, 7, 9, 32), (3, 3, 4, 32), 8, 2, 1, 1),
    "groups of 8, kh < kw": ((1, 6, 8, 24), (1, 3, 8, 24), 3, 1, 0, 1),
    "groups of 3 to 5 channels": ((2, 5, 4, 12), (3, 3, 3, 20), 4, 1, 1, 1),
    "groups of 16, stride 2": ((2, 8, 9, 32), (3, 3, 16, 32), 2, 2, 1, 1),
    "groups of 20, 1x1": ((2, 3, 7, 60), (1, 1, 20, 60), 3, 1, 0, 1),
    "groups of 6 to 33, 1x1, stride 2": ((2, 5, 7, 12), (1, 1, 6, 66), 2, 2, 0, 1),
    "dilation 2, odd sizes": ((2, 7, 9, 5), (3, 3, 5, 18), 1, 1, 2, 2),
    "dilation 3 in groups, a padding that is no multiple": ((2, 9, 8, 32), (3, 2, 16, 32), 2, 1, 1, 3),
    "dilation 4, one row": ((1, 1, 19, 3), (1, 3, 3, 16), 1, 1, 4, 4),
    "dilation 2 and stride 2": ((2, 8, 7, 6), (3, 3, 3, 4), 2, 2, 2, 2),
}


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_shapes(name):
    assert_equals_the_book(*problem(*AWKWARD[name]))


@pytest.mark.slow                                       # seconds of compiling for each
@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_shapes_in_float64(name):
    assert_equals_the_book(*problem(*AWKWARD[name], dtype=np.float64))


@settings(deadline=None, max_examples=60)
@given(N=st.integers(1, 20), H=st.integers(1, 40), threads=st.integers(1, 3), groups=st.sampled_from([16, 19, 40]))
def test_a_depthwise_convolution_of_any_batch_and_height(N, H, threads, groups):
    before = cpu.get_threads()
    cpu.set_threads(threads)
    try:
        assert_equals_the_book(*problem((N, H, 9, groups), (3, 3, 1, groups), groups, 1, 1))
    finally:
        cpu.set_threads(before)


SAME_BITS = ["depthwise, one channel more than a vector", "groups of 4, stride 2", "groups of 16, stride 2",
             "dilation 2, odd sizes", "dilation 2 and stride 2"]


@pytest.mark.parametrize("name", SAME_BITS)
def test_bits_do_not_depend_on_the_number_of_threads(name):
    (_, *map_sizes), *rest = AWKWARD[name]
    given = problem((37, *map_sizes), *rest)
    before = cpu.get_threads()
    try:
        cpu.set_threads(1)
        expected = [array.tobytes() for array in passes(cpu, *given)]
        for threads in (2, 5):
            cpu.set_threads(threads)
            assert [array.tobytes() for array in passes(cpu, *given)] == expected
    finally:
        cpu.set_threads(before)


@pytest.mark.parametrize("name", AWKWARD)
def test_nothing_outside_of_an_array_is_read(name):
    """The memory around x, w and dy is NaN, so a result that depends on it would be NaN."""
    *arrays, how = problem(*AWKWARD[name])
    fenced = []
    for array in arrays:
        memory = np.full((3, *array.shape), np.nan, array.dtype)
        memory[1] = array
        fenced.append(memory[1])
    for ours, other in zip(passes(cpu, *fenced, how), passes(cpu, *arrays, how), strict=True):
        assert ours.tobytes() == other.tobytes()


@pytest.mark.parametrize("name", ["depthwise, stride 2 with a remainder", "groups of 4, stride 2"])
def test_a_nan_reaches_what_depends_on_it_and_nothing_else(name):
    x, w, dy, how = problem(*AWKWARD[name])
    dy[0, 1, 2, 5] = x[1, 3, 4, 7] = np.nan
    for ours, books in zip(passes(cpu, x, w, dy, how), passes(book, x, w, dy, how), strict=True):
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(books))


def test_large_maps_are_processed_in_bands(monkeypatch):
    given = problem((2, 23, 9, 16), (3, 3, 1, 16), 16, 1, 1)
    whole = passes(cpu, *given)
    monkeypatch.setattr(in_lanes, "BAND_BYTES", 2**11)
    assert_equals_the_book(*given)
    for ours, other in zip(passes(cpu, *given)[:2], whole[:2], strict=True):
        assert ours.tobytes() == other.tobytes()


def chosen(D, K, groups, kw=3, stride=1, dilation=1, dtype=np.float32):
    g = Geometry.of((1, 32, 32, groups * D), (3, kw, D, groups * K), stride, kw, groups, dilation)
    return grouped_conv.chosen(g, g.Cout, np.dtype(dtype))


@needs_tile
def test_the_kernel_that_pays_is_chosen(monkeypatch):
    lane = tile.lanes(np.float32)
    assert chosen(1, 1, lane) is chosen(2, 2, lane, stride=2, dilation=2) is chosen(1, 1, 3 * lane + 1) is in_lanes
    assert chosen(1, 2, lane) is chosen(lane, lane, 3) is chosen(3, 3, lane) is chosen(1, 1, lane - 1) is \
        grouped_conv.conv.VARIANTS.variants["sliding"]
    assert chosen(lane, lane, 3, stride=2).forward.func is direct.forward
    slowest = grouped_conv.conv.VARIANTS.variants["loops"]
    assert slowest.forward.args == (loops.forward,)
    assert chosen(lane, lane, 2, stride=2, dilation=2) is slowest
    assert chosen(lane, lane, 1) is grouped_conv.conv.chosen(
        Geometry.of((1, 32, 32, lane), (3, 3, lane, lane), 1, 3), lane, np.dtype(np.float32))
    monkeypatch.setattr(tile_llvm, "vector_registers", lambda: (0, 0))
    assert chosen(1, 1, 64) is chosen(64, 64, 3) is slowest


@pytest.mark.parametrize(("D", "K", "how"), [(1, 1, (24, 1, 1, 1)), (1, 1, (24, 2, 1, 1)), (4, 4, (8, 1, 1, 1)),
                                             (16, 16, (2, 1, 1, 1)), (6, 16, (1, 1, 2, 2))])
def test_agrees_with_pytorch_at_sizes_of_networks(D, K, how):
    torch, oracle = pytest.importorskip("torch"), pytest.importorskip("torch_oracle")
    groups, stride, padding, dilation = how
    x, w, dy, _ = problem((4, 16, 16, groups * D), (3, 3, D, groups * K), *how, dtype=np.float64)
    tensors = oracle.tensor(x), oracle.tensor(w)
    y = oracle.conv2d(*tensors, stride, padding, dilation, groups)
    y.backward(torch.tensor(dy))
    theirs = y.detach(), *(tensor.grad for tensor in tensors)
    for ours, other in zip(passes(cpu, x, w, dy, how), theirs, strict=True):
        np.testing.assert_allclose(ours, other.numpy(), rtol=0, atol=1e-9)
