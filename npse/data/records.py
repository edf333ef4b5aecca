"""The records of CIFAR's binary files: a byte for each label, then 3072 bytes of pixels, plane by plane: R, G, B."""

from typing import Any

import numpy as np

from npse.types import Array

PIXELS = 3 * 32 * 32


def records_of(pixels: Any, *labels: Any) -> bytes:
    """Return the bytes of the records of pixels (N, 3072), uint8, and sequences of N labels; ValueError if they differ.

    A pickle or a JSON file may hold anything, so all types and shapes are checked.
    """
    pixels, columns = np.asarray(pixels), [np.asarray(each) for each in labels]
    if pixels.dtype != np.uint8 or pixels.shape != (len(pixels), PIXELS):
        raise ValueError(f"expected (N, {PIXELS}) pixels of uint8, but got {pixels.shape} of {pixels.dtype}")
    for column in columns:
        if column.shape != (len(pixels),) or column.dtype.kind not in "iu":
            raise ValueError(f"expected {len(pixels)} integer labels, but got {column.shape} of {column.dtype}")
        if column.size and not (column.min() >= 0 and column.max() <= 255):
            raise ValueError(f"labels must be class numbers, but reach {column.min()}..{column.max()}")
    return np.column_stack([*(column.astype(np.uint8) for column in columns), pixels]).tobytes()


def split(content: bytes, labels: int) -> tuple[Array, Array]:
    """Return the images (N, 32, 32, 3), uint8, and the labels (N, ``labels``), int64, of the bytes of records."""
    records = np.frombuffer(content, np.uint8).reshape(-1, labels + PIXELS)
    images = records[:, labels:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), records[:, :labels].astype(np.int64)
