"""`npse bench`: what it counts, what it compares, and one quick run from end to end."""

import json
import subprocess
import sys

import numpy as np
import pytest

from npse import backend, models, reference
from npse.bench import compare, flops, machine_rates, ops, process, report, step, timing, variants, worker, workload
from npse.cli.bench import bench

RATES = {"sgemm_gflops": 100.0, "copy_cache_gbs": 50.0, "copy_memory_gbs": 10.0, "cache_bytes": 2**20}


def fake_ask(times, fails=()):
    """Return an `ask` without a process, from {mode: [train ms of each round]}; evaluation takes half as long."""
    left, asked = {mode: iter(ms) for mode, ms in times.items()}, []

    def ask(job, channels_last=None, compiled=None, **work):
        mode = next((mode for mode, options in compare.TORCH_MODES.items()
                     if options == {"channels_last": channels_last, "compiled": compiled}), compare.OURS)
        asked.append(mode)
        if mode in fails:
            raise ChildProcessError("no C++ compiler")
        ms = next(left[mode])
        return {"train": {"ms": ms}, "eval": {"ms": ms / 2}, "peak_mb": 100.0}
    return ask, asked


def compared(monkeypatch, times, rounds, fails=()):
    ask, asked = fake_ask(times, fails)
    monkeypatch.setattr(compare, "ask", ask)
    return *compare.versus(["torch"], "resnet8", 2, 1, "auto", 0, rounds), asked


EAGER, LAST, COMPILED = compare.TORCH_MODES
TIMES = {"npse": [10, 20, 10], EAGER: [90, 90, 90], LAST: [30, 30, 35], COMPILED: [20, 90, 90]}


@pytest.mark.slow
def test_a_quick_bench_from_end_to_end(tmp_path, monkeypatch, capsys):
    ask, _ = fake_ask(TIMES)
    monkeypatch.setattr(compare, "ask", ask)
    monkeypatch.setattr(compare, "peers_of", lambda *_: ["torch"])
    file, picture = tmp_path / "bench.json", tmp_path / "roofline.png"
    bench(model="se_resnet8", batch_size=4, threads=1, quick=True, vs="torch", rounds=3, json_file=file,
          roofline=picture)

    found = json.loads(file.read_text())
    assert found["train_ratio"] == found["eval_ratio"] == 3.0
    assert {"versions", "cores", "threads", "commit", "versus", "machine", "step"} <= found.keys()
    assert found["machine"]["sgemm_gflops"] > 0
    assert found["machine"]["copy_memory_gbs"] > 0
    assert all(found["step"][task]["ms"] > 0 for task in ("train", "eval", "batch"))

    layers = sum(w.ndim == 4 for w in models.build("se_resnet8").named_parameters().values())
    calls = {name: sum(row["count"] for row in found["ops"] if flops.pass_of(row["op"]) == name)
             for name in variants.PASSES}
    assert calls["conv2d"] == calls["conv2d_backward_w"] == layers
    assert layers - 1 <= calls["conv2d_backward_x"] <= layers
    for row in found["ops"]:
        assert row["ms"] >= row["ms_min"] > 0
        assert row["ms_step"] == pytest.approx(row["ms"] * row["count"])
        assert row["gbs"] == pytest.approx(row["bytes"] / row["ms"] / 1e6)
        assert row["percent"] > 0
    assert picture.read_bytes().startswith(b"\x89PNG")

    out = capsys.readouterr().out
    assert "npse is 3.00 times as fast as torch eager, channels_last (1.50 .. 3.50 over 3 rounds)" in out
    assert f"wrote {file}" in out
    assert "\x1b" not in out                                      # plain text, because this is no terminal


