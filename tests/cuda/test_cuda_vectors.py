"""Kernels that take vectors of 16 bytes, in the simulator: with vectors, and with numbers where vectors do not fit."""

import numpy as np
import pytest

from npse import cuda
from npse import reference as book
from npse.cuda import conv
from npse.cuda.runtime import device
from npse.cuda.runtime.vector_array import Vector, VectorArray, vector_dtype
from npse.cuda.runtime.vectors import join, lane, where

pytestmark = pytest.mark.simulator
N, H, W = 3, 2, 3


class Watching(device.Runner):
    """A runner that notes how many numbers an element of each kernel's arrays has: of all, and at most."""

    def __init__(self):
        self.lanes, self.of_arrays = {}, {}

    def launch(self, kernel, blocks, threads, *arguments):
        name = kernel.__name__.lstrip("_")
        arrays = filter(device.is_device_array, arguments)
        self.of_arrays[name] = [getattr(array.dtype, "lanes", 1) for array in arrays]
        self.lanes[name] = max(self.of_arrays[name])
        super().launch(kernel, blocks, threads, *arguments)


@pytest.fixture
def watching():
    watching = Watching()
    before = device.use(watching)
    yield watching
    device.use(before)


def arrays(dtype, C):
    """Return random arrays by the letters of the book; gamma and var are not small."""
    rng = np.random.default_rng(C)
    maps, table, channels = (N, H, W, C), (N, C), (C,)
    shapes = {**dict.fromkeys(("x", "dy", "r", "u", "f", "du"), maps), **dict.fromkeys(("s", "dz", "dd"), table),
              **dict.fromkeys(("gamma", "beta", "mean", "var", "b"), channels)}
    made = {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
    made |= {name: np.abs(made[name]) + dtype(0.5) for name in ("gamma", "var", "s")}
    return made | {"y": np.maximum(made["x"], 0), "dgammas": made["s"], "dbetas": made["dz"], "means": made["dd"]}


PASSES = {                      # ops, their arguments, and the kernels of theirs that must take vectors
    "batch_norm": ("x gamma beta", "map_statistics normalize"),
    "batch_norm_relu": ("x gamma beta", "map_statistics normalize"),
    "batch_norm_backward": ("dy x gamma mean var", "map_sums input_gradient"),
    "batch_norm_relu_backward": ("dy x gamma beta mean var", "map_sums input_gradient"),
    "batch_norm_inference": ("x gamma beta mean var", "normalize"),
    "batch_norm_inference_backward": ("dy x gamma mean var", "inference_gradients"),
    "bn_scale_add_relu": ("x gamma beta mean var s r", "bn_scale_add_relu"),
    "bn_scale_add_relu_backward_s": ("dy x y gamma beta mean var", "bn_scale_add_relu_backward_s"),
    "bn_scale_add_relu_backward": ("dy x y s dz dgammas dbetas means gamma mean var", "input_gradients"),
    "squeeze": ("u", "mean_of_maps"), "global_max_pool": ("u", "global_max_pool"),
    "scale": ("u s", "scale"), "scale_backward": ("dy u s", "scale_backward"),
    "scale_add": ("u s x", "scale_add"), "scale_add_relu": ("u s x", "scale_add_relu"),
    "scale_add_relu_backward": ("dy u s y", "scale_add_relu_backward"),
    "add_squeeze_backward": ("du dz", "add_squeeze_backward"), "add": ("f x", "add"), "add_relu": ("f x", "add_relu"),
    "relu": ("x", "relu"), "relu_backward": ("dy y", "relu_backward"), "sigmoid": ("x", "sigmoid"),
    "silu": ("x", "one"), "silu_backward": ("dy x", "two"), "deviation": ("u", "deviation"),
    "norm_squeeze": ("u", "norm_squeeze"), "add_bias": ("y b", "add_bias"), "shift": ("u s", "shift"),
}


@pytest.mark.parametrize("op", PASSES)
@pytest.mark.parametrize(("dtype", "C", "lanes"), [(np.float32, 24, 4), (np.float64, 6, 2), (np.float32, 7, 1)])
def test_a_pass_computes_with_vectors_or_numbers_what_the_book_computes(watching, op, dtype, C, lanes):
    names, kernels = PASSES[op]
    arguments = [arrays(dtype, C)[name] for name in names.split()]
    wanted = getattr(book, op)(*arguments)
    found = cuda.to_host(getattr(cuda, op)(*arguments))
    for a, b in zip(*(value if isinstance(value, tuple) else (value,) for value in (found, wanted)), strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=(3e-6 if dtype == np.float32 else 1e-13) * np.abs(b).max())
    assert [watching.lanes[kernel] for kernel in kernels.split()] == [lanes] * len(kernels.split())


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["register", "tensor"])
@pytest.mark.parametrize(("dtype", "C", "K", "of_x", "of_dy"), [
    (np.float32, 8, 12, 4, 4), (np.float32, 3, 20, 1, 4), (np.float32, 20, 9, 4, 1), (np.float64, 6, 5, 2, 1)])
