"""Networks for 224x224 images against those of timm and torchvision: same arrays, same logits, same gradients."""

import re

import numpy as np
import pytest

from npse import backend, models

timm_models = pytest.importorskip("timm_models")
torch = timm_models.torch

# Patterns of torch's names, in order, and the names of npse. Blocks, convolutions and batch norms have the same names.
TIMM = [(r"^conv_stem\.", "stem.conv1."), (r"^bn1\.", "stem.bn1."), (r"^classifier\.", "fc."),
        (r"\.conv_reduce\.", ".fc1."), (r"\.conv_expand\.", ".fc2."), (r"^bn2\.", "head.bn1."),
        (r"^blocks\.(\d+)", lambda found: f"layer{int(found[1]) + 1}")]
EFFICIENTNET = [(r"^conv_head\.", "head.conv1."), *TIMM]
MOBILENET_V3 = [(r"^conv_head\.", "fc1."), (r"^blocks\.6\.0\.conv\.", "head.conv1."),
                (r"^blocks\.6\.0\.bn1\.", "head.bn1."), *TIMM]


def renamed(rules):
    """Return a function that renames an array by the patterns."""
    def rename(name):
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        return name
    return rename


def vgg_names(network):
    """Return the rules for a VGG of torchvision: the numbers of its layers follow from their order."""
    names, stage, index = {}, 0, 0
    for number, layer in enumerate(network.features):
        if isinstance(layer, torch.nn.MaxPool2d):
            stage, index = stage + 1, 0
        elif isinstance(layer, torch.nn.ReLU):
            index += 1
        else:
            kind = "conv1" if isinstance(layer, torch.nn.Conv2d) else "bn1"
            first = stage == 0 and index == 0
            names[number] = f"stem.{kind}" if first else f"layer{stage + 1}.{index - (stage == 0)}.{kind}"
    dense = {"0": "fc1", "3": "fc2", "6": "fc"}
    return [(r"^features\.(\d+)", lambda found: names[int(found[1])]),
            (r"^classifier\.(\d)", lambda found: dense[found[1]])]


def vgg_arrays(network, size):
    """Return the arrays of a VGG for npse: the first dense layer reads a map pixel by pixel, there by channel."""
    arrays = timm_models.arrays(network, renamed(vgg_names(network)))
    w = arrays["fc1.weight"]
    arrays["fc1.weight"] = w.reshape(len(w), 512, size, size).transpose(0, 2, 3, 1).reshape(len(w), -1)
    zero = np.zeros(1, np.float32)
    return arrays | {"drop1.count": zero, "drop2.count": zero}


def torchvision_vgg(size):
    """Return torchvision's VGG-16 for maps of size x size pixels before the dense layers, with random statistics."""
    network = timm_models.randomized(timm_models.torchvision.models.vgg16_bn(init_weights=True))
    network.avgpool = torch.nn.Identity()
    network.classifier[0] = torch.nn.Linear(512 * size * size, 4096)
    return network.eval()


def timm_pair(theirs, ours, rules, theirs_options=None, **options):
    """Return timm's network, and ours with its arrays."""
    network = timm_models.create(theirs, **theirs_options or {})
    mine = models.build(ours, **options)
    arrays = {name: array.reshape(array.shape[2:]).T if name == "fc1.weight" else array       # a 1x1 convolution there
              for name, array in timm_models.arrays(network, renamed(rules)).items()}
    counts = {name: array for name, array in mine.named_buffers().items() if name.endswith("count")}
    mine.load(arrays | counts)
    return network, mine


PAIRS = {
    "mobilenetv1_100": lambda: timm_pair("mobilenetv1_100", "mobilenet_v1", TIMM, activation="relu6"),
    "mobilenetv3_large_100": lambda: timm_pair("mobilenetv3_large_100", "se_mobilenet_v3_large", MOBILENET_V3),
    "efficientnet_b0": lambda: timm_pair("efficientnet_b0", "se_efficientnet_b0", EFFICIENTNET),
}


def logits_of(network, x):
    with torch.no_grad():
        return network(torch.from_numpy(x.transpose(0, 3, 1, 2))).numpy()


@pytest.mark.parametrize("name", PAIRS)
def test_logits(name):
    theirs, ours = PAIRS[name]()
    x = np.random.default_rng(0).standard_normal((2, 64, 96, 3)).astype(np.float32)
    expected = logits_of(theirs, x)
    with backend.using_edition("cpu"):
        found = ours.eval().predict(x)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", PAIRS)
def test_the_numbers_of_parameters(name):
    theirs, ours = PAIRS[name]()
    assert sum(w.size for w in ours.named_parameters().values()) == timm_models.count(theirs)
