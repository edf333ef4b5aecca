"""`npse bench --edition cuda` in the simulator: times mean nothing there, but everything is measured and told."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from npse import models
from npse.bench import gpu as device_rates
from npse.bench import gpu_rates, ops, report, step, workload

pytestmark = [pytest.mark.simulator, pytest.mark.slow]


@pytest.fixture
def tiny(monkeypatch):
    """A network and images small enough for the simulator."""
    monkeypatch.setattr(models, "build", lambda name, **options: models.resnet(8, widths=(4, 4, 4), **options))
    monkeypatch.setattr(workload, "PIXELS", 5)
    monkeypatch.setattr(workload, "READ_EVERY", 1)
    monkeypatch.setattr(gpu_rates, "REPEATS", 1)
    monkeypatch.setattr(step, "times", functools.partial(once, step.times))
    monkeypatch.setattr(ops, "times", functools.partial(once, ops.times))


def once(times, task, seconds, **options):
    return times(task, seconds, **options | {"least": 1, "warm": 0})


def test_a_bench_from_end_to_end(tiny):
    work = {"model": "se_resnet8", "batch_size": 2, "edition": "cuda", "threads": 1, "seconds": 0}
    found = device_rates.measure(threads=1)
    whole = step.measure(**work)
    rows = ops.against(ops.measure(**work), found)
    assert whole["mode"] == "npse cuda"
    assert all(whole[part]["ms"] > 0 for part in ("train", "eval", "batch"))
    assert {"conv2d_moments", "conv2d_backward_w", "softmax_cross_entropy"} <= {row["op"] for row in rows}
    assert sum(row["count"] for row in rows if row["op"] == "excite") == 3
    likely = ops.against(rows, {"copy_memory_gbs": 1, "multiply_add_gflops": 1})      # the simulator's own are chance
    assert {row["bound"] for row in likely} == {"multiply-add", "memory"}
    assert {row["bound"] for row in rows} <= {"multiply-add", "memory"}
    assert all(row["bytes"] > 0 for row in rows if row["op"] in ("conv2d_moments", "bn_scale_add_relu", "dense"))
    text = "\n".join(note for table in (report.gpu(found), report.step(whole, "se_resnet8", 2, 1),
                                        report.ops(rows, whole["train"]["ms"], on_device=True)) for note in table.notes)
    assert "the device's own clock" in text
    assert "unknown" in text                                      # the simulator counts no memory


@pytest.mark.skipif(os.environ.get("NPSE_ALL_TESTS") != "1",
                    reason="the simulator takes minutes for a step of SE-ResNet-20; NPSE_ALL_TESTS=1 runs it")
def test_the_report_on_a_gpu_writes_its_page(tmp_path):
    script = Path(__file__).parents[2] / "benchmarks" / "gpu_report.py"
    subprocess.run([sys.executable, script, "--tiny", "--out", tmp_path / "report"], check=False)
    found = json.loads((tmp_path / "report.json").read_text())
    assert {"rates", "npse", "npse, Winograd", "npse, tf32 on", "judge", "training"} <= found["parts"].keys()
    assert all(part.startswith("torch") for part in found["failures"])
    assert not found["parts"]["judge"]["wrong"]
    assert "| scale_add_relu_backward |" in (tmp_path / "report.md").read_text()
