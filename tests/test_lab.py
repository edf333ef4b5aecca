"""Experiments: specs and their mistakes, the statistics, results as lines, the table, the command."""

import csv
import io
import json
import math
import random
import statistics
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npse.lab import estimate, output, table
from npse.lab.comparison import deviation, paired, t_probability, t_quantile
from npse.lab.results import Result, Results
from npse.lab.spec import SHIPPED, Spec, load, parse_seeds
from npse.layers import EXCITATIONS, GATES, PLACEMENTS, SQUEEZES
from npse.support.markdown import between_markers
from npse.training import Config, recipes

SPEC = """
title = "Mine"
question = "Which?"
baseline = "a"
seeds = "0-2"
[base]
epochs = 2
[variants.a]
[variants.b]
excitation = "eca"
[paper]
column = "error, %"
numbers = {b = 1.5}
"""


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "mine.toml").write_text(SPEC)
    return load(str(tmp_path / "mine.toml"))


def result(config, accuracy, variant="a", **changes):
    made = Result(variant, config, accuracy, "test", 10.0, 10, 2, "edition cpu (as asked), 1 threads", "a processor",
                  "0123456789", {"python": "3.11", "numpy": "2.0", "numba": "0.61"})
    return replace(made, **changes)


@pytest.fixture
def results(spec, tmp_path):
    """Results of the variants a (seeds 0, 1, 2) and b (seeds 0, 1)."""
    found = Results(tmp_path / "results.jsonl")
    found.add(result(spec.config("a", seed), accuracy) for seed, accuracy in enumerate((0.80, 0.82, 0.87)))
    found.add(result(spec.config("b", seed), accuracy, "b") for seed, accuracy in enumerate((0.83, 0.86)))
    return found


# Specs

def test_a_spec_is_read(spec):
    assert (spec.name, spec.title, spec.baseline, spec.seeds) == ("mine", "Mine", "a", (0, 1, 2))
    assert spec.config("b", 7) == Config(epochs=2, excitation="eca", seed=7)
    assert (spec.paper_column, spec.paper) == ("error, %", {"b": "1.5"})


def test_settings_that_are_left_out_are_those_of_train(tmp_path):
    (tmp_path / "long.toml").write_text(SPEC.replace("epochs = 2", 'data = "cifar10"'))
    assert load(str(tmp_path / "long.toml")).config("a", 0) == Config(data="cifar10", epochs=30)


def test_a_spec_may_begin_with_a_recipe(tmp_path):
    text = SPEC.replace('excitation = "eca"', "options.patch = 3")
    (tmp_path / "short.toml").write_text(f'recipe = "fast94"\n{text}')
    spec = load(str(tmp_path / "short.toml"))
    fast94 = recipes.load("fast94").settings
    assert spec.config("a", 1) == Config(**fast94 | {"epochs": 2, "seed": 1})
    assert spec.config("b", 1).options == fast94["options"] | {"patch": 3}
    assert table.command(spec).startswith("npse train --recipe fast94 ")


@pytest.mark.parametrize(("old", "new", "message"), [
    ('title = "Mine"', 'title = "Mine"\nrecipe = "fast93"', "variant a: unknown recipe 'fast93'; did you mean fast95"),
    ('excitation = "eca"', 'excitaton = "eca"', "variant b has the unknown setting 'excitaton'; did you mean excit"),
    ('excitation = "eca"', 'model = "se_resnet9"', "variant b: unknown model 'se_resnet9'; did you mean se_resnet"),
    ('excitation = "eca"', 'excitation = "ecaa"', "variant b: unknown excitation 'ecaa'; did you mean eca"),
    ('excitation = "eca"', "epochs = 0", "variant b: epochs must be at least 1, but is 0"),
    ('excitation = "eca"', "epochs = 2", "variants a and b have the same settings"),
    ('excitation = "eca"', 'edition = "cpu"', "variants a and b have the same settings"),
    ('excitation = "eca"', "seed = 2", "variant b sets the seed; list all seeds in seeds"),
    ("epochs = 2", 'data = "cifar11"', "variant a: unknown data set 'cifar11'; did you mean cifar10"),
    ("epochs = 2", "epoch = 2", "base has the unknown setting 'epoch'; did you mean epochs"),
    ('[variants.b]\nexcitation = "eca"', "", "expected at least two variants, but found 1"),
    ('baseline = "a"', 'baseline = "A"', "baseline must be a variant, but is 'A'; did you mean a"),
    ('baseline = "a"', "", "baseline is missing"),
    ('baseline = "a"', "baseline = 1", "baseline must be text in quotation marks, but is 1"),
    ('seeds = "0-2"', 'seeds = "3"', "seeds must be at least two, such as 0-4, but are 3"),
    ('seeds = "0-2"', 'seeds = "2-0"', "seeds must be numbers and ranges such as 0-4 or 0,2,5, but are '2-0'"),
    ("[base]", "[bases]", "unknown entry 'bases'; did you mean base"),
    ("[variants.b]", '[variants."../b"]', "the name of a variant must be letters, digits and . _ + -, but is '../b'"),
    ("numbers = {b = 1.5}", "numbers = {c = 1.5}", "paper has a number for the unknown variant 'c'"),
    ("numbers = {b = 1.5}", "", "paper must have a text named column and a table named numbers"),
    ("[variants.b]", "[variants.b", "Expected ']'"),
])
def test_a_mistake_in_a_spec_is_answered_in_one_line(npse, tmp_path, old, new, message):
    assert old in SPEC
    (tmp_path / "mine.toml").write_text(SPEC.replace(old, new, 1))
    code, _, err = npse("ablate", "mine.toml", "--out", "out")
    assert code == 2
    assert err.startswith(f"npse: mine.toml: {message}")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_the_experiments_of_npse_have_all_names():
    whole = {"structures": ("excitation", EXCITATIONS), "gate": ("gate", GATES), "squeeze": ("squeeze", SQUEEZES),
             "placement": ("placement", PLACEMENTS)}
    for name, (setting, known) in whole.items():
        spec = load(name)
        assert {variant: dict(given) for variant, given in spec.variants.items()} == {
            variant: {setting: variant} for variant in known}
    assert {*whole, "reduction", "stages", "no_squeeze", "ingredients", "fast94"} == {*SHIPPED}


