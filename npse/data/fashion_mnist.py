"""Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, arXiv 1708.07747): 70 000 grey pictures of 28x28 pixels, ten garments.

The four files have the form IDX: a head of big-endian numbers with the shape, then the bytes. They are read as they
are or compressed with gzip, and checked uncompressed, so it does not matter who compressed them. MNIST has files of
the same names, with other content; they are refused.
"""

import gzip
import io
from collections.abc import Mapping

import numpy as np

from npse.data.copies import LARGEST, Files
from npse.data.dataset import Dataset, pixel_statistics
from npse.data.published import Download, Published, differs
from npse.types import Array

CLASSES = ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
SIDE = 28
SHA256 = {                                                     # of the uncompressed files
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
IMAGES = {"train": 60_000, "t10k": 10_000}
_URL = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion"
_HEADS = {"images": (0, 0, 8, 3), "labels": (0, 0, 8, 1)}       # bytes: type 8 is uint8, then the number of axes


class FashionMnist(Published):
    """The files of Fashion-MNIST."""

    name, title = "fashion-mnist", "Fashion-MNIST"
    forms: Mapping[str, tuple[str, ...]] = {"plain": tuple(SHA256), "gz": tuple(f"{name}.gz" for name in SHA256)}
    subfolders = ("FashionMNIST/raw",)
    downloads = (
        Download(f"{_URL}/train-images-idx3-ubyte.gz", "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26),
        Download(f"{_URL}/train-labels-idx1-ubyte.gz", "md5:25c81989df183df01b3e8a0aad5dffbe", 0),
        Download(f"{_URL}/t10k-images-idx3-ubyte.gz", "md5:bef4ecab320f06d8554ea6380940ec79", 4),
        Download(f"{_URL}/t10k-labels-idx1-ubyte.gz", "md5:bb300cfdad3c16e7a12a480ee83cd310", 0),
    )

    def kept(self, form: str) -> tuple[str, ...]:
        """Return the names of the uncompressed files."""
        return tuple(SHA256)

    def unpack(self, form: str, files: Files, number: int) -> bytes:
        """Return the content of an uncompressed file."""
        content = files[self.forms[form][number]]()
        if form == "plain":
            return content
        with gzip.open(io.BytesIO(content)) as file:
            return file.read(LARGEST)

    def fault(self, name: str, content: bytes) -> str | None:
        """Return what is wrong with a file: its head, its size, its class numbers or its hash."""
        shape = _shape(name)
        size = 4 + 4 * len(shape)
        head = np.frombuffer(content[:size].ljust(size, b"\0"), ">u4").astype(np.int64)
        if tuple(content[:4]) != _HEADS[_kind(name)] or tuple(head[1:]) != shape:
            return f"is not an IDX file of {' x '.join(map(str, shape))} bytes, by its first {size} bytes"
        if len(content) == size + np.prod(shape) and _kind(name) == "labels" and _bytes(name, content).max() > 9:
            return f"has the class number {_bytes(name, content).max()}, expected 0..9"
        return differs(content, int(size + np.prod(shape)), f"sha256:{SHA256[name]}")


FILES = FashionMnist()


def dataset(files: Mapping[str, bytes]) -> Dataset:
    """Return the data set: images (N, 28, 28, 1), as they are published."""
    images, labels, test_images, test_labels = (_bytes(name, files[name]) for name in SHA256)
    images, test_images = images[..., None], test_images[..., None]
    return Dataset("fashion-mnist", images, labels.astype(np.int64), test_images, test_labels.astype(np.int64), CLASSES,
                   *pixel_statistics(images))


def _kind(name: str) -> str:
    return name.split("-")[1]


def _shape(name: str) -> tuple[int, ...]:
    """Return the shape of the array in a file."""
    count = IMAGES[name.split("-")[0]]
    return (count, SIDE, SIDE) if _kind(name) == "images" else (count,)


def _bytes(name: str, content: bytes) -> Array:
    """Return the array in a file, uint8."""
    shape = _shape(name)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape).copy()