def test_the_calls_of_a_step_are_counted_by_shape():
    with backend.using_edition("reference"):
        work = workload.prepare("se_resnet8", 2, "reference", 1)
        calls = ops.watch(work)
    rows = {(row["op"], str(row["arguments"])): row for row in calls.rows.values()}
    total = {op: sum(row["count"] for row in rows.values() if row["op"] == op) for op in ("excite", "sgd", "dense")}
    assert total == {"excite": 3, "sgd": len(work.network.named_parameters()), "dense": 1}
    stage = rows["conv2d_backward_w", str([[2, 32, 32, 16], [2, 32, 32, 16], [3, 3, 16, 16], 1, 1])]
    assert stage["count"] == 2
    assert stage["flops"] == 2 * (2 * 32 * 32 * 16) * 9 * 16
    assert stage["bytes"] == 4 * (2 * 2 * 32 * 32 * 16 + 9 * 16 * 16)
    assert all(row["flops"] for row in rows.values())
    assert [row[1] for row in variants.by_stage(rows.values())] == [[3, 3, c, c] for c in (16, 32, 64)]


@pytest.mark.parametrize(("stride", "padding", "side"), [(1, 1, 8), (2, 1, 4), (1, 0, 6)])
def test_the_three_passes_of_a_convolution_cost_the_same(stride, padding, side):
    x, w = np.ones((2, 8, 8, 3), np.float32), np.ones((3, 3, 3, 5), np.float32)
    y = reference.conv2d(x, w, stride, padding)
    dx = y, w, x.shape, stride, padding
    dw = y, x, w.shape, stride, padding
    assert flops.flops("conv2d", (x, w, stride, padding), y) == 2 * 2 * side * side * 5 * 27
    assert flops.flops("conv2d_backward_x", dx, x) == flops.flops("conv2d_backward_w", dw, w) == 2 * y.size * 27


def test_a_matrix_and_its_transpose_cost_the_same_to_orthogonalize():
    u = np.ones((3, 8))
    assert flops.flops("orthogonalize", (u,), u) == flops.flops("orthogonalize", (u.T,), u.T) == 4 * 24 * 3 + 18 * 27


def test_every_array_is_counted_once():
    x, y = np.ones(100, np.float32), np.ones((10, 10))
    assert flops.traffic((x, 1.0), x.copy()) == 800
    assert flops.traffic((x, x), (y, None)) == 1200
    assert flops.flops("nothing known of it", (x,), x) is None
    assert flops.flops("add", (x, x), x) == 100


def test_a_call_is_compared_with_the_rate_that_limits_it():
    row = {"flops": 10**9, "bytes": 10**6, "ms": 20.0}            # 10 ms at the rate of sgemm, 0.02 of copying
    light, heavy, none = ({"flops": count, "bytes": size, "ms": 1.0} for count, size in
                          ((1000, 10**6), (1000, 10**7), (None, 10**6)))
    judged = ops.against([row, light, heavy, none], RATES)
    assert [row["bound"] for row in judged] == ["sgemm", "cache", "memory", "cache"]
    assert [row["percent"] for row in judged] == pytest.approx([50, 2, 100, 2])


def test_on_a_device_no_cache_helps():
    rates = {"multiply_add_gflops": 100.0, "copy_memory_gbs": 10.0}
    heavy, light = ({"flops": count, "bytes": 10**6, "ms": 20.0} for count in (10**9, 1000))
    judged = ops.against([heavy, light], rates)
    assert [(row["bound"], row["percent"]) for row in judged] == [("multiply-add", 50), ("memory", 0.5)]


def test_on_a_gpu_torch_runs_without_tensor_cores_and_with():
    modes = compare.torch_modes("cuda")
    assert len(modes) == 2 * (len(compare.TORCH_MODES) + 1)
    assert [options["tf32"] for options in modes.values()] == [False] * 4 + [True] * 4
    assert [options.get("graphs", False) for options in modes.values()] == 2 * [False, False, False, True]
    assert all(options["device"] == "cuda" for options in modes.values())
    assert compare.torch_modes("cpu") == compare.TORCH_MODES


def test_options_for_the_processor_are_refused_on_a_gpu(monkeypatch):
    monkeypatch.setattr(backend, "choose", lambda name: ("cuda", "as asked"))
    with pytest.raises(ValueError, match="--variants and --roofline are about the processor"):
        bench(each_variant=True)