@given(st.lists(st.integers(0, 500), min_size=1, max_size=20))
@settings(deadline=None)
def test_seeds_as_text(seeds):
    assert parse_seeds(",".join(map(str, seeds))) == tuple(dict.fromkeys(seeds))
    assert parse_seeds(f"{min(seeds)}-{max(seeds)}") == tuple(range(min(seeds), max(seeds) + 1))


# Statistics

@pytest.mark.parametrize(("freedom", "quantile"), [
    (1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (9, 2.262), (10, 2.228), (30, 2.042), (120, 1.980)])
def test_quantiles_are_those_of_printed_tables(freedom, quantile):
    assert t_quantile(0.975, freedom) == pytest.approx(quantile, abs=6e-4)


def test_the_probability_has_the_closed_forms_of_one_and_two_degrees_of_freedom():
    for t in (0.0, 0.3, 1.0, 7.5, 1e4):
        assert t_probability(t, 1) == pytest.approx(0.5 + math.atan(t) / math.pi, abs=1e-14)
        assert t_probability(t, 2) == pytest.approx(0.5 + t / (2 * math.sqrt(2 + t * t)), abs=1e-14)


@given(st.integers(1, 300), st.floats(0.5, 0.9999))
@settings(deadline=None)
def test_the_quantile_inverts_the_probability_and_nears_the_normal_one(freedom, probability):
    t = t_quantile(probability, freedom)
    assert t_probability(t, freedom) == pytest.approx(probability, abs=1e-12)
    assert t >= statistics.NormalDist().inv_cdf(probability) - 1e-9       # Student's distribution is wider
    if freedom > 200:
        assert t == pytest.approx(statistics.NormalDist().inv_cdf(probability), rel=0.03)


@pytest.mark.parametrize("arguments", [(0.4, 3), (1.0, 3), (0.975, 0)])
def test_a_quantile_that_does_not_exist(arguments):
    with pytest.raises(ValueError, match=r"expected 0\.5 <= probability < 1 and freedom >= 1"):
        t_quantile(*arguments)


def test_a_paired_comparison_by_hand():
    found = paired({0: 3.0, 1: 5.0, 2: 4.0, 9: 99.0}, {0: 1.0, 1: 2.0, 2: 3.0, 8: -99.0}, comparisons=1)
    assert (found.pairs, found.mean) == (3, 2.0)                  # differences 2, 3, 1: deviation 1
    assert found.high == pytest.approx(2 + 4.302653 / math.sqrt(3), abs=1e-5)
    assert found.low == pytest.approx(2 - 4.302653 / math.sqrt(3), abs=1e-5)
    assert found.word == "within noise"
    assert deviation([2.0, 3.0, 1.0]) == 1.0


def test_the_words_of_a_comparison():
    noise = {seed: value for seed, value in enumerate((-0.01, 0.0, 0.01, 0.0))}
    zero = dict.fromkeys(noise, 0.0)

    def word(shift, comparisons=1):
        return paired({seed: shift + value for seed, value in noise.items()}, zero, comparisons).word
    assert [word(shift) for shift in (0.0, 0.02, -0.02)] == ["within noise", "better", "worse"]
    assert [word(shift, 24) for shift in (0.0, 0.02, -0.02)] == ["within noise", "perhaps better", "perhaps worse"]
    assert word(0.1, 24) == "better"
    assert paired({0: 1.0}, {0: 0.5}, 1).word == "too few seeds"
    assert paired({0: 1.0, 1: 1.0}, {0: 0.5, 1: 0.5}, 1).word == "cannot tell"      # a deviation of zero says nothing
    assert paired({0: 1.0, 1: 1.0}, {0: 1.0, 1: 1.0}, 1).word == "within noise"
    assert paired({0: 1.0}, {1: 1.0}, 1) is None


def test_intervals_hold_the_true_difference_as_often_as_they_say():
    """Of 2000 intervals of 95 %, and of the widened ones of 10 comparisons, so many miss: see the binomial spread."""
    rng, times, outside, words = random.Random(0), 2000, 0, 0
    for _ in range(times):
        found = paired({seed: rng.gauss(0, 1) for seed in range(5)}, dict.fromkeys(range(5), 0.0), 10)
        outside += not found.low <= 0 <= found.high
        words += found.word in ("better", "worse")
    assert outside / times == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / times))
    assert words / times == pytest.approx(0.005, abs=4 * math.sqrt(0.005 * 0.995 / times))


