"""Networks for 224x224 images against those of timm and torchvision: same arrays, same logits, same gradients."""

import numpy as np
import pytest

from npse import backend, models

timm_models = pytest.importorskip("timm_models")
torch = timm_models.torch
vgg = pytest.importorskip("torchvision.models.vgg")

def vgg_pair(size=32, hidden=32, classes=10):
    """Return torchvision's VGG-16 for images of size x size pixels, and ours with its arrays."""
    torch.manual_seed(0)
    layers = vgg.make_layers(vgg.cfgs["D"], batch_norm=True)
    theirs = vgg.VGG(layers, num_classes=classes, init_weights=False)
    rows = size // 32
    if (size, hidden) != (224, 4096):
        theirs.avgpool = torch.nn.Identity()                       # it would enlarge the maps to 7x7 pixels
        theirs.classifier[0] = torch.nn.Linear(512 * rows * rows, hidden)
        theirs.classifier[3], theirs.classifier[6] = torch.nn.Linear(hidden, hidden), torch.nn.Linear(hidden, classes)
    theirs = timm_models.randomized(theirs)
    ours = models.vgg16_bn(image_size=size, hidden=hidden, classes=classes)
    return theirs, loaded(ours, theirs, "vgg16_bn", "torchvision")


def inception_pair(blocks=(1, 1, 2)):
    """Return timm's Inception-ResNet-v2 and ours, both with so many blocks in each stage."""
    theirs = timm_models.create("inception_resnet_v2")
    first, second, third = blocks
    theirs.repeat, theirs.repeat_1, theirs.repeat_2 = (
        theirs.repeat[:first], theirs.repeat_1[:second], theirs.repeat_2[:third - 1])
    return theirs, loaded(models.inception_resnet_v2(blocks=blocks), theirs, "inception_resnet_v2")


def timm_pair(theirs, ours, **options):
    """Return timm's network, and ours with its arrays."""
    network = timm_models.create(theirs)
    return network, loaded(models.build(ours, **options), network, ours)


def loaded(ours, theirs, name, library="timm"):
    """Return our network, the model of that name, with the arrays of theirs; dropout keeps its counters."""
    timm_models.load(ours, theirs, name, library)
    return ours.eval()


PAIRS = {
    "vgg16_bn": vgg_pair,
    "mobilenetv1_100": lambda: timm_pair("mobilenetv1_100", "mobilenet_v1", activation="relu6"),
    "mobilenetv3_large_100": lambda: timm_pair("mobilenetv3_large_100", "se_mobilenet_v3_large"),
    "inception_resnet_v2": inception_pair,
    "efficientnet_b0": lambda: timm_pair("efficientnet_b0", "se_efficientnet_b0"),
}

SIZES = {"inception_resnet_v2": (75, 91), "vgg16_bn": (32, 32)}
FIRST_SCALE = {"inception_resnet_v2": "conv2d_1a.bn.weight"}


def differences(name, shape, batch, edition, dtype=np.float32, **options):
    """Return the largest differences of logits and of gradients, each divided by the largest number of its array."""
    theirs, ours = PAIRS[name](**options)
    if dtype == np.float64:
        theirs, ours = theirs.double(), ours.astype(dtype)
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(batch, *shape, 3)).astype(dtype)           # as pixels: sums over them do not cancel
    expected = theirs(torch.from_numpy(x.transpose(0, 3, 1, 2)))
    dlogits = rng.standard_normal(expected.shape).astype(dtype)
    expected.backward(torch.from_numpy(dlogits))
    with backend.using_edition(edition):
        logits, backward = ours(x)
        _, gradients = backward(dlogits)
    scale = gradients[FIRST_SCALE.get(name, "stem.bn1.weight")]    # it is far from the loss, so all layers are in it
    pairs = {"logits": (logits, expected.detach()),
             "gradient of fc.bias": (gradients["fc.bias"], last_bias(theirs).grad),
             "gradient of the first scale": (scale, first_scale(theirs).grad)}
    return {what: np.abs(mine - other.numpy()).max() / np.abs(other.numpy()).max() for what, (mine, other)
            in pairs.items()}


def last_bias(network):
    """Return the last array of a network of PyTorch."""
    return list(network.parameters())[-1]


def first_scale(network):
    """Return the weights of the first batch norm of a network of PyTorch."""
    return next(layer for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d)).weight


@pytest.mark.parametrize("name", PAIRS)
def test_logits_and_gradients(name):
    for what, difference in differences(name, SIZES.get(name, (64, 64)), 1, "reference").items():
        assert difference < 1e-4, what


@pytest.mark.parametrize("name", PAIRS)
def test_the_numbers_of_parameters(name):
    theirs, ours = PAIRS[name]()
    assert sum(w.size for w in ours.named_parameters().values()) == timm_models.count(theirs)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("name", PAIRS)
def test_logits_and_gradients_of_whole_networks_at_full_size(name, batch):
    """In float64, because the gradient of the first scale cancels in float32.

    It is a sum over all pixels, and where a depthwise convolution and a batch norm follow, a larger scale changes
    almost nothing.
    """
    whole = {"vgg16_bn": {"size": 224, "hidden": 4096, "classes": 1000},
             "inception_resnet_v2": {"blocks": (10, 20, 10)}}
    size = 299 if name == "inception_resnet_v2" else 224
    how = whole.get(name, {})
    for what, difference in differences(name, (size, size), batch, "cpu", np.float64, **how).items():
        assert difference < (1e-8 if what == "gradient of the first scale" else 1e-9), what
    assert differences(name, (size, size), batch, "cpu", **how)["logits"] < 1e-4


@pytest.mark.parametrize(("name", "count"), [
    ("vgg16_bn", 138_365_992), ("inception_resnet_v2", 55_843_464), ("mobilenet_v1", 4_231_976),
    ("se_mobilenet_v3_large", 5_483_032), ("se_efficientnet_b0", 5_288_548)])
def test_the_published_numbers_of_parameters(name, count):
    """The numbers of timm for 1000 classes."""
    assert sum(w.size for w in models.build(name).named_parameters().values()) == count
