"""Integer arithmetic that sizes grids, blocks and parts."""

import pytest

from npse.support.arithmetic import ceil_div


@pytest.mark.parametrize(("a", "b", "expected"), [(0, 3, 0), (1, 3, 1), (3, 3, 1), (4, 3, 2)])
def test_ceil_div_rounds_up(a, b, expected):
    assert ceil_div(a, b) == expected
