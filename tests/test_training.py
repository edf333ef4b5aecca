"""Schedule, settings, checkpoints, sanity lines, and reproducible runs: the same seed gives the same bits."""

import inspect
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from shares import some

from npse import backend, data, models, reference
from npse.layers import Dense
from npse.layers.gate_visitor import visiting_gates
from npse.support.files import write_atomically
from npse.training import (
    SGD,
    Config,
    Interrupted,
    Muon,
    Optimizer,
    ParameterGroup,
    RunFolder,
    checkpoint,
    evaluate,
    metric_accumulator,
    one_cycle,
    predict,
    prepare,
    run,
    sanity,
)
from npse.training.parameter_groups import sgd_groups
from npse.training.recorded import can_record
from npse.training.step import Step

SMALL = {"batch_size": 64, "epochs": 2, "edition": "cpu" if "cpu" in backend.available() else "reference"}


class Silent:
    """A reporter that records its calls."""

    def __init__(self):
        self.lines, self.rows = [], []

    def say(self, line):
        self.lines.append(line)

    def began(self, epochs, steps, progress):
        self.steps = steps

    def stepped(self, progress, batch):
        pass

    def epoch_done(self, row):
        self.rows.append(row)


@pytest.fixture
def start(monkeypatch, few_shapes, tmp_path):
    """Return a function that runs a small run in its own folder; options as for `run`."""
    monkeypatch.setattr(data, "load", lambda *_: few_shapes)

    def start(name, report=None, resume=False, stop=lambda: False, **settings):
        job = prepare(Config(**SMALL | settings))
        folder = RunFolder(tmp_path / name)
        if not resume:
            folder.create(job.config, few_shapes, {})
        with backend.using_edition(job.config.edition):
            run(job, folder, report or Silent(), resume=resume, stop=stop)
        return folder, job.network
    return start


@pytest.mark.parametrize("name", ["se_resnet20", "se_wide"])
def test_the_defaults_of_a_run_are_those_of_the_models(name):
    parameters = inspect.signature(models.MODELS[name]).parameters
    options = {option: parameter.default for option, parameter in parameters.items() if hasattr(Config, option)}
    assert options.pop("stages") is None                          # all; a setting is text
    assert options.pop("image_size") == 32                        # a run takes that of its data
    assert Config().model_options().keys() == {"seed"}
    assert options == {option: getattr(Config, option) for option in options}
    assert {"reduction", "min_hidden", "bias", "seed"} <= options.keys()


def test_one_cycle_rises_then_falls_to_zero():
    rates = [one_cycle(step, 100, 0.4, 0.2) for step in range(101)]
    assert rates[20] == max(rates) == pytest.approx(0.4)
    assert (np.diff(rates[:21]) > 0).all()
    assert (np.diff(rates[20:]) < 0).all()
    assert rates[100] == 0
    assert 0 < rates[0] < 0.03
    assert one_cycle(0, 10, 0.4, 0.0) == 0.4


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"batch_size": 0}, {"lr": 0}, {"lr": math.inf}, {"lr": math.nan},
                                   {"smoothing": 1}, {"momentum": -0.1}, {"warmup": 2}, {"validation": -1},
                                   {"filter_lr": 0}, {"crop": -1}, {"image_size": 7},
                                   {"optimizer": "adam"},
                                   {"filter_lr": 0.03, "optimizer": "sgd"}])
def test_impossible_settings_are_refused(wrong):
    name, *_ = wrong
    with pytest.raises(ValueError, match=f"{name} must"):
        Config(**wrong)


@pytest.mark.parametrize("name", ["se_resnet8", "se_wide"])
def test_muon_updates_the_3x3_filters_of_the_stages(name):
    called = {}

    class Watched:
        def __getattr__(self, op):
            if op not in ("sgd", "muon"):
                raise AttributeError(op)

            def move(w, *_):
                called[id(w)] = op
                return w, w
            return move

    network = models.build(name)
    parameters = network.named_parameters()
    with backend.using_edition(Watched()):
        Muon(network).step(dict.fromkeys(parameters), 0.1)
    filters = [key for key, w in parameters.items() if w.ndim == 4 and w.shape[0] == 3 and key != "conv1.weight"]
    assert filters
    assert [key for key, w in parameters.items() if called[id(w)] == "muon"] == filters
    assert set(called.values()) == {"muon", "sgd"}


