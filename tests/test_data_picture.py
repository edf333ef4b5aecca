"""A picture is read as a viewer shows it: the numbers of each kind of file."""

import struct
import warnings

import numpy as np
import pytest
from PIL import Image

from npse.data import picture

RAMP = np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))                    # grey, (48, 64)
COLOUR = np.stack([RAMP, RAMP[:, ::-1], np.full_like(RAMP, 77)], axis=-1)     # (48, 64, 3)
GREY = np.repeat(RAMP[..., None], 3, axis=2)


def shown(path):
    """Return the numbers of a picture file, read without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return np.asarray(picture.read(path)).astype(int)


@pytest.mark.parametrize(("name", "values", "mode", "near"), [
    ("rgb.png", COLOUR, None, 0), ("rgb.bmp", COLOUR, None, 0), ("rgb.tif", COLOUR, None, 0),
    ("rgb.jpg", COLOUR, None, 12), ("cmyk.jpg", COLOUR, "CMYK", 12), ("cmyk.tif", COLOUR, "CMYK", 1),
    ("ycbcr.jpg", COLOUR, "YCbCr", 12), ("rgb.gif", COLOUR, None, 60), ("palette.png", COLOUR, "P", 60),
    ("grey.png", RAMP, None, 0), ("la.png", RAMP, "LA", 0), ("pa.tif", RAMP, "PA", 0), ("rgba.png", COLOUR, "RGBA", 0),
    ("grey16.png", RAMP.astype(np.uint16) * 257, None, 0), ("grey16.tif", RAMP.astype(np.uint16) * 257, None, 0),
    ("grey16.pgm", RAMP.astype(np.uint16) * 257, None, 0), ("big16.tif", RAMP.astype(">u2") * 257, None, 0),
    ("grey32.tif", RAMP.astype(np.int32) * 257, None, 0), ("float.tif", (RAMP / 255).astype(np.float32), None, 0),
])
def test_every_kind_of_file_is_shown_as_it_looks(tmp_path, name, values, mode, near):
    image = Image.fromarray(values)
    try:
        (image.convert(mode) if mode else image).save(tmp_path / name)
    except (OSError, KeyError, ValueError) as error:
        pytest.skip(f"this Pillow does not write it: {error}")
    wanted = GREY if values.ndim == 2 else COLOUR
    assert np.abs(shown(tmp_path / name) - wanted).max() <= near


def test_black_and_white(tmp_path):
    Image.fromarray(RAMP > 100).save(tmp_path / "bw.png")
    assert np.array_equal(shown(tmp_path / "bw.png")[..., 0], 255 * (RAMP > 100))


@pytest.mark.parametrize("values", [
    np.array([[0, 2.5]], np.float32), np.array([[-0.1, 1]], np.float32), np.array([[0, np.nan]], np.float32),
    np.array([[0, 255]], np.int32), np.array([[0, 70000]], np.int32), np.array([[-1, 300]], np.int32)])
def test_numbers_without_a_known_white_are_refused(tmp_path, values):
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif is not an image .* \(its values range from .* is white\)"):
        picture.read(tmp_path / "a.tif")


def transparent(size=4):
    values = np.zeros((size, size, 4), np.uint8)
    values[0, 0] = 200, 30, 30, 255
    values[1, 1] = 0, 0, 0, 128
    return values


def test_transparent_places_are_white(tmp_path):
    wanted = np.full((4, 4, 3), 255)
    wanted[0, 0] = 200, 30, 30
    wanted[1, 1] = 127
    Image.fromarray(transparent()).save(tmp_path / "rgba.png")
    assert np.array_equal(shown(tmp_path / "rgba.png"), wanted)


@pytest.mark.parametrize("transparency", [0, bytes([0, 255, 128])])
def test_transparency_of_a_palette(tmp_path, transparency):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "L").convert("L")
    image.putpalette([9, 9, 9, 10, 20, 30, 0, 0, 0])
    image.save(tmp_path / "palette.png", transparency=transparency)
    last = [127] * 3 if isinstance(transparency, bytes) else [0] * 3
    assert shown(tmp_path / "palette.png").tolist() == [[[255] * 3, [10, 20, 30], last]]


def test_a_transparent_grey_and_colour(tmp_path):
    Image.fromarray(np.array([[5, 6]], np.uint8)).save(tmp_path / "grey.png", transparency=5)
    assert shown(tmp_path / "grey.png")[0, :, 0].tolist() == [255, 6]
    Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)).save(tmp_path / "rgb.png", transparency=(1, 2, 3))
    assert shown(tmp_path / "rgb.png").tolist() == [[[255] * 3, [4, 5, 6]]]


def test_the_first_frame_of_an_animation_is_read(tmp_path):
    frames = [Image.fromarray(np.full((4, 4, 3), value, np.uint8)) for value in (10, 120, 240)]
    for name in ("a.gif", "a.png", "a.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        assert (shown(tmp_path / name) == 10).all()


def oriented(path, orientation, values=RAMP):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(values).save(path, exif=exif)


@pytest.mark.parametrize(("orientation", "turn"), list(enumerate([
    lambda a: a, np.fliplr, lambda a: np.rot90(a, 2), np.flipud, np.transpose, lambda a: np.rot90(a, -1),
    lambda a: np.rot90(a, 2).T, np.rot90], start=1)))
def test_all_orientations_of_a_camera(tmp_path, orientation, turn):
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    for name, numbers in (("a.png", values), ("a16.png", values.astype(np.uint16) * 257), ("a.tif", values)):
        oriented(tmp_path / name, orientation, numbers)
        assert np.array_equal(shown(tmp_path / name)[..., 0], turn(values)), name


@pytest.mark.parametrize("payload", [b"", b"no tiff header", b"II*\0" + struct.pack("<I", 4_000_000)])
def test_a_picture_with_damaged_camera_data_is_read(tmp_path, payload):
    Image.fromarray(GREY).save(tmp_path / "a.jpg", quality=95)
    jpeg, payload = (tmp_path / "a.jpg").read_bytes(), b"Exif\0\0" + payload
    (tmp_path / "a.jpg").write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + jpeg[2:])
    assert np.abs(shown(tmp_path / "a.jpg") - GREY).max() < 12


def test_a_large_scan_causes_no_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", RAMP.size - 1)
    Image.fromarray(RAMP).save(tmp_path / "scan.png")
    assert np.array_equal(shown(tmp_path / "scan.png"), GREY)
