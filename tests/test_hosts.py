"""Networks that are not residual networks: their gradients, their parameters, and that they learn."""

import numpy as np
import pytest
from test_network_gradients import direction_report

from npse import backend, models

# small versions, one of each family, with and without squeeze-and-excitation
SMALL = [
    ("vgg8", {"widths": (4, 6, 8)}), ("vgg16", {"widths": (4, 6)}), ("inception", {"widths": (8, 16), "blocks": 1}),
    ("mobilenet", {"stem": 4, "widths": (6, 8), "blocks": (1, 2)}), ("mobilenet_v3_small", {"width": 0.25}),
    ("shufflenet", {"stem": 12, "widths": (24, 48), "blocks": (2, 2)}), ("efficientnet_b0", {"width": 0.25}),
]
VARIANTS = [(prefix + name, options) for name, options in SMALL for prefix in ("", "se_")]


@pytest.mark.parametrize("edition", backend.available())
@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_gradients(name, options, edition):
    report = direction_report(models.build(name, **options), edition)
    assert report.ok, str(report)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_the_excitations_are_all_that_is_added(name, options):
    names = models.build(name, **options).named_parameters()
    gates = {key for key in names if ".se." in key}
    assert bool(gates) == name.startswith("se_")
    if gates:
        without = models.build(name.removeprefix("se_"), **options).named_parameters()
        assert {key: w.shape for key, w in names.items() if key not in gates} == {
            key: w.shape for key, w in without.items()}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_editions_agree(name, options, training):
    x = np.random.default_rng(0).standard_normal((2, 16, 18, 3)).astype(np.float32)
    logits = {}
    for edition in set(backend.available()) - {"cuda"}:
        network = models.build(name, **options)
        network = network.train() if training else network.eval()
        with backend.using_edition(edition):
            logits[edition] = network(x)[0]
            np.testing.assert_allclose(network.predict(x), logits[edition], rtol=1e-4, atol=1e-5)
    for found in logits.values():
        assert found.shape == (2, 10)
        np.testing.assert_allclose(found, logits["reference"], rtol=1e-3, atol=1e-4)
