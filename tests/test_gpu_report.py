"""benchmarks/gpu_report.py without a GPU, and the page that it writes with one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def run(*words):
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_ENABLE_CUDASIM"}
    return subprocess.run([sys.executable, BENCHMARKS / "gpu_report.py", *words], capture_output=True, text=True,
                          env=environment | {"CUDA_VISIBLE_DEVICES": ""})


def test_it_prints_its_options():
    ran = run("--help")
    assert ran.returncode == 0
    assert "--cifar10" in ran.stdout


def test_without_a_gpu_it_says_so_in_one_line(tmp_path):
    ran = run("--out", tmp_path / "report")
    assert ran.returncode == 2
    assert ran.stderr.startswith("gpu_report: ")
    assert ran.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.fixture
def page(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from gpu_page import page

    return page


FOUND = {"gpu": {"name": "NVIDIA Test GPU", "driver": "580.1", "cuda": "13.0"}, "commit": "abc", "batch": 512,
         "versions": {"python": "3.11", "npse": "0.1", "safetensors": None}, "model": "se_resnet20",
         "parts": {}, "failures": {"judge": "not begun, no time was left"}}


def test_a_page_without_results_says_what_failed(page):
    text = page(FOUND)
    assert "On a GPU: NVIDIA Test GPU" in text
    assert "* judge: not begun, no time was left" in text
    assert "| CIFAR-10, se_resnet20, test accuracy | 92 % | - |" in text


def test_a_page_fills_the_table(page):
    def timed(ms):
        return {"train": {"ms": ms}, "eval": {"ms": ms / 4}, "peak_mb": 100.0}

    def row(op, arguments, flops, size):
        return {"op": op, "arguments": arguments, "count": 2, "flops": flops, "bytes": size, "ms": 1.0}
    convolution = row("conv2d", [[512, 32, 32, 16], [3, 3, 16, 16], 1, 1], 30 * 10**9, 10**6)
    norm = row("batch_norm", [[512, 32, 32, 16], [16], [16], None], 10**6, 10**9)
    small = row("relu", [[512, 16]], 10**4, 10**6)
    parts = {"kernels": {"compiled": 300, "seconds": 51.2},
             "rates": {"copy_memory_gbs": 2000.0, "multiply_add_gflops": 50e3},
             "npse": {"step": timed(8.0), "ops": [convolution, norm, small], "alone": [norm]},
             "npse, tf32 on": timed(4.0),
             "npse, Winograd": {"step": timed(6.4), "layers": [
                 {"images": 512, "side": 8, "channels": 64, "register": [0.5, 0.5, 0.7], "winograd": [0.2, 0.5, 1.0]}]},
             "torch eager, NCHW, tf32 off": timed(16.0), "torch eager, NCHW, tf32 on": timed(10.0),
             "judge": {"cases": 3, "of": 3, "checks": 9, "worst": 1e-8, "wrong": ["conv2d: gradient of x is wrong"]},
             "training": {"accuracy": 0.9213, "data": "cifar10", "epoch": 30, "epochs": 30, "minutes": 1.5,
                          "images_per_second": 60000.0}}
    text = page(FOUND | {"parts": parts, "failures": {}})
    for words in ("npse 64000; npse, Winograd 80000; torch eager, NCHW, tf32 off 32000 |",
                  "| 70 % | 50 % (50 .. 50 % over 2 ",
                  "| 50 % | 60 % (60 .. 60 % over 1 ", "92.13% on cifar10 after 30 of 30 epochs, 1.5 min",
                  "| npse, tf32 on | 4.00 | 128000 |", "| npse, Winograd | 6.40 | 80000 |",
                  "| 512 maps of 8x8, 64 channels | 0.500, 0.500, 0.700 | 0.200, 0.500, 1.000 |",
                  "300 kernels were compiled in 51 s;",
                  "every case: 9 checks, 1 WRONG", "* conv2d: gradient of x is wrong",
                  "| conv2d | 512x32x32x16 3x3x16x16 s1 p1 | 2 | 1.0000 | 1 | 30.00 | 60 % multiply-add |"):
        assert words in text
    assert "Not, or not wholly" not in text
