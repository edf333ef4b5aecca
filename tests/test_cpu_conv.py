"""Every variant of the convolution against the book, on shapes that fit no tile; the choice of a variant; AVX2."""

import platform

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npse import reference as book

pytest.importorskip("numba")
from test_cpu_machinery import python

from npse import cpu
from npse.cpu import conv
from npse.cpu.conv_kernels import direct, direct_dw, im2col
from npse.cpu.simd import tile, tile_llvm
from npse.editions.convolution import Geometry

EQUAL_TO = {np.float32: 2e-6, np.float64: 1e-13}                         # of the result's largest entry
needs_tile = pytest.mark.skipif(tile.lanes(np.float32) == 0, reason="no tile on this CPU")


def problem(N, H, W, Cin, kh, kw, Cout, stride, padding, dtype=np.float64):
    """Return random x, w, dy and the geometry."""
    random = np.random.default_rng(0)
    x, w = (random.standard_normal(shape).astype(dtype) for shape in ((N, H, W, Cin), (kh, kw, Cin, Cout)))
    g = Geometry.of(x.shape, w.shape, stride, padding)
    return x, w, random.standard_normal(g.y_shape).astype(dtype), g


def passes(variant, x, w, dy, g):
    step = g.stride, g.padding
    return (variant.conv2d(x, w, *step), variant.conv2d_backward_x(dy, w, g.x_shape, *step),
            variant.conv2d_backward_w(dy, x, g.w_shape, *step))


def variants_for(g):
    names = ["loops", "matrix"]
    if tile.lanes(np.float32):
        names += ["planes", "tile", "sliding"] if g.stride == 1 else ["tile"]
    return [conv.VARIANTS[name] for name in names]


def assert_every_variant_equals_the_book(x, w, dy, g):
    exact = [array.astype(np.float64) for array in (x, w, dy)]
    expected = passes(book, *exact, g)
    for variant in variants_for(g):
        for ours, books in zip(passes(variant, x, w, dy, g), expected, strict=True):
            assert ours.dtype == x.dtype
            np.testing.assert_allclose(ours, books, rtol=0, atol=EQUAL_TO[x.dtype.type] * max(abs(books).max(), 1e-30))


@needs_tile
@pytest.mark.parametrize(("variant", "dtype", "shape", "stride", "padding"), [
    ("matrix", np.float32, (3, 9, 31, 5, 3, 3, 16), 1, 1),
    pytest.param("tile", np.float64, (3, 9, 31, 5, 3, 3, 16), 1, 1, marks=pytest.mark.slow),      # seconds of compiling
    ("tile", np.float32, (2, 9, 40, 17, 3, 3, 32), 2, 1), ("tile", np.float32, (3, 7, 5, 16, 1, 1, 70), 2, 0),
    ("sliding", np.float32, (2, 20, 33, 16, 3, 3, 37), 1, 2),
    pytest.param("sliding", np.float64, (1, 3, 2, 3, 5, 4, 8), 1, 3, marks=pytest.mark.slow)])
def test_sums_and_additions_in_registers_equal_those_of_two_passes(variant, shape, stride, padding, dtype):
    x, w, dy, g = problem(*shape, stride, padding, dtype)
    exact = EQUAL_TO[dtype]
    with conv.VARIANTS.limited_to(variant):
        y, mean, var, means = cpu.conv2d_moments(x, w, stride, padding)
        np.testing.assert_array_equal(y, cpu.conv2d(x, w, stride, padding))
        y = y.astype(np.float64)
        np.testing.assert_allclose(mean, y.mean(axis=(0, 1, 2)), rtol=0, atol=exact * abs(y).max())
        np.testing.assert_allclose(means, y.mean(axis=(1, 2)), rtol=0, atol=exact * abs(y).max())
        np.testing.assert_allclose(var, y.var(axis=(0, 1, 2)), rtol=4 * exact)
        norm = *np.random.default_rng(0).standard_normal((3, g.Cout)), np.linspace(0.5, 2, g.Cout)
        for op in (book.conv2d_batch_norm_inference, book.conv2d_batch_norm_inference_relu):
            found = getattr(cpu, op.__name__)(x, w, *(a.astype(dtype) for a in norm), stride, padding)
            expected = op(x.astype(np.float64), w.astype(np.float64), *norm, stride, padding)
            np.testing.assert_allclose(found, expected, rtol=0, atol=exact * abs(expected).max())
        dx = cpu.conv2d_backward_x_add(dy, w, x, stride, padding)
        np.testing.assert_array_equal(dx, cpu.conv2d_backward_x(dy, w, g.x_shape, stride, padding) + x)


