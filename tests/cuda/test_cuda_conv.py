"""Every variant of the convolution in the simulator against the book, on shapes that fit no tile; dense layers."""

import numpy as np
import pytest
from convolutions import geometry, passes

from npse import cuda
from npse import reference as book
from npse.cuda import conv
from npse.cuda.conv_kernels import register, register_dw
from npse.cuda.conv_kernels.patches import fit
from npse.cuda.runtime import partial_sums
from npse.cuda.runtime.device import to_device, to_host
from npse.editions.convolution import Geometry
from npse.gradcheck import cases_of

pytestmark = [pytest.mark.simulator, pytest.mark.slow]
EQUAL_TO = {np.float32: 2e-6, np.float64: 1e-13}                         # of the result's largest entry
EXACT = [name for name in conv.VARIANTS if name not in ("winograd", "tensor")]       # these have their own test files
SMALL = [case for case in cases_of("conv2d") if "wide" not in case.label]
AWKWARD = {                                            # N H W Cin, kh kw Cout, stride padding
    "rows longer than a box": (1, 2, 19, 3, 3, 3, 5, 1, 1),
    "several images in a box, channels beyond a tile": (5, 2, 3, 6, 2, 3, 11, 1, 1),
    "a remainder of the stride, a phase without taps": (2, 5, 8, 5, 2, 1, 3, 3, 0),
    "more padding than taps reach": (1, 3, 4, 2, 3, 2, 5, 2, 4),
    "a window beyond a patch": (1, 5, 4, 1, 7, 7, 2, 1, 2),
    "1x1, stride 3": (3, 5, 7, 5, 1, 1, 9, 3, 0),
}


def problem(*sizes, dtype=np.float64):
    """Random x, w, dy, dx and the geometry."""
    random, g = np.random.default_rng(0), geometry(*sizes)
    x, w, dy, dx = (random.standard_normal(shape).astype(dtype)
                    for shape in (g.x_shape, g.w_shape, g.y_shape, g.x_shape))
    return x, w, dy, dx, g


def assert_equal(ours, books, dtype):
    assert (ours.shape, ours.dtype) == (books.shape, dtype)
    np.testing.assert_allclose(ours, books, rtol=0, atol=EQUAL_TO[dtype] * max(abs(books).max(), 1e-30))


def assert_equals_the_book(ops, x, w, dy, g):
    expected = passes(book, *(array.astype(np.float64) for array in (x, w, dy)), g)
    for ours, books in zip(passes(ops, x, w, dy, g), expected, strict=True):
        assert_equal(ours, books, x.dtype.type)


@pytest.mark.parametrize("variant", EXACT)
@pytest.mark.parametrize("case", [SMALL[2], SMALL[5]], ids=str)
def test_each_variant_equals_the_book(case, variant):
    judge(case, variant, np.float32)


@pytest.mark.parametrize("variant", ["naive", "tile"])        # the fastest meets these cases as every other op does
@pytest.mark.parametrize("case", SMALL, ids=str)
def test_each_lower_variant_equals_the_book_in_every_case_of_the_judge(case, variant):
    judge(case, variant, np.float64)


def judge(case, variant, dtype):
    random = np.random.default_rng(0)
    arguments = case.arguments(random, dtype)
    exact = {name: value.astype(np.float64) for name, value in arguments.items()}
    y = case.forward(book, **exact)
    assert_equal(to_host(case.forward(conv.VARIANTS[variant], **arguments)), y, dtype)
    dy = random.standard_normal(y.shape).astype(dtype)
    for ours, books in zip(case.backward(conv.VARIANTS[variant], dy, **arguments),
                           case.backward(book, dy.astype(np.float64), **exact), strict=True):
        assert_equal(to_host(ours), books, dtype)


@pytest.mark.parametrize("sizes", AWKWARD.values(), ids=AWKWARD)
def test_awkward_shapes(sizes):
    x, w, dy, _, g = problem(*sizes)
    assert_equals_the_book(conv, x, w, dy, g)


@pytest.mark.parametrize("variant", ["naive", "tile"])
@pytest.mark.parametrize("sizes", AWKWARD.values(), ids=AWKWARD)
def test_awkward_shapes_on_the_lower_variants(sizes, variant):
    x, w, dy, _, g = problem(*sizes)
    assert_equals_the_book(conv.VARIANTS[variant], x, w, dy, g)


@pytest.mark.parametrize("variant", conv.VARIANTS)
def test_dx_is_added_to_what_is_there(variant):
    _, w, dy, dx, g = problem(2, 4, 3, 3, 3, 2, 5, 2, 1)
    before = dx.copy()
    with conv.VARIANTS.limited_to(variant):
        ours = to_host(cuda.conv2d_backward_x_add(dy, w, dx, g.stride, g.padding))
    assert_equal(ours, book.conv2d_backward_x_add(dy, w, dx, g.stride, g.padding), np.float64)
    np.testing.assert_array_equal(dx, before)


def test_moments_of_the_result():
    x, w, *_ = problem(2, 4, 3, 3, 3, 3, 5, 1, 1)
    for ours, books in zip(cuda.conv2d_moments(x, w, 1, 1), book.conv2d_moments(x, w, 1, 1), strict=True):
        assert_equal(to_host(ours), books, np.float64)