def test_muon_of_a_network_without_filters_is_sgd():
    layers = [Dense(3, 2, rng=np.random.default_rng(0)) for _ in range(2)]
    gradients = {name: np.ones_like(w) for name, w in layers[0].named_parameters().items()}
    Muon(layers[0]).step(gradients, 0.1)
    SGD(layers[1]).step(gradients, 0.1)
    for name, w in layers[0].named_parameters().items():
        np.testing.assert_array_equal(w, layers[1].named_parameters()[name])


def test_each_parameter_group_has_its_own_patterns_rate_and_decay():
    layer = Dense(3, 2, rng=np.random.default_rng(0))
    w = layer.parameters["weight"]
    first = ParameterGroup(("weight",), lr_scale=0.5, momentum=0.0, weight_decay=0.1)
    optimizer = Optimizer(layer, [first, ParameterGroup(momentum=0.0)])
    optimizer.step({"weight": np.zeros_like(w), "bias": np.ones(2, np.float32)}, 0.2)
    np.testing.assert_allclose(layer.parameters["weight"], w * (1 - 0.1 * 0.1), rtol=1e-6)
    np.testing.assert_allclose(layer.parameters["bias"], -0.2, rtol=1e-6)
    assert optimizer.rates(0.2) == (np.float32(0.1), np.float32(0.2))
    with pytest.raises(ValueError, match="no parameter group holds bias; add a last group with the pattern"):
        Optimizer(layer, [first])
    with pytest.raises(ValueError, match="rule must be one of sgd, muon, but is 'adam'"):
        ParameterGroup(rule="adam")
    with pytest.raises(ValueError, match=r"weight_decay must be 0 for the rule muon, but is 0\.1"):
        ParameterGroup(rule="muon", weight_decay=0.1)


def test_the_optimizer_of_a_run_and_of_one_from_before_the_setting_existed():
    network = models.build("se_resnet8")
    muon, sgd = Config(lr=0.2, filter_lr=0.05), Config(optimizer="sgd", weight_decay=0.1)
    filters, rest = muon.optimizer_for(network).groups
    assert (filters.rule, filters.lr_scale, filters.weight_decay) == ("muon", pytest.approx(0.25), 0)
    assert (rest.patterns, rest.rule, rest.lr_scale, rest.weight_decay) == (("*",), "sgd", 1, 5e-4)
    (alone,) = sgd.optimizer_for(network).groups
    assert (alone.patterns, alone.rule, alone.lr_scale, alone.weight_decay) == (("*",), "sgd", 1, 0.1)
    assert Config.from_dict({"lr": 0.3}).optimizer == "sgd"
    assert Config.from_dict(muon.as_dict()) == muon


def test_a_run_writes_its_folder(start, few_shapes):
    report = Silent()
    folder, network = start("run", report)
    rows = folder.metrics()
    assert rows == report.rows
    assert [row["epoch"] for row in rows] == [1, 2]
    assert folder.config() == Config(**SMALL)
    classes, mean, std = folder.pixels()
    assert tuple(classes) == few_shapes.classes
    np.testing.assert_array_equal(mean, few_shapes.mean)
    np.testing.assert_array_equal(std, few_shapes.std)
    again = models.build("se_resnet8")
    facts = folder.restore(again, "last")
    assert facts["epoch"] == 2
    for name, array in network.state().items():
        np.testing.assert_array_equal(again.state()[name], array)
    folder.restore(again, "best")
    best = evaluate(again, few_shapes.test_images, few_shapes.test_labels, mean, std).accuracy
    assert best == pytest.approx(max(row["accuracy"] for row in rows), abs=0.02)
    assert report.lines[0].startswith("ok    first loss")


def test_same_seed_same_bits_other_seed_other_bits(start):
    states = [start(name, seed=seed)[1].state() for name, seed in (("a", 3), ("b", 3), ("c", 4))]
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])
    assert not np.array_equal(states[0]["fc.weight"], states[2]["fc.weight"])


