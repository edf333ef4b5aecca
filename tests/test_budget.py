"""--budget: spans, the plan that fits, and refusals."""

import pytest

from npse.training import Config, budget, recipes

TABLE = {"se_resnet8": {5: 0.80, 20: 0.86}, "se_resnet20": {10: 0.88, 30: 0.91}}
PACE = {"se_resnet8": 10.0, "se_resnet20": 30.0, "fast": 100.0}


def plan(span, only=None):
    runs = [budget.Candidate(model, Config(data="cifar10", model=model), table) for model, table in TABLE.items()
            if only in (None, model)]
    return budget.plan(runs, span, lambda run: budget.Pace(PACE[run.config.model]))


@pytest.mark.parametrize(("text", "seconds"), [("20min", 1200), ("90s", 90), ("1.5h", 5400), (" 2 m ", 120)])
def test_spans(text, seconds):
    assert budget.parse_span(text) == seconds


@pytest.mark.parametrize("text", ["", "20", "fast", "0s", "-5min", "1d"])
def test_a_text_that_is_no_span(text):
    with pytest.raises(ValueError, match="budget must be a span of time such as 20min"):
        budget.parse_span(text)


def test_the_best_that_fits():
    short, long = plan(120), plan(1000)
    assert (short.name, short.config) == ("se_resnet8", Config(data="cifar10", model="se_resnet8", epochs=10))
    assert short.seconds <= 120
    assert (long.config.model, long.config.epochs) == ("se_resnet20", 32)
    assert long.accuracy == pytest.approx(0.91)
    assert 900 <= long.seconds <= 1000
    assert "se_resnet20 for 32 epochs takes about 16.2 minutes here; expect 91.0% test accuracy or more" in str(long)


def test_recipes_are_candidates_and_what_was_given_wins():
    runs = {run.name: run for run in budget.candidates({"data": "cifar10", "seed": 3, "smoothing": 0.3})}
    assert {*budget.MEASURED} < {*runs}
    recipe, settings = runs["recipe fast94"], recipes.load("fast94").settings
    assert recipe.config == Config(**settings | {"seed": 3, "smoothing": 0.3})
    assert recipe.measured == recipes.load("fast94").accuracy
    assert runs["se_wide"].config == Config(data="cifar10", model="se_wide", seed=3, smoothing=0.3)
    found = budget.plan([recipe], 2000, lambda run: budget.Pace(PACE[run.config.model], views=90.0))
    assert found.config == Config(**settings | {"seed": 3, "smoothing": 0.3, "epochs": 18})
    assert found.seconds == budget.START + 90 + 18 * 100
    assert str(found).startswith("recipe fast94 for 18 epochs takes about 31.7 minutes")
    assert [run.name for run in budget.candidates({"data": "cifar10", "model": "fast"})] == [
        "recipe fast90", "recipe fast94", "recipe fast95"]


def test_accuracy_between_two_measured_runs():
    assert budget.expected(TABLE["se_resnet8"], 10) == pytest.approx(0.83)
    assert budget.expected(TABLE["se_resnet8"], 100) == pytest.approx(0.86)


def test_the_error_of_a_short_span_names_the_time_that_is_needed():
    with pytest.raises(ValueError, match="no measured run fits 20 s on this machine; the shortest takes about 62 s"):
        plan(20)


def test_another_data_set_has_no_table():
    with pytest.raises(ValueError, match="measured runs of cifar10 only, not of shapes"):
        budget.candidates({})


def test_a_model_that_was_asked_for():
    assert (plan(1000, "se_resnet8").config.model, plan(1000, "se_resnet8").config.epochs) == ("se_resnet8", 96)
    assert [run.name for run in budget.candidates({"data": "cifar10", "model": "se_wide"})] == ["se_wide"]
    with pytest.raises(ValueError, match="no measured run of resnet20; did you mean se_resnet20"):
        budget.candidates({"data": "cifar10", "model": "resnet20"})


@pytest.mark.parametrize(("tta", "views"), [("none", 0), ("mirror", 2), ("unsure", 6)])
def test_the_pace_of_a_real_run(monkeypatch, few_shapes, tta, views):
    from npse import backend, data

    monkeypatch.setattr(data, "load", lambda *_: few_shapes)
    with backend.using_edition("auto"):
        pace = budget.measure(Config(batch_size=32, tta=tta), at_least=0.1)
    assert 0.01 < pace.epoch < 60
    assert (pace.views > 0) == (views > 0)
    assert pace.views <= views * pace.epoch