def test_calls_are_timed_by_the_clock_that_is_given():
    taken = timing.times(lambda: None, 0, clock=lambda task: 0.25)
    assert timing.figures(taken, parts=10) == {"ms": 25.0, "ms_min": 25.0, "timed": 3}


def test_ratios_are_taken_round_by_round_against_the_best_mode(monkeypatch):
    rows, failures, asked = compared(monkeypatch, TIMES, 3)
    found = compare.summary(rows)
    assert not failures
    assert found["train_best"] == LAST                      # smallest median; torch.compile had the best round
    assert found["train_ratios"] == [3, 1.5, 3.5]
    assert found["train_ratio"] == found["eval_ratio"] == 3
    assert found["modes"]["npse"] == {"train_ms": 10, "eval_ms": 5, "peak_mb": 100}
    assert {asked[k] for k in (0, 4, 8)} == {EAGER, LAST, COMPILED}       # each round begins with another mode
    assert sorted(asked) == sorted([*TIMES] * 3)


def test_a_mode_that_fails_is_reported_and_left_out(monkeypatch):
    rows, failures, asked = compared(monkeypatch, TIMES, 3, fails=[COMPILED])
    assert failures == {COMPILED: "no C++ compiler"}
    assert asked.count(COMPILED) == 1
    assert {row["mode"] for row in rows} == {"npse", EAGER, LAST}
    note = report.versus(compare.summary(rows), failures, 2, 3).notes[-1]
    assert note == f"{COMPILED} failed and is left out: no C++ compiler"


@pytest.mark.parametrize("fails", [["npse"], [EAGER, LAST, COMPILED]])
def test_without_anything_to_compare_there_is_an_error(monkeypatch, fails):
    with pytest.raises(ChildProcessError, match="no C\\+\\+ compiler"):
        compared(monkeypatch, TIMES, 1, fails=fails)


def test_a_missing_torch_is_reported_before_anything_is_measured(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="pip install torch=="):
        bench(vs="torch")
    with pytest.raises(ImportError, match=r"with torch needs .*pip install torch=="):
        bench(vs="torch,openvino")


@pytest.mark.parametrize(("vs", "edition", "message"), [
    ("jax", "cpu", "unknown peer 'jax'; known are: torch, openvino, onnxruntime"),
    ("opnvino", "cpu", "did you mean openvino"), ("", "cpu", "unknown peer ''"),
    ("openvino", "cuda", "openvino runs on the processor")])
def test_peers_that_cannot_be_asked_for(vs, edition, message):
    with pytest.raises(ValueError, match=message):
        compare.peers_of(vs, edition)


def test_a_missing_folder_is_reported_before_anything_is_measured(tmp_path):
    with pytest.raises(FileNotFoundError, match="make it first"):
        bench(json_file=tmp_path / "no" / "bench.json")


def test_sgemm_is_the_best_of_all_kernels_that_run(monkeypatch):
    def ask(job, threads, seconds, environment=None):
        core_type = (environment or {}).get("OPENBLAS_CORETYPE")
        if core_type == "Forbidden":
            raise ChildProcessError("illegal instruction")
        return {"sgemm_gflops": 400 if core_type else 200, "copy_cache_gbs": 9 if core_type else 10,
                "copy_memory_gbs": 3, "blas": "openblas"}
    monkeypatch.setattr(machine_rates, "ask", ask)
    found = machine_rates.rates(2, 0, ("Forbidden", "SkylakeX"))
    assert (found["sgemm_gflops"], found["core_type"], found["copy_cache_gbs"]) == (400, "SkylakeX", 10)
    assert [row["core_type"] for row in found["tried"]] == [None, "SkylakeX"]
    assert "other programs ran" in report.machine(found | {"load": 2.0}).notes[-1]


def test_an_error_in_a_worker_is_raised_in_this_process():
    with pytest.raises(ChildProcessError, match="ValueError: unknown model 'nope'; all are in docs"):
        process.ask(step.measure, threads=1, model="nope", batch_size=1, edition="auto", seconds=0)