@pytest.mark.parametrize(("stopped_after", "settings"), some([
    (3, {"lookahead": 2, "jitter": 0.1}), (1, {}), (3, {}), (4, {}), (6, {}), (5, {"lookahead": 4})], 3))
def test_a_stopped_run_continues_bit_for_bit(start, stopped_after, settings):
    whole_folder, whole = start("whole", **settings)
    asked = iter([False] * (stopped_after - 1) + [True])
    with pytest.raises(Interrupted):
        start("broken", stop=lambda: next(asked), **settings)
    broken_folder, broken = start("broken", resume=True, **settings)
    assert all(np.array_equal(whole.state()[name], array) for name, array in broken.state().items())
    kept = [[{key: row[key] for key in ("epoch", "lr", "train_loss", "train_accuracy", "loss", "accuracy")}
             for row in folder.metrics()] for folder in (whole_folder, broken_folder)]
    assert kept[0] == kept[1]


def test_resuming_a_finished_run_changes_nothing(start):
    folder, network = start("run")
    before = folder.last.read_bytes()
    _, again = start("run", resume=True)
    assert folder.last.read_bytes() == before
    assert len(folder.metrics()) == 2
    assert all(np.array_equal(network.state()[name], array) for name, array in again.state().items())


def test_a_metrics_line_cut_off_by_a_crash_is_written_again(start):
    folder, _ = start("run")
    whole = folder.metrics()
    folder.metrics_file.write_text(json.dumps(whole[0]) + "\n" + json.dumps(whole[1])[:20])
    assert folder.metrics() == whole[:1]


def test_validation_images_are_held_out(start, few_shapes):
    report = Silent()
    start("run", report, validation=128, epochs=1)
    assert report.steps == 2
    assert report.rows[0]["evaluated_on"] == "validation"
    with pytest.raises(ValueError, match="leaves no image to train on"):
        start("none", validation=256)


def test_a_diverging_run_says_so_and_keeps_its_checkpoint(start):
    folder, _ = start("run", epochs=1)
    before = folder.last.read_bytes()
    with pytest.raises(FloatingPointError, match="Lower lr"):
        start("wild", lr=1e30, warmup=0.0)
    assert folder.last.read_bytes() == before


class OnDevice:
    """A number or an array on a device; the class counts how often arrays are read."""

    looks = 0

    def __init__(self, value):
        self.value = np.asarray(value)

    def copy_to_host(self):
        OnDevice.looks += 1
        return self.value


def test_on_a_device_losses_are_read_every_few_steps(monkeypatch):
    monkeypatch.setattr(OnDevice, "looks", 0)
    progress, logits, heard = metric_accumulator.Progress(epoch=2), np.eye(4, dtype=np.float32), []
    report = SimpleNamespace(stepped=lambda progress, batch: heard.append((progress.seen, batch)))
    with backend.using_edition(SimpleNamespace(to_device=OnDevice)):
        book = metric_accumulator.MetricAccumulator(progress, report)
        looks = []
        for step in range(24):
            book.add(OnDevice(np.float32(step)), OnDevice(logits), np.array([0, 1, 2, 0]))
            looks.append(OnDevice.looks)
        assert looks == [2] * 10 + [22] * 10 + [42] * 4           # after the first step, then every ten
        book.flush()
        assert (progress.step, progress.seen, progress.correct) == (24, 96, 72)
        assert progress.loss_sum == 4 * sum(range(24))
        assert heard == [(4 * step, 4) for step in range(1, 25)]
        book.add(OnDevice(np.nan), OnDevice(logits), np.array([0, 1, 2, 0]))
        book.add(OnDevice(1.0), OnDevice(logits), np.array([0, 1, 2, 0]))
        with pytest.raises(FloatingPointError, match="nan at epoch 3, step 25: training has diverged"):
            book.flush()


class Recording:
    """The book as an edition with its own arrays that can record; a recorded task is run again."""

    def __init__(self, fails=False):
        self.recorded, self._fails = 0, fails

    def __getattr__(self, name):
        return getattr(reference, name)

    to_device, to_host, empty_like = staticmethod(np.array), staticmethod(np.array), staticmethod(np.empty_like)

    def softmax_cross_entropy(self, *arguments):
        return np.array(reference.softmax_cross_entropy(*arguments))

    def copy(self, source, target):
        target[...] = source

    def update(self, op, calls):
        for call in calls:
            for place, new in zip({"running_statistics": (3, 4)}.get(op, (0, 2)), getattr(reference, op)(*call),
                                  strict=True):
                call[place][...] = new

    def record(self, task):
        self.recorded += 1
        if self._fails:
            raise RuntimeError("the host is needed")
        return task


