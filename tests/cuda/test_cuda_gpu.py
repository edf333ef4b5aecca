"""The judge on a GPU: every case in full, gradients against finite differences, float32 against float64.

    python -m pytest -m gpu
"""

import os

import pytest

from npse import reference as book
from npse.gradcheck import CASES, check_case

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module", autouse=True)
def _gpu():
    """Skip where nothing can run, and say why; fail there if NPSE_REQUIRE_CUDA=1 asks for these tests."""
    refuse = pytest.fail if os.environ.get("NPSE_REQUIRE_CUDA") == "1" else pytest.skip
    try:
        from npse.cuda import missing
    except ImportError as error:
        refuse(f"the cuda edition cannot be imported: {error}")
    if reason := missing():
        refuse(reason)


@pytest.mark.parametrize("ahead", [False, True], ids=["NumPy", "device"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_case_is_right(case, ahead):
    from on_device import OnDevice

    wrong = [str(result) for result in check_case(case, OnDevice(ahead), book=book) if not result.ok]
    assert not wrong, "\n".join(wrong)
