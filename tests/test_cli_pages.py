"""The output of the command line fits 80 columns and every encoding, in a file and on a terminal."""

import contextlib
import dataclasses
import os
import re
import subprocess
import sys

import pytest
from typer.main import get_command

from npse import cli
from npse.bench import report
from npse.cli import bench
from npse.cli.command import SPELLINGS
from npse.data.registry import PICTURE_EPOCHS, SETS
from npse.training.config import Config

ESCAPES = re.compile(r"\x1b\[[?\d;]*[A-Za-z]")


def commands(command=None, words=()):
    """Yield every command of npse: the words that call it, and typer's command."""
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


def shown_defaults(page):
    """Return the default of each option on a help page; the option is written without its dashes."""
    rows = re.findall(r"^  (?:-\w, )?--([\w-]+)(.*?)(?=^  -|^\w|\Z)", page, re.MULTILINE | re.DOTALL)
    defaults = {name: re.search(r"\[default: (.*?)\]", " ".join(text.split())) for name, text in rows}
    return {name: default and default[1] for name, default in defaults.items()}


def test_the_defaults_on_the_page_of_train_are_those_of_a_run(npse, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = shown_defaults(npse("train", "--help")[1])
    settings = {SPELLINGS.get(field.name, field.name.replace("_", "-")): field.default
                for field in dataclasses.fields(Config)}
    assert SETS[Config.data].epochs == Config.epochs
    assert all(entry.epochs == (PICTURE_EPOCHS if "cifar" in name else Config.epochs) for name, entry in SETS.items())
    settings["epochs"] = f"{Config.epochs}; CIFAR, own pictures: {PICTURE_EPOCHS}"
    settings["option"], settings["bias-lr"], settings["filter-momentum"] = "none", "that of --lr", "that of --momentum"
    assert settings.keys() - shown.keys() == {"options"}
    assert shown == {name: str(settings[name]) for name in shown if settings.get(name, False) is not False} | {
        "bias": None, "hidden-norm": None, "sync-bn": None, "budget": None, "recipe": None, "resume": None,
        "help": None, "threads": "all cores", "out": "runs/MODEL-DATA-N"}


@pytest.mark.parametrize("spelt", ["optimizer", "optimiser"])
@pytest.mark.parametrize("option", ["--{} sgd", "--{}=sgd"])
def test_the_optimizer_is_accepted_in_both_spellings(npse, monkeypatch, spelt, option):
    configs = []
    monkeypatch.setattr("npse.cli.train.carry_out", lambda config, *_, **__: configs.append(config))
    assert npse("train", *option.format(spelt).split()) == (0, "", "")
    assert configs == [Config(optimizer="sgd")]
    assert npse("train", f"--{spelt}", "mun")[2].startswith(
        "npse: --optimizer must be a known name, but is 'mun'; did you mean muon?")
    assert "--optimiser" not in npse("train", "--help")[1]
    assert "unknown data set 'optimiser'" in npse("data", "fetch", "optimiser")[2]          # a value stays as it is


def test_an_option_of_version_0_1_means_what_it_is_today(npse, monkeypatch):
    configs = []
    monkeypatch.setattr("npse.cli.train.carry_out", lambda config, *_, **__: configs.append(config))
    assert npse("train", "--flip") == npse("train", "--tta", "mirror") == (0, "", "")
    assert configs[0] == configs[1]
    assert configs[0].tta == "mirror"
    assert npse("check", "--flip")[0] == 2


@pytest.mark.parametrize("spelt", ["variants", "ladder"])
def test_the_old_name_of_the_variants_is_accepted(npse, monkeypatch, spelt):
    monkeypatch.setattr("npse.backend.choose", lambda name: ("cuda", "as asked"))
    assert npse("bench", f"--{spelt}") == (2, "", "npse: --variants and --roofline are about the processor; "
                                                 "leave them out, or add --edition cpu\n")


@pytest.mark.parametrize(("given", "epochs"), [((), 10), (("--data", "cifar10"), 30), (("--epochs", "3"), 3),
                                               (("--data", "cifar10", "--epochs", "3"), 3)])
def test_a_run_has_the_epochs_that_the_page_states(npse, monkeypatch, given, epochs):
    configs = []
    monkeypatch.setattr("npse.cli.train.carry_out", lambda config, *_, **__: configs.append(config))
    assert npse("train", *given)[0] == 0
    assert configs == [dataclasses.replace(Config(), epochs=epochs, data=given[1] if "--data" in given else "shapes")]


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


def bench_variants():
    rows = [{"x": [128, 32, 32, 16], "w": [3, 3, 16, 16], "variant": name, "pass": op, "ms": 12345.6, "gflops": 1234.5,
             "error": 1e-6, "extrapolated": name == "Python loops"}
            for name in ("Python loops", "winograd") for op in ("conv2d", "conv2d_backward_x", "conv2d_backward_w")]
    return report.variants(rows, {"sgemm_gflops": 2000.0})


def bench_versus():
    row = {"train_ms": 1234.5, "eval_ms": 345.6, "peak_mb": 1234.0}
    modes = {"npse": row, "torch eager, channels_last": row, "torch compile, channels_last": row}
    ratios = {f"{kind}_{fact}": value for kind in ("train", "eval")
              for fact, value in (("ratio", 2.2), ("best", "torch eager, channels_last"), ("ratios", [1.9, 2.4]))}
    return report.versus({"modes": modes, **ratios}, {"torch compile": "no compiler"}, 128, 5)


@pytest.mark.parametrize("table", [bench_ops, bench_machine, bench_variants, bench_versus])
def test_the_tables_of_bench_fit_and_keep_their_numbers(capsys, monkeypatch, table):
    monkeypatch.setenv("COLUMNS", "80")
    bench.print_table(table())
    out = capsys.readouterr().out
    fits(out)
    kept = [k for k, title in enumerate(table().columns) if title not in table().spare and not title.startswith("<")]
    for row in table().rows:
        assert {row[k] for k in kept} <= words(out)


def fits(out, columns=80):
    assert max(map(len, out.splitlines())) <= columns, out
    assert "…" not in out


def words(out):
    """Return the cells of a table; words with a single space between them are one cell."""
    return set(re.split(r"\s\s+|\n", out))


def on_a_terminal(*given, encoding="utf-8", columns=80, program=("-m", "npse")):
    """Call npse or another program on a terminal of ``columns`` columns; return its output without escape sequences."""
    import pty
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}
    child = subprocess.Popen([sys.executable, *program, *map(str, given)], stdin=theirs, stdout=theirs,
                             stderr=theirs, close_fds=True,
                             env=environment | {"PYTHONIOENCODING": encoding, "TERM": "xterm"})
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):                            # the terminal closes when the child ends
        while chunk := os.read(ours, 4096):
            said += chunk
    os.close(ours)
    assert child.wait() in (0, 2), said
    return ESCAPES.sub("", said.decode(encoding)).replace("\r\n", "\n")


