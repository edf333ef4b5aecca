"""The trained networks that come with npse are listed, and an unknown name is refused in one line."""

import pytest

from npse import models


def test_unknown_network_is_refused_in_one_line():
    with pytest.raises(ValueError, match="'se_resnet8-mars'") as refused:
        models.load("se_resnet8-mars")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", models.SHIPPED)
def test_shipped_network_classifies(name):
    assert models.load(name).named_parameters()
