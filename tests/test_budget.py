"""--budget: spans, the plan that fits, and refusals."""

import pytest

from npse.training import Config, budget

TABLE = {"se_resnet8": {5: 0.80, 20: 0.86}, "se_resnet20": {10: 0.88, 30: 0.91}}
PACE = {"se_resnet8": 10.0, "se_resnet20": 30.0}
CIFAR = Config(data="cifar10")


def plan(span, only=None):
    return budget.plan(CIFAR, span, only, TABLE, lambda config: PACE[config.model])


@pytest.mark.parametrize(("text", "seconds"), [("20min", 1200), ("90s", 90), ("1.5h", 5400), (" 2 m ", 120)])
def test_spans(text, seconds):
    assert budget.parse_span(text) == seconds


@pytest.mark.parametrize("text", ["", "20", "fast", "0s", "-5min", "1d"])
def test_a_text_that_is_no_span(text):
    with pytest.raises(ValueError, match="budget must be a span of time such as 20min"):
        budget.parse_span(text)


def test_the_best_that_fits():
    short, long = plan(120), plan(1000)
    assert (short.model, short.epochs) == ("se_resnet8", 10)
    assert short.seconds <= 120
    assert (long.model, long.epochs) == ("se_resnet20", 32)
    assert long.accuracy == pytest.approx(0.91)
    assert 900 <= long.seconds <= 1000
    assert "se_resnet20 for 32 epochs takes about 16.2 minutes here; expect 91.0% test accuracy or more" in str(long)


def test_accuracy_between_two_measured_runs():
    assert budget.expected(TABLE["se_resnet8"], 10) == pytest.approx(0.83)
    assert budget.expected(TABLE["se_resnet8"], 100) == pytest.approx(0.86)


def test_the_error_of_a_short_span_names_the_time_that_is_needed():
    with pytest.raises(ValueError, match="no measured run fits 20 s on this machine; the shortest takes about 62 s"):
        plan(20)


def test_another_data_set_has_no_table():
    with pytest.raises(ValueError, match="measured runs of cifar10 only, not of shapes"):
        budget.plan(Config(), 100, None, TABLE, lambda config: 1.0)


def test_a_model_that_was_asked_for():
    assert (plan(1000, "se_resnet8").model, plan(1000, "se_resnet8").epochs) == ("se_resnet8", 96)
    with pytest.raises(ValueError, match="no measured run of resnet20; did you mean se_resnet20"):
        plan(1000, "resnet20")


def test_the_pace_of_a_real_run(monkeypatch, few_shapes):
    from npse import backend, data

    monkeypatch.setattr(data, "load", lambda *_: few_shapes)
    with backend.using_edition("auto"):
        seconds = budget.seconds_per_epoch(Config(batch_size=32), at_least=0.2)
    assert 0.01 < seconds < 60
