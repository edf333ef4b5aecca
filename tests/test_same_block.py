"""docs/same_block.md: the listing of each installed library gives the numbers of npse, and the same gradients."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from npse import reference as ops

PAGE = (Path(__file__).parents[1] / "docs" / "same_block.md").read_text(encoding="utf-8")
LISTINGS = dict(re.findall(r"^## (.+?)\n.*?```python\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL))
SETUP, GRADIENT = LISTINGS.pop("The maps and the weights"), LISTINGS.pop("The gradient")
NEEDS = {"npse": "npse", "PyTorch": "torch", "timm": "timm_models", "Keras": "keras", "JAX": "jax"}
TOLERANCE = 1e-6                  # of the largest number


@pytest.fixture
def made(monkeypatch, tmp_path):
    """Return a function that runs the listing of a library and returns its names; it skips without the library."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    backend = next((name for name in ("jax", "torch") if importlib.util.find_spec(name)), "tensorflow")
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")

    def run(library):
        if library == "Keras" and importlib.util.find_spec(backend) is None:
            pytest.skip("Keras has no backend: pip install jax")
        pytest.importorskip(NEEDS[library])
        names = {}
        exec(SETUP + GRADIENT + LISTINGS[library], names)
        return names
    return run


def close(found, expected):
    assert found.shape == expected.shape
    assert np.abs(np.asarray(found) - expected).max() <= TOLERANCE * np.abs(expected).max()


def test_the_page_has_a_listing_for_each_library():
    assert LISTINGS.keys() == NEEDS.keys()


@pytest.mark.parametrize("library", NEEDS)
def test_each_library_gives_the_numbers_of_npse(library, made):
    names = made(library)
    u, w1, w2, b1, b2 = (names[name] for name in ("u", "w1", "w2", "b1", "b2"))
    close(names["y"], ops.se(u, w1, w2, b1, b2))
    shown = np.array(re.search(r"```text\n\[(.*)\]\n```", PAGE)[1].split(), float)
    np.testing.assert_allclose(names["y"][0, 0, 0, :3], shown, atol=1e-7)


def gradients(names):
    dy, u, w1, w2, b1, b2 = (names[name] for name in ("dy", "u", "w1", "w2", "b1", "b2"))
    return ops.se_backward(dy, u, w1, w2, b1, b2)


def test_pytorch_derives_the_gradients_of_npse(made):
    names = made("PyTorch")
    torch, block = names["torch"], names["block"]
    u = torch.tensor(names["u"]).permute(0, 3, 1, 2).requires_grad_()
    block(u).backward(torch.tensor(names["dy"]).permute(0, 3, 1, 2))
    found = [u.grad.permute(0, 2, 3, 1), block.fc1.weight.grad, block.fc2.weight.grad, block.fc1.bias.grad,
             block.fc2.bias.grad]
    for theirs, ours in zip(found, gradients(names), strict=True):
        close(theirs.numpy(), ours)


def test_jax_derives_the_gradients_of_npse(made):
    names = made("JAX")
    given = [names[name] for name in ("u", "w1", "w2", "b1", "b2")]
    for theirs, ours in zip(names["jax"].vjp(names["se"], *given)[1](names["dy"]), gradients(names), strict=True):
        close(theirs, ours)
