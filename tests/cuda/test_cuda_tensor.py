"""The variant "tensor" of the convolution in the simulator. It rounds factors to tf32: its tolerance is its own."""

import numpy as np
import pytest
from convolutions import geometry, passes
from numba import cuda as numba_cuda

from npse import cuda
from npse import reference as book
from npse.cuda import conv
from npse.cuda.conv_kernels import tensor, tensor_dw
from npse.cuda.runtime import device
from npse.cuda.runtime.device import device_function, kernel, launch, to_device, to_host
from npse.cuda.runtime.tensor_core import multiply_add, to_tf32
from npse.cuda.runtime.without_gpu import WithoutGpu
from npse.editions.convolution import Geometry
from npse.trace.record import trace_op

pytestmark = [pytest.mark.simulator, pytest.mark.slow]
OPS = conv.VARIANTS["tensor"]
ROUNDED = 2.0**-11                       # the largest relative error of a number rounded to tf32
WORST, MEAN = 7e-4, 4e-4                 # measured: 5.9e-4 of the largest entry, and 3.3e-4 of the mean of all entries
SIZES = {                                # N H W Cin, kh kw Cout, stride padding
    "3x3, one image": (1, 4, 5, 12, 3, 3, 9, 1, 1),
    "3x3, stride 2": (2, 5, 4, 9, 3, 3, 8, 2, 1),
    "1x1": (2, 3, 4, 19, 1, 1, 17, 1, 0),
    "1x1, stride 2": (3, 5, 3, 8, 1, 1, 11, 2, 0),
    "2x1, a phase without taps, three images": (3, 5, 4, 5, 2, 1, 3, 3, 0),
    "rows longer than a box": (1, 2, 35, 3, 3, 3, 5, 1, 1),
    "more padding than taps reach": (1, 3, 4, 2, 3, 2, 5, 2, 4),
}
EACH = pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)


def problem(sizes, numbers):
    """x, w, dy of float32 and the geometry; ``numbers(shape)`` makes an array."""
    g = geometry(*sizes)
    return *(numbers(shape).astype(np.float32) for shape in (g.x_shape, g.w_shape, g.y_shape)), g


def integers(shape):
    """Numbers that tf32 holds, with sums of products that float32 holds."""
    return np.random.default_rng(0).integers(-31, 32, shape)


def assert_exact(sizes):
    x, w, dy, g = problem(sizes, integers)
    for ours, books in zip(passes(OPS, x, w, dy, g), passes(book, *map(np.float64, (x, w, dy)), g), strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_array_equal(ours, books)


@EACH
def test_it_equals_the_book_where_nothing_is_rounded(sizes):
    assert_exact(sizes)


@EACH
def test_its_error(sizes):
    """Each of the two factors of a product is rounded, once; the errors of float32 sums are small beside that."""
    x, w, dy, g = problem(sizes, np.random.default_rng(0).standard_normal)
    double = [*map(np.float64, (x, w, dy))]
    largest = passes(book, *map(abs, double), g)                  # the sums of the absolute values of the products
    for ours, books, sums in zip(passes(OPS, x, w, dy, g), passes(book, *double, g), largest, strict=True):
        error = abs(ours - books)
        assert (error <= (2 * ROUNDED + ROUNDED**2 + 1e-6) * sums).all()
        worst, mean = error.max() / abs(books).max(), error.mean() / abs(books).mean()
        print(f"worst {worst:.1e} of the largest entry, mean {mean:.1e} of the mean entry")
        assert worst < WORST
        assert MEAN / 4 < mean < MEAN                             # with no rounding it would be about 1e-7


@pytest.mark.parametrize("sizes", [(1, 9, 18, 9, 3, 3, 16, 1, 1), (1, 3, 4, 9, 1, 3, 40, 2, 1),
                                   (1, 10, 15, 8, 1, 1, 8, 1, 0)], ids=str)
def test_tiles_of_the_hardware(sizes, monkeypatch):
    monkeypatch.setattr(tensor, "tiles", lambda *how: [
        tile._replace(capacity=396) for tile in tensor.hardware_tiles(*how)][:1])
    monkeypatch.setattr(tensor_dw, "WARPS", 6)
    monkeypatch.setattr(tensor_dw, "CAPACITY", 292)
    monkeypatch.setattr(tensor_dw, "tile_for", tensor_dw.hardware_tile)
    assert_exact(sizes)


def test_a_sum_of_groups_of_warps_fits_a_patch():
    for taps in range(1, 300):
        for K in (8, 32, 64):
            tile = tensor_dw.hardware_tile(taps, K)._replace(capacity=292)
            sums = tile.down * tile.across * tile.TM * tile.TN * 32
            assert tile.groups == 1 or sums <= tensor_dw.DEPTH // 4 * tile.capacity


@device_function
def _without_barriers(a, b, c):
    return tuple(total + sum(a) * sum(b) for total in c)


def test_no_thread_races(monkeypatch):
    """The simulated product of matrices has barriers that a GPU's has not. Without them nothing may race either."""
    for module in (tensor, tensor_dw):
        monkeypatch.setattr(module, "multiply_add", _without_barriers)
    x, w, dy, g = problem((3, 5, 6, 17, 1, 2, 9, 1, 0), integers)
    traces = [*trace_op(OPS.conv2d, x, w), *trace_op(OPS.conv2d_backward_x, dy, w, g.x_shape),
              *trace_op(OPS.conv2d_backward_w, dy, x, g.w_shape)]
    assert [trace.name for trace in traces] == ["correlate", "correlate", "products_of_taps", "sums"]
    for trace in traces:
        assert [finding for finding in trace.findings if finding.wrong] == []


def test_dx_is_added_to_what_is_there():
    _, w, dy, g = problem(SIZES["3x3, stride 2"], integers)
    dx = integers(g.x_shape).astype(np.float32)
    with conv.VARIANTS.limited_to("tensor"):
        ours = to_host(cuda.conv2d_backward_x_add(dy, w, dx, g.stride, g.padding))
    np.testing.assert_array_equal(ours, book.conv2d_backward_x_add(dy, w, dx, g.stride, g.padding))


def test_nothing_outside_of_an_image_is_read():
    """A NaN in dy reaches the pixels of dx that its window saw, and no others; a NaN in x those of y that see it."""
    x, w, dy, g = problem(SIZES["3x3, stride 2"], integers)
    x[0, 2, 2], dy[1, 1, 1] = np.nan, np.nan
    for ours, books in zip(passes(OPS, x, w, dy, g)[:2], passes(book, x, w, dy, g)[:2], strict=True):
        assert np.isnan(books).any()
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(books))


