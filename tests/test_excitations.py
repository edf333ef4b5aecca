"""Structures in place of the two dense layers: their page, their parameters, their errors."""

import re
from pathlib import Path

import numpy as np
import pytest

from npse import models
from npse.layers import EXCITATIONS, GATES, SQUEEZES, make_excitation
from npse.layers.excitations.channelwise import eca_kernel

PAGE = (Path(__file__).parents[1] / "docs" / "excitations.md").read_text(encoding="utf-8")
ROWS = {found[1]: found[0] for found in re.finditer(r"^\| `(\w+)` \|.*$", PAGE, re.MULTILINE)}


def count(**options):
    network = models.se_resnet20(**options)
    return sum(array.size for name, array in network.named_parameters().items() if ".se." in name)


def test_the_page_lists_all_structures_squeezes_and_gates():
    assert sorted(ROWS) == sorted([*EXCITATIONS, *SQUEEZES, *GATES])


@pytest.mark.parametrize("name", EXCITATIONS)
def test_the_page_counts_the_parameters(name):
    assert f"| {count(excitation=name):,} |".replace(",", " ") in ROWS[name]


def test_stages_can_be_without_excitations():
    network = models.se_resnet8(stages=(2,))
    assert {name.split(".")[0] for name in network.named_parameters() if ".se." in name} == {"layer2"}
    assert models.se_resnet8(stages=()).state().keys() == models.resnet8().state().keys()


def test_parameters_with_biases_are_those_of_the_literature():
    assert count(excitation="per_channel", bias=True) == 672
    assert count(excitation="dense", bias=True) == 16464
    assert count(reduction=16, min_hidden=1, bias=True) == 2373


@pytest.mark.parametrize(("channels", "kernel"), [(1, 1), (8, 3), (16, 3), (64, 3), (128, 5), (512, 5), (2048, 7)])
def test_the_kernel_of_eca_grows_with_the_logarithm_of_the_channels(channels, kernel):
    assert eca_kernel(channels) == kernel


@pytest.mark.parametrize(("options", "words"), [
    ({"excitation": "ecca"}, "unknown excitation 'ecca'; did you mean eca?"),
    ({"gate": "sigmoide"}, "unknown gate 'sigmoide'; did you mean sigmoid or hard_sigmoid?"),
    ({"excitation": "grouped_dense", "reduction": 3}, "GroupedDense: 3 groups do not divide 16 channels"),
    ({"excitation": "lct", "reduction": 5}, "LinearContext: 5 groups do not divide 16 channels"),
    ({"squeeze": "maximum"}, "unknown squeeze 'maximum'; "),
    ({"excitation": "gaussian_context", "gate": "tanh"}, "gaussian_context takes no gate; it is for: se, none, "),
    ({"excitation": "eca", "bias": True}, "eca takes no bias; it is for: se, per_channel, dense, grouped_dense"),
    ({"excitation": "eca", "hidden_norm": True}, "eca takes no hidden_norm; it is for: se"),
    ({"excitation": "sse", "gate": "softmax"}, "'softmax' is a gate for channels only; known are: sigmoid, tanh, "),
    ({"stages": (3, 4)}, "stages must be some of 1, 2, 3, but are 3, 4"),
])
def test_what_does_not_fit_is_refused(options, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        models.se_resnet8(**options)


def test_gates_start_as_their_sources_say():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((3, 16)).astype(np.float32)
    gates = {name: make_excitation(16, rng=rng, excitation=name).excite(z)[0]
             for name in ("none", "per_channel", "lct", "gaussian_context")}
    np.testing.assert_allclose(gates["per_channel"], gates["none"])
    np.testing.assert_allclose(gates["lct"], 1 / (1 + np.exp(-1)), rtol=1e-6)
    assert gates["gaussian_context"].max() <= 1


@pytest.mark.parametrize("name", ["gct", "gc"])
def test_some_start_as_the_identity(name):
    rng = np.random.default_rng(0)
    u = rng.standard_normal((2, 4, 5, 16)).astype(np.float32)
    np.testing.assert_array_equal(make_excitation(16, rng=rng, excitation=name)(u)[0], u)


def test_other_image_sizes_are_refused_where_each_pixel_has_a_weight():
    network = models.se_resnet8(squeeze="weighted")
    with pytest.raises(ValueError, match="maps of 32 x 32 pixels, but got 28 x 28; build the network with the image_s"):
        network(np.zeros((2, 28, 28, 3), np.float32))
    models.se_resnet8(squeeze="weighted", image_size=28)(np.zeros((2, 28, 28, 3), np.float32))
