"""The PyTorch side of `npse bench --vs torch` does the same work: same weights, batch, and losses of each step."""

import numpy as np
import pytest
from shares import some

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

from npse import backend  # noqa: E402
from npse.bench import compare, process, torch_peer, workload  # noqa: E402

torch.set_num_threads(1)


@pytest.mark.parametrize(("model", "channels_last"), some([
    ("se_resnet8", True), ("resnet8", False), ("se_wide", True), ("se_preact_resnet20", True), ("se_fast", True),
    ("fast", False)], 3))
def test_the_same_logits_and_losses(model, channels_last):
    peer = torch_peer.Peer(model, 4, channels_last, compiled=False)
    with backend.using_edition("reference"):
        work = workload.prepare(model, 4, "reference", 1)
        ours, theirs = work.evaluate(), peer.evaluate().numpy()
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5 * np.abs(theirs).max())
        losses = [(work.train(), peer.train()) for _ in range(3)]
    assert losses[-1][0] < losses[0][0]
    np.testing.assert_allclose(*zip(*losses, strict=True), rtol=1e-4)


@pytest.mark.parametrize(("channels_last", "compiled"),
                         [pytest.param(True, compiled, marks=pytest.mark.slow) for compiled in (False, True)])
def test_a_mode_in_its_own_process(channels_last, compiled):
    row = process.ask(compare.torch_step, threads=1, model="se_resnet8", batch_size=2, seconds=0,
                      channels_last=channels_last, compiled=compiled)
    assert min(row["train"]["ms"], row["eval"]["ms"]) > 0
    assert row["threads"] == 1
    assert row["peak_mb"] > 50
