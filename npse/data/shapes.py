"""The embedded data set "shapes": 32x32 images of ten classes, drawn from a seed, without a download.

Six classes are a plain disc, ring or cross in a warm or a cool colour; four are a striped or checked square or triangle
in two colours of any hue. The outline matters in all classes, and also the colour in the first six, the texture in the
last four. The background and the specks on it have any hue, so the mean colour of an image says little.

The bytes are the same on every machine. Random numbers are raw PCG64 words, whose stream NumPy guarantees. Drawing uses
only operations that IEEE 754 rounds in exactly one way, + - * / and comparisons: no sine, no sum of unspecified order.
"""

import hashlib
import warnings

import numpy as np

from npse.data.dataset import Dataset, pixel_statistics
from npse.support.arithmetic import ceil_div
from npse.types import Array

CLASSES = ("warm disc", "cool disc", "warm ring", "cool ring", "warm cross", "cool cross",
           "striped square", "checked square", "striped triangle", "checked triangle")
SHA256 = "f6ad51e6d0b4ba41b640276768c1772076b896991ade33e47e541dabc377a77a"

_OUTLINES = (                                     # disc, ring, cross, square, triangle: inside the circle of radius 1
    lambda u, v: u * u + v * v < 0.9,
    lambda u, v: (u * u + v * v < 0.95) & (u * u + v * v > 0.3),
    lambda u, v: ((np.abs(u) < 0.3) & (np.abs(v) < 0.95)) | ((np.abs(v) < 0.3) & (np.abs(u) < 0.95)),
    lambda u, v: (np.abs(u) < 0.7) & (np.abs(v) < 0.7),
    lambda u, v: (v > -0.5) & (v < 1 - 1.7320508 * np.abs(u)),
)
_TEXTURED = 3                                     # the first outline with a texture; those before are plain
_SIZE = 32
_REACH = 12                                       # pixels from the centre to the end of an object: a crop by 4 keeps it
_SPECKS = 4
_CHUNK = 100                                      # images drawn at once; so few fit into the processor's cache


def load() -> Dataset:
    """Draw the data set: 5000 training and 1000 test images, equally many of each class. It takes about two seconds.

    Warns
    -----
    RuntimeWarning
        This platform draws other bytes than expected, by their SHA-256.
    """
    images, labels = draw(5000, seed=1)
    data = Dataset("shapes", images, labels, *draw(1000, seed=2), CLASSES, *pixel_statistics(images))
    found = digest(data)
    if found != SHA256:
        warnings.warn(f"the data set shapes as drawn on this platform has sha256 {found}, expected {SHA256}; "
                      "results may differ slightly from published ones", RuntimeWarning, stacklevel=2)
    return data


def digest(data: Dataset) -> str:
    """Return the SHA-256, in hexadecimal digits, of the training images and labels, then the test images and labels."""
    sha256 = hashlib.sha256()
    for array in (data.images, data.labels, data.test_images, data.test_labels):
        sha256.update(np.ascontiguousarray(array, np.uint8).data)
    return sha256.hexdigest()


def draw(count: int, seed: int) -> tuple[Array, Array]:
    """Draw images of the ten classes in turn.

    Parameters
    ----------
    count, seed : int

    Returns
    -------
    images : uint8 array (count, 32, 32, 3)
    labels : int64 array (count,)
        Indices into `CLASSES`.
    """
    random = _Random(seed)
    labels = np.arange(count, dtype=np.int64) % len(CLASSES)
    images = np.empty((count, _SIZE, _SIZE, 3), np.uint8)
    for start in range(0, count, _CHUNK):
        images[start:start + _CHUNK] = _pictures(random, labels[start:start + _CHUNK])
    return images, labels


def _pictures(random: "_Random", labels: Array) -> Array:
    """Draw one image for each label, (n,) -> uint8 (n, 32, 32, 3): background, specks, object, noise."""
    count = len(labels)
    outline, variant = labels // 2, labels % 2                  # variant 0 is warm or striped, 1 is cool or checked
    bright = random.bits(count)                                 # a bright object on a dark background, or the reverse
    image = _ground(random, bright)
    _add_specks(random, image)

    hue = random.uniform(0, 1, count)
    warm, cool = hue / 4 - 1 / 12, hue / 4 + 0.45               # crimson .. yellow, turquoise .. indigo
    hue = np.where(outline >= _TEXTURED, hue, np.where(variant == 0, warm, cool))
    value = np.where(bright, random.uniform(0.75, 1, count), random.uniform(0.5, 0.7, count))
    saturation = random.uniform(0.65, 1, count)
    first = _rgb(hue, saturation, value)
    opposite = hue + random.uniform(0.35, 0.65, count)
    second = _rgb(opposite, saturation, value * random.uniform(0.75, 1, count))

    inside, even = _object(random, outline, variant)
    a, b = _coverage(inside & even), _coverage(inside & ~even)
    image = image * (1 - a - b) + first[:, None, None] * a + second[:, None, None] * b
    noise = random.bytes(*image.shape).astype(np.float32) / 255 - 0.5
    image += noise * random.uniform(0.05, 0.25, count)[:, None, None, None]
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def _ground(random: "_Random", bright: Array) -> Array:
    """Return backgrounds (n, 32, 32, 3): a gradient between two colours of any hue, dark for a bright object."""
    count = len(bright)
    cosine, sine = (value[:, None, None] for value in random.direction(count))
    y, x = _grid(1)
    ramp = np.clip((x * cosine + y * sine) / (1.5 * _SIZE) + 0.5, 0, 1)[..., None]
    ends = []
    for _ in range(2):
        saturation = random.uniform(0.1, 0.8, count)
        value = np.where(bright, random.uniform(0.1, 0.5, count), random.uniform(0.75, 1, count))
        colour = _rgb(random.uniform(0, 1, count), np.where(bright, saturation, saturation / 2), value)
        ends.append(colour[:, None, None])
    return ends[0] + (ends[1] - ends[0]) * ramp


