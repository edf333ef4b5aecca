"""What the command line writes fits its reader: 80 columns, every encoding, a file or a terminal."""

import io
import os
import re
import subprocess
import sys

import pytest
from typer.main import get_command

from npse import cli
from npse.bench import report
from npse.cli import bench, check, console
from npse.exercises import exercises
from npse.gradcheck.results import Result

ENCODINGS = ("ascii", "cp437", "cp1252", "latin-1", "utf-8")
ASKED = ("Arguments:", "Options:", "Examples:")


def commands(command=None, words=()):
    """Every command of npse: the words that call it, and what typer made of it."""
    command = command or get_command(cli.app)
    yield words, command
    for name, part in getattr(command, "commands", {}).items():
        yield from commands(part, (*words, name))


COMMANDS = dict(commands())


@pytest.mark.parametrize("columns", [80, 100, 160])
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_help_page_fits(npse, monkeypatch, words, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    code, out, _ = npse(*words, "--help")
    assert code == 0
    assert max(map(len, out.splitlines())) <= min(columns, 100)
    for generated in ("<", "…", "{", "(none)", "[default: (", "--bias X", "--bias NAME"):
        assert generated not in out
    if not hasattr(COMMANDS[words], "commands"):
        assert "Examples:" in out


def test_a_paragraph_of_a_help_page_is_folded_as_a_whole(npse, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = npse("train", "--help")[1].split("\n\n")[2].splitlines()
    assert len(lines) == 3
    assert all(len(line) > 70 for line in lines[:-1])


@pytest.mark.parametrize("words", [words for words, command in COMMANDS.items() if command.epilog], ids=" ".join)
def test_the_examples_of_a_page_are_commands(words):
    command = COMMANDS[words]
    for line in command.epilog.splitlines():
        given = line.split()
        assert given[:len(words) + 1] == ["npse", *words]
        command.make_context(words[-1], given[len(words) + 1:])


def bench_ops():
    row = {"op": "batch_norm_inference_backward", "arguments": [[128, 32, 32, 16], [3, 3, 16, 16], 1, 1, [16], [16]],
           "count": 13, "ms": 1234.567, "ms_min": 1000.123, "ms_step": 12345.6, "gflops": 1234.5, "gbs": 123.4,
           "percent": 123.0, "bound": "memory"}
    return report.ops([row, {**row, "op": "conv2d", "gflops": None}], 98765.4)


def bench_machine():
    tried = [{"core_type": kind, "sgemm_gflops": 1234.0, "copy_cache_gbs": 123.0, "copy_memory_gbs": 45.0,
              "blas": "openblas 0.3.31.188.0, SkylakeX, 2 threads"} for kind in (None, "Haswell", "SkylakeX")]
    return report.machine({"tried": tried, "cache_bytes": 2**25, "load": 3.0, "threads": 2})


def bench_ladder():
    rows = [{"x": [128, 32, 32, 16], "w": [3, 3, 16, 16], "rung": rung, "pass": name, "ms": 12345.6, "gflops": 1234.5,
             "error": 1e-6, "extrapolated": rung == "Python loops"}
            for rung in ("Python loops", "winograd") for name in ("conv2d", "conv2d_backward_x", "conv2d_backward_w")]
    return report.ladder(rows, {"sgemm_gflops": 2000.0})


def bench_versus():
    row = {"train_ms": 1234.5, "eval_ms": 345.6, "peak_mb": 1234.0}
    modes = {"npse": row, "torch eager, channels_last": row, "torch compile, channels_last": row}
    ratios = {f"{kind}_{fact}": value for kind in ("train", "eval")
              for fact, value in (("ratio_best_torch", 2.2), ("best_torch", "torch eager, channels_last"),
                                  ("ratios", [1.9, 2.4]))}
    return report.versus({"modes": modes, **ratios}, {"torch compile": "no compiler"}, 128, 5)


@pytest.mark.parametrize("table", [bench_ops, bench_machine, bench_ladder, bench_versus])
@pytest.mark.parametrize("live", [False, True])
def test_the_tables_of_bench_fit_and_keep_their_numbers(capsys, monkeypatch, table, live):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: live)
    bench._print(table())
    out = capsys.readouterr().out
    fits(out)
    kept = [k for k, title in enumerate(table().columns) if title not in table().spare]
    for row in table().rows:
        assert {row[k] for k in kept if not table().columns[k].startswith("<")} <= set(re.split(r"\s\s+|\n", out))


def fits(out, columns=80):
    assert max(map(len, out.splitlines())) <= columns, out
    assert "…" not in out
