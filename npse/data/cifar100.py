"""CIFAR-100 (Krizhevsky 2009): 60 000 photographs of 32x32 pixels in 100 classes, which form 20 coarse ones.

    python   train, test          Python 2 pickles
    binary   train.bin, test.bin  records: a byte of coarse label, a byte of fine label, then 3072 of pixels

The files stay in their form. The pickles are checked against the MD5 that torchvision states, and the binary files
against the SHA-256 that TorchVision for Ruby states; the archive is checked against the SHA-256 that Keras states.
"""

from collections.abc import Mapping

import numpy as np

from npse.data.dataset import Dataset, pixel_statistics
from npse.data.published import Download, Published, differs
from npse.data.records import PIXELS, records_of, split
from npse.data.unpickle import arrays_only
from npse.types import Array

COARSE = (
    "aquatic_mammals", "fish", "flowers", "food_containers", "fruit_and_vegetables", "household_electrical_devices",
    "household_furniture", "insects", "large_carnivores", "large_man-made_outdoor_things",
    "large_natural_outdoor_scenes", "large_omnivores_and_herbivores", "medium_mammals", "non-insect_invertebrates",
    "people", "reptiles", "small_mammals", "trees", "vehicles_1", "vehicles_2",
)
FINE = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish",
    "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange",
    "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
    "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk",
    "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
    "willow_tree", "wolf", "woman", "worm",
)
DIGESTS = {
    "train": "md5:16019d7e3df5f24257cddd939b257f8d",
    "test": "md5:f0ef6b0ae62326f3e7ffdfab6717acfc",
    "train.bin": "sha256:f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
    "test.bin": "sha256:d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
}
IMAGES = {"train": 50_000, "test": 10_000}


class Cifar100(Published):
    """The files of CIFAR-100."""

    name, title = "cifar100", "CIFAR-100"
    forms: Mapping[str, tuple[str, ...]] = {"python": ("train", "test"), "binary": ("train.bin", "test.bin")}
    subfolders = ("cifar-100-python", "cifar-100-binary")
    archives = ("cifar-100-python.tar.gz", "cifar-100-binary.tar.gz")
    downloads = (Download("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
                          "sha256:85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7", 169),)

    def fault(self, name: str, content: bytes) -> str | None:
        """Return what is wrong with a file: its size, its class numbers or its hash."""
        count = IMAGES[name.removesuffix(".bin")]
        if name.endswith(".bin") and len(content) != count * (2 + PIXELS):
            return differs(content, count * (2 + PIXELS), DIGESTS[name])
        _, labels = _images_and_labels(name, content)
        if len(labels) != count:
            return f"has {len(labels)} images, expected {count}"
        for column, classes in enumerate((COARSE, FINE)):
            if labels[:, column].max() >= len(classes):
                return (f"has the class number {labels[:, column].max()}, expected 0..{len(classes) - 1} for the "
                        f"{('coarse', 'fine')[column]} classes")
        return differs(content, None, DIGESTS[name])


FILES = Cifar100()


def fine(files: Mapping[str, bytes]) -> Dataset:
    """Return the data set with its 100 classes."""
    return _dataset("cifar100", files, 1, FINE)


def coarse(files: Mapping[str, bytes]) -> Dataset:
    """Return the data set with the 20 coarse classes."""
    return _dataset("cifar100-coarse", files, 0, COARSE)


def _dataset(name: str, files: Mapping[str, bytes], column: int, classes: tuple[str, ...]) -> Dataset:
    (images, labels), (test_images, test_labels) = (_images_and_labels(*file) for file in files.items())
    labels, test_labels = (np.ascontiguousarray(each[:, column]) for each in (labels, test_labels))
    return Dataset(name, images, labels, test_images, test_labels, classes, *pixel_statistics(images))


def _images_and_labels(name: str, content: bytes) -> tuple[Array, Array]:
    """Return the images (N, 32, 32, 3) of a file, and their coarse and fine labels (N, 2)."""
    if not name.endswith(".bin"):
        batch = arrays_only(content)
        content = records_of(batch[b"data"], batch[b"coarse_labels"], batch[b"fine_labels"])
    return split(content, labels=2)
