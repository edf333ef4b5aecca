"""timm's networks, and their arrays under the names and in the layouts of npse, by `npse.interop.names`.

    network = timm_models.create("seresnet50")
    names = timm_models.load(ours, network)
    gradients = timm_models.gradients(network, names)

A test module imports this one by ``pytest.importorskip("timm_models")``, so it is skipped where timm is not installed.
"""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from npse.interop.names import TWINS

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")


def _define_missing_ops():
    """Define the schemas of torchvision's compiled ops where its binary has none: its import refers to them.

    None of these ops (non-maximum suppression, RoI pooling, deformable convolution) is called here.
    """
    found = importlib.util.find_spec("torchvision")
    if found is None:
        return None
    library = torch.library.Library("torchvision", "FRAGMENT")
    source = Path(found.origin).with_name("_meta_registrations.py").read_text(encoding="utf-8")
    for name in sorted(set(re.findall(r'register_(?:meta|fake)\("(?:torchvision::)?(\w+)"', source))):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}(Tensor x) -> Tensor")
    return library


# torchvision loads its binary while it is imported. If that binary has the ops, they must not be defined before.
try:
    import torchvision  # noqa: F401
except (ImportError, RuntimeError):
    _LIBRARY = _define_missing_ops()

timm = pytest.importorskip("timm", reason="timm is not installed: pip install timm")


def create(name, seed=0, **options):
    """Return timm's network of that name in evaluation mode, with random weights and random statistics."""
    torch.manual_seed(seed)
    return randomized(timm.create_model(name, **options))


def randomized(network):
    """Draw statistics, scales and biases of a network of PyTorch, which are alike at first; return it for inference."""
    with torch.no_grad():
        for key, array in network.state_dict().items():
            if key.endswith("running_var"):
                array.uniform_(0.5, 2)
            elif key.endswith("running_mean") or (key.endswith("bias") and array.ndim == 1):
                array.normal_(0, 0.1)
            elif key.endswith("weight") and array.ndim == 1:
                array.uniform_(0.25, 0.75)       # with larger scales 150 layers amplify the rounding of float32
    return network.eval()


def load(ours, theirs, name, library="timm"):
    """Give a network of npse, the model of that name, the arrays of one of PyTorch; return how they are named there."""
    twin = next(twin for twin in TWINS[name] if twin.library == library)
    names, mine = twin.names(ours), ours.state()
    arrays = {key: array.detach().numpy() for key, array in theirs.state_dict().items()}
    found = names.here(arrays, {key: array.shape for key, array in mine.items()})
    ours.load(found | {key: array for key, array in mine.items() if key not in found})     # counters of random numbers
    return names


def gradients(theirs, names):
    """Return the gradients of the parameters of a network of PyTorch as npse names and stores them."""
    there = dict(theirs.named_parameters())
    return {ours: np.ascontiguousarray(layout.here(there[name].grad.numpy()))
            for ours, (name, layout) in names.arrays.items() if name in there}


def count(network):
    """Return the number of parameters of a network of PyTorch."""
    return sum(array.numel() for array in network.parameters())
