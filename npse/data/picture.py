"""Read image files as a viewer shows them: upright, RGB, eight bits, transparent pixels white."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from npse.types import Array

if TYPE_CHECKING:
    from PIL.Image import Image

SIXTEEN_BITS = ("PNG", "PPM")    # formats whose mode "I" holds 0..65535
PROGRAMS = ("EPS",)              # formats that are programs; Pillow would start an interpreter for them
MODES = {1: "L", 3: "RGB"}       # Pillow's modes by number of channels


def read_picture(path: Path, size: int = 32, channels: int = 3) -> Array:
    """Read an image file as uint8 (size, size, channels): its largest central square, resampled.

    Errors as for `read`.
    """
    with warnings.catch_warnings(action="ignore"):
        return square(decode(path, 2 * size), size, channels)


def square(whole: "Image", size: int, channels: int = 3) -> Array:
    """Return the largest central square of an image, resampled, as uint8 (size, size, channels)."""
    from PIL import Image, ImageOps

    method = Image.Resampling.BOX if min(whole.size) >= size else Image.Resampling.BICUBIC
    return np.asarray(ImageOps.fit(whole.convert(MODES[channels]), (size, size), method)).reshape(size, size, channels)


def endings() -> frozenset[str]:
    """Return the endings of the names of files that can be read, such as ".png", in lower case."""
    from PIL import Image

    return frozenset(ending for ending, name in Image.registered_extensions().items()
                     if name in Image.OPEN and name not in PROGRAMS)


def read(path: Path) -> "Image":
    """Read an image file as `decode` does, without Pillow's warnings."""
    with warnings.catch_warnings(action="ignore"):
        return decode(path)


def decode(path: Path, enough: int = 0) -> "Image":
    """Read an image file. Threads may do so at the same time, which cannot switch off warnings one by one.

    Parameters
    ----------
    path : Path
    enough : int
        If so many pixels suffice in height and in width, a larger JPEG file is decoded at 1/2, 1/4 or 1/8 of its
        size, which is faster; 0: as it is.

    Returns
    -------
    PIL.Image.Image
        RGB, eight bits; the first frame or page of the file.

    Raises
    ------
    OSError
        The file does not exist, is a folder, or may not be read.
    ValueError
        The file is not an image, or is damaged, or its range of values is unknown. `reason` of its cause says why.
    """
    from PIL import Image

    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name the images in it")
    try:
        # Opened here, because Pillow, given a path, maps TIFF files into memory and misreads rotated ones.
        with path.open("rb") as file, Image.open(file) as picture:
            if picture.format in PROGRAMS:
                raise ValueError("it is a PostScript program, which is not run")
            if enough:
                picture.draft(None, (enough, enough))
            return to_rgb(picture)
    except Exception as error:                                    # decoders raise many classes: SyntaxError, zlib.error
        if isinstance(error, OSError) and error.strerror:         # no such file, no permission
            raise
        raise ValueError(f"{path} is not an image that npse can read ({reason(path, error)}); expected PNG, JPEG or "
                         "similar") from error


def to_rgb(picture: "Image") -> "Image":
    """Return any Pillow image as RGB, as a viewer shows it.

    The image is rotated as its EXIF data say. Transparent pixels are blended with white. These values are scaled to
    eight bits: grey values of 16 bits, floats in 0..1, and 32-bit integers of which 16 bits are used.

    Raises
    ------
    ValueError
        The image has other values, so it is unknown which value is white.
    """
    from PIL import Image

    if picture.mode == "F" or picture.mode.startswith("I"):
        return Image.fromarray(_eight_bits(picture)).convert("RGB")
    picture = _upright(picture)
    if picture.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def _upright(picture: "Image") -> "Image":
    """Return the image rotated as its EXIF data say."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(picture)
    except Exception:                                             # damaged EXIF data: leave the image as it is
        return picture


def _eight_bits(picture: "Image") -> Array:
    """Return the values of an image of more than eight bits, scaled to 0..255, uint8 (H, W)."""
    values = np.asarray(_upright(picture))
    low, high = values.min(), values.max()
    if picture.mode == "F":
        white, known = 1, low >= 0 and high <= 1
    else:
        white = 65535
        known = picture.mode != "I" or picture.format in SIXTEEN_BITS or (low >= 0 and 255 < high <= white)
    if not known:
        raise ValueError(f"its values range from {low:g} to {high:g}, and it does not state which value is white")
    return np.round(values * (255 / white)).astype(np.uint8)


def reason(path: Path, error: BaseException | None) -> str:
    """Return why a file cannot be read as an image, in a few words; ``error`` is that of Pillow."""
    from PIL import UnidentifiedImageError

    if path.stat().st_size == 0:
        return "it is empty"
    return "its format is unknown" if isinstance(error, UnidentifiedImageError) else " ".join(str(error).split())
