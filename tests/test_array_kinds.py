"""One rule for every op of every edition: plain floating arrays of either byte order. Others are refused by name."""

import numpy as np
import pytest

from npse import backend
from npse.gradcheck import CASES

EDITIONS = pytest.mark.parametrize("edition", [name for name in backend.available() if name != "cuda"])
OF_EACH_OP = list({case.ops: case for case in reversed(CASES)}.values())


class Convert:
    """An edition whose ops get their floating arrays as another kind of array, and whose results are recorded."""

    def __init__(self, ops, convert):
        self._ops, self._convert, self.results = ops, convert, []

    def __getattr__(self, name):
        op = getattr(self._ops, name)

        def converted(*arguments, **options):
            plain = [np.asarray(value) if isinstance(value, np.ndarray) else value for value in arguments]
            result = op(*[self._convert(value) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
                          for value in plain], **options)
            self.results += result if isinstance(result, tuple) else (result,)
            return result
        return converted


def run(case, ops):
    arguments = case.arguments(np.random.default_rng(0))
    y = case.forward(ops, **arguments)
    if case.backward:
        case.backward(ops, np.ones_like(y)[()], **arguments)
    return ops.results


@EDITIONS
@pytest.mark.parametrize("case", OF_EACH_OP, ids=str)
def test_either_byte_order_is_accepted(edition, case):
    ops = backend.edition(edition)
    native = run(case, Convert(ops, lambda value: value))
    foreign = run(case, Convert(ops, lambda value: value.astype(value.dtype.newbyteorder(">"))))
    for ours, theirs in zip(foreign, native, strict=True):
        assert ours.dtype.newbyteorder("=") == theirs.dtype
        np.testing.assert_allclose(ours.astype(theirs.dtype), theirs, rtol=1e-9, atol=1e-12)


def test_byte_orders_may_be_mixed():
    ops, w, rng = backend.edition("reference"), np.ones((4, 3)), np.random.default_rng(0)
    x = rng.standard_normal((2, 3))
    np.testing.assert_array_equal(ops.dense(x.astype(">f8"), w), ops.dense(x, w))


KINDS = {
    "matrix": lambda value: value.reshape(len(value), -1).view(np.matrix),
    "MaskedArray": np.ma.masked_array,
    "list": np.ndarray.tolist,
    "recarray": lambda value: value.view(np.recarray),
}


@EDITIONS
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", OF_EACH_OP, ids=str)
def test_every_other_kind_is_refused_by_name(edition, kind, case):
    refusal = rf"^\w+: \w+ must be (a plain|an) array, but is a {kind}; use np\.asarray\(\w+\)$"
    with pytest.raises(TypeError, match=refusal):
        run(case, Convert(backend.edition(edition), KINDS[kind]))


def test_an_array_mapped_from_a_file_is_plain(tmp_path):
    x = np.memmap(tmp_path / "x", np.float32, "w+", shape=(2, 3))
    for name in ("reference", "cpu"):
        assert backend.edition(name).relu(x).shape == (2, 3)
