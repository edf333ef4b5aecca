"""Winograd's convolution: its algebra, the three passes against the book in float64, the same bits on any thread."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npse import reference as book
from npse.gradcheck import check_gradient

pytest.importorskip("numba")
import numba

from npse import cpu
from npse.cpu import conv
from npse.cpu.conv_kernels import winograd, winograd_transforms
from npse.cpu.simd.tile import lanes, load, store
from npse.editions.convolution import Geometry

conv2d_winograd, conv2d_backward_x_winograd, conv2d_backward_w_winograd = conv.VARIANTS["winograd"]

needs_tiles = pytest.mark.skipif(not lanes(np.float32), reason="no register tile on this CPU, or NUMBA_DISABLE_JIT")
FEWEST = 16                                      # channels
RELATIVE_ERROR = 5e-6                            # of the largest entry


def draw(N, H, W, Cin, Cout, padding=1, seed=0):
    """x, w and dy in float32."""
    random = np.random.default_rng(seed)
    shapes = (N, H, W, Cin), (3, 3, Cin, Cout), (N, H + 2 * padding - 2, W + 2 * padding - 2, Cout)
    return [random.standard_normal(shape, np.float32) for shape in shapes]


def passes(x, w, dy, padding=1):
    return (conv2d_winograd(x, w, 1, padding), conv2d_backward_x_winograd(dy, w, x.shape, 1, padding),
            conv2d_backward_w_winograd(dy, x, w.shape, 1, padding))


def assert_equal_the_book(x, w, dy, padding=1):
    ours = passes(x, w, dy, padding)
    x, w, dy = (array.astype(np.float64) for array in (x, w, dy))
    books = (book.conv2d(x, w, 1, padding), book.conv2d_backward_x(dy, w, x.shape, 1, padding),
             book.conv2d_backward_w(dy, x, w.shape, 1, padding))
    for mine, theirs in zip(ours, books, strict=True):
        assert mine.dtype == np.float32
        assert mine.shape == theirs.shape
        assert abs(mine - theirs).max() <= RELATIVE_ERROR * abs(theirs).max()


@numba.njit
def three(x, at, step):
    return load(x, at, 0, 1, 1), load(x, at + step, 0, 1, 1), load(x, at + 2 * step, 0, 1, 1)


@numba.njit
def four(x, at, step):
    return (*three(x, at, step), load(x, at + 3 * step, 0, 1, 1))


@numba.njit
def six(x, at, step):
    return three(x, at, step) + three(x, at + 3 * step, step)


def matrix(transform, take):
    """Return the matrix of a transform in float64, from its results for unit vectors; ``take`` loads their elements."""
    size, lane = {three: 3, four: 4, six: 6}[take], lanes(np.float64)
    results = np.full((size, 6, lane), np.nan)

    @numba.njit
    def columns(units, results):
        for k in range(size):
            vectors = transform(*take(units, k * size * lane, lane))
            for m in range(len(vectors)):
                store(vectors[m], results, (6 * k + m) * lane, 0)
        return len(vectors)

    count = columns(np.repeat(np.eye(size), lane, axis=1), results)
    return results[:, :count, 0].T


@needs_tiles
def test_the_algebra_gives_four_outputs_of_a_three_tap_filter():
    outputs = matrix(winograd_transforms.points_to_map, six)
    filters = matrix(winograd_transforms.filter_to_points, three)
    windows = matrix(winograd_transforms.data_to_points, six)
    for r in range(4):
        for t in range(3):
            taken = (outputs[r] * filters[:, t]) @ windows                 # of each number in the window
            np.testing.assert_allclose(taken, np.eye(6)[r + t], rtol=0, atol=1e-15)


@needs_tiles
def test_the_gradients_use_the_transposed_matrices():
    np.testing.assert_array_equal(matrix(winograd_transforms.map_to_points, four),
                                  matrix(winograd_transforms.points_to_map, six).T)
    np.testing.assert_array_equal(matrix(winograd_transforms.points_to_filter, six),
                                  matrix(winograd_transforms.filter_to_points, three).T)


@needs_tiles
@settings(deadline=None, max_examples=60)
@given(N=st.integers(1, 5), H=st.integers(1, 14), W=st.integers(1, 14), Cin=st.integers(FEWEST, 3 * FEWEST + 1),
       Cout=st.integers(FEWEST, 3 * FEWEST + 1), padding=st.integers(0, 2))
def test_all_passes_equal_the_book(N, H, W, Cin, Cout, padding):
    H, W = (max(size, 3 - 2 * padding) for size in (H, W))
    assert_equal_the_book(*draw(N, H, W, Cin, Cout, padding), padding)


@needs_tiles
@settings(deadline=None, max_examples=40)
@given(N=st.integers(1, 5), H=st.integers(1, 14), W=st.integers(1, 14), Cin=st.integers(FEWEST, 3 * FEWEST + 1),
       Cout=st.integers(FEWEST, 3 * FEWEST + 1), padding=st.integers(0, 2))
def test_sums_of_the_output_and_a_gradient_added(N, H, W, Cin, Cout, padding):
    H, W = (max(size, 3 - 2 * padding) for size in (H, W))
    x, w, dy = draw(N, H, W, Cin, Cout, padding)
    g = Geometry.of(x.shape, w.shape, 1, padding)
    down, plus = -(-g.Ho // 4), draw(N, H, W, Cin, Cout, seed=1)[0]
    sums, kept = np.full((2, N, down, Cout), np.nan, np.float32), plus.copy()
    y = winograd.forward(x, w, g, sums=sums)
    assert y.tobytes() == conv2d_winograd(x, w, 1, padding).tobytes()
    rows = np.zeros((N, 4 * down, g.Wo, Cout))
    rows[:, :g.Ho] = y
    rows = rows.reshape(N, down, -1, Cout)
    for mine, summed in zip(sums, (rows, rows**2), strict=True):
        assert (abs(mine - summed.sum(2)) <= 4e-6 * abs(summed).sum(2)).all()
    slope, shift = np.random.default_rng(0).standard_normal((2, Cout)).astype(np.float32)
    line = y.astype(np.float64) * slope + shift                   # the kernel rounds once
    for rectified, exact in ((False, line), (True, np.maximum(line, 0))):
        found = winograd.forward(x, w, g, affine=(slope, shift, rectified))
        np.testing.assert_array_equal(found, exact.astype(np.float32))
    dx = winograd.backward_x(dy, w, g, plus=plus)
    assert dx.tobytes() == (conv2d_backward_x_winograd(dy, w, x.shape, 1, padding) + plus).tobytes()
    assert plus.tobytes() == kept.tobytes()


@needs_tiles
@pytest.mark.parametrize("shape", [(20, 32, 32, 16, 16), (33, 16, 16, 32, 32), (50, 8, 8, 64, 64), (3, 21, 66, 80, 96),
                                   (2, 7, 7, 130, 260), (40, 8, 8, 16, 256), (1, 4, 260, 16, 16)])
def test_maps_of_many_blocks_equal_the_book(shape):
    assert_equal_the_book(*draw(*shape))


@needs_tiles
@pytest.mark.parametrize("Cin", [FEWEST + 3, 2 * FEWEST + 3], ids=["the tile for few channels", "the wide tile"])
def test_bits_depend_neither_on_threads_nor_on_blocks(monkeypatch, Cin):
    x, w, dy = draw(19, 13, 10, Cin, 2 * FEWEST)
    g, plus = Geometry.of(x.shape, w.shape, 1, 1), draw(19, 13, 10, Cin, 1, seed=1)[0]

    def results():
        sums = np.empty((2, 19, 4, 2 * FEWEST), np.float32)
        return winograd.forward(x, w, g, sums), sums, winograd.backward_x(dy, w, g, plus), *passes(x, w, dy)

    before, found = cpu.get_threads(), []
    try:
        for threads in (1, 2, 5):
            cpu.set_threads(threads)
            found += [results(), results()]
    finally:
        cpu.set_threads(before)
    for other in found[1:]:
        for mine, theirs in zip(found[0], other, strict=True):
            assert mine.tobytes() == theirs.tobytes()
    monkeypatch.setattr(winograd, "SCRATCH_BYTES", 1)
    monkeypatch.setattr(winograd, "MIN_SQUARES", 1)
    for mine, theirs in zip(found[0][:-1], results()[:-1], strict=True):            # of dw, blocks are partial sums
        assert mine.tobytes() == theirs.tobytes()


@pytest.mark.slow
@needs_tiles
@settings(deadline=None, max_examples=30)
@given(N=st.integers(1, 40), H=st.integers(4, 14), W=st.integers(4, 14), Cin=st.integers(FEWEST, 3 * FEWEST + 1),
       Cout=st.sampled_from([16, 32, 48, 64]), M=st.integers(0, 5), padding=st.integers(0, 2), biases=st.booleans())
def test_the_end_of_a_block_equals_the_book_with_any_threads(N, H, W, Cin, Cout, M, padding, biases):
    x, w, dy = draw(N, H, W, Cin, Cout, padding)
    random = np.random.default_rng(1)
    gamma, beta, mean = random.standard_normal((3, Cout), np.float32)
    shapes = [(M, Cout), (Cout, M), (M,), (Cout,)][:4 if biases else 2] if M else []
    given = (x, w, gamma, beta, mean, np.linspace(0.5, 2, Cout, dtype=np.float32), dy,
             *(random.standard_normal(shape, np.float32) / 4 for shape in shapes), *[None] * (4 - len(shapes)))
    before, found = cpu.get_threads(), []
    try:
        for threads in (1, 2, 5):
            cpu.set_threads(threads)
            with conv.VARIANTS.limited_to("winograd"):
                found.append(cpu.conv2d_se_add_relu_inference(*given, 1, padding))
    finally:
        cpu.set_threads(before)
    exact = (array if array is None else array.astype(np.float64) for array in given)
    expected = book.conv2d_se_add_relu_inference(*exact, 1, padding)
    assert abs(found[0] - expected).max() <= RELATIVE_ERROR * abs(expected).max()
    assert all(np.array_equal(found[0], other) for other in found[1:])


@needs_tiles
@pytest.mark.parametrize("shape", [(2, 7, 7, 130, 260), (70, 4, 8, 50, 33)])           # without and with partial sums
def test_the_gradient_of_wide_filters_does_not_depend_on_threads(shape):
    x, w, dy = draw(*shape)
    before, found = cpu.get_threads(), set()
    try:
        for threads in (1, 3, 8):             # they decide how many slices there are
            cpu.set_threads(threads)
            found.add(conv2d_backward_w_winograd(dy, x, w.shape, 1, 1).tobytes())
    finally:
        cpu.set_threads(before)
    assert len(found) == 1


@needs_tiles
@settings(deadline=None, max_examples=40)
@given(tile=st.sampled_from([winograd.TILE, winograd.WIDE_TILE]), Cin=st.integers(2 * FEWEST, 5 * FEWEST),
       Cout=st.integers(FEWEST, 3 * FEWEST + 1))
def test_turned_filters_are_transformed_like_a_turned_copy(tile, Cin, Cout):
    w = draw(1, 3, 3, Cin, Cout)[1]
    shape = -(-Cin // tile.width), 36 * Cout * tile.width
    ours, copied = np.full((2, *shape), np.nan, np.float32)
    winograd.turned_filters_to_points(tile)(w, ours, 0, shape[0])
    turned = np.ascontiguousarray(w[::-1, ::-1].swapaxes(2, 3))
    winograd.filters_to_points(tile)(turned, copied, 0, shape[0])
    assert ours.tobytes() == copied.tobytes()


@needs_tiles
def test_both_tiles_give_the_same_bits(monkeypatch):
    """They add the same products in the same order; only dw would differ, because its blocks are partial sums."""
    x, w, dy = draw(5, 9, 11, 2 * FEWEST + 3, 3 * FEWEST - 2)
    wide = passes(x, w, dy)[:2]
    monkeypatch.setattr(winograd, "WIDE_TILE", winograd.TILE)
    for mine, theirs in zip(wide, passes(x, w, dy)[:2], strict=True):
        assert mine.tobytes() == theirs.tobytes()


@needs_tiles
def test_the_gradients_are_adjoint_to_the_forward_pass():
    for padding in (0, 1, 2):
        x, w, dy = draw(4, 9, 11, FEWEST + 1, FEWEST + 5, padding)
        y, dx, dw = passes(x, w, dy, padding)
        products = [np.vdot(a.astype(np.float64), b) for a, b in ((y, dy), (x, dx), (w, dw))]
        size = np.linalg.norm(y) * np.linalg.norm(dy)
        np.testing.assert_allclose(products, products[0], rtol=0, atol=1e-6 * size)


@needs_tiles
def test_the_judge_finds_it_right_in_float32():
    x, w, _ = draw(1, 5, 6, FEWEST, FEWEST)

    def forward(x, w):
        return (conv2d_winograd if x.dtype == np.float32 else cpu.conv2d)(x, w, 1, 1)

    def backward(dy, x, w):
        ops = (conv2d_backward_x_winograd, conv2d_backward_w_winograd) if x.dtype == np.float32 else \
            (cpu.conv2d_backward_x, cpu.conv2d_backward_w)
        return ops[0](dy, w, x.shape, 1, 1), ops[1](dy, x, w.shape, 1, 1)

    report = check_gradient(forward, backward, {"x": x, "w": w})
    assert report.ok, str(report)


@needs_tiles
def test_fits_where_it_pays():
    def fits(x_shape, w_shape, stride, padding, dtype):
        return winograd.fits(Geometry.of(x_shape, w_shape, stride, padding), dtype)

    image, filters = (128, 8, 8, 64), (3, 3, 64, 64)
    assert fits(image, filters, 1, 1, np.float32)
    assert not fits(image, filters, 1, 1, np.float64)
    assert not fits(image, filters, 2, 1, np.float32)
    assert not fits(image, filters, 1, 3, np.float32)
    assert not fits(image, (5, 5, 64, 64), 1, 2, np.float32)
    assert not fits((128, 32, 32, 3), (3, 3, 3, 64), 1, 1, np.float32)
    assert not fits((1, 8, 8, 64), filters, 1, 1, np.float32)
    assert [side for side in (1, 2, 3, 5, 7) if fits((128, side, side, 64), filters, 1, 1, np.float32)] == [2, 3, 5, 7]
    taken = Geometry.of(image, filters, 1, 1)
    assert conv.choose(taken, 64, np.float32) == "winograd"
    with conv.VARIANTS.limited_to("sliding"):
        assert conv.choose(taken, 64, np.float32) == "sliding"


@needs_tiles
def test_unsupported_sizes_are_refused():
    x, w, dy = draw(2, 6, 6, FEWEST, FEWEST)
    few, many = x[..., :FEWEST - 1], np.ones((5, 3, FEWEST, FEWEST), np.float32)
    with pytest.raises(ValueError, match="channels"):
        conv2d_winograd(few, w[:, :, :FEWEST - 1], 1, 1)
    with pytest.raises(ValueError, match="3x3"):
        conv2d_winograd(x, many, 1, 1)
    with pytest.raises(ValueError, match="stride 1"):
        conv2d_backward_x_winograd(dy[:, :3, :3], w, x.shape, 2, 1)
    with pytest.raises(ValueError, match="float32"):
        conv2d_backward_w_winograd(dy.astype(np.float64), x.astype(np.float64), w.shape, 1, 1)
    with pytest.raises(ValueError, match="Cout"):
        conv2d_backward_x_winograd(dy[..., :-1], w, x.shape, 1, 1)
    with pytest.raises(ValueError, match="dy"):
        conv2d_backward_w_winograd(dy[:, 1:], x, w.shape, 1, 1)


FINGERPRINTS = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from test_cpu_winograd import assert_equal_the_book, draw, passes
arguments = draw(5, 9, 10, 19, 32)
assert_equal_the_book(*arguments)
print([hashlib.sha256(array).hexdigest() for array in passes(*arguments)])
"""


@needs_tiles
@pytest.mark.slow
@pytest.mark.parametrize("cpu_features", [{}, {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma"}])
def test_bits_are_the_same_compiled_or_loaded(tmp_path, cpu_features):
    if cpu_features and lanes(np.float32) < 8:
        pytest.skip("no AVX2 on this CPU")
    printed = [subprocess.run([sys.executable, "-c", FINGERPRINTS, str(Path(__file__).parent)], text=True, check=True,
                              env=os.environ | {"NPSE_CACHE_DIR": str(tmp_path)} | cpu_features,
                              capture_output=True).stdout for _ in range(2)]
    assert printed[0] == printed[1]