terminal = pytest.mark.skipif(sys.platform == "win32" or sys.version_info < (3, 11), reason="needs a pty")


@terminal
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_terminal_of_80_columns_shows_whole_numbers_in_every_encoding(encoding):
    given = "check", "--op", "batch_norm_inference_backward", "--edition", "reference"
    shown = on_a_terminal(*given, encoding=encoding).rpartition("\r")[2]
    fits(shown)
    piped = subprocess.run([sys.executable, "-m", "npse", *given], capture_output=True, text=True, check=True).stdout
    numbers = re.compile(r"\d\.\de[-+]\d\d")
    assert numbers.search(piped)
    for line in piped.splitlines()[:-1]:
        assert set(numbers.findall(line)[:1]) <= set(numbers.findall(shown))


RUN = """
import time
from npse.cli.progress import Bar
from npse.training.metric_accumulator import Progress
with Bar() as bar:
    bar.say("into runs/:cat:/[bold]run")
    progress = Progress(epoch=8)
    bar.began(10, 390, progress)
    for progress.step in (100, 200, 390):
        time.sleep(0.01)                       # no network trains at 100 000 images/s, which would take more columns
        progress.seen = 100 * progress.step
        progress.loss_sum, progress.correct = 1.23 * progress.seen, 54 * progress.step
        bar.stepped(progress, 100)
        bar.bar.refresh()
    bar.epoch_done({"epoch": 9, "train_loss": 1.23, "train_accuracy": 0.54, "loss": 1.12, "accuracy": 0.6,
                    "evaluated_on": "validation", "images_per_second": 2345.6, "seconds": 123.4})
"""


@terminal
@pytest.mark.parametrize(("columns", "figures"), [
    (40, "loss 1.230\n"), (60, "loss 1.230  accuracy 54.0%\n"), (80, r"loss 1.230  accuracy 54.0%  \d+:\d\d left"),
    (120, r"loss 1.230  accuracy 54.0%  \d+:\d\d left  \d+ images/s\n")])
def test_a_run_shows_whole_words_on_a_narrow_terminal(columns, figures):
    shown = on_a_terminal(columns=columns, program=("-c", RUN)).replace("\r", "\n")
    fits(shown, columns)
    assert set(shown.split()) >= {
        "runs/:cat:/[bold]run", "epoch=9/10", "train_loss=1.2300", "train_accuracy=0.5400", "loss=1.1200",
        "accuracy=0.6000", "evaluated_on=validation", "images_per_second=2346", "seconds=123.4"}
    assert re.search(rf"epoch 9/10 \S+ 390/390 {figures}", re.sub(" +\n", "\n", shown))


@terminal
@pytest.mark.parametrize("given", [("exercise", "list"), ("exercise", "hint", "2", "--all"), ("info",),
                                   ("exercise", "solution", "6"), ("train", "--data", "ünïcode █ 数")], ids=" ".join)
def test_no_command_fails_because_of_the_encoding_of_the_terminal(given):
    assert "Traceback" not in on_a_terminal(*given, encoding="ascii")


def test_characters_that_an_encoding_lacks_are_replaced(capsys):
    line = "█ 5 × 3 · ² é … → 数 \udcff"
    code = f"from npse.cli.console import fit_encoding; fit_encoding(); print({line!r})"
    for encoding, wanted in (("ascii", "# 5 x 3 . 2 e ... -> ? ?"), ("cp437", "█ 5 x 3 · ² é ... -> ? ?"),
                             ("utf-8", "█ 5 × 3 · ² é … → 数 ?")):
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True,
                             env=os.environ | {"PYTHONIOENCODING": encoding})
        assert ran.stdout.decode(encoding).rstrip() == wanted