def test_nothing_outside_of_an_image_is_read_and_no_zeros_are_inserted():
    """A NaN in dy reaches the pixels of dx that its window saw, and no others; a NaN in x those of y that see it."""
    for sizes in ((2, 5, 7, 3, 3, 3, 5, 2, 1), (2, 5, 4, 3, 1, 1, 5, 2, 0), (2, 4, 3, 5, 3, 3, 3, 1, 1)):
        x, w, dy, _, g = problem(*sizes)
        x[0, 2, 2], dy[1, 1, 1] = np.nan, np.nan
        ours, books = passes(conv, x, w, dy, g), passes(book, x, w, dy, g)
        for mine, theirs in zip(ours[:2], books[:2], strict=True):
            assert np.isnan(theirs).any()
            np.testing.assert_array_equal(np.isnan(mine), np.isnan(theirs))


def test_the_same_numbers_give_the_same_bits():
    x, w, dy, *_ = problem(5, 3, 3, 3, 2, 2, 5, 1, 0, dtype=np.float32)
    first = conv.conv2d_backward_w(dy, x, w.shape)
    assert to_host(first).tobytes() == to_host(conv.conv2d_backward_w(dy, x, w.shape)).tobytes()


@pytest.mark.parametrize("TM", [8, 4, 2])
@pytest.mark.parametrize("sizes", [(1, 9, 35, 3, 3, 3, 16, 1, 1), (1, 5, 4, 5, 3, 3, 33, 2, 1)], ids=str)
def test_tiles_of_the_hardware(sizes, TM, monkeypatch):
    monkeypatch.setattr(register, "tiles", lambda *how: [
        tile._replace(capacity=640) for tile in register.hardware_tiles(*how) if tile.TM == TM])
    monkeypatch.setattr(register_dw, "tile_for", lambda *how: register_dw.hardware_tile(*how)._replace(
        capacity=394))
    x, w, dy, _, g = problem(*sizes, dtype=np.float32)
    assert_equals_the_book(conv, x, w, dy, g)


@pytest.mark.parametrize("bias", [True, False])
def test_dense(bias):
    random = np.random.default_rng(0)
    x, w, b, dy = (random.standard_normal(shape) for shape in ((9, 6), (11, 6), (11,), (9, 11)))
    given = (to_device(x), w, b) if bias else (x, w)
    assert_equal(to_host(cuda.dense(*given)), book.dense(*map(to_host, given)), np.float64)
    for ours, books in zip(cuda.dense_backward(dy, x, w), book.dense_backward(dy, x, w), strict=True):
        assert_equal(to_host(ours), books, np.float64)


def test_the_rule_takes_the_highest_variant_that_can():
    def chosen(k, stride=1):
        return conv.choose(Geometry(1, 999, 999, 3, k, k, 5, stride, 0, 1, 1), np.float32)

    assert (chosen(3), chosen(7), chosen(3, 256)) == ("register", "tile", "naive")
    with conv.VARIANTS.limited_to("tile"):
        assert (chosen(3), chosen(3, 256)) == ("tile", "naive")
        with conv.VARIANTS.limited_to("naive"):
            assert chosen(3) == "naive"
    assert chosen(3) == "register"
    known = "known are: naive, tile, register, winograd, tensor"
    with pytest.raises(ValueError, match=known), conv.VARIANTS.limited_to("the moon"):
        pass


@pytest.mark.parametrize(("maps", "taps", "step", "pixels", "box", "boxes"), [
    ((128, 32, 32), (3, 3), 1, 512, (1, 16, 32), 256),
    ((128, 16, 16), (3, 3), 1, 256, (1, 16, 16), 128),
    ((128, 8, 8), (3, 3), 1, 128, (2, 8, 8), 64),
    ((64, 16, 16), (3, 3), 2, 128, (1, 8, 16), 128),
    ((5, 7, 7), (1, 1), 2, 128, (2, 7, 7), 3),
    ((512, 1, 1), (1, 1), 1, 32, (32, 1, 1), 16),
])
def test_boxes_of_the_layers_of_a_network(maps, taps, step, pixels, box, boxes):
    found, number = fit(maps, taps, step, pixels, 640)
    assert (tuple(found)[:3], number) == (box, boxes)


def test_tiles_keep_a_device_busy(monkeypatch):
    def TM(N, H, C):
        return register.plan(np.float32, (N, H, H), (3, 3), 1, C, C)[0].TM
    monkeypatch.setattr(register, "tiles", lambda *how: [
        tile._replace(capacity=640) for tile in register.hardware_tiles(*how)])
    assert [TM(512, H, C) for H, C in ((32, 16), (16, 32), (8, 64))] == [8, 8, 8]
    assert [TM(128, H, C) for H, C in ((32, 16), (16, 32), (8, 64))] == [8, 4, 2]


def test_parts_are_even():
    assert [partial_sums.parts_for(pieces, 1) for pieces in (1, 3, 5, 9)] == [1, 3, 3, 3]
    assert partial_sums.parts_for(100, 1000) == 1


def test_the_variable_must_name_a_variant():
    import os
    import subprocess
    import sys
    for name, outcome in (("tile", "tile\n"), ("winograd", "winograd\n"), ("tensor", "tensor\n"), ("moon", "")):
        code = "from npse.cuda import conv; print(conv.VARIANTS.limit)"
        run = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True,
                             env={**os.environ, "NPSE_CUDA_CONVOLUTION": name}, check=False)
        assert run.stdout == outcome
    assert ("NPSE_CUDA_CONVOLUTION must name a variant, but is 'moon'; known are: naive, tile, register, winograd, "
            "tensor") in run.stderr
