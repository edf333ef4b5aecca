"""Tests of many cases that are alike: the default suite runs a share of them, `pytest -m slow` runs the others."""

import pytest


def some(cases, every, ids=None):
    """Return the cases for ``pytest.mark.parametrize``: all but the first of each ``every`` are slow.

    A case is a value, or a tuple of values. ``ids`` is a function that names a case.
    """
    return [pytest.param(*(case if isinstance(case, tuple) else (case,)), id=ids and ids(case),
                         marks=pytest.mark.slow if k % every else ()) for k, case in enumerate(cases)]
