"""``npse export`` and ``npse import`` as a user types them."""

import dataclasses
import importlib.util
import json

import interop_networks as nets
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from npse import data, models
from npse.interop.exports import state_dict
from npse.interop.names import own_names
from npse.training import Config, RunFolder, checkpoint


@pytest.fixture
def run(npse, few_shapes, tmp_path):
    """Return the folder of a run whose weights are drawn, not trained."""
    folder = RunFolder(tmp_path / "run")
    folder.create(Config(excitation="cbam"), few_shapes, {})
    network = nets.drawn(models.se_resnet8(excitation="cbam"))
    checkpoint.save(folder.last, network.state(), {"epoch": 7})
    return folder.path


def ok(answer):
    """Return the output of a command that ended well; the first use of a kernel may be announced beside it."""
    code, out, err = answer
    assert code == 0, err
    assert all("compiling kernels" in line for line in err.splitlines()), err
    return out


def refused(answer, message):
    code, _, err = answer
    assert code == 2
    assert len(err.splitlines()) == 1, err
    assert message in err


def test_a_run_comes_back_as_the_same_run(npse, run):
    out = ok(npse("export", "run", "--to", "torch"))
    assert "in the names of this network" in out
    out = ok(npse("import", "run/se_resnet8.safetensors", "--out", "again"))
    assert "go on with: npse inspect again" in out
    first, second = (RunFolder(name) for name in ("run", "again"))
    assert first.config() == second.config()
    assert first.load_network()[1] == second.load_network()[1] == {"epoch": 7}
    mine, back = first.load_network()[0].state(), second.load_network()[0].state()
    assert mine.keys() == back.keys()
    for name, array in mine.items():
        np.testing.assert_array_equal(back[name], array)
    assert ok(npse("evaluate", "again")) == ok(npse("evaluate", "run"))
    ok(npse("export", "again", "--to", "torch", "--out", "twice.safetensors"))
    with open("twice.safetensors", "rb") as once, open("run/se_resnet8.safetensors", "rb") as twice:
        assert once.read() == twice.read()


