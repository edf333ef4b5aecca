"""The data set and the network of a run, made from its settings."""

from npse import data, models
from npse.layers import Layer
from npse.training.config import Config


def load_data(config: Config) -> data.Dataset:
    """Load the data set of a run; errors as for `npse.data.load`, and ValueError if ``crop`` is too large for it."""
    dataset = data.load(config.data, config.image_size)
    if config.crop >= dataset.image_size:
        raise ValueError(f"crop must lie in 0..{dataset.image_size - 1}, because the images of {dataset.name} are "
                         f"{dataset.image_size} pixels wide, but is {config.crop}")
    return dataset


def build_network(config: Config, classes: int, shape: tuple[int, int, int], *, input_gradient: bool = True) -> Layer:
    """Build the network of a run, with its first weights.

    Parameters
    ----------
    config : Config
    classes : int
    shape : tuple of int
        The shape (S, S, C) of an image.
    input_gradient : bool
        See `npse.models.options.NetworkOptions`.

    Raises
    ------
    ValueError
        The model is unknown, does not have an option of the config, or is not for images of this shape.
    """
    return models.build(config.model, classes=classes, channels=shape[2], image_size=shape[0],
                        input_gradient=input_gradient, **config.model_options())