@pytest.mark.parametrize("kind", [SGD, Muon])
@pytest.mark.parametrize("fails", [False, True])
def test_a_recorded_step_is_the_step(few_shapes, fails, kind):
    batches = [(reference.normalize(few_shapes.images[k:k + 4], few_shapes.mean, few_shapes.std),
                few_shapes.labels[k:k + 4], 0.1 / (k + 1)) for k in range(0, 16, 4)]
    networks = [models.resnet(8, widths=(4, 4, 4)) for _ in range(2)]
    plain, optimizer = networks[0], kind(networks[0])
    make = Step(plain, optimizer, 0.1)
    wanted = [make.plain(*batch) for batch in batches]
    said, edition = [], Recording(fails)
    with backend.using_edition(edition):
        again = kind(networks[1])
        places = [networks[1].state(), dict(again.velocity)]
        step = Step(networks[1], again, 0.1, said.append)
        found = [step.recorded(*batch) for batch in batches]
    assert edition.recorded == 1
    assert len(said) == fails
    for (loss, logits), (other_loss, other_logits) in zip(wanted, found, strict=True):
        assert loss == other_loss
        np.testing.assert_array_equal(logits, other_logits)
    for ours, theirs, before in zip((networks[1].state(), again.velocity), (plain.state(), optimizer.velocity), places,
                                    strict=True):
        assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
        assert all(ours[name] is before[name] for name in before)


def test_recording_can_be_turned_off(monkeypatch):
    monkeypatch.delenv("NPSE_GRAPH", raising=False)
    with backend.using_edition(Recording()):
        assert can_record()
        monkeypatch.setenv("NPSE_GRAPH", "0")
        assert not can_record()
        monkeypatch.setenv("NPSE_GRAPH", "1")
        assert can_record()
    assert not can_record()                                       # the book has no device


def test_lookahead_beside_a_recorded_step_is_that_of_the_book(few_shapes):
    batches = [(reference.normalize(few_shapes.images[k:k + 4], few_shapes.mean, few_shapes.std),
                few_shapes.labels[k:k + 4], 0.1) for k in range(0, 20, 4)]
    states = []
    for edition in (reference, Recording()):
        network = models.resnet(8, widths=(4, 4, 4))
        with backend.using_edition(edition):
            network.to_device()
            optimizer = Optimizer(network, sgd_groups(), lookahead=2)
            optimizer.to_device()
            step = Step(network, optimizer, 0.1)
            for k, batch in enumerate(batches):
                (step.plain if edition is reference else step.recorded)(*batch)
                optimizer.lookahead.after(k, len(batches))
        states.append(network.state() | {f"slow {name}": w for name, w in optimizer.lookahead.slow.items()})
    for name, wanted in states[0].items():
        np.testing.assert_array_equal(states[1][name], wanted, err_msg=name)


@pytest.mark.parametrize("fails", [False, True])
def test_a_recorded_evaluation_is_the_evaluation(few_shapes, fails):
    network, edition, visited = models.build("se_resnet8"), Recording(fails), []
    images, normal = few_shapes.test_images[:23], (few_shapes.mean, few_shapes.std)
    wanted = predict(network, images, *normal, batch_size=5)
    with visiting_gates(network, lambda name, s: s):              # then the end of a block is several ops
        wanted_again = predict(network, images, *normal, batch_size=5)
    with backend.using_edition(edition):
        found = predict(network, images, *normal, batch_size=5)
        with visiting_gates(network, lambda name, s: visited.append(name) or s):
            again = predict(network, images, *normal, batch_size=5)
    assert edition.recorded == 1                                  # not where somebody looks at the gates
    assert visited == 5 * ["layer1.0", "layer2.0", "layer3.0"]
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(again, wanted_again)
    np.testing.assert_allclose(again, wanted, rtol=0, atol=2e-6 * abs(wanted).max())