SIZES = {"N": st.integers(1, 4), "H": st.integers(1, 9), "W": st.integers(1, 9), "kh": st.integers(1, 5),
         "padding": st.integers(0, 3)}


@settings(deadline=None, max_examples=40)
@given(**SIZES, stride=st.integers(1, 2))
def test_each_variant_equals_the_book(N, H, W, kh, stride, padding):
    padding = max(padding, -(-(kh - H) // 2), -(-(3 - W) // 2))
    assert_every_variant_equals_the_book(*problem(N, H, W, 3, kh, 3, 3, stride, padding))


@pytest.mark.slow                                      # another kernel for each of these sizes: a minute of compiling
@settings(deadline=None, max_examples=200)
@given(**SIZES, Cin=st.sampled_from([1, 3]), Cout=st.sampled_from([1, 3]), kw=st.sampled_from([1, 3]),
       stride=st.integers(1, 3))
def test_each_variant_equals_the_book_for_every_kernel(N, H, W, Cin, Cout, kh, kw, stride, padding):
    padding = max(padding, -(-(kh - H) // 2), -(-(kw - W) // 2))
    assert_every_variant_equals_the_book(*problem(N, H, W, Cin, kh, kw, Cout, stride, padding))


@pytest.mark.parametrize("sizes", [                    # N H W Cin, kh kw Cout, stride padding
    (1, 1, 1, 1, 1, 1, 1, 1, 0),
    (3, 4, 5, 16, 3, 3, 17, 1, 1),                     # one channel more than a vector
    (2, 17, 21, 3, 3, 3, 16, 1, 1),                    # a first convolution; rows longer than a tile
    (2, 6, 35, 5, 3, 3, 70, 2, 1),                     # a remainder of the stride
    (1, 9, 8, 64, 3, 3, 32, 1, 2),                     # more padding than the size of the map needs
    (2, 7, 6, 17, 5, 5, 64, 1, 2),
    (2, 8, 8, 32, 1, 1, 64, 2, 0),                     # a projection: three of four pixels of dx are zero
    (5, 3, 3, 16, 3, 3, 16, 1, 0),                     # one pixel
    (2, 9, 19, 16, 1, 1, 32, 1, 0),                    # tiles that reach beyond the map, which needs no border
    (2, 11, 17, 6, 2, 3, 24, 4, 0),                    # pixels that no filter reads
    (2, 10, 13, 16, 5, 7, 20, 3, 6),                   # kw = 2 strides + 1; padding kw - 1
    (2, 7, 9, 16, 3, 2, 16, 2, 4),                     # padding larger than kw - 1
    (17, 5, 11, 2, 7, 7, 1, 1, 3),                     # a spatial gate; more images than parts
    (2, 5, 4, 1, 3, 3, 2, 1, 3),                       # few channels, padding larger than kh - 1
])
def test_awkward_shapes(sizes):
    assert_every_variant_equals_the_book(*problem(*sizes, np.float32))


def test_a_map_larger_than_a_block_of_patches():
    x, w, dy, g = problem(2, 61, 53, 40, 3, 3, 7, 1, 1, np.float32)
    assert im2col.PATCH_BYTES < 61 * 53 * 9 * 40 * 4 / 8
    assert_every_variant_equals_the_book(x, w, dy, g)


@needs_tile
def test_a_nan_reaches_only_the_taps_and_pixels_that_read_it_in_planes():
    x, w, dy, g = problem(1, 5, 11, 2, 3, 3, 1, 1, 1, np.float32)
    x[0, 2, 10, 1] = np.nan                                       # the last column, beyond the whole vectors
    for ours, books in zip(passes(conv.VARIANTS["planes"], x, w, dy, g), passes(book, x, w, dy, g), strict=True):
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(books))


@pytest.mark.parametrize("stride", [1, 2])
def test_bits_do_not_depend_on_the_number_of_threads(stride):
    given = problem(37, 9, 10, 5, 3, 3, 24, stride, 1, np.float32)
    before = cpu.get_threads()
    try:
        for variant in variants_for(given[-1]):
            cpu.set_threads(1)
            expected = [array.tobytes() for array in passes(variant, *given)]
            for threads in (2, 5):
                cpu.set_threads(threads)
                assert [array.tobytes() for array in passes(variant, *given)] == expected
    finally:
        cpu.set_threads(before)


@needs_tile
@pytest.mark.parametrize(("stride", "padding"), [(1, 1), (2, 1), (1, 2)])
def test_maps_larger_than_the_scratch_are_processed_in_bands(stride, padding, monkeypatch):
    given = problem(2, 23, 18, 5, 3, 3, 32, stride, padding)
    whole = [passes(variant, *given) for variant in variants_for(given[-1])]
    monkeypatch.setattr(direct, "SCRATCH_BYTES", 2**13)
    monkeypatch.setattr(direct_dw, "PARTS_MEMORY", 2**17)
    assert_every_variant_equals_the_book(*given)
    for variant, expected in zip(variants_for(given[-1]), whole, strict=True):
        for ours, other in zip(passes(variant, *given)[:2], expected[:2], strict=True):
            assert ours.tobytes() == other.tobytes()


@pytest.mark.parametrize("sizes", [(1, 5, 6, 3, 3, 3, 17, 1, 1), (1, 8, 8, 16, 1, 1, 32, 2, 0),
                                   (1, 7, 8, 16, 3, 3, 32, 2, 1), (1, 6, 8, 16, 3, 3, 16, 1, 0)])
def test_nothing_outside_of_an_image_is_read(sizes):
    """The memory around x and dy is NaN, so a result that depends on it would be NaN."""
    x, w, dy, g = problem(*sizes, np.float32)
    expected = [passes(variant, x, w, dy, g) for variant in variants_for(g)]
    fenced = []
    for array in (x, w, dy):
        memory = np.full((3, *array.shape), np.nan, array.dtype)
        memory[1] = array
        fenced.append(memory[1])
    for variant, results in zip(variants_for(g), expected, strict=True):
        for ours, other in zip(passes(variant, *fenced, g), results, strict=True):
            assert ours.tobytes() == other.tobytes()


@pytest.mark.parametrize(("k", "stride", "padding"), [(1, 2, 0), (3, 2, 1), (3, 3, 0), (2, 4, 1)])
def test_the_stride_multiplies_by_no_inserted_zeros(k, stride, padding):
    """A NaN in dy reaches the pixels of dx in its window, and no others."""
    _, w, dy, g = problem(1, 9, 18, 3, k, k, 17, stride, padding, np.float32)
    dy[0, 1, 2] = np.nan
    expected = np.isnan(book.conv2d_backward_x(dy, w, g.x_shape, stride, padding))
    assert expected.any()
    for variant in variants_for(g):
        np.testing.assert_array_equal(np.isnan(variant.conv2d_backward_x(dy, w, g.x_shape, stride, padding)), expected)


def chosen(channels, kw=3, stride=1, dtype=np.float32):
    g = problem(1, 8, 8, channels, 3, kw, channels, stride, kw, dtype)[-1]
    return conv.choose(g, channels, dtype)


@needs_tile
def test_the_fastest_variant_that_pays_is_chosen():
    wide = tile.lanes(np.float32)
    assert chosen(wide) == "sliding"
    assert chosen(wide, kw=1) == chosen(wide, stride=2) == chosen(wide, kw=9) == "tile"
    assert chosen(wide // 2 - 1) == "planes"
    assert chosen(wide // 2 - 1, stride=2) == chosen(wide // 2 - 1, kw=17) == "matrix"
    g = problem(1, 8, 8, 64, 3, 3, 1, 1, 1)[-1]                   # one channel, but the copies of 64 would take long
    assert conv.choose(g, 1, np.float32) == "matrix"
    with conv.VARIANTS.limited_to("matrix"):
        assert chosen(wide // 2 - 1) == "matrix"
    with conv.VARIANTS.limited_to("tile"):
        assert chosen(wide) == "tile"
        with conv.VARIANTS.limited_to("loops"):
            assert chosen(wide) == "loops"
    assert chosen(wide) == "sliding"
    known = "known are: loops, matrix, planes, tile, sliding, winograd"
    with pytest.raises(ValueError, match=known), conv.VARIANTS.limited_to("the moon"):
        pass


@needs_tile
@pytest.mark.parametrize("name", ["planes", "sliding"])
def test_variants_for_stride_1_refuse_strides(name):
    x, w, dy, _ = problem(1, 8, 8, 16, 3, 3, 16, 2, 1)
    variant = conv.VARIANTS[name]
    for run in (lambda: variant.conv2d(x, w, 2, 1), lambda: variant.conv2d_backward_x(dy, w, x.shape, 2, 1),
                lambda: variant.conv2d_backward_w(dy, x, w.shape, 2, 1)):
        with pytest.raises(ValueError, match="for stride 1, but the stride is 2"):
            run()


def test_without_vectors_the_matrix_product_runs(monkeypatch):
    monkeypatch.setattr(tile_llvm, "vector_registers", lambda: (0, 0))
    assert chosen(64) == "matrix"


CONVOLUTIONS = """
import hashlib, warnings, numpy as np
from npse import reference as book
from npse.cpu import cache_folder, conv
from npse.cpu.conv_kernels import direct_dw
from npse.cpu.conv_kernels import direct
from npse.cpu.simd import tile
assert tile.vector_registers() == (32, 16)
random = np.random.default_rng(0)
for k, stride in ((3, 1), (3, 2)):
    x, w = random.standard_normal((4, 9, 8, 16), np.float32), random.standard_normal((k, k, 16, 24), np.float32)
    y = book.conv2d(x, w, stride, 1)
    ours = (conv.conv2d(x, w, stride, 1), conv.conv2d_backward_x(y, w, x.shape, stride, 1),
            conv.conv2d_backward_w(y, x, w.shape, stride, 1))
    for mine, theirs in zip(ours, (y, book.conv2d_backward_x(y, w, x.shape, stride, 1),
                                   book.conv2d_backward_w(y, x, w.shape, stride, 1))):
        assert abs(mine - theirs).max() < 5e-6 * abs(theirs).max()
        print(hashlib.sha256(mine).hexdigest())
"""
INSPECTED = """
import gc, numba
for kernel in gc.get_objects():
    if isinstance(kernel, numba.core.registry.CPUDispatcher) and kernel.py_func.__name__ in ("correlate", "gradient"):
        for code in kernel.inspect_asm().values():
            print(kernel.py_func.__name__, "vfmadd" in code and "%ymm" in code, "%zmm" in code)
"""


@pytest.mark.slow
@needs_tile
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="compiles for x86")
def test_avx2_and_the_same_bits_from_the_cache(tmp_path):
    machine = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma", "NPSE_CACHE_DIR": str(tmp_path)}
    cold = python(CONVOLUTIONS + INSPECTED, **machine)
    hashes, inspected = cold.stdout.splitlines()[:6], cold.stdout.splitlines()[6:]
    assert {line.split()[0] for line in inspected} == {"correlate", "gradient"}
    assert all(line.endswith(" True False") for line in inspected), inspected
    warm = python(CONVOLUTIONS, **machine)
    assert warm.stdout.splitlines() == hashes
    assert warm.stderr == ""


def test_without_the_compiler_the_matrix_product_runs():
    """With NUMBA_DISABLE_JIT there is no tile. The matrix product runs, in plain Python except for BLAS."""
    code = """
import numpy as np
from npse import cpu, reference as book
x, w = np.ones((1, 4, 4, 16)), np.ones((3, 3, 16, 16))
assert np.array_equal(cpu.conv2d(x, w, 1, 1), book.conv2d(x, w, 1, 1))"""
    python(code, NUMBA_DISABLE_JIT="1")


@pytest.mark.parametrize("backward", [
    lambda x, w: cpu.conv2d_backward_x(None, w, x.shape), lambda x, w: cpu.conv2d_backward_w(None, x, w.shape),
    lambda x, w: cpu.conv2d_backward_x_add(None, w, x)])
def test_a_gradient_that_is_none_is_refused(backward):
    with pytest.raises(TypeError, match="dy must be an array, but is a NoneType"):
        backward(*problem(1, 4, 4, 2, 3, 3, 2, 1, 0)[:2])