def _add_specks(random: "_Random", image: Array) -> None:
    """Draw small discs of any hue on the backgrounds (n, 32, 32, 3), in place."""
    count = len(image)
    y, x = _grid(1)
    for _ in range(_SPECKS):
        cx, cy = random.uniform(-_SIZE / 2, _SIZE / 2, 2, count)[:, :, None, None]
        radius = random.uniform(1, 2.5, count)[:, None, None]
        colour = _rgb(random.uniform(0, 1, count), random.uniform(0.5, 1, count), random.uniform(0.4, 1, count))
        squared = (x - cx) * (x - cx) + (y - cy) * (y - cy)
        alpha = np.clip((radius * radius - squared) / (2 * radius) + 0.5, 0, 1)     # near the edge, radius - distance
        image += (colour[:, None, None] - image) * alpha[..., None]


def _object(random: "_Random", outline: Array, variant: Array) -> tuple[Array, Array]:
    """Return masks (n, 64, 64) at twice the resolution: of the object, and of the even fields of its texture."""
    count = len(outline)
    textured = outline >= _TEXTURED
    radius = random.uniform(np.where(textured, 9.5, 6.5), np.where(textured, 11.5, 9.5), count)
    centre = random.uniform(-1, 1, 2, count) * (_REACH - radius)
    u, v = _turned(centre, random.direction(count), radius)
    inside = np.empty(u.shape, bool)
    for k, is_inside in enumerate(_OUTLINES):
        inside[outline == k] = is_inside(u[outline == k], v[outline == k])

    even = np.ones(u.shape, bool)
    direction = random.direction(count)
    width = random.uniform(2.2, 3.2, count)                     # of a stripe or a square, in pixels
    p, q = _turned(centre[:, textured], direction[:, textured], width[textured])
    checked = (variant[textured] == 1)[:, None, None]
    even[textured] = (np.floor(p) + np.where(checked, np.floor(q), 0)) % 2 == 0
    return inside, even


def _turned(centre: Array, direction: Array, unit: Array) -> tuple[Array, Array]:
    """Return coordinates (n, 64, 64) of the fine grid, relative to centre (2, n) and direction (2, n), in unit (n,)."""
    cx, cy, cosine, sine, unit = (value[:, None, None] for value in (*centre, *direction, unit))
    y, x = _grid(2)
    return ((x - cx) * cosine + (y - cy) * sine) / unit, ((y - cy) * cosine - (x - cx) * sine) / unit


def _grid(fineness: int) -> tuple[Array, Array]:
    """Return the coordinates y (n, 1) and x (1, n) of the samples, in pixels from the centre of the image."""
    axis = (np.arange(_SIZE * fineness, dtype=np.float32) + 0.5) / fineness - _SIZE / 2
    return axis[:, None], axis[None, :]


def _coverage(mask: Array) -> Array:
    """Return the share of each pixel that a fine mask covers, bool (n, 64, 64) -> float32 (n, 32, 32, 1)."""
    m = mask.view(np.uint8)
    return (m[:, ::2, ::2] + m[:, ::2, 1::2] + m[:, 1::2, ::2] + m[:, 1::2, 1::2])[..., None].astype(np.float32) / 4


def _rgb(hue: Array, saturation: Array, value: Array) -> Array:
    """Convert HSV, each (n,) with the hue in turns, to RGB (n, 3); the conversion is piecewise linear."""
    sector = (hue[:, None] * 6 + np.array([5, 3, 1], np.float32)) % 6
    return value[:, None] * (1 - saturation[:, None] * np.clip(np.minimum(sector, 4 - sector), 0, 1))


class _Random:
    """Random numbers from the raw 64-bit words of PCG64: only this stream is the same in every version of NumPy."""

    def __init__(self, seed: int) -> None:
        self._words = np.random.PCG64(seed)

    def uniform(self, low: float | Array, high: float | Array, *shape: int) -> Array:
        """Return a float32 array in low .. high; each element is made from the upper 24 bits of a word."""
        words = self._words.random_raw(int(np.prod(shape))).reshape(shape)
        return (low + (high - low) * ((words >> np.uint64(40)) / 2.0**24)).astype(np.float32)

    def bits(self, count: int) -> Array:
        """Return a bool array (count,), True with probability 1/2."""
        return self.uniform(0, 1, count) < 0.5

    def bytes(self, *shape: int) -> Array:
        """Return a uint8 array; a word gives eight elements."""
        count = int(np.prod(shape))
        return self._words.random_raw(ceil_div(count, 8)).astype("<u8").view(np.uint8)[:count].reshape(shape)

    def direction(self, count: int) -> Array:
        """Return cosine and sine (2, count) of random angles, by the rational parametrisation of the circle."""
        t = self.uniform(-1, 1, count)
        sign = 1 - 2 * self.bits(count).astype(np.float32)
        return sign * np.stack([1 - t * t, 2 * t]) / (1 + t * t)
