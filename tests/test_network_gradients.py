"""The gradient of a whole network, along random directions, on every edition; and a planted error that is found."""

import numpy as np
import pytest
from shares import some

from npse import backend, models
from npse.gradcheck import KinkRecorder, check_direction
from npse.layers import EXCITATIONS, GATES, SQUEEZES

VARIANTS = [
    ("se_resnet8", {}), ("se_resnet8", {"bias": True, "placement": "pre"}), ("se_resnet8", {"placement": "post"}),
    ("se_resnet8", {"placement": "identity", "shortcut": "identity"}), ("resnet8", {"shortcut": "identity"}),
    ("se_resnet14", {"reduction": 2}), ("se_wide", {}), ("wide", {}),
    *(("se_resnet8", {"excitation": name, "reduction": 2}) for name in EXCITATIONS if name != "se"),
    *(("se_resnet8", {"squeeze": name, "reduction": 2}) for name in SQUEEZES if name != "mean"),
    ("se_resnet8", {"squeeze": "max", "excitation": "eca", "gate": "tanh"}),
    *(("se_resnet8", {"gate": name, "bias": True}) for name in GATES if name != "sigmoid"),
    ("se_resnet8", {"hidden_norm": True}), ("se_resnet8", {"stages": (2,), "bias": True, "hidden_norm": True}),
    ("se_wide", {"excitation": "eca", "gate": "tanh"}), ("se_resnet8", {"excitation": "eca", "placement": "post"}),
]


def network_report(name, options, edition, plant=None):
    structure = {"excitation", "squeeze", "gate", "hidden_norm"} & {*options}
    network = models.build(name, widths=(4, 6) if structure else (4, 6, 8), image_size=8, **options)
    return direction_report(network, edition, plant)


def direction_report(network, edition, plant=None):
    """Check the gradient of all parameters of a network, moved from where they are initialized."""
    rng = np.random.default_rng(0)
    network = network.astype(np.float64)
    network.update({key: w + 0.2 * rng.standard_normal(w.shape) for key, w in network.named_parameters().items()})
    parameters = network.named_parameters()
    normed = any(".se." in key and "running_mean" in key for key in network.named_buffers())
    labels = np.array([1, 7, 3] * (3 if normed else 1))          # a batch norm of three numbers bends too much
    x = rng.standard_normal((len(labels), 8, 8 if normed else 9, 3))

    def loss(at):
        network.update(at)
        logits, _ = network(x)
        return backend.active().softmax_cross_entropy(logits, labels, 0.1)

    recorder = KinkRecorder()
    with backend.using_edition(backend.with_numpy_results(edition)) as ops, backend.observing(recorder):
        logits, backward = network(x)
        _, gradients = backward(ops.softmax_cross_entropy_backward(1.0, logits, labels, 0.1))
        if plant:
            gradients[plant] = 1.001 * gradients[plant]
        return check_direction(loss, parameters, gradients, recorder)


@pytest.mark.parametrize("edition", backend.available())
@pytest.mark.parametrize(("name", "options"), some(VARIANTS, 3))
def test_network_gradients(name, options, edition):
    report = network_report(name, options, edition)
    assert report.ok, str(report)


@pytest.mark.parametrize("plant", ["conv1.weight", "layer2.0.se.fc1.weight", "layer3.0.bn2.bias", "fc.weight"])
def test_an_error_of_a_thousandth_is_found(plant):
    report = network_report("se_resnet8", {}, "reference", plant)
    assert not report.ok
    assert {result.argument for result in report.failures} <= {plant, "all"}
    assert plant in {result.argument for result in report.failures}
