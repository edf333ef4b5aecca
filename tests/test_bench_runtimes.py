"""OpenVINO and onnxruntime in `npse bench --vs`: they compute the logits of npse, in a process of their own."""

import numpy as np
import pytest

from npse import backend
from npse.bench import compare, process, runtime_peer, workload

pytest.importorskip("onnx", reason="onnx is not installed: pip install onnx")


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("model", ["se_resnet8", "se_fast"])
def test_the_same_logits(model, runtime):
    pytest.importorskip(runtime, reason=f"{runtime} is not installed: pip install {runtime}")
    peer = runtime_peer.Peer(model, 4, 1, runtime)
    with backend.using_edition("reference"):
        ours, theirs = workload.prepare(model, 4, "reference", 1).evaluate(), peer.evaluate()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5 * np.abs(ours).max())


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_a_runtime_in_its_own_process(runtime):
    pytest.importorskip(runtime, reason=f"{runtime} is not installed: pip install {runtime}")
    row = process.ask(compare.runtime_step, threads=1, model="se_resnet8", batch_size=2, seconds=0, runtime=runtime)
    assert row["train"] is None
    assert row["eval"]["ms"] > 0
    assert row[runtime].startswith(("1.", "20"))


def test_a_summary_without_training():
    row = {"train": {"ms": 10}, "eval": {"ms": 4}, "peak_mb": 100.0}
    rows = [{"mode": compare.OURS, "round": 1, **row},
            {"mode": "onnxruntime", "round": 1, "train": None, "eval": {"ms": 6}, "peak_mb": None}]
    found = compare.summary(rows)
    assert found["eval_best"] == "onnxruntime"
    assert found["eval_ratio"] == 1.5
    assert "train_best" not in found