def test_evaluation_counts(few_shapes):
    network = models.build("se_resnet8")
    result = evaluate(network, few_shapes.test_images, few_shapes.test_labels, few_shapes.mean, few_shapes.std)
    assert result.confusion.sum() == 100
    assert result.accuracy == pytest.approx(np.trace(result.confusion) / 100)
    np.testing.assert_array_equal(result.confusion.sum(axis=1), np.bincount(few_shapes.test_labels, minlength=10))
    assert network.training


def test_flip_averages_two_views(few_shapes):
    network, images = models.build("se_resnet8"), few_shapes.test_images[:10]
    mirrored = np.ascontiguousarray(images[:, :, ::-1])
    views = [predict(network, view, few_shapes.mean, few_shapes.std) for view in (images, mirrored)]
    both = predict(network, images, few_shapes.mean, few_shapes.std, tta="mirror")
    np.testing.assert_allclose(both, (views[0] + views[1]) / 2, rtol=1e-6)


def test_checkpoints_refuse_what_is_truncated_or_foreign(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "last.safetensors"
    with pytest.raises(FileNotFoundError, match="no such checkpoint"):
        checkpoint.load(path)
    checkpoint.save(path, {"w": np.arange(6.0).reshape(2, 3).T}, {"epoch": 1})
    arrays, facts = checkpoint.load(path)
    np.testing.assert_array_equal(arrays["w"], np.arange(6.0).reshape(2, 3).T)     # though not contiguous
    assert facts == {"epoch": 1}
    whole = path.read_bytes()
    for broken in (whole[:-1], whole[:10], b"", b"not a checkpoint at all", whole + b"x"):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match="not a whole safetensors file"):
            checkpoint.load(path)
    save_file({"w": np.ones(2)}, path)
    with pytest.raises(ValueError, match="not written by npse"):
        checkpoint.load(path)


def test_a_run_folder_of_another_model_is_refused(start):
    folder, _ = start("run", epochs=1)
    settings = json.loads(folder.config_file.read_text()) | {"model": "resnet8"}
    folder.config_file.write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=r"last\.safetensors does not belong to the model in its config\.json"):
        start("run", resume=True, model="resnet8")


