"""Editions made of another edition: every op wrapped, or some ops replaced."""

import inspect
from types import SimpleNamespace

import pytest

from npse.support.wrapped import Overlay, Wrapped


def double(x, times=2):
    """Return x multiplied by ``times``."""
    return times * x


EDITION = SimpleNamespace(double=double, WIDTH=8)


def test_every_op_of_a_wrapped_edition_goes_through_one_function():
    calls = []

    def around(name, op, arguments, options):
        calls.append((name, arguments, options))
        return -op(*arguments, **options)

    ops = Wrapped(EDITION, around)
    assert (ops.double(3), ops.double(3, times=5)) == (-6, -15)
    assert calls == [("double", (3,), {}), ("double", (3,), {"times": 5})]
    assert inspect.signature(ops.double) == inspect.signature(double)
    assert ops.double.__doc__ == double.__doc__


def test_a_wrapped_edition_has_the_attributes_of_its_edition_and_no_others():
    ops = Wrapped(EDITION, lambda name, op, arguments, options: None)
    assert ops.WIDTH == 8
    with pytest.raises(AttributeError, match="halve"):
        ops.halve(1)


def test_an_overlay_replaces_some_ops_and_keeps_the_others():
    ops = Overlay(EDITION, halve=lambda x: x / 2)
    assert (ops.double(3), ops.halve(3)) == (6, 1.5)
    assert Overlay(ops, double=abs).double(-3) == 3
    with pytest.raises(AttributeError, match="triple"):
        ops.triple(1)