def test_the_same_numbers_give_the_same_bits():
    x, _, dy, g = problem(SIZES["1x1"], np.random.default_rng(0).standard_normal)
    first, second = (to_host(OPS.conv2d_backward_w(dy, x, g.w_shape)).tobytes() for _ in range(2))
    assert first == second


def test_it_is_off_unless_it_is_asked_for():
    wide, single = Geometry(1, 9, 9, 16, 3, 3, 16, 1, 1, 9, 9), np.float32
    assert (conv.VARIANTS.limit, conv.choose(wide, single)) == ("register", "register")
    with conv.VARIANTS.limited_to("tensor"):
        assert conv.choose(wide, single) == "tensor"
        assert conv.choose(wide, np.float64) == "register"
        assert conv.choose(wide._replace(Cin=3), single) == conv.choose(wide._replace(Cout=5), single) == "register"
        assert conv.choose(wide._replace(kh=7, kw=7), single) == "tile"
        assert conv.choose(wide._replace(stride=256), single) == "naive"


@pytest.mark.parametrize(("capability", "variant"), [
    ((7, 0), "register"), ((7, 5), "register"), ((8, 0), "tensor"), ((8, 9), "tensor"), ((12, 0), "tensor")])
def test_it_needs_compute_capability_8(capability, variant):
    before = device.use(WithoutGpu(capability))
    try:
        with conv.VARIANTS.limited_to("tensor"):
            assert conv.choose(Geometry(1, 9, 9, 16, 1, 1, 16, 1, 0, 9, 9), np.float32) == variant
    finally:
        device.use(before)


@kernel
def _round(numbers, rounded):
    i = numba_cuda.threadIdx.x
    rounded[i] = to_tf32(numbers[i])


def test_rounding_to_tf32():
    one, step = np.float32(1), np.float32(2**-10)                 # step: from 1 to the next tf32
    numbers = np.array([1 + step / 2, 1 + step * 1.5, 1 + step * 0.499, -1 - step / 2, 1 - step / 4, np.inf, -np.inf,
                        np.nan, 0, 2**-140, np.finfo(np.float32).max, one + step], np.float32)
    expected = [1 + step, 1 + 2 * step, 1, -1 - step, 1, np.inf, -np.inf, np.nan, 0, 0, np.inf, 1 + step]
    found = to_device(np.zeros_like(numbers))
    launch(_round, 1, len(numbers), to_device(numbers), found)
    np.testing.assert_array_equal(to_host(found), np.float32(expected))


@kernel
def _multiply(A, B, C, D):
    """Two warps, each with its own matrices. The elements of a lane are those of the PTX ISA for m16n8k8 and .tf32."""
    warp, lane = numba_cuda.threadIdx.x // 32, numba_cuda.threadIdx.x % 32
    group, thread = lane >> 2, lane % 4
    a = [A[warp, group if i in (0, 2) else group + 8, thread if i in (0, 1) else thread + 4] for i in range(4)]
    b = [B[warp, thread if i == 0 else thread + 4, group] for i in range(2)]
    rows, columns = (group, group, group + 8, group + 8), [thread * 2 + (i & 1) for i in range(4)]
    d = multiply_add(a, b, [C[warp, rows[i], columns[i]] for i in range(4)])
    for i in range(4):
        D[warp, rows[i], columns[i]] = d[i]


def test_a_product_of_matrices():
    A, B, C = (integers((2, *shape)).astype(np.float32) for shape in ((16, 8), (8, 8), (16, 8)))
    D = to_device(np.zeros_like(C))
    launch(_multiply, 1, 64, *map(to_device, (A, B, C)), D)
    np.testing.assert_array_equal(to_host(D), A @ B + C)
