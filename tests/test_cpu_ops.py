"""Every compiled op of the Numba edition against the book: shapes, dtypes, memory layouts, threads, bad input."""

import inspect
import math

import numpy as np
import pytest

from npse import reference as book

pytest.importorskip("numba")
from npse import cpu

SHAPES = [(1, 1, 1, 1), (3, 5, 7, 6), (9, 4, 4, 17), (2, 9, 3, 1), (3, 9, 8, 16), (2, 3, 5, 64)]       # N, H, W, C
EQUAL_TO = {np.float32: 2e-6, np.float64: 1e-13}                         # of the result's largest entry


class Draw:
    """Random arguments of one dtype for maps of one shape."""

    def __init__(self, shape, dtype=np.float64, seed=0):
        self.shape, self.dtype, self.random = shape, dtype, np.random.default_rng(seed)
        self.N, self.H, self.W, self.C = shape

    def __call__(self, *shape):
        return self.random.standard_normal(shape).astype(self.dtype)

    def map(self):
        return self(*self.shape)

    def gates(self):
        return self(self.N, self.C)

    def channel(self):
        return self(self.C)

    def positive(self):
        return abs(self.channel()) + self.dtype(0.5)

    def images(self):
        return self.random.integers(0, 256, self.shape, np.uint8)

    def mask(self):
        return self.random.random(self.shape) < 0.7

    def padding(self):
        return min(2, self.H - 1, self.W - 1)

    def corner(self):
        return self.random.integers(0, 2 * self.padding() + 1, self.N)

    def pooled(self, size, stride):
        return self(self.N, (self.H - size) // stride + 1, (self.W - size) // stride + 1, self.C)


def pool_size(d):
    return min(2, d.H, d.W)


# size, stride, padding and ceil_mode, then count_include_pad of an average
PADDED = [(3, 2, 1, False), (3, 2, 1, True), (2, 1, 1, False), (5, 3, 2, True), (4, 4, 2, True)]


ARGUMENTS = {
    "conv2d": lambda d: (d.map(), d(3, 2, d.C, 5), 2, 1),
    "conv2d_backward_x": lambda d: (
        d(d.N, (d.H + 2 - 3) // 2 + 1, (d.W + 2 - 2) // 2 + 1, 5), d(3, 2, d.C, 5), d.shape, 2, 1),
    "conv2d_backward_w": lambda d: (
        d(d.N, (d.H + 2 - 3) // 2 + 1, (d.W + 2 - 2) // 2 + 1, 5), d.map(), (3, 2, d.C, 5), 2, 1),
    "grouped_conv2d": lambda d: (d.map(), d(3, 2, d.C, 5), 1, 2, 1),
    "grouped_conv2d_backward_x": lambda d: (
        d(d.N, (d.H + 2 - 3) // 2 + 1, (d.W + 2 - 2) // 2 + 1, 5), d(3, 2, d.C, 5), d.shape, 1, 2, 1),
    "grouped_conv2d_backward_w": lambda d: (
        d(d.N, (d.H + 2 - 3) // 2 + 1, (d.W + 2 - 2) // 2 + 1, 2 * d.C), d.map(), (3, 2, 1, 2 * d.C), d.C, 2, 1),
    "squeeze": lambda d: (d.map(),),
    "global_average_pool": lambda d: (d.map(),),
    "squeeze_backward": lambda d: (d.gates(), d.shape),
    "global_average_pool_backward": lambda d: (d.gates(), d.shape),
    "scale": lambda d: (d.map(), d.gates()),
    "scale_backward": lambda d: (d.map(), d.map(), d.gates()),
    "se": lambda d: (d.map(), d(3, d.C), d(d.C, 3), d(3), d(d.C)),
    "se_backward": lambda d: (d.map(), d.map(), d(3, d.C), d(d.C, 3), d(3), d(d.C)),
    "excite": lambda d: (d.gates(), d(3, d.C), d(d.C, 3), d(3), d(d.C)),
    "excite_backward": lambda d: (d.gates(), d.gates(), abs(d.gates()), d(3, d.C), d(d.C, 3), d(3)),
    "dense": lambda d: (d.gates(), d(3, d.C), d(3)),
    "dense_backward": lambda d: (d(d.N, 3), d.gates(), d(3, d.C)),
    "batch_norm": lambda d: (d.map(), d.channel(), d.channel()),
    "batch_norm_backward": lambda d: (d.map(), d.map(), d.channel(), d.channel(), d.positive()),
    "batch_norm_inference": lambda d: (d.map(), d.channel(), d.channel(), d.channel(), d.positive()),
    "batch_norm_relu": lambda d: (d.map(), d.channel(), d.channel()),
    "batch_norm_relu_backward": lambda d: (
        d.map(), d.map(), d.channel(), d.channel(), d.channel(), d.positive()),
    "shared_batch_norm_backward_sums": lambda d: (d.map(), d.map(), d.channel(), d.positive()),
    "shared_batch_norm_backward_x": lambda d: (
        d.map(), d.map(), d.channel(), d.channel(), d.positive(), d.channel(), d.channel(), 3 * d.N * d.H * d.W),
    "shared_batch_norm_relu_backward_sums": lambda d: (
        d.map(), d.map(), d.channel(), d.channel(), d.channel(), d.positive()),
    "shared_batch_norm_relu_backward_x": lambda d: (
        d.map(), d.map(), d.channel(), d.channel(), d.channel(), d.positive(), d.channel(), d.channel(),
        3 * d.N * d.H * d.W),
    "batch_norm_inference_relu": lambda d: (d.map(), d.channel(), d.channel(), d.channel(), d.positive()),
    "conv2d_batch_norm_inference": lambda d: (d.map(), d(3, 2, d.C, 5), d(5), d(5), d(5), abs(d(5)) + 0.1, 2, 1),
    "conv2d_batch_norm_inference_relu": lambda d: (d.map(), d(3, 2, d.C, 5), d(5), d(5), d(5), abs(d(5)) + 0.1, 2, 1),
    "conv2d_se_add_relu_inference": lambda d: (
        d.map(), d(3, 2, d.C, 5), d(5), d(5), d(5), abs(d(5)) + 0.1,
        d(d.N, (d.H + 2 - 3) // 2 + 1, (d.W + 2 - 2) // 2 + 1, 5), d(3, 5), d(5, 3), d(3), d(5), 2, 1),
    "moments": lambda d: (d.map(),),
    "conv2d_moments": lambda d: (d.map(), d(3, 2, d.C, 5), 2, 1),
    "conv2d_backward_x_add": lambda d: (
        d(d.N, (d.H + 2 - 3) // 2 + 1, (d.W + 2 - 2) // 2 + 1, 5), d(3, 2, d.C, 5), d.map(), 2, 1),
    "bn_scale_add_relu": lambda d: (
        d.map(), d.channel(), d.channel(), d.channel(), d.positive(), d.gates(), d.map()),
    "bn_scale_add_relu_backward_s": lambda d: (
        d.map(), d.map(), d.map(), d.channel(), d.channel(), d.channel(), d.positive()),
    "bn_scale_add_relu_backward": lambda d: (
        d.map(), d.map(), d.map(), d.gates(), d.gates(), d.gates(), d.gates(), d.gates(),
        d.channel(), d.channel(), d.positive()),
    "relu": lambda d: (d.map(),),
    "relu_backward": lambda d: (d.map(), d.map()),
    "add": lambda d: (d.map(), d.map()),
    "add_relu": lambda d: (d.map(), d.map()),
    "add_relu_backward": lambda d: (d.map(), d.map()),
    "scale_add_relu": lambda d: (d.map(), d.gates(), d.map()),
    "scale_add_relu_backward": lambda d: (d.map(), d.map(), d.gates(), d.map()),
    "add_squeeze_backward": lambda d: (d.map(), d.gates()),
    "average_pool": lambda d: (d.map(), pool_size(d), 1),
    "average_pool_backward": lambda d: (d.pooled(pool_size(d), 1), d.shape, pool_size(d), 1),
    "max_pool": lambda d: (np.round(d.map()), pool_size(d), 1),               # rounded, so that there are ties
    "max_pool_backward": lambda d: (d.pooled(pool_size(d), 1), np.round(d.map()), pool_size(d), 1),
    "concat": lambda d: (d.map(), d(d.N, d.H, d.W, 5), d(d.N, d.H, d.W, 1)),
    "split_backward": lambda d: (d.map(), d(d.N, d.H, d.W, 5), d.map(), d(d.N, d.H, d.W, 2)),
    "split": lambda d: (d(d.N, d.H, d.W, d.C + 5), (d.C, 5)),
    "concat_backward": lambda d: (d(d.N, d.H, d.W, d.C + 8), (1, d.C, 5, 2)),
    "channel_shuffle": lambda d: (d.map(), 2 - d.C % 2),
    "channel_shuffle_backward": lambda d: (d.map(), 2 - d.C % 2),
    "dropout": lambda d: (d.map(), d.mask(), 0.3),
    "dropout_backward": lambda d: (d.map(), d.mask(), 0.3),
    "channel_pool": lambda d: (np.round(d.map()),),
    "channel_pool_backward": lambda d: (d(d.N, d.H, d.W, 2), np.round(d.map())),
    "sgd": lambda d: (d.map(), d.map(), d.map(), 0.1, 0.9, 5e-4),
    "muon": lambda d: (d.map(), d.map(), d.map(), 0.1, 0.9),
    "orthogonalize": lambda d: (d.map(),),
    "augment": lambda d: (d.images(), d.corner(), d.corner(), d.random.random(d.N) < 0.5,
                          d.channel(), d.positive(), d.padding()),
    "normalize": lambda d: (d.images(), d.channel(), d.positive()),
}


def drawn(op, d):
    """Return arguments of an op: as above, or random arrays with the axes of its declaration."""
    if op in ARGUMENTS:
        return ARGUMENTS[op](d)
    contract, sizes = getattr(book, op).contract, dict(zip("NHWC", d.shape, strict=True))
    axes = [contract.arguments[name] for name in contract.signature.parameters if name in contract.arguments]
    return tuple(d(*d.shape) if of == "*" else d(*[sizes.setdefault(letter, 3) for letter in of.split()])
                 for of in axes)


COMPILED = [name for name in book.OPS if hasattr(getattr(cpu, name), "replaced")]


def results(op, arguments):
    result = op(*arguments)
    return result if isinstance(result, tuple) else (result,)


def assert_equal(ours, books, tolerance):
    assert len(ours) == len(books)
    for mine, theirs in zip(ours, books, strict=True):
        assert mine.dtype == theirs.dtype
        assert mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=tolerance * max(abs(theirs).max(), 1e-30))


def assert_same_bits(ours, others):
    for mine, other in zip(ours, others, strict=True):
        assert mine.tobytes() == other.tobytes()


def strided(value):
    """Return the same numbers in another memory layout: no axis is contiguous."""
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        return value
    wide = np.zeros([2 * size for size in value.shape[::-1]], value.dtype).T
    view = wide[tuple(slice(None, None, 2) for _ in value.shape)]
    view[...] = value
    return view


def test_the_edition_has_every_op_of_the_book_with_its_signature():
    for name in book.OPS:
        assert inspect.signature(getattr(cpu, name)) == inspect.signature(getattr(book, name)), name
        assert getattr(cpu, name).__doc__ == getattr(book, name).__doc__


def test_batch_statistics_are_accurate_with_large_offsets_that_differ_between_images():
    offsets = np.array([1000, 1003, -997, 1001], np.float32)[:, None, None, None]
    x = (np.random.default_rng(0).standard_normal((4, 9, 8, 3)) + offsets).astype(np.float32)
    _, mean, var = cpu.batch_norm(x, np.ones(3, np.float32), np.zeros(3, np.float32))
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(var, exact.var(axis=(0, 1, 2)), rtol=1e-6)
    near = x[:2] - x[:2].min() + np.float32(5000)                 # the spread is a thousandth of the offset
    _, _, var = cpu.batch_norm(near, np.ones(3, np.float32), np.zeros(3, np.float32))
    np.testing.assert_allclose(var, near.astype(np.float64).var(axis=(0, 1, 2)), rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("size", [(8, 8), (9, 3)])                # 9 * 3 pixels are not a whole number of vectors
@pytest.mark.parametrize("C", [1, 2, 3, 4])
def test_batch_norm_of_maps_with_fewer_channels_than_a_vector(C, size, dtype):
    rng = np.random.default_rng(C)
    x = rng.standard_normal((3, *size, C)) + 10 * rng.standard_normal((3, 1, 1, C))
    gamma, beta, dy = rng.standard_normal(C), rng.standard_normal(C), rng.standard_normal(x.shape)
    x, gamma, beta, dy = (array.astype(dtype) for array in (x, gamma, beta, dy))
    rtol = 1e-12 if dtype == np.float64 else 2e-5
    _, mean, var = cpu.batch_norm(x, gamma, beta)
    for got, wanted in ((cpu.batch_norm(x, gamma, beta), book.batch_norm(x, gamma, beta)),
                        (cpu.moments(x), book.moments(x)),
                        (cpu.batch_norm_backward(dy, x, gamma, mean, var),
                         book.batch_norm_backward(dy, x, gamma, mean, var)),
                        (cpu.batch_norm_relu_backward(dy, x, gamma, beta, mean, var),
                         book.batch_norm_relu_backward(dy, x, gamma, beta, mean, var))):
        for a, b in zip(got, wanted, strict=True):
            assert a.dtype == dtype
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())


@pytest.mark.parametrize("offset", [0, 3, 300])
def test_moments_from_a_convolution_are_those_of_its_output(offset):
    d = Draw((9, 12, 11, 16), np.float32)
    x, w = d.map() + np.float32(offset), abs(d(3, 3, 16, 32))
    y, mean, var, means = cpu.conv2d_moments(x, w, 1, 0)          # without padding, which would add variance to y
    exact = y.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean(axis=(0, 1, 2)), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(means, exact.mean(axis=(1, 2)), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(var, exact.var(axis=(0, 1, 2)), rtol=1e-4)


def test_the_arguments_above_are_of_compiled_ops():
    assert set(ARGUMENTS) <= set(COMPILED)


def test_an_op_without_arguments_above_gets_those_of_its_declaration(monkeypatch):
    monkeypatch.delitem(ARGUMENTS, "scale_backward")
    d = Draw((2, 3, 4, 5))
    assert [value.shape for value in drawn("scale_backward", d)] == [d.shape, d.shape, (2, 5)]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("op", COMPILED)
def test_op_equals_the_book_and_leaves_its_arguments_alone(op, dtype):
    for shape in SHAPES:
        arguments = drawn(op, Draw(shape, dtype))
        books = results(getattr(book, op), arguments)
        before = [np.copy(value) for value in arguments]
        assert_equal(results(getattr(cpu, op), arguments), books, EQUAL_TO[dtype])
        assert_same_bits(before, map(np.asarray, arguments))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("how", PADDED)
def test_pooling_with_padding_equals_the_book(how, dtype):
    for shape in SHAPES:
        d = Draw(shape, dtype)
        x = np.round(d.map())                                     # so that there are ties
        dy = d(*book.max_pool(x, *how).shape)
        assert_equal((cpu.max_pool(x, *how),), (book.max_pool(x, *how),), 0)
        assert_equal((cpu.max_pool_backward(dy, x, *how),), (book.max_pool_backward(dy, x, *how),), EQUAL_TO[dtype])
        for count_include_pad in (True, False):
            for op, *arguments in (("average_pool", d.map()), ("average_pool_backward", dy, shape)):
                arguments += [*how, count_include_pad]
                assert_equal(results(getattr(cpu, op), arguments), results(getattr(book, op), arguments),
                             EQUAL_TO[dtype])


def test_no_padding_wins_a_maximum():
    x = np.full((1, 3, 4, 2), -np.inf)
    for ops in (book, cpu):
        dx = ops.max_pool_backward(np.ones((1, 2, 2, 2)), x, 3, 2, 1)
        assert dx.sum() == 8                                      # each window gives all of its gradient to a pixel


WIDE = np.concatenate([np.linspace(-110, 110, 20010), np.linspace(-9, 9, 20010), np.logspace(-30, 0, 31),
                       -np.logspace(-30, 0, 31)])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("op", ["sigmoid", "tanh", "twice_sigmoid", "hard_sigmoid", "relu6", "hard_swish", "silu"])
def test_activations_are_exact_to_the_last_digits_for_numbers_of_all_sizes(op, dtype):
    x = WIDE.astype(dtype)
    y, exact = getattr(cpu, op)(x), getattr(book, op)(x.astype(np.longdouble))
    assert y.dtype == dtype
    normal = np.abs(exact) > 200 * np.finfo(dtype).tiny           # smaller floats have fewer digits
    scale = np.maximum(np.abs(exact), 1) if op.startswith("hard") else np.abs(exact)        # x/6 + 1/2 cancels at -3
    assert (np.abs(y - exact)[normal] / scale[normal]).max() < 5 * np.finfo(dtype).eps
    assert np.isnan(getattr(cpu, op)(np.array([np.nan], dtype)))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_gelu_is_exact_to_the_last_digits(dtype):
    x = WIDE[np.abs(WIDE) < 9].astype(dtype)
    exact = np.array([v * math.erfc(-v / math.sqrt(2)) / 2 for v in x.tolist()])
    units = np.abs(cpu.gelu(x) - exact) / np.abs(exact) / np.finfo(dtype).eps
    assert (units / (6 + x * x)).max() < 1                        # in exp(-x^2 / 2) a rounding error of x^2 counts x^2
    cubes = np.abs(x.astype(float)) ** 3                          # x times a sum that has the factor exp(-x^2 / 2)
    assert (np.abs(book.gelu(x) - exact) / (4 + cubes / 2)).max() < np.finfo(dtype).eps


@pytest.mark.parametrize("op", COMPILED)
def test_bits_do_not_depend_on_the_memory_layout(op):
    arguments = drawn(op, Draw((5, 6, 7, 4)))
    assert_same_bits(results(getattr(cpu, op), map(strided, arguments)), results(getattr(cpu, op), arguments))


@pytest.mark.parametrize("op", COMPILED)
def test_bits_do_not_depend_on_the_number_of_threads(op):
    arguments = drawn(op, Draw((37, 17, 16, 24), np.float32))
    before, found = cpu.get_threads(), []
    try:
        for threads in (1, 2, 5):
            cpu.set_threads(threads)
            found += [results(getattr(cpu, op), arguments), results(getattr(cpu, op), arguments)]
    finally:
        cpu.set_threads(before)
    for other in found[1:]:
        assert_same_bits(found[0], other)


@pytest.mark.parametrize("dtype", ["f2", "g", ">f8"])
@pytest.mark.parametrize("op", ["conv2d", "scale", "batch_norm_backward", "sgd", "normalize"])
def test_other_floating_point_types_go_to_the_book(op, dtype):
    arguments = [value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
                 for value in drawn(op, Draw((3, 4, 5, 2)))]
    assert_equal(results(getattr(cpu, op), arguments), results(getattr(book, op), arguments), 0)


@pytest.mark.parametrize("op", COMPILED)
def test_what_the_book_refuses_is_refused(op):
    arguments = drawn(op, Draw((3, 6, 5, 4)))
    arrays = [k for k, value in enumerate(arguments) if isinstance(value, np.ndarray)]
    spoilt = [lambda a: a.astype(int) if a.dtype != np.uint8 else a.astype(np.float32), np.ndarray.tolist]
    if op != "sgd":
        spoilt += [lambda a: a[:0], lambda a: a[..., None]]
    if len(arrays) > 1:                                # another array decides what the shape must be
        spoilt += [lambda a: np.concatenate([a, a], axis=-1)]
    for k in arrays:
        for spoil in spoilt:
            wrong = [*arguments[:k], spoil(arguments[k]), *arguments[k + 1:]]
            refused = expected_error(getattr(book, op), wrong)
            if refused:
                with pytest.raises(refused):
                    getattr(cpu, op)(*wrong)


def expected_error(op, arguments):
    try:
        op(*arguments)
    except Exception as error:
        return type(error)


def test_nan_is_passed_on():
    x = np.array([1.0, np.nan, -1.0, 3.0, np.nan, 2.0, np.nan, 0.0]).reshape(1, 2, 4, 1)
    dy = np.ones((1, 1, 2, 1))
    pixels = np.tile(x.reshape(1, 2, 1, 4), 16)                    # the first has a NaN, the second two in each four
    for op, *arguments in (("relu", x), ("add_relu", x, x), ("max_pool", x, 2), ("max_pool_backward", dy, x, 2),
                           *(("channel_pool", u) for u in (pixels, pixels[..., :5])),
                           *(("channel_pool_backward", dy[:, :, :1].repeat(2, 1).repeat(2, 3), u)
                             for u in (pixels, pixels[..., :5]))):
        np.testing.assert_array_equal(getattr(cpu, op)(*arguments), getattr(book, op)(*arguments))


@pytest.mark.parametrize("op", ["axis_means", "scale_axes_backward", "outer_sum_backward", "simam_backward"])
@pytest.mark.parametrize("shape", [(1, 70, 5, 16), (1, 3, 131, 32), (2, 65, 64, 3)])
def test_sums_over_more_pixels_than_a_chunk(op, shape):
    arguments = drawn(op, Draw(shape, np.float32))
    exact = [value.astype(np.float64) for value in arguments]
    for ours, books in zip(results(getattr(cpu, op), arguments), results(getattr(book, op), exact), strict=True):
        np.testing.assert_allclose(ours, books, rtol=0, atol=2e-6 * abs(books).max())


def test_variance_is_accurate_with_a_large_mean_in_float32():
    x = Draw((16, 32, 32, 2)).map() + 1e4
    _, mean, var = cpu.batch_norm(x.astype(np.float32), np.ones(2, np.float32), np.zeros(2, np.float32))
    np.testing.assert_allclose(mean, x.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(var, x.var(axis=(0, 1, 2)), rtol=1e-3)
