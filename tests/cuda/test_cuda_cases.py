"""Every op in the simulator, through every case of the judge: the book's values, arguments left alone."""

import inspect
import zlib

import numpy as np
import pytest
from on_device import OnDevice
from small_cases import SMALL_CASES, TWINS

from npse import cuda
from npse import reference as book
from npse.cuda.runtime import fallback
from npse.gradcheck import CASES, KNOWN_OPS, calls, contract

pytestmark = pytest.mark.simulator
# Derivations step by step, for reading; what is computed once, before a run; what other processes send to the host.
BY_THE_BOOK = {"batch_norm_backward_staged", "merged_moments", "se_backward_staged", "whitening_filters"}
LONG = {f"grouped_conv2d [wide, {what}]" for what in (               # more than a second each
    "dilation 4", "groups of 4", "groups of 16", "depthwise 3x3", "depthwise 3x3, stride 2")}


def recorded(case, dtype, ahead):
    """Every call of an op that a case makes, forwards and backwards."""
    rng = np.random.default_rng(zlib.crc32(str(case).encode()))
    recording = calls.Recording(OnDevice(ahead))
    arguments = case.arguments(rng, dtype)
    y = np.asarray(case.forward(recording, **arguments))
    if case.backward:
        case.backward(recording, np.asarray(rng.standard_normal(y.shape), dtype)[()], **arguments)
    return recording.calls


def judge(case, dtype, ahead):
    for call in recorded(case, dtype, ahead):
        complaint, _ = contract.disagreement(book, call)
        assert not complaint, f"{call.name} {complaint}"
        for rule in (contract.unchanged, contract.same_dtype):
            assert not rule(call), f"{call.name} {rule(call)}"


@pytest.mark.parametrize("case", [pytest.param(case, id=str(case), marks=pytest.mark.slow if str(case) in LONG else ())
                                  for case in SMALL_CASES])
def test_case_equals_the_book(case):
    judge(case, np.float32, ahead=True)


@pytest.mark.slow
@pytest.mark.parametrize("case", SMALL_CASES, ids=str)
def test_case_equals_the_book_in_float64_from_numpy(case):
    judge(case, np.float64, ahead=False)


def test_only_what_is_for_reading_or_needed_once_runs_by_the_book():
    found = {op for op in book.OPS if getattr(cuda, op) is getattr(fallback, op)}
    assert found <= BY_THE_BOOK, f"without a kernel: {', '.join(sorted(found - BY_THE_BOOK))}"


def test_every_op_of_the_book_is_there_with_its_signature():
    for op in book.OPS:
        assert inspect.signature(getattr(cuda, op)) == inspect.signature(getattr(book, op)), op
        assert getattr(cuda, op).__doc__ == getattr(book, op).__doc__, op


def test_every_op_is_judged_by_a_case():
    assert set(book.OPS) <= set(KNOWN_OPS)
    assert {op for case in SMALL_CASES for op in case.ops} == set(KNOWN_OPS)


def test_a_twin_judges_what_the_wide_case_judges():
    wide = {str(case): case for case in CASES}
    for name, twin in TWINS.items():
        assert (wide[name].ops, wide[name].backward is None) == (twin.ops, twin.backward is None)


@pytest.mark.parametrize("ahead", [False, True], ids=["NumPy", "device"])
def test_a_wrong_value_and_a_changed_argument_are_seen(monkeypatch, ahead):
    case = next(case for case in SMALL_CASES if case.op == "scale")
    scale = cuda.scale
    monkeypatch.setattr(cuda, "scale", lambda u, s: 2 * cuda.to_host(scale(u, s)))
    with pytest.raises(AssertionError, match="scale differs from the book"):
        judge(case, np.float64, ahead)

    def spoiling(u, s):
        y = scale(u, s)
        u[0, 0, 0, 0] = 7
        return y
    monkeypatch.setattr(cuda, "scale", spoiling)
    with pytest.raises(AssertionError, match="scale changes u"):
        judge(case, np.float64, ahead)
