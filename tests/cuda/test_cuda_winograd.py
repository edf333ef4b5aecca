"""Winograd's convolution on the device, in the simulator: against the book, in groups of images, without races."""

import numpy as np
import pytest
from convolutions import geometry, passes

from npse import cuda
from npse import reference as book
from npse.cuda import conv
from npse.cuda.conv_kernels import stacked_products, winograd
from npse.cuda.runtime.device import to_device, to_host
from npse.editions.convolution import Geometry
from npse.trace.record import trace_op

pytestmark = [pytest.mark.simulator, pytest.mark.slow]
OPS = conv.VARIANTS["winograd"]
RELATIVE_ERROR = 5e-6                                  # of the largest entry, as in the cpu edition
SIZES = {                                              # N H W Cin, kh kw Cout, stride padding
    "maps that squares do not fill": (2, 3, 6, 4, 3, 3, 8, 1, 1),
    "no padding, one square": (1, 6, 6, 8, 3, 3, 4, 1, 0),
    "two rows of padding, channels beyond a tile": (1, 1, 5, 4, 3, 3, 20, 1, 2),
}


def problem(sizes):
    """Return x, w, dy in float32 and the geometry."""
    random, g = np.random.default_rng(0), geometry(*sizes)
    return *(random.standard_normal(shape, np.float32) for shape in (g.x_shape, g.w_shape, g.y_shape)), g


def assert_equal(ours, books):
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, books, rtol=0, atol=RELATIVE_ERROR * abs(books).max())


def assert_equals_the_book(sizes):
    x, w, dy, g = problem(sizes)
    for ours, books in zip(passes(OPS, x, w, dy, g), passes(book, *map(np.float64, (x, w, dy)), g), strict=True):
        assert_equal(ours, books)


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_it_equals_the_book(sizes):
    assert_equals_the_book(sizes)


def test_each_group_of_images_adds_to_the_gradient_of_the_filters(monkeypatch):
    monkeypatch.setattr(winograd, "BYTES_OF_A_GROUP", 4 * 36 * 8 * 2)                    # two images
    sizes = (5, 4, 4, 4, 3, 3, 4, 1, 1)
    groups = list(winograd._groups(geometry(*sizes).y_shape, 8))
    assert groups == [(slice(0, 1), 1), (slice(1, 3), 2), (slice(3, 5), 2)]
    assert_equals_the_book(sizes)


@pytest.mark.parametrize("channels", [1, 128])
def test_a_group_has_at_least_an_image_and_all_images_are_in_one(channels):
    for N in (1, 7, 64):
        groups = list(winograd._groups((N, 9, 9, 1), channels))
        assert [n for group, _ in groups for n in range(N)[group]] == list(range(N))
        assert all(squares == 9 * len(range(N)[group]) > 0 for group, squares in groups)


def test_dx_is_added_to_what_is_there():
    _, w, dy, g = problem((4, 4, 4, 4, 3, 3, 4, 1, 1))
    dx = np.random.default_rng(1).standard_normal(g.x_shape, np.float32)
    before = dx.copy()
    with conv.VARIANTS.limited_to("winograd"):
        assert conv.choose(g, np.float32) == "winograd"
        ours = to_host(cuda.conv2d_backward_x_add(dy, w, dx, 1, 1))
    assert_equal(ours, book.conv2d_backward_x_add(*map(np.float64, (dy, w, dx)), 1, 1))
    np.testing.assert_array_equal(dx, before)


def test_no_thread_races():
    x, w, dy, g = problem((1, 2, 5, 4, 3, 3, 4, 1, 1))
    traces = [*trace_op(OPS.conv2d, x, w, 1, 1), *trace_op(OPS.conv2d_backward_x, dy, w, g.x_shape, 1, 1),
              *trace_op(OPS.conv2d_backward_w, dy, x, g.w_shape, 1, 1)]
    assert len(traces) == 4 + 4 + 4
    for trace in traces:
        assert [finding for finding in trace.findings if finding.wrong] == [], trace.name


@pytest.fixture
def tiles_of_the_hardware(monkeypatch):
    for name, value in {"SIMULATED": False, "THREADS": 128, "DEPTH": 8, "ACROSS": 8, "TV": 2, "COLUMNS": 64,
                        "DOWN": 16}.items():
        monkeypatch.setattr(stacked_products, name, value)
    stacked_products._products.cache_clear()
    yield
    stacked_products._products.cache_clear()


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("R", [6, 130])
def test_products_with_the_tiles_of_the_hardware(tiles_of_the_hardware, transposed, R):
    random = np.random.default_rng(0)
    x, y = random.standard_normal((2, R, 21)), random.standard_normal((2, 21, 68))
    wanted = x @ y
    x, y = (to_device(np.ascontiguousarray(a.swapaxes(1, 2) if transposed and a is x else a, np.float32))
            for a in (x, y))
    if transposed:
        z = stacked_products.multiply_transposed(x, y, None)
        once = to_host(z).sum(axis=0)
        np.testing.assert_allclose(to_host(stacked_products.multiply_transposed(x, y, z)).sum(axis=0), 2 * once, 1e-6)
    else:
        z = to_device(np.zeros((2, R, 68), np.float32))
        stacked_products.multiply(x, y, z)
        once = to_host(z)
    assert_equal(once, wanted)


def test_it_is_off_unless_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(winograd, "FEWEST_CHANNELS", 64)
    monkeypatch.setattr(winograd, "FEWEST_SQUARES", 256)
    wide, single = Geometry(128, 8, 8, 64, 3, 3, 64, 1, 1, 8, 8), np.float32
    assert conv.choose(wide, single) == "register"
    with conv.VARIANTS.limited_to("winograd"):
        assert conv.choose(wide, single) == "winograd"
        assert conv.choose(wide, np.float64) == "register"
        for other in ({"Cin": 32}, {"Cout": 66}, {"N": 32}, {"stride": 2}, {"padding": 3}, {"kh": 5},
                      {"Ho": 5, "Wo": 5}):
            assert conv.choose(wide._replace(**other), single) == "register", other
    with conv.VARIANTS.limited_to("tensor"):
        assert conv.choose(wide, single) == "tensor"


@pytest.mark.parametrize(("change", "says"), [
    ({"dtype": np.float64}, "needs float32, but dtype is float64"),
    ({"Cout": 6}, "multiples of 4, but has 4 and 6"),
    ({"k": 5}, "3x3 filters, stride 1 and a padding of at most 2, but has 5x5, 1 and 1"),
])
def test_what_it_cannot_compute_is_named(change, says):
    how = {"dtype": np.float32, "Cout": 4, "k": 3} | change
    x, w = np.zeros((1, 8, 8, 4), how["dtype"]), np.zeros((how["k"], how["k"], 4, how["Cout"]), how["dtype"])
    with pytest.raises(ValueError, match=says):
        OPS.conv2d(x, w, 1, 1)
