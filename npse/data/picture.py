"""Pictures from files, as a viewer shows them: upright, in colour, eight bits, transparent places white."""

import warnings

import numpy as np

SIXTEEN_BITS = ("PNG", "PPM")    # formats whose mode "I" holds 0..65535


def read(path):
    """Read a picture file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    PIL.Image.Image
        RGB, of the first frame or page.

    Raises
    ------
    OSError
        There is no such file, it is a folder, or may not be read.
    ValueError
        It is no picture, a damaged one, or one of numbers of which nothing says which is white.
    """
    from PIL import Image

    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name the pictures in it")
    try:
        # Opened here: from a path, Pillow maps plain TIFF files into memory and reads those on their side wrongly.
        with warnings.catch_warnings(action="ignore"), path.open("rb") as file, Image.open(file) as picture:
            return to_rgb(picture)
    except Exception as error:                                    # decoders raise all kinds: SyntaxError, zlib.error
        if isinstance(error, OSError) and error.strerror:         # no such file, no right to read it
            raise
        raise ValueError(f"{path} is not a picture that npse can read ({_reason(path, error)}); "
                         "expected PNG, JPEG or the like") from error


def to_rgb(picture):
    """Return any Pillow image as RGB, as a viewer shows it.

    It is turned as its EXIF data say; transparent places are laid on white; grey of 16 bits is scaled to 8, and so are
    floats from 0 to 1 and integers of 32 bits that use 16. ValueError for other numbers: nothing says what is white.
    """
    from PIL import Image

    if picture.mode == "F" or picture.mode.startswith("I"):
        return Image.fromarray(_eight_bits(picture)).convert("RGB")
    picture = _upright(picture)
    if picture.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def _upright(picture):
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(picture)
    except Exception:                                             # damaged EXIF data: what they say is not known
        return picture


def _eight_bits(picture):
    """The numbers of a picture of more than eight bits, from 0 to 255."""
    values = np.asarray(_upright(picture))
    low, high = values.min(), values.max()
    if picture.mode == "F":
        white, known = 1, low >= 0 and high <= 1
    else:
        white = 65535
        known = picture.mode != "I" or picture.format in SIXTEEN_BITS or (low >= 0 and 255 < high <= white)
    if not known:
        raise ValueError(f"its numbers reach from {low:g} to {high:g}, and nothing says which of them is white")
    return np.round(values * (255 / white)).astype(np.uint8)


def _reason(path, error):
    from PIL import UnidentifiedImageError

    if path.stat().st_size == 0:
        return "it is empty"
    return "its format is not known" if isinstance(error, UnidentifiedImageError) else " ".join(str(error).split())
