"""The recipe of the shortest runs: whitening, rates of its own for each group, batches in parts, views, TOML files."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from test_network_gradients import direction_report

from npse import backend, models, reference
from npse.layers import BatchNorm, Conv2d, Dense, Sequential, Whitening
from npse.layers.flatten import Flatten
from npse.training import Config, evaluation, prepare, recipes
from npse.training.evaluation import VIEWS, predict
from npse.training.lookahead import Lookahead
from npse.training.optimizer import SGD, Optimizer
from npse.training.parameter_groups import ParameterGroup
from npse.training.schedule import one_cycle
from npse.training.step import Step


def smooth_images(rng, *shape):
    """Return images whose neighbouring pixels are correlated, with mean zero."""
    noise = rng.standard_normal(shape)
    return noise + np.roll(noise, 1, axis=1) + np.roll(noise, 1, axis=2) + 0.5 * noise[..., ::-1]


def test_whitened_patches_have_no_correlation_and_unit_variance():
    x = smooth_images(np.random.default_rng(0), 50, 9, 8, 3)
    w = reference.whitening_filters(x, eps=0.0)
    y = reference.conv2d(x, w).reshape(-1, 24)
    np.testing.assert_allclose(y[:, :12].T @ y[:, :12] / len(y), np.eye(12), atol=1e-9)
    np.testing.assert_array_equal(y[:, 12:], -y[:, :12])
    lengths = np.linalg.norm(w.reshape(12, 24), axis=0)
    assert (np.diff(lengths[:12]) > 0).all()                      # the largest variance first
    assert (np.abs(reference.whitening_filters(x)) < np.abs(w)).mean() > 0.99


def test_a_whitening_layer_learns_its_bias_alone():
    layer, x = Whitening(3), smooth_images(np.random.default_rng(0), 4, 6, 7, 3).astype(np.float32)
    layer.fit(x)
    assert set(layer.named_parameters()) == {"bias"}
    y, backward = layer(x)
    assert y.shape == (4, 5, 6, 24)
    dx, gradients = backward(y)
    assert dx.shape == x.shape
    np.testing.assert_allclose(gradients["bias"], y.sum(axis=(0, 1, 2)), rtol=1e-3, atol=1e-3)
    assert Whitening(3, input_gradient=False)(x)[1](y)[0] is None


@pytest.mark.parametrize("edition", backend.available())
@pytest.mark.parametrize(("name", "options"), [
    ("se_fast", {}), ("fast", {"patch": 2}),
    ("fast", {"whitened": False, "identity_start": False, "norm_scale": True}),
    ("se_fast", {"activation": "gelu", "excitation": "eca"})])
def test_gradients_of_the_fast_network(name, options, edition):
    network = models.build(name, widths=(4, 6), image_size=9, **options)
    for layer in network.layers():
        if isinstance(layer, Whitening):
            layer.fit(smooth_images(np.random.default_rng(1), 20, 8, 9, 3).astype(np.float32))
    report = direction_report(network, edition)
    assert report.ok, str(report)


def test_convolutions_of_the_fast_network_start_as_partial_identities():
    network = models.fast(seed=3)
    convolutions = {name: w for name, w in network.named_parameters().items() if "conv" in name}
    assert len(convolutions) == 6
    x = np.random.default_rng(0).standard_normal((2, 5, 4, 64)).astype(np.float32)
    y = reference.conv2d(x, convolutions["layer2.conv1.weight"], padding=1)
    np.testing.assert_array_equal(y[..., :64], x)
    assert np.abs(convolutions["layer2.conv1.weight"][..., 64:]).max() == pytest.approx(1 / 24, rel=1e-3)
    assert not any(name.endswith("bn1.weight") for name in network.named_parameters())
    with pytest.raises(ValueError, match="unknown activation 'rleu'; did you mean relu"):
        models.fast(activation="rleu")


@pytest.mark.parametrize("bias_lr", [None, 2.0])
@pytest.mark.parametrize("optimizer", ["muon", "sgd"])
def test_biases_and_scales_decay_by_a_setting_of_their_own(optimizer, bias_lr):
    job = prepare(Config(optimizer=optimizer, momentum=0.0, weight_decay=0.5, bias_decay=0.25, bias_lr=bias_lr))
    before = {name: w + 1 for name, w in job.network.named_parameters().items()}
    job.network.update(before)
    job.optimizer.step({name: np.zeros_like(w) for name, w in before.items()}, lr=0.1)
    after = job.network.named_parameters()
    for name in ("bn1.weight", "layer1.0.bn1.bias"):
        rate = bias_lr / Config.lr * 0.1 if bias_lr and name.endswith("bias") else 0.1
        np.testing.assert_allclose(after[name], (1 - rate * 0.25) * before[name], rtol=1e-6)
    np.testing.assert_allclose(after["fc.weight"], (1 - 0.1 * 0.5) * before["fc.weight"], rtol=1e-6)


def test_lookahead_averages_more_and_more():
    network = models.fast(widths=(4, 6), image_size=9)
    slow = Lookahead(network, 2)
    shares = [slow.share(done) for done in (0.0, 0.5, 1.0)]
    assert shares == pytest.approx([1, 1 - 0.95**2 / 8, 1 - 0.95**2])

    def moved_to(value):
        network.update({name: np.full_like(w, value) for name, w in network.state().items()})

    def values():
        return {float(x) for w in network.state().values() for x in w.ravel()}

    moved_to(1)
    slow.after(0, 5)                                              # between two moves nothing changes
    assert values() == {1}
    slow.load({name: np.zeros_like(w) for name, w in network.state().items()})
    slow.after(3, 5)
    expected = 1 - 0.95**2 * (3 / 5) ** 3
    assert list(values()) == pytest.approx([expected], rel=1e-6)
    moved_to(7)
    slow.after(4, 5)                                              # the last step: the slow weights remain
    assert list(values()) == pytest.approx([expected], rel=1e-6)
    with pytest.raises(ValueError, match=r"slow weights of .* are missing; was the run begun without lookahead"):
        slow.load({})
    wrong = {name: np.ones(3) for name in network.state()}
    with pytest.raises(ValueError, match=r"must be floats of shape \(.*, but are float64 of \(3,\)"):
        slow.load(wrong)


def test_a_group_with_a_share_falls_to_zero_at_that_share():
    group, whole = ParameterGroup(lr_scale=3.0, share=0.25), ParameterGroup(lr_scale=3.0)
    for step in range(20):
        lr, done = one_cycle(step, 20, 0.4, warmup=0.0), step / 20
        assert whole.rate(lr, done) == 3.0 * lr
        assert group.rate(lr, done) == pytest.approx(max(0.0, 1.2 * (1 - step / 5)), abs=1e-12)
    with pytest.raises(ValueError, match="share must lie in 0 < share <= 1, but is 0"):
        ParameterGroup(share=0)


def test_the_groups_of_a_recipe():
    config = Config(**recipes.load("fast94").settings)
    groups = {group.patterns: group for group in config.optimizer_for(models.build(config.model)).groups}
    rates = {patterns: group.rate(config.lr, 0.0) for patterns, group in groups.items()}
    assert rates == {("whiten.bias",): pytest.approx(106), ("*.bias",): pytest.approx(106),
                     ("layer*.conv?.weight",): pytest.approx(0.24), ("*",): pytest.approx(0.02)}
    assert groups["layer*.conv?.weight",].momentum == 0.6
    assert groups["whiten.bias",].rate(config.lr, 0.375) == 0


def linear_network():
    """Return a network without batch norm, so that the parts of a batch do not affect each other."""
    rng = np.random.default_rng(0)
    return Sequential({"conv": Conv2d(3, 4, 3, bias=True, rng=rng), "flat": Flatten(), "fc": Dense(64, 10, rng=rng)})


@pytest.mark.parametrize("edition", backend.available())
@pytest.mark.parametrize("parts", [2, 4])
def test_a_step_in_parts_is_the_step(parts, edition):
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((8, 4, 4, 3)).astype(np.float32), rng.integers(0, 10, 8)
    results = []
    for count in (1, parts):
        network = linear_network()
        with backend.using_edition(edition):
            network.to_device()
            optimizer = SGD(network)
            optimizer.to_device()
            loss, logits = Step(network, optimizer, 0.1, parts=count).plain(backend.to_edition(x), labels, 0.1)
            results.append([backend.to_host(a) for a in (loss, logits, *network.named_parameters().values())])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_parts_that_do_not_divide_the_batch_are_refused():
    network = linear_network()
    with pytest.raises(ValueError, match="3 parts do not divide a batch of 8 images"):
        Step(network, SGD(network), 0.1, parts=3).plain(np.zeros((8, 4, 4, 3), np.float32), np.zeros(8, int), 0.1)
    with pytest.raises(ValueError, match="parts must divide the batch size 128, but is 3"):
        Config(parts=3)


@pytest.mark.parametrize("name", ["seed", "classes", "excitation", "se"])
def test_options_of_the_model_do_not_hide_settings(name):
    with pytest.raises(ValueError, match=f"options must not hold {name}, which has a setting of its own"):
        Config(options={name: 3})


def test_the_settings_reach_the_layers(few_shapes, monkeypatch):
    monkeypatch.setattr("npse.training.job.load_data", lambda config: few_shapes)
    job = prepare(Config(model="se_fast", norm_momentum=0.3, options={"widths": [4, 4]}))
    assert {layer.momentum for layer in job.network.layers() if isinstance(layer, BatchNorm)} == {0.3}
    whiten = job.network.children["whiten"]
    x = reference.normalize(few_shapes.images, few_shapes.mean, few_shapes.std)
    np.testing.assert_allclose(whiten.buffers["weight"], reference.whitening_filters(x, 3, directions=12),
                               rtol=1e-4, atol=1e-5)
    assert job.network.named_parameters()["layer2.conv1.weight"].shape == (3, 3, 4, 4)
    assert isinstance(job.optimizer, Optimizer)


@pytest.mark.parametrize("tta", VIEWS)
def test_views_are_averaged(tta, few_shapes):
    network, images = models.build("se_resnet8"), few_shapes.test_images[:30]
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")

    def logits(top, flip):
        view = padded[:, top:top + 32, top:top + 32]
        view = np.ascontiguousarray(view[:, :, ::-1] if flip else view)
        return predict(network, view, few_shapes.mean, few_shapes.std)

    mirror = (logits(1, False) + logits(1, True)) / 2
    every = mirror / 2 + sum(logits(top, flip) for top in (0, 2) for flip in (False, True)) / 8
    unsure = evaluation._margin(mirror) < evaluation.UNSURE
    wanted = {"none": logits(1, False), "mirror": mirror, "mirror+shift": every,
              "unsure": np.where(unsure[:, None], every, mirror)}
    found = predict(network, images, few_shapes.mean, few_shapes.std, tta=tta, batch_size=7)
    np.testing.assert_allclose(found, wanted[tta], rtol=1e-4, atol=1e-5)


def test_an_unknown_view_is_refused(few_shapes):
    with pytest.raises(ValueError, match=r"unknown test-time augmentation 'mirrow'; did you mean mirror"):
        predict(models.build("resnet8"), few_shapes.test_images, few_shapes.mean, few_shapes.std, tta="mirrow")
    with pytest.raises(ValueError, match=r"unknown test-time augmentation 'mirrow'; did you mean mirror"):
        Config(tta="mirrow")


@pytest.mark.parametrize("name", recipes.NAMES)
def test_every_recipe_is_a_run(name):
    recipe = recipes.load(name)
    config = Config(**recipe.settings)
    network = models.build(config.model, **config.model_options())
    assert config.optimizer_for(network).groups
    assert recipe.about
    assert recipe.measured


@pytest.mark.parametrize(("content", "message"), [
    ("[settings]\nepocs = 3", r"mine\.toml: unknown setting epocs; did you mean epochs"),
    ("[settings]\nepochs = 0", r"mine\.toml: epochs must be at least 1, but is 0"),
    ("epochs = 3", r"mine\.toml: unknown entry epochs; known are: .*settings belong below \[settings\]"),
    ("about = 'x'", r"mine\.toml: expected \[settings\]"),
    ("[settings]\n[accuracy]\n8 = 92.9", r"mine\.toml: \[accuracy\] must have lines such as 8 = 0\.929"),
    ("[settings]\n[accuracy]\nend = 0.9", r"mine\.toml: \[accuracy\] must have lines such as 8 = 0\.929"),
    ("[settings", r"mine\.toml is not a TOML file: "),
])
def test_a_wrong_recipe_is_refused(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(content)
    with pytest.raises(ValueError, match=message):
        recipes.load("mine.toml")


def test_the_command_line_takes_a_recipe_and_typed_options_win(npse, monkeypatch, tmp_path):
    configs = []
    monkeypatch.setattr("npse.cli.train.carry_out", lambda config, *_, **__: configs.append(config))
    (tmp_path / "mine.toml").write_text("[settings]\nmodel = 'fast'\nepochs = 3\n[settings.options]\n"
                                        "activation = 'gelu'\nwidths = [8, 8]\n")
    assert npse("train", "--recipe", "fast94", "--epochs", 2, "--seed", 5) == (0, "", "")
    assert configs.pop() == Config(**recipes.load("fast94").settings | {"epochs": 2, "seed": 5})
    assert npse("train", "--recipe", "mine.toml", "--option", "activation=relu") == (0, "", "")
    assert configs.pop() == Config(model="fast", epochs=3, options={"activation": "relu", "widths": [8, 8]})
    assert npse("train", "--option", "widths=[4, 4]", "--option", "norm_scale=true") == (0, "", "")
    assert configs.pop().options == {"widths": [4, 4], "norm_scale": True}
    for words, message in ((("--recipe", "fast93"), "unknown recipe 'fast93'; did you mean fast95, fast94"),
                           (("--recipe", "none.toml"), "No such file"),
                           (("--recipe", "fast94", "--resume"), "--recipe begins a new run"),
                           (("--option", "activation"), "--option must be NAME=VALUE, such as activation=relu")):
        code, _, error = npse("train", *words)
        assert code == 2
        assert message in error


def test_each_part_can_be_left_out_as_the_page_says(npse, monkeypatch):
    configs, page = [], (Path(__file__).parents[1] / "docs" / "recipes.md").read_text()
    monkeypatch.setattr("npse.cli.train.carry_out", lambda config, *_, **__: configs.append(config))
    tables = page.split("| part | what it does |")[1:]
    words = [re.findall(r"`(--[^`]*)` \|$", line) for table in tables for line in table.splitlines()]
    words = [found[0].split() for found in words if found]
    assert len(words) >= 12
    for typed in words:
        assert npse("train", "--recipe", "fast94", *typed) == (0, "", ""), typed
        models.build(configs[-1].model, **configs[-1].model_options())
    assert len({*configs, Config(**recipes.load("fast94").settings)}) == len(words) + 1


def test_recipes_are_listed_and_shown(npse):
    code, out, _ = npse("recipes")
    assert code == 0
    assert all(out.count(f"{name}: ") == 1 for name in recipes.NAMES)
    assert npse("recipes", "fast94")[1] == recipes.text("fast94")
    assert npse("recipes", "fast93")[0] == 2


def test_a_run_with_a_recipe_resumes_with_other_views():
    trained = Config(**recipes.load("fast94").settings)
    assert dataclasses.replace(trained, tta="none").contradicts(trained) == {}
    assert dataclasses.replace(trained, parts=2).contradicts(trained) == {"parts": 4}


@pytest.mark.parametrize(("name", "widths", "changed"), [
    ("fast90", [32, 128, 128], {"epochs": 6}),
    ("fast95", [128, 384, 384], {"epochs": 16, "whiten_share": 0.1875})])
def test_the_other_recipes_are_fast94_with_other_widths_and_epochs(name, widths, changed):
    ours, theirs = (recipes.load(name).settings for name in (name, "fast94"))
    assert ours == theirs | changed | {"options": theirs["options"] | {"widths": widths}}
