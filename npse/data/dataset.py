"""A data set: uint8 images with integer labels, split into training and test images."""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from npse.types import Array


@dataclass(frozen=True)
class Dataset:
    """A data set of square images, grey or in colour. Its fields are checked when it is created.

    Parameters
    ----------
    name : str
    images, test_images : uint8 array (N, S, S, C)
        C is 1 or 3.
    labels, test_labels : int64 array (N,)
        Indices into `classes`.
    classes : tuple of str
    mean, std : float32 array (C,)
        Of each channel of the training images, in units of 0..1.
    val_images, val_labels : arrays as above, optional
        Images for evaluation during a run, in place of the test images.
    notes : tuple of str
        What a user should know of how the data set was read, in lines.

    Raises
    ------
    TypeError
        An array has the wrong dtype, or a field is not an array.
    ValueError
        An array has the wrong shape or is empty, a label is out of range, or mean or std is not finite, or std is not
        above 0.
    """

    name: str
    images: Array
    labels: Array
    test_images: Array
    test_labels: Array
    classes: tuple[str, ...]
    mean: Array
    std: Array
    val_images: Array | None = None
    val_labels: Array | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._expect("images", self.images, np.uint8, (None, None, None, None))
        shape = self.shape
        if shape[0] != shape[1] or shape[2] not in (1, 3):
            raise ValueError(f"data set {self.name}: images must have shape (N, S, S, 3) or (N, S, S, 1), but has "
                             f"{self.images.shape}")
        for split in ("", "test_", "val_") if self.val_images is not None else ("", "test_"):
            images, labels = getattr(self, f"{split}images"), getattr(self, f"{split}labels")
            self._expect(f"{split}images", images, np.uint8, (None, *shape))
            self._expect(f"{split}labels", labels, np.int64, (len(images),))
            if not len(images):
                raise ValueError(f"data set {self.name}: {split}images is empty")
            if labels.min() < 0 or labels.max() >= len(self.classes):
                raise ValueError(f"data set {self.name}: {split}labels must lie in 0..{len(self.classes) - 1}, "
                                 f"but reach {labels.min()}..{labels.max()}")
        for statistic in ("mean", "std"):
            self._expect(statistic, getattr(self, statistic), np.float32, shape[2:])
        if not (np.isfinite(self.mean).all() and np.isfinite(self.std).all() and (self.std > 0).all()):
            raise ValueError(f"data set {self.name}: mean must be finite and std above 0, "
                             f"but they are {self.mean} and {self.std}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return the shape (S, S, C) of an image."""
        return self.images.shape[1:]

    @property
    def image_size(self) -> int:
        """Return the height and width of the images."""
        return self.shape[0]

    def digest(self) -> str:
        """Return a SHA-256 of all images and labels, in hexadecimal digits."""
        sha256 = hashlib.sha256()
        for array in (self.images, self.labels, self.test_images, self.test_labels, self.val_images, self.val_labels):
            if array is not None:
                sha256.update(str(array.shape).encode())
                sha256.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
        return sha256.hexdigest()

    def for_network(self, classes: Sequence[str], mean: Array, std: Array) -> "Dataset":
        """Return the data set as a network with other classes sees it: labels are indices into the network's classes.

        Parameters
        ----------
        classes : sequence of str
            Of the network; those of the data set are among them.
        mean, std : float32 array (C,)
            With which the network's images were normalized.

        Raises
        ------
        ValueError
            A class of the data set is not among those of the network.
        """
        place = {name: number for number, name in enumerate(classes)}
        if unknown := [name for name in self.classes if name not in place]:
            raise ValueError(f"data set {self.name}: the class {unknown[0]} is not one of the network's {len(place)} "
                             f"classes, {', '.join(list(place)[:3])}, ...; rename the classes of the data or of the "
                             "network")
        index = np.array([place[name] for name in self.classes], np.int64)
        val = None if self.val_labels is None else index[self.val_labels]
        return dataclasses.replace(self, classes=tuple(classes), mean=mean, std=std, labels=index[self.labels],
                                   test_labels=index[self.test_labels], val_labels=val)

    def __repr__(self) -> str:
        return (f"Dataset({self.name!r}: {len(self.images)} training and {len(self.test_images)} test images, "
                f"{len(self.classes)} classes)")

    def _expect(self, field: str, array: Array, dtype: DTypeLike, shape: tuple[int | None, ...]) -> None:
        if getattr(array, "dtype", None) != dtype:
            raise TypeError(f"data set {self.name}: {field} must be an array of {np.dtype(dtype)}, "
                            f"but is {getattr(array, 'dtype', type(array).__name__)}")
        if len(array.shape) != len(shape) or any(want not in (None, size)
                                                 for want, size in zip(shape, array.shape, strict=True)):
            wanted = "(" + ", ".join(letter if size is None else str(size) for letter, size in zip("NSSC", shape,
                                                                                                strict=False)) + ")"
            raise ValueError(f"data set {self.name}: {field} must have shape {wanted}, but has {array.shape}")


def pixel_statistics(images: Array, chunk: int = 1000) -> tuple[Array, Array]:
    """Return the mean and the standard deviation of each channel, in units of 0..1, exact up to one rounding.

    Parameters
    ----------
    images : uint8 array (N, H, W, C)
    chunk : int
        Images that are summed at once; the result does not depend on it.

    Returns
    -------
    mean, std : float32 array (C,)
    """
    total, squares = (np.zeros(images.shape[-1], np.int64) for _ in range(2))
    count = images[..., 0].size
    for start in range(0, len(images), chunk):                  # in chunks: squares need four times the memory
        part = images[start:start + chunk].astype(np.uint32)
        total = total + part.sum(axis=(0, 1, 2), dtype=np.int64)
        squares = squares + (part * part).sum(axis=(0, 1, 2), dtype=np.int64)
    mean = total / count
    return (mean / 255).astype(np.float32), (np.sqrt(squares / count - mean * mean) / 255).astype(np.float32)
