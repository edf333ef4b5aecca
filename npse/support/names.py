"""What to say about a name that is not known."""

import difflib

MANY = 20                        # known names that a message does not list all


def suggest(name, known, listing=None):
    """Return the end of a message about an unknown name: the names that look alike, then all, or how to list all.

    Parameters
    ----------
    name : str
    known : iterable of str
    listing : str, optional
        What shows all known names, if they are many: a command, or where they stand in Python.
    """
    known = list(known)
    by_lower = {each.lower(): each for each in known}
    near = [by_lower[each] for each in difflib.get_close_matches(str(name).lower(), by_lower, n=3, cutoff=0.7)]
    end = f"all are in {listing}" if listing and len(known) > MANY else f"known are: {', '.join(known)}"
    return f"did you mean {_or(near)}? {end}" if near else end


def _or(words):
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))