def test_a_worker_that_dies_is_reported(monkeypatch):
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(ChildProcessError, match="ended with code 1"):
        process.ask(step.measure, threads=1)


def test_a_worker_prints_one_line_of_json(monkeypatch, capsys):
    monkeypatch.setattr(timing, "echo", lambda threads: {"threads": threads}, raising=False)
    worker.main("timing.echo", '{"threads": 3}')
    assert json.loads(capsys.readouterr().out) == {"result": {"threads": 3}}


def test_the_peak_of_memory_is_that_of_the_process_alone():
    here = np.ones(2**25)                                         # 268 MB
    code = "from npse.bench.timing import peak_memory; print(peak_memory())"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert timing.peak_memory() > here.nbytes / 1e6
    assert 5 < float(there.stdout) < 200


def test_calls_are_timed_one_by_one():
    calls = []
    taken = timing.times(lambda: calls.append(1), 0, least=4, warm=2)
    assert (len(taken), len(calls)) == (4, 6)
    assert timing.figures([0.001, 0.003, 0.002]) == {"ms": 2, "ms_min": 1, "timed": 3}


CONVOLUTION = [[2, 6, 7, 5], [3, 3, 5, 4], 1, 1]
WIDE = [[2, 6, 7, 16], [3, 3, 16, 16], 1, 1]                      # wide enough for every variant


def test_every_variant_is_timed_and_right():
    rows = variants.measure([WIDE], 1, 0)
    assert len(variants.variants()) == len({row["variant"] for row in rows})
    assert {row["pass"] for row in rows} == set(variants.PASSES)
    for row in rows:
        assert row["error"] < 1e-5
        assert row["gflops"] == pytest.approx(2 * 2 * 6 * 7 * 16 * 144 / row["ms"] / 1e6)


def test_a_variant_that_refuses_is_left_out(monkeypatch):
    def refuses(*arguments):
        raise ValueError("only 64 channels")
    monkeypatch.setattr(variants, "variants", lambda: {"one": (refuses, reference.conv2d_backward_x, refuses)})
    assert [row["pass"] for row in variants.measure([CONVOLUTION], 1, 0)] == ["conv2d_backward_x"]


def test_the_time_of_python_loops_is_scaled_to_all_pixels():
    pytest.importorskip("numba")
    small, large = ([[batch, *CONVOLUTION[0][1:]], *CONVOLUTION[1:]] for batch in (1, 1000))
    rows = process.ask(variants.measure_python, threads=1, convolutions=[small, large],
                       environment={"NUMBA_DISABLE_JIT": "1"})
    assert all(row["extrapolated"] and row["gflops"] < 0.5 for row in rows)
    (forward, *_), (forward_large, *_) = rows[:3], rows[3:]
    assert 200 < forward_large["ms"] / forward["ms"] < 5000


def test_the_cells_of_the_tables():
    row = {"op": "conv2d_backward_w", "arguments": [[2, 8, 8, 4], [2, 8, 8, 4], [3, 3, 4, 4], 1, 1], "count": 2,
           "ms": 1.0, "ms_min": 0.9, "ms_step": 2.0, "gflops": 5.0, "gbs": 1.0, "percent": 50.0, "bound": "sgemm"}
    small = row | {"op": "relu", "ms_step": 0.05, "gflops": None}
    table = report.ops([row, small, small], 3.0)
    assert table.rows[0][:3] == ("conv2d_backward_w", "2x8x8x4 3x3x4x4 s1 p1", "2")
    assert table.rows[0][5] == "95.2%"
    assert table.rows[1][0] == "2 other calls"
    assert all(len(cells) == len(table.columns) for cells in table.rows)
    rows = [{"pass": op, "x": [2, 6], "w": [3, 3], "variant": "tile", "ms": 1.0, "gflops": 50.0, "error": 1e-7}
             for op in variants.PASSES[:2]]
    table = report.variants(rows, RATES)
    assert table.rows == [("2x6", "3x3", "tile", "1.00", "50 (50 %)", "1.00", "50 (50 %)", "-", "-", "1e-07")]
