"""Makes a folder of pictures of one colour, with a folder for each class."""

from PIL import Image

COLOURS = {"cat": (200, 30, 30), "dog": (30, 200, 30), "owl": (30, 30, 200)}


def put(path, colour=(200, 30, 30), size=(20, 30)):
    """Write a picture of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def make(path):
    """Write ten pictures of each of three classes; a class has one colour."""
    for name, colour in COLOURS.items():
        for n in range(10):
            put(path / name / f"{n}.png", colour)
    return path
