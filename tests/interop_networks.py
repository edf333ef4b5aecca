"""Networks whose arrays all differ, and .pt files written by hand, for the tests of `npse.interop`."""

import struct
import zipfile

import numpy as np
import pytest

from npse import backend
from npse.layers import BatchNorm
from npse.layers.dropout import kept_slots


def marked(name, quick=(), nightly=()):
    """Return a parameter of a test: in the default run if it is quick, else slow, or nightly if a part says so."""
    if name in quick:
        return name
    return pytest.param(name, marks=pytest.mark.nightly if any(part in name for part in nightly) else pytest.mark.slow)


def drawn(network, seed=0):
    """Draw every array of a network that is the same everywhere at first; return the network for inference."""
    rng, arrays = np.random.default_rng(seed), {}
    for name, owner, key in kept_slots(network):
        array = owner[key]
        if key == "running_var":
            array = rng.uniform(0.5, 2, array.shape)
        elif array.ndim == 1 and key == "weight":
            array = rng.uniform(0.25, 0.75, array.shape)
        elif array.ndim == 1 or not array.any():
            array = array + rng.normal(0, 0.1, array.shape)
        arrays[name] = array.astype(np.float32)
    network.update(arrays)
    return network.eval()


def calibrated(network, size, seed=2):
    """Give batch norms the statistics of random images, so that the logits depend on the images; then inference."""
    norms = [layer for layer in network.layers() if isinstance(layer, BatchNorm)]
    x = np.random.default_rng(seed).standard_normal((6, size, size, 3)).astype(np.float32)
    for norm in norms:
        norm.momentum = 1.0
    with backend.using_edition("cpu" if "cpu" in backend.available() else "reference"):
        network.train()(x)
    for norm in norms:
        norm.momentum = 0.1
    return network.eval()


def pixels(count, size, channels=3):
    """Return random pixels in 0..1, (N, H, W, C)."""
    return np.random.default_rng(1).uniform(size=(count, size, size, channels)).astype(np.float32)


def logits(network, x):
    """Return the logits of npse, by the book."""
    with backend.using_edition("reference"):
        return network.predict(x)


def apart(found, expected):
    """Return the largest difference of two arrays, divided by the largest number of the second."""
    return np.abs(found - expected).max() / np.abs(expected).max()


def first(x):
    """Return images with their channels first."""
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


# A .pt file as PyTorch writes it: a zip archive with a pickle and a file for each storage ---------------------------


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value):
    return b"J" + struct.pack("<i", value)


def numbers(values):
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(key, array, offset=0, count=None, storage="FloatStorage"):
    """Return the pickle of a tensor."""
    strides = [stride // array.itemsize for stride in array.strides]
    place = (b"(" + text("storage") + f"ctorch\n{storage}\n".encode() + text(key) + text("cpu")
             + number(array.size if count is None else count) + b"tQ")
    return (b"ctorch._utils\n_rebuild_tensor_v2\n(" + place + number(offset) + numbers(array.shape) + numbers(strides)
            + b"\x89ccollections\nOrderedDict\n)RtR")


def write_pt(path, pickled, storages=()):
    """Write an archive with this pickle of one object."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", b"\x80\x02" + pickled + b".")
        archive.writestr("net/byteorder", "little")
        archive.writestr("net/version", "3\n")
        for key, array in enumerate(storages):
            archive.writestr(f"net/data/{key}", array.tobytes())


def state_pt(path, arrays):
    """Write arrays of float32 by name."""
    items = b"".join(text(name) + tensor(str(key), array) for key, (name, array) in enumerate(arrays.items()))
    write_pt(path, b"}(" + items + b"u", arrays.values())


HOSTILE = b"cos\nsystem\n(" + text("echo it ran > it_ran") + b"tR"
