"""On a GPU: the judge in full, gradients against finite differences, float32 against float64; a step as a graph.

    python -m pytest -m gpu
"""

import os

import numpy as np
import pytest
from convolutions import geometry, passes

from npse import reference as book
from npse.gradcheck import CASES, check_case

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module", autouse=True)
def _gpu():
    """Skip where nothing can run, and say why; fail there if NPSE_REQUIRE_CUDA=1 asks for these tests."""
    refuse = pytest.fail if os.environ.get("NPSE_REQUIRE_CUDA") == "1" else pytest.skip
    try:
        from npse.cuda import why_unavailable
    except ImportError as error:
        refuse(f"the cuda edition cannot be imported: {error}")
    if reason := why_unavailable():
        refuse(reason)


@pytest.mark.parametrize("ahead", [False, True], ids=["NumPy", "device"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_case_is_right(case, ahead):
    from on_device import OnDevice

    wrong = [str(result) for result in check_case(case, OnDevice(ahead), book=book) if not result.ok]
    assert not wrong, "\n".join(wrong)


def test_a_recorded_step_is_the_step_and_takes_no_more_memory():
    from npse import backend, models
    from npse.cuda.runtime import device
    from npse.training import SGD, Step

    rng = np.random.default_rng(0)
    batches = [(rng.standard_normal((8, 16, 16, 3), np.float32), rng.integers(0, 10, 8), 0.1 / k) for k in range(1, 9)]
    said, losses, states = [], [], []
    with backend.using_edition("cuda"):
        for recorded in (False, True):
            network = models.resnet(8, input_gradient=False).to_device()
            optimizer = SGD(network)
            optimizer.to_device()
            step = Step(network, optimizer, 0.1, said.append)
            make = step.recorded if recorded else step.plain

            def loss_of(x, labels, lr, make=make):                # the results are read, so that no step keeps memory
                return float(backend.to_host(make(backend.to_edition(x), labels, lr)[0]))
            made = [loss_of(*batch) for batch in batches[:4]]
            held = device.memory()
            made += [loss_of(*batch) for batch in batches[4:]]
            assert device.memory() == held
            losses.append(made)
            states.append({name: backend.to_host(array) for name, array in network.state().items()})
    assert not said
    np.testing.assert_allclose(*losses, rtol=1e-5)
    for name, array in states[0].items():
        np.testing.assert_allclose(states[1][name], array, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("sizes", [
    (8, 32, 32, 16, 3, 16, 1), (8, 32, 32, 16, 3, 32, 2), (8, 16, 16, 32, 3, 32, 1), (8, 8, 8, 64, 3, 64, 1),
    (3, 7, 9, 72, 1, 40, 1), (3, 7, 9, 12, 1, 100, 2), (2, 5, 40, 9, 5, 11, 1)], ids=str)
def test_convolution_on_tensor_cores(sizes):
    """Factors are rounded to tf32, each by at most 2^-11 of its value: the bound of test_cuda_tensor.py."""
    from npse import cuda
    from npse.cuda import conv
    from npse.cuda.runtime.tensor_core import computes

    if not computes(np.float32):
        pytest.skip("this GPU has no tensor cores for tf32")
    N, H, W, Cin, k, Cout, stride = sizes
    g, rng = geometry(N, H, W, Cin, k, k, Cout, stride, k // 2), np.random.default_rng(0)
    x, w, dy = (rng.standard_normal(shape, np.float32) for shape in (g.x_shape, g.w_shape, g.y_shape))
    with conv.VARIANTS.limited_to("tensor"):
        assert conv.choose(g, np.float32) == "tensor"
        ours = passes(cuda, x, w, dy, g)
    double = [*map(np.float64, (x, w, dy))]
    for mine, exact, sums in zip(ours, passes(book, *double, g), passes(book, *map(abs, double), g), strict=True):
        error = abs(mine - exact)
        assert (error <= (2**-10 + 2**-14) * sums).all()
        assert error.max() > 1e-5 * abs(exact).max()              # so tensor cores have multiplied


@pytest.mark.parametrize("sizes", [(16, 32, 32, 64, 64, 1), (128, 8, 8, 256, 256, 1), (70, 7, 9, 68, 132, 0)], ids=str)
def test_convolution_by_winograds_algorithm(sizes):
    from npse import cuda
    from npse.cuda import conv

    N, H, W, Cin, Cout, padding = sizes
    g, random = geometry(N, H, W, Cin, 3, 3, Cout, 1, padding), np.random.default_rng(0)
    x, w, dy = (random.standard_normal(shape, np.float32) for shape in (g.x_shape, g.w_shape, g.y_shape))
    with conv.VARIANTS.limited_to("winograd"):
        assert conv.choose(g, np.float32) == "winograd"
        found = passes(cuda, x, w, dy, g)
    for ours, books in zip(found, passes(book, *map(np.float64, (x, w, dy)), g), strict=True):
        np.testing.assert_allclose(ours, books, rtol=0, atol=1e-5 * abs(books).max())