def test_a_write_that_fails_halfway_keeps_the_old_file(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "file"
    write_atomically(path, "old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))   # a real error in the middle, as on a full disk
    try:
        with pytest.raises(OSError, match="File too large"):
            write_atomically(path, b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_names_the_file_and_not_the_temporary_one(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere" / "file"):
        with pytest.raises(OSError) as failed:                                     # noqa: PT011, any of its kinds
            write_atomically(path, "new")
        assert failed.value.filename == str(path)


def test_a_batch_larger_than_the_data_set_causes_a_warning(start):
    """With 256 images an epoch is one step with all images, as in a run with batches of 256."""
    reports = {size: Silent() for size in (256, 257)}
    folders = [start(f"run{size}", report, batch_size=size, epochs=1)[0] for size, report in reports.items()]
    warnings = {size: [line for line in report.lines if "batch_size" in line] for size, report in reports.items()}
    assert warnings == {256: [], 257: ["LOOK  batch_size 257 is more than the 256 training images: an epoch is one "
                                       "step with all images"]}
    assert reports[257].steps == 1
    smaller, larger = (folder.metrics()[0] for folder in folders)
    assert smaller["loss"] == larger["loss"]


def test_sanity_lines_mark_wrong_values():
    def named(op):
        return backend.OpName(op, getattr(reference, op))

    assert sanity.first_loss(2.4, 10).startswith("ok")
    assert "check normalization" in sanity.first_loss(9.0, 10)
    sick = sanity.Probe()
    sick(named("relu"), (), np.zeros((2, 3, 3, 4), np.float32))
    sick(named("excite"), (), np.full((2, 4), 0.5, np.float32))
    assert [line.split(":")[0] for line in sick.findings() if line.startswith("LOOK")] == [
        "LOOK  dead ReLU channels", "LOOK  gates at exactly 1/2"]
    stuck = sanity.Probe()
    stuck(named("excite"), (), np.full((2, 4), 0.999, np.float32))
    assert any("flat" in line for line in stuck.findings())
    well = sanity.Probe()
    well(named("batch_norm_relu"), (), (np.ones((2, 3, 3, 4)), None, None))
    well(named("excite"), (), np.linspace(0.3, 0.7, 8).reshape(2, 4))
    assert all(line.startswith("ok") for line in well.findings())
    w = {"w": np.ones((2, 2))}
    assert sanity.update_ratio(w, {"w": 1.001 * w["w"]}).startswith("ok")
    assert "change lr" in sanity.update_ratio(w, {"w": 3 * w["w"]})


def stop_after(steps):
    """Return a ``stop`` for `run` that is True after so many steps."""
    taken = iter(range(steps))
    return lambda: next(taken, None) is None


def test_more_epochs_continue_a_run(start):
    start("run")
    report = Silent()
    folder, _ = start("run", report, resume=True, epochs=3)
    assert [row["epoch"] for row in folder.metrics()] == [1, 2, 3]
    kept = json.loads(folder.config_file.read_text())
    assert (kept["epochs"], kept["raised"]) == (3, [{"epochs": 2, "at_epoch": 2, "at_step": 0}])
    assert "epochs raised from 2 to 3" in report.lines[0]
    assert report.rows[0]["lr"] == one_cycle(3 * report.steps - 1, 3 * report.steps, Config.lr, Config.warmup)


def test_a_continued_run_ends_with_the_same_bits_if_it_is_stopped(start):
    networks = []
    for name, steps in (("at once", []), ("in parts", [2])):
        start(name)
        for count in steps:
            with pytest.raises(Interrupted):
                start(name, resume=True, epochs=3, stop=stop_after(count))
        networks.append(start(name, resume=True, epochs=3)[1].state())
    assert all(np.array_equal(networks[0][name], networks[1][name]) for name in networks[0])


@pytest.mark.parametrize(("name", "value"), [("batch_size", 128), ("seed", 1), ("crop", 2), ("lr", 0.1)])
def test_settings_changed_on_disk_in_the_middle_of_an_epoch_are_refused(start, tmp_path, name, value):
    with pytest.raises(Interrupted):
        start("run", stop=stop_after(2))
    folder = RunFolder(tmp_path / "run")
    kept = json.loads(folder.config_file.read_text())
    folder.config_file.write_text(json.dumps(kept | {name: value}))
    before = {path.name: path.read_bytes() for path in folder.path.iterdir()}
    with pytest.raises(ValueError, match=f"it was trained with {name} {kept[name]}, not {value}"):
        start("run", resume=True, **{name: value})
    assert {path.name: path.read_bytes() for path in folder.path.iterdir()} == before


def test_of_two_runs_that_begin_in_one_folder_one_gets_it(few_shapes, tmp_path):
    one, other = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")
    one.path.mkdir()
    one.metrics_file.touch()                                      # one run has begun to make the folder
    with pytest.raises(FileExistsError, match="is not empty"):
        other.create(Config(), few_shapes, {})
    assert [path.name for path in one.path.iterdir()] == ["metrics.jsonl"]


def test_a_start_that_fails_leaves_no_files(few_shapes, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("npse.training.run_folder.write_atomically", full)
    with pytest.raises(OSError, match="No space"):
        RunFolder(tmp_path / "run").create(Config(), few_shapes, {})
    assert not list(tmp_path.iterdir())


def test_numbers_that_are_not_finite_are_not_saved(tmp_path):
    path = tmp_path / "last.safetensors"
    checkpoint.save(path, {"w": np.ones(2)}, {"epoch": 1})
    before = path.read_bytes()
    with pytest.raises(FloatingPointError, match="w holds numbers that are not finite"):
        checkpoint.save(path, {"w": np.array([1, np.nan])}, {"epoch": 2})
    assert path.read_bytes() == before


@pytest.mark.parametrize("dtype", [np.int32, bool])
def test_weights_that_are_no_floats_are_refused(dtype):
    network = models.resnet8()
    state = network.state() | {"fc.bias": np.zeros(10, dtype)}
    with pytest.raises((ValueError, TypeError), match=r"fc\.bias"):
        network.load(state)