def test_the_python_file_builds_and_loads_the_network(npse, run, tmp_path):
    torch = pytest.importorskip("torch")
    assert npse("export", "run", "--to", "torch", "--out", "my-net.pt")[0] == 0
    spec = importlib.util.spec_from_file_location("my_net", tmp_path / "my_net.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    x = nets.pixels(2, 32)
    folder = RunFolder("run")
    classes, mean, std = folder.pixels()
    assert classes == module.CLASSES
    with torch.no_grad():
        found = module.load("my-net.pt")(module.normalize(torch.tensor(nets.first(x)))).numpy()
    assert nets.apart(found, nets.logits(folder.load_network()[0].eval(), (x - mean) / std)) < 1e-5


def test_an_onnx_model_is_compared(npse, run):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    out = ok(npse("export", "run", "--to", "onnx"))
    assert "onnxruntime's logits differ from npse's by at most " in out
    assert float(out.split("at most ")[1].split()[0]) < 1e-5
    refused(npse("export", "run", "--to", "onnx"), "exists; move it away")


def test_a_model_that_differs_is_refused(npse, run, monkeypatch):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr("npse.bench.exported.TOLERANCE", 0)
    out = ok(npse("export", "run", "--to", "onnx"))
    assert "npse's own logits in float32 differ from those in float64 by " in out
    monkeypatch.setattr("npse.bench.exported.Exported.difference", lambda self: 0.1)
    code, _, err = npse("export", "run", "--to", "onnx", "--out", "b.onnx")
    assert code == 2
    assert "b.onnx does not compute what npse computes" in err


def test_the_time_of_onnxruntime_is_shown(npse, run, monkeypatch):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr("npse.cli.export.BATCHES", (1,))
    monkeypatch.setattr("npse.bench.timing.times", lambda task, seconds: [task() is None or 0.25])
    code, out, _ = npse("export", "run", "--to", "onnx", "--out", "net.onnx", "--time")
    assert code == 0
    assert "npse is times as fast" in out


def test_without_onnxruntime_the_model_is_written_all_the_same(npse, run, monkeypatch):
    pytest.importorskip("onnx")
    monkeypatch.setattr("npse.bench.exported.has_onnxruntime", lambda: False)
    assert "onnxruntime is not installed" in npse("export", "run", "--to", "onnx")[1]
    refused(npse("export", "run", "--to", "onnx", "--out", "b.onnx", "--time"), "--time needs onnxruntime")


@pytest.mark.parametrize(("words", "message"), [
    (("nowhere", "--to", "torch"), "nowhere is not the folder of a run"),
    (("run", "--to", "keras"), "unknown format 'keras'; known are: torch, onnx"),
    (("run", "--to", "torch", "--time"), "--to onnx alone"),
    (("run", "--to", "torch", "--out", "net.onnx"), "must end in .safetensors, .pt, .pth"),
    (("run", "--to", "onnx", "--out", "net.pt"), "must end in .onnx"),
    (("run", "--to", "torch", "--out", "no/net.pt"), "no is not a folder"),
    (("run", "--to", "torch", "--weights", "best"), "no such checkpoint"),
    (("run", "--to", "torch", "--weights", "worst"), "unknown weights 'worst'"),
])
def test_wrong_words_of_export(npse, run, words, message):
    refused(npse("export", *words), message)


def test_nothing_is_overwritten(npse, run, tmp_path):
    (tmp_path / "net.py").write_text("mine")
    refused(npse("export", "run", "--to", "torch", "--out", "net.safetensors"), "net.py exists")
    assert (tmp_path / "net.py").read_text() == "mine"
    assert not (tmp_path / "net.safetensors").exists()
    refused(npse("import", "run/last.safetensors", "--as", "se_resnet8"), "it is a checkpoint of a run")
    assert npse("export", "run", "--to", "torch")[0] == 0
    refused(npse("import", "run/se_resnet8.safetensors", "--out", "run"), "is not empty; name another folder")
    refused(npse("import", "run/se_resnet8.safetensors", "--as", "se_resnet14"), "was exported from se_resnet8")


@pytest.mark.parametrize(("words", "message"), [
    (("missing.pt", "--as", "se_resnet8"), "No such file"),
    (("net.safetensors",), "does not say which network it holds"),
    (("net.safetensors", "--as", "se_resnet8"), "does not say with which mean and std"),
    (("net.safetensors", "--as", "se_resnet50"), "lacks layer1.0.bn3.bias, which timm's seresnet50 has, and"),
    (("net.safetensors", "--as", "se_resnet8", "--mean", "a", "--std", "1"), "--mean must be numbers with commas"),
    (("net.safetensors", "--as", "se_resnet8", "--option", "reduction"), "--option must be NAME=VALUE"),
    (("net.safetensors", "--as", "se_resnet8", "--data", "shapes", "--classes", "names.txt"),
     "--classes must be 10 different names"),
    (("net.safetensors", "--as", "se_resnet8", "--data", "shapes", "--classes", "net.safetensors"), "not a text file"),
])
def test_wrong_words_of_import(npse, tmp_path, words, message):
    save_file(state_dict(models.se_resnet8(), own_names(models.se_resnet8())), "net.safetensors")
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    before = sorted(tmp_path.iterdir())
    refused(npse("import", *words), message)
    assert sorted(tmp_path.iterdir()) == before


def test_weights_of_another_program_are_looked_at(npse, tmp_path):
    """A network with more classes than the data; the data's classes are found by their names."""
    network = nets.drawn(models.se_resnet8(classes=12))
    save_file(state_dict(network, own_names(network)), "net.safetensors")
    real = data.load("shapes").classes
    (tmp_path / "names.txt").write_text("\n".join([*reversed(real), "cat", "dog"]))
    out = ok(npse("import", "net.safetensors", "--as", "se_resnet8", "--data", "shapes", "--classes",
                  "names.txt", "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"))
    assert "runs/se_resnet8-net-1" in out
    assert json.loads((tmp_path / "runs/se_resnet8-net-1/config.json").read_text())["mean"] == [0.5] * 3
    out = ok(npse("evaluate", "runs/se_resnet8-net-1"))
    assert out.splitlines()[1].split()[:2] == real[-1].split()
    out = ok(npse("inspect", "runs/se_resnet8-net-1", "--sample", "10"))
    assert "layer3.0" in out
    refused(npse("train", "--resume", "--out", "runs/se_resnet8-net-1", "--epochs", "20"), "was imported")


def test_weights_without_data_predict(npse, few_shapes, tmp_path):
    network = nets.drawn(models.se_resnet8())
    save_file(state_dict(network, own_names(network)), "net.safetensors")
    ok(npse("import", "net.safetensors", "--as", "se_resnet8", "--mean", "0.5,0.5,0.5", "--std", "0.2,0.2,0.2", "--out",
            "there"))
    Image.fromarray(few_shapes.test_images[0]).save("shape.png")
    out = ok(npse("predict", "there", "shape.png"))
    assert "class " in out
    for command in ("evaluate", "inspect"):
        refused(npse(command, "there"), "was imported without data")


@pytest.mark.slow
def test_a_seresnet50_of_timm_under_the_microscope(npse, tmp_path):
    timm_models = pytest.importorskip("timm_models")
    theirs = timm_models.create("seresnet50")
    save_file({name: array.numpy() for name, array in theirs.state_dict().items()}, "seresnet50.safetensors")
    rng = np.random.default_rng(0)
    for name in ("cat", "dog", "owl"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(4):
            image = Image.fromarray(rng.integers(0, 256, (70, 80, 3), dtype=np.uint8))
            image.save(tmp_path / "photos" / name / f"{number}.png")
    (tmp_path / "names.txt").write_text("\n".join([*(f"thing {k}" for k in range(997)), "owl", "dog", "cat"]))
    out = ok(npse("import", "seresnet50.safetensors", "--as", "se_resnet50", "--data", "./photos", "--image-size", "64",
                  "--classes", "names.txt", "--out", "run"))
    assert "in the names of timm's seresnet50: 1000 classes, images of 64x64 pixels" in out
    folder = RunFolder("run")
    classes, mean, std = folder.pixels()
    np.testing.assert_array_equal(mean, np.float32([0.485, 0.456, 0.406]))
    dataset = folder.load_data()
    assert {classes[label] for label in dataset.test_labels} <= {"cat", "dog", "owl"}
    x = (dataset.test_images / np.float32(255) - mean) / std
    with timm_models.torch.no_grad():
        expected = theirs(timm_models.torch.tensor(nets.first(x.astype(np.float32)))).numpy()
    assert nets.apart(nets.logits(folder.load_network()[0].eval(), x.astype(np.float32)), expected) < 1e-4
    out = ok(npse("inspect", "run", "--sample", "3"))
    assert "layer4.2" in out
    out = ok(npse("export", "run", "--to", "torch", "--out", "back.safetensors"))
    assert 'timm.create_model("seresnet50", num_classes=1000)' in out
    back = load_file("back.safetensors")
    assert back.keys() == theirs.state_dict().keys()
    for name, array in theirs.state_dict().items():
        np.testing.assert_array_equal(back[name], array.numpy())


def test_the_twin_of_a_run_needs_its_options():
    from npse.interop.exports import twin_of

    assert str(twin_of(Config(model="se_resnet50"))) == "timm's seresnet50"
    assert twin_of(Config(model="se_resnet50", excitation="eca")) is None
    assert twin_of(Config(model="mobilenet_v1")) is None
    assert twin_of(Config(model="mobilenet_v1", options={"activation": "relu6"})).name == "mobilenetv1_100"
    assert twin_of(dataclasses.replace(Config(model="se_resnet50"), seed=3)).name == "seresnet50"