# Results

def test_results_come_back_from_their_lines(results, spec):
    results.save()
    again = Results(results.path)
    assert [*again] == [*results]
    assert again.get(replace(spec.config("b", 1), edition="cpu")).accuracy == 0.86
    assert again.get(spec.config("b", 2)) is None


def test_lines_are_only_added(results, spec):
    results.save()
    results.path.write_text(results.path.read_text().replace('"cores"', '"more": 1, "cores"'))    # of another version
    before = results.path.read_text()
    again = Results(results.path)
    again.add([result(spec.config("a", 0), 0.1), result(spec.config("b", 2), 0.9, "b")])
    again.save()
    assert results.path.read_text().startswith(before)
    assert len(results.path.read_text().splitlines()) == 6
    assert Results(results.path).get(spec.config("a", 0)).accuracy == 0.80


@pytest.mark.parametrize(("change", "message"), [
    (lambda row: row | {"accuracy": 80}, r"line 2: accuracy must lie in 0\.\.1, but is 80"),
    (lambda row: row | {"settings": None}, "line 2: settings must be a JSON object"),
    (lambda row: row | {"settings": {"epochs": -1}}, "line 2: epochs must be at least 1, but is -1"),
    (lambda row: {}, "line 2: variant is missing"),
])
def test_a_wrong_line_is_named(results, change, message):
    results.save()
    lines = results.path.read_text().splitlines()
    lines[1] = json.dumps(change(json.loads(lines[1])))
    results.path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=rf"results\.jsonl, {message}.*correct or remove that line"):
        Results(results.path)


# Tables

def test_the_table_by_hand(spec, results):
    made = table.make(spec, spec.seeds, results)
    a, b = made.rows
    assert (a.mean, a.deviation) == (pytest.approx(0.83), pytest.approx(statistics.stdev((0.80, 0.82, 0.87))))
    assert (b.difference.pairs, b.difference.mean) == (2, pytest.approx(0.035))
    assert b.difference.high - b.difference.mean == pytest.approx(12.7062 * 0.005, rel=1e-4)
    assert a.parameters - b.parameters == 2 * (16 * 4 + 32 * 8 + 64 * 16) - 9     # ECA: three weights in each block
    assert a.multiply_adds > b.multiply_adds > 1e7
    assert made.intervals == 1
    text = output.markdown(made)
    assert "| `a` | 3 | 83.00 | 3.61 |  |  | the baseline | 80,730 | 12.57 M |  |\n" in text
    assert "| `b` | 2 | 84.50 | 2.12 | +3.50 | -2.85 to +9.85 | within noise | 78,051 | 12.56 M | 1.5 |\n" in text
    assert "NOT COMPLETE: 5 of 6 runs are finished." in text
    assert "`npse train --epochs 2 --seed S`" in text
    assert "The table\nholds 1 interval of 95%" in text
    assert "edition cpu, 1 threads on 2 cores, a processor. Training took 1 minute" in " ".join(text.split())
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) < 98


def test_with_one_seed_the_table_says_so(spec, results):
    made = table.make(spec, (0,), results)
    assert made.rows[0].deviation is None
    assert made.rows[1].difference.word == "too few seeds"
    assert "one seed never shows" in output.markdown(made)
    assert "interval of" not in output.markdown(made)
    assert "NOT COMPLETE" not in output.markdown(made)


