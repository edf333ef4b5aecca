"""Trained networks that come with npse."""

from npse.layers import Sequential
from npse.support.names import suggest

SHIPPED: tuple[str, ...] = ()


def load(name: str) -> Sequential:
    """Return a trained network that comes with npse.

    Parameters
    ----------
    name : str
        One of `SHIPPED`: the name of a model, and after a hyphen that of the data set that it was trained on.

    Raises
    ------
    ValueError
        npse does not bring this network.
    """
    if not SHIPPED:
        raise ValueError(f"no trained network comes with this version of npse, so {name!r} cannot be loaded; "
                         "train one with npse train")
    raise ValueError(f"unknown trained network {name!r}; {suggest(name, SHIPPED)}")
