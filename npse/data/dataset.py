"""What every data set of npse is: uint8 pictures with integer labels, split into training and test."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Dataset:
    """A data set of 32x32 colour pictures, checked when it is made.

    Parameters
    ----------
    name : str
    images, test_images : uint8 array (N, 32, 32, 3)
    labels, test_labels : int64 array (N,), indices into `classes`
    classes : tuple of str
    mean, std : float32 array (3,), of the training pixels, in units of 0..1

    Raises
    ------
    TypeError, ValueError
        An array of the wrong dtype or shape, an empty split, a label that names no class.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray

    def __post_init__(self):
        for split in ("", "test_"):
            images, labels = getattr(self, f"{split}images"), getattr(self, f"{split}labels")
            self._expect(f"{split}images", images, np.uint8, (None, 32, 32, 3))
            self._expect(f"{split}labels", labels, np.int64, (len(images),))
            if not len(images):
                raise ValueError(f"data set {self.name}: {split}images is empty")
            if labels.min() < 0 or labels.max() >= len(self.classes):
                raise ValueError(f"data set {self.name}: {split}labels must lie in 0..{len(self.classes) - 1}, "
                                 f"but reach {labels.min()}..{labels.max()}")
        for statistic in ("mean", "std"):
            self._expect(statistic, getattr(self, statistic), np.float32, (3,))
        if not (np.isfinite(self.mean).all() and np.isfinite(self.std).all() and (self.std > 0).all()):
            raise ValueError(f"data set {self.name}: mean must be finite and std above 0, "
                             f"but they are {self.mean} and {self.std}")

    def __repr__(self):
        return (f"Dataset({self.name!r}: {len(self.images)} training and {len(self.test_images)} test images, "
                f"{len(self.classes)} classes)")

    def _expect(self, field, array, dtype, shape):
        if getattr(array, "dtype", None) != dtype:
            raise TypeError(f"data set {self.name}: {field} must be an array of {np.dtype(dtype)}, "
                            f"but is {getattr(array, 'dtype', type(array).__name__)}")
        if len(array.shape) != len(shape) or any(want not in (None, size)
                                                 for want, size in zip(shape, array.shape, strict=True)):
            wanted = "(" + ", ".join("N" if size is None else str(size) for size in shape) + ")"
            raise ValueError(f"data set {self.name}: {field} must have shape {wanted}, but has {array.shape}")


def pixel_statistics(images, chunk=1000):
    """Mean and standard deviation of each channel, in units of 0..1, exact up to one rounding.

    Parameters
    ----------
    images : uint8 array (N, H, W, 3)

    Returns
    -------
    mean, std : float32 array (3,)
    """
    total, squares, count = 0, 0, images[..., 0].size
    for start in range(0, len(images), chunk):                  # in parts: squares need four times the memory
        part = images[start:start + chunk].astype(np.uint32)
        total = total + part.sum(axis=(0, 1, 2), dtype=np.int64)
        squares = squares + (part * part).sum(axis=(0, 1, 2), dtype=np.int64)
    mean = total / count
    return (mean / 255).astype(np.float32), (np.sqrt(squares / count - mean * mean) / 255).astype(np.float32)
