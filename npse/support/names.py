"""Messages about unknown names."""

import difflib
from collections.abc import Iterable, Sequence

MANY = 20                        # a message lists all known names up to this number


def suggest(name: object, known: Iterable[str], listing: str | None = None) -> str:
    """Return the end of a message about an unknown name: similar names, then all known names or where they are listed.

    Parameters
    ----------
    name : object
        What was given; nearly always a str.
    known : iterable of str
    listing : str, optional
        Where all known names are listed, for use when there are many: a command, a file or a Python name.
    """
    known = list(known)
    by_lower = {each.lower(): each for each in known}
    near = [by_lower[each] for each in difflib.get_close_matches(str(name).lower(), by_lower, n=3, cutoff=0.7)]
    end = f"all are in {listing}" if listing and len(known) > MANY else f"known are: {', '.join(known)}"
    return f"did you mean {_or(near)}? {end}" if near else end


def _or(words: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))
