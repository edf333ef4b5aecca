"""CIFAR-10 (Krizhevsky 2009): 60 000 photographs of 32x32 pixels in ten classes.

On disk it is the six official binary batches. Each has 10 000 records: one byte of label, then 3072 bytes of pixels,
the red plane first, then green, then blue. They need no pickle, and each file is checked against its SHA-256.
"""

import hashlib
from pathlib import Path

import numpy as np

from npse.data.dataset import Dataset
from npse.data.folder import data_dir

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHA256 = {
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
REMEDY = "run: npse data fetch cifar10; if you have a copy in DIR, run: npse data fetch cifar10 --from DIR"
RECORDS = 10_000                                                # in one file
RECORD = 1 + 3 * 32 * 32                                        # bytes of one record
MEAN = np.array([0.49139968, 0.48215842, 0.4465309], np.float32)       # of the training images, in units of 0..1
STD = np.array([0.24703223, 0.24348512, 0.26158783], np.float32)


def load() -> Dataset:
    """Load the data set from its folder.

    Raises
    ------
    FileNotFoundError
        It has not been fetched, or a file is missing.
    ValueError
        A file is not the official one.
    """
    if missing := absent():
        what = "is not" if len(missing) == len(SHA256) else f"is incomplete ({', '.join(missing)} missing)"
        raise FileNotFoundError(f"CIFAR-10 {what} in {folder()}; {REMEDY}")
    images = np.empty((len(SHA256) * RECORDS, 32, 32, 3), np.uint8)
    labels = np.empty(len(images), np.int64)
    for number, name in enumerate(SHA256):
        records = np.frombuffer(read_batch(name), np.uint8).reshape(RECORDS, RECORD)
        part = slice(number * RECORDS, (number + 1) * RECORDS)
        labels[part] = records[:, 0]
        images[part] = records[:, 1:].reshape(RECORDS, 3, 32, 32).transpose(0, 2, 3, 1)
    return Dataset("cifar10", images[:-RECORDS], labels[:-RECORDS], images[-RECORDS:], labels[-RECORDS:], CLASSES,
                   MEAN, STD)


def read_batch(name: str) -> bytes:
    """Return the content of one of the six files; ValueError if it is not the official one."""
    path = folder() / name
    content = path.read_bytes()
    if wrong := fault(name, content):
        raise ValueError(f"{path} {wrong}; {REMEDY}")
    return content


def folder() -> Path:
    """Return the folder of the six files; it exists once the data set has been fetched."""
    return data_dir() / "cifar10"


def absent() -> list[str]:
    """Return the names of the files that are missing."""
    return [name for name in SHA256 if not (folder() / name).is_file()]


def fault(name: str, content: bytes) -> str | None:
    """Return what is wrong with the content of a file, as the end of a sentence; None if it is the official content."""
    if len(content) != RECORDS * RECORD:
        return f"has {len(content)} bytes of records, expected {RECORDS * RECORD}: it is truncated, or another file"
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[name]:
        return f"has been changed: the sha256 of its records is {found}, expected {SHA256[name]}"
    return None
