"""Networks other than ResNets: their gradients, their parameters, and that they learn."""

import numpy as np
import pytest
from shares import some
from test_network_gradients import direction_report

from npse import backend, data, models, training
from npse.models.efficientnet import Stage, efficientnet
from npse.models.inception import inception
from npse.models.inverted import Block
from npse.models.mobilenet import mobilenet
from npse.models.mobilenet_v3 import mobilenet_v3
from npse.models.shufflenet import shufflenet
from npse.models.vgg import vgg

V3 = ((Block(3, 16, 16, 2),), (Block(5, 96, 40, 2, "hard_swish"), Block(5, 120, 40, 1, "hard_swish")))

# small versions, one of each family
SMALL = {
    "vgg8": lambda se: models.build(named("vgg8", se), widths=(4, 6, 8)),
    "vgg16": lambda se: models.build(named("vgg16", se), widths=(4, 6)),
    "inception": lambda se: models.build(named("inception", se), widths=(8, 16), blocks=1),
    "mobilenet": lambda se: models.build(named("mobilenet", se), stem=4, widths=(6, 8), blocks=(1, 2)),
    "shufflenet": lambda se: models.build(named("shufflenet", se), stem=12, widths=(24, 48), blocks=(2, 2)),
    "mobilenet_v3": lambda se: mobilenet_v3(V3, se=se, width=0.25),
    "efficientnet": lambda se: efficientnet((Stage(1, 3, 16, 1, 1, 1), Stage(6, 5, 24, 2, 2, 2)), se=se, width=0.25),
}
VARIANTS = [(name, se) for name in SMALL for se in (True, False)]


def named(name, se):
    """Return the name of a model with or without squeeze-and-excitation."""
    return "se_" + name if se else name


# Every shape of a map compiles its own kernels, so most networks are slow on the cpu edition.
COMPILED = [(name, se) if name == "mobilenet" and se else pytest.param(name, se, marks=pytest.mark.slow)
            for name, se in VARIANTS]


@pytest.mark.parametrize(("name", "se"), some(VARIANTS, 3))
def test_gradients(name, se):
    report = direction_report(SMALL[name](se), "reference")
    assert report.ok, str(report)


@pytest.mark.skipif("cpu" not in backend.available(), reason="Numba is missing")
@pytest.mark.parametrize(("name", "se"), COMPILED)
def test_gradients_on_the_cpu_edition(name, se):
    report = direction_report(SMALL[name](se), "cpu")
    assert report.ok, str(report)


@pytest.mark.parametrize("name", SMALL)
def test_the_excitations_are_all_that_is_added(name):
    plain, gated = (SMALL[name](se).named_parameters() for se in (False, True))
    gates = {key for key in gated if ".se." in key}
    assert gates
    assert {key: w.shape for key, w in gated.items() if key not in gates} == {
        key: w.shape for key, w in plain.items()}


@pytest.mark.nightly
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("name", "se"), VARIANTS)
def test_editions_agree(name, se, training):
    x = np.random.default_rng(0).standard_normal((2, 16, 18, 3)).astype(np.float32)
    logits = {}
    for edition in backend.available():
        with backend.using_edition(backend.with_numpy_results(edition)):
            network = SMALL[name](se)
            network = network.train() if training else network.eval()
            logits[edition] = network(x)[0]
            np.testing.assert_allclose(network.predict(x), logits[edition], rtol=1e-4, atol=1e-5)
    for found in logits.values():
        assert found.shape == (2, 10)
        np.testing.assert_allclose(found, logits["reference"], rtol=1e-3, atol=1e-4)


class Silent(training.Reporter):
    """A reporter that ignores everything."""


# of each family a network that learns the embedded data in a minute or two
TRAINED = {
    "vgg": lambda se, **options: vgg(8, se=se, widths=(16, 32, 64), **options),
    "inception": lambda se, **options: inception(se=se, widths=(32, 64, 128), blocks=1, **options),
    "mobilenet": lambda se, **options: mobilenet(se=se, stem=16, widths=(32, 64, 128), blocks=(1, 2, 2), **options),
    "shufflenet": lambda se, **options: shufflenet(se=se, widths=(48, 96, 192), blocks=(2, 2, 2), **options),
    "mobilenet_v3": lambda se, **options: mobilenet_v3(V3, se=se, **options),
    "efficientnet": lambda se, **options: efficientnet(
        (Stage(1, 3, 16, 1, 1, 1), Stage(6, 3, 24, 2, 2, 2), Stage(6, 5, 40, 2, 2, 2)), se=se, **options),
}


@pytest.mark.nightly
@pytest.mark.parametrize("se", [True, False])
@pytest.mark.parametrize("name", TRAINED)
def test_a_small_network_of_each_family_trains_on_the_embedded_data(name, se, monkeypatch, tmp_path):
    monkeypatch.setattr(models, "build", lambda _, **options: TRAINED[name](se=se, **options))
    job = training.prepare(training.Config(epochs=8, edition="cpu"))
    folder = training.RunFolder(tmp_path / "run")
    folder.create(job.config, data.load("shapes"), {})
    with backend.using_edition("cpu"):
        training.run(job, folder, Silent())
    assert folder.metrics()[-1]["accuracy"] > 0.95
