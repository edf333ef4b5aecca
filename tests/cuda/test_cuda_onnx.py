"""A selection of ONNX's node tests in the simulator: those of few numbers."""

import math

import numpy as np
import pytest
from onnx_nodes import ADAPTERS, judged

from npse import backend, cuda

pytestmark = [pytest.mark.simulator, pytest.mark.slow]
FEW = 130                        # elements of all arguments together: the simulator runs every thread in Python


def small(node):
    return sum(math.prod(np.shape(value)) for value in node.inputs if value is not None) <= FEW


@pytest.mark.parametrize("op", ADAPTERS)
def test_small_cases_are_right(op):
    assert not judged(backend.with_numpy_results(cuda), op, small)[1]