def test_csv_and_json_hold_each_seed(spec, results, tmp_path):
    written = output.write(table.make(spec, spec.seeds, results), tmp_path)
    assert [path.name for path in written] == ["table.md", "table.csv", "table.json", "table.png"]
    rows = [*csv.DictReader(io.StringIO((tmp_path / "table.csv").read_text()))]
    assert [row["seed_1"] for row in rows] == ["0.82", "0.86"]
    assert [row["seed_2"] for row in rows] == ["0.87", ""]
    found = json.loads((tmp_path / "table.json").read_text())
    assert found["rows"][1]["accuracies"] == {"0": 0.83, "1": 0.86}
    assert found["rows"][1]["difference_word"] == "within noise"
    assert found["intervals"] == 1


def test_without_a_run_there_is_a_table_and_no_picture(spec, tmp_path):
    made = table.make(spec, spec.seeds, Results(tmp_path / "none.jsonl"))
    assert [path.name for path in output.write(made, tmp_path)] == ["table.md", "table.csv", "table.json"]
    assert "| no run |" in (tmp_path / "table.md").read_text()


def test_hours_and_minutes():
    assert [estimate.in_words(seconds) for seconds in (50, 7140, 12600)] == ["1 minute", "119 minutes", "3.5 hours"]


# The command

def test_the_list(npse):
    code, out, _ = npse("ablate", "--list")
    assert code == 0
    for name in SHIPPED:
        assert f"\n{name} " in out


@pytest.mark.parametrize(("words", "message"), [
    ((), "expected the name of an experiment or a TOML file; npse ablate --list shows the names"),
    (("gates",), "unknown spec 'gates', and not the path of a .toml file; did you mean gate?"),
    (("gate", "--seeds", "a"), "--seeds must be numbers and ranges such as 0-4 or 0,2,5, but are 'a'"),
    (("gate", "--only", "sigmoids"), "unknown variant 'sigmoids' of gate; did you mean sigmoid"),
    (("gate", "--from", "none.jsonl"), "none.jsonl does not exist; expected a results.jsonl"),
    (("gate", "--write", "none.md"), "none.md: No such file or directory"),
    (("none.toml",), "none.toml: No such file or directory"),
])
def test_a_mistake_is_answered_in_one_line_and_leaves_nothing(npse, tmp_path, words, message):
    code, _, err = npse("ablate", *words)
    assert (code, len(err.splitlines())) == (2, 1)
    assert err.startswith(f"npse: {message}")
    assert [*tmp_path.iterdir()] == []


def test_missing_data_is_answered_in_one_line_and_leaves_nothing(npse, tmp_path, monkeypatch):
    monkeypatch.setenv("NPSE_DATA_DIR", str(tmp_path / "none"))
    code, _, err = npse("ablate", "gate")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "npse data fetch cifar10" in err
    assert [*tmp_path.iterdir()] == []


def test_results_of_another_machine_make_the_table(npse, spec, results, tmp_path):
    results.path = tmp_path / "theirs.jsonl"
    results.add([result(Config(epochs=9), 0.5)])                  # of another experiment
    results.save()
    (tmp_path / "page.md").write_text("before\n<!-- npse ablate mine: begin -->\nold\n<!-- npse ablate mine: end -->\n")
    code, out, err = npse("ablate", "mine.toml", "--from", "theirs.jsonl", "--collect", "--write", "page.md")
    assert code == 0, err
    assert "5 of 6 runs are finished" in out
    assert len((tmp_path / "runs" / "mine" / "results.jsonl").read_text().splitlines()) == 5
    page = (tmp_path / "runs" / "mine" / "table.md").read_text()
    assert (tmp_path / "page.md").read_text() == between_markers(
        "before\n<!-- npse ablate mine: begin -->\n<!-- npse ablate mine: end -->\n", page.rstrip(),
        ("<!-- npse ablate mine: begin -->", "<!-- npse ablate mine: end -->"))
    code, again, _ = npse("ablate", "mine.toml", "--collect")     # from its own lines now
    assert again.partition("\nwrote")[0] == out.partition("\nwrote")[0]


def test_a_dry_run_writes_nothing(npse, spec, tmp_path, monkeypatch):
    monkeypatch.setattr(estimate.budget, "measure", lambda config, at_least: estimate.budget.Pace(600.0))
    code, out, err = npse("ablate", "mine.toml", "--dry-run", "--only", "b", "--jobs", 2)
    assert code == 0, err
    assert "3 runs to train, 2 at the same time with" in out
    assert "about 30 minutes; nothing was written" in out
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


def test_a_spec_needs_two_seeds_in_python_too():
    with pytest.raises(ValueError, match="one seed never shows"):
        Spec("s", "", "", "a", (1,), {}, {"a": {}, "b": {"epochs": 1}})