def test_a_convolution_reads_and_writes_vectors(watching, variant, dtype, C, K, of_x, of_dy):
    rng = np.random.default_rng(C)
    x, w, dy = (rng.integers(-9, 10, shape).astype(dtype) for shape in ((2, 3, 4, C), (3, 3, C, K), (2, 3, 4, K)))
    calls = {"conv2d": (x, w, 1, 1), "conv2d_backward_x": (dy, w, x.shape, 1, 1),
             "conv2d_backward_w": (dy, x, w.shape, 1, 1)}
    lanes = {}
    for op, arguments in calls.items():
        found = cuda.to_host(getattr(conv.VARIANTS[variant], op)(*arguments))
        np.testing.assert_array_equal(found, getattr(book, op)(*arguments))       # sums of small integers are exact
        lanes |= {op: watching.of_arrays.get("correlate" if op != "conv2d_backward_w" else "products_of_taps")}
    of_y, of_dx = (of_dy, of_x) if variant == "register" else (1, 1)
    assert lanes == {"conv2d": [of_x, of_dy, of_y, of_y], "conv2d_backward_x": [of_dy, of_dy, of_dx, of_dx],
                     "conv2d_backward_w": [of_dy, of_x, 1]}


def test_the_sum_of_a_channel_has_the_same_bits_each_time():
    x = arrays(np.float32, 8)["x"]
    first, second = (cuda.to_host(cuda.moments(x)) for _ in range(2))
    assert [a.tobytes() for a in first] == [b.tobytes() for b in second]


def test_arrays_at_other_addresses_and_sizes_are_taken_number_by_number(watching):
    x = cuda.to_device(np.arange(9, dtype=np.float32))
    for part, lanes in ((x[1:], 1), (x[:8], 4), (x[:7], 1), (x[4:8], 4)):
        target = cuda.empty_like(part)
        cuda.copy(part, target)
        np.testing.assert_array_equal(cuda.to_host(target), np.asarray(part.copy_to_host()))
        assert watching.lanes.pop("copy") == lanes


@pytest.mark.parametrize(("dtype", "lanes"), [(np.int64, 2), (np.uint8, 1), (np.bool_, 1)])
def test_long_integers_are_copied_in_vectors_too(watching, dtype, lanes):
    images = cuda.to_device(np.arange(48).astype(dtype))
    target = cuda.empty_like(images)
    cuda.copy(images, target)
    np.testing.assert_array_equal(cuda.to_host(target), np.arange(48).astype(dtype))
    assert watching.lanes["copy"] == lanes


def test_a_vector_computes_as_its_numbers_do_and_never_changes():
    a, b = Vector(np.float32([1, -2, 3, 0])), Vector(np.float32([2, 2, -1, 1]))
    before = a
    a += np.float32(1) * b / 2 - 1
    assert (a.numbers, before.numbers) == ((1, -2, 1.5, -0.5), (1, -2, 3, 0))
    assert all(type(number) is np.float32 for number in a.numbers)
    assert where(before > 0, b, -1).numbers == (2, -1, -1, -1)
    assert where(before < b, 0, 1).numbers == (0, 0, 1, 0)
    assert join(3, 4).numbers == (3, 4)
    assert (lane(b, 1), lane(b, 2), lane(np.float32(5), 0)) == (2, -1, 5)


def test_a_view_as_vectors_copies_nothing():
    numbers = np.zeros((2, 8), np.float32)
    view = VectorArray(numbers, 4)
    assert (view.shape, view.size, view.dtype) == ((2, 2), 4, vector_dtype(np.dtype(np.float32), 4))
    view[1, 0] = Vector(range(4))
    view[1, 1] = 7
    assert numbers[1].tolist() == [0, 1, 2, 3, 7, 7, 7, 7]
