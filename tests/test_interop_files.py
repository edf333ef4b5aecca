"""Files of state dicts: to the bit there and back, in the names of npse and of timm; wrong ones are refused."""

import json
import pickle
import zipfile

import interop_networks as nets
import numpy as np
import pytest
from safetensors.numpy import save_file

from npse import data, models
from npse.interop import files, import_file
from npse.interop.exports import state_dict
from npse.interop.names import TWINS, own_names
from npse.training import RunFolder

ARRAYS = {"a.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4), "b": np.float32([1.5])}


def shapes(network):
    return {name: array.shape for name, array in network.state().items()}


@pytest.mark.parametrize("suffix", files.SUFFIXES)
@pytest.mark.parametrize("model", ["se_resnet20", "se_mobilenet_v3_small", "se_shufflenet", "se_fast",
                                   "se_shake_shake26_2x32d", "se_vgg8"])
def test_a_state_dict_comes_back_to_the_bit(model, suffix, tmp_path):
    if suffix != ".safetensors":
        pytest.importorskip("torch")
    network = nets.drawn(models.build(model))
    names = own_names(network)
    files.write(tmp_path / f"net{suffix}", state_dict(network, names, 7), {})
    arrays, _ = files.read(tmp_path / f"net{suffix}")
    assert {arrays[name][()] for name in names.counters} == ({np.int64(7)} if names.counters else set())
    found = names.here(arrays, shapes(network))
    kept = {name: array for name, array in network.state().items() if not name.endswith("count")}
    assert found.keys() == kept.keys()
    for name, array in kept.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


DEEP = ("101", "152", "154", "next50")
SMALL = {"inception_resnet_v2": {"blocks": (1, 1, 2)}, "vgg16_bn": {"hidden": 8, "image_size": 32}}


@pytest.mark.parametrize("model", [
    nets.marked(name, ("mobilenet_v1", "vgg16_bn"), DEEP)
    for name in (*TWINS, "bn_inception", "se_bn_inception", "shufflenet_v1", "se_shufflenet_v1")])
def test_networks_for_224_come_back_to_the_bit(model):
    network = models.build(model, classes=5, **SMALL.get(model, {}))
    for names in (*(twin.names(network) for twin in TWINS.get(model, ())), own_names(network)):
        there = state_dict(network, names)
        assert len(there) == len(names.arrays) + len(names.counters)
        for name, array in names.here(there, shapes(network)).items():
            np.testing.assert_array_equal(array, network.state()[name])


@pytest.mark.parametrize(("model", "theirs"), [
    ("mobilenet_v1", "mobilenetv1_100"), ("se_efficientnet_b0", "efficientnet_b0"),
    *(pytest.param(model, theirs, marks=pytest.mark.slow) for model, theirs in {
        "se_resnet50": "seresnet50", "se_mobilenet_v3_large": "mobilenetv3_large_100"}.items()),
    *(pytest.param(model, theirs, marks=pytest.mark.nightly) for model, theirs in {
        "se_resnext50_32x4d": "seresnext50_32x4d", "vgg16_bn": "vgg16_bn", "inception_resnet_v2": "inception_resnet_v2",
        "senet154": "legacy_senet154"}.items())])
def test_the_state_dict_of_timm_comes_back_to_the_bit(model, theirs):
    timm_models = pytest.importorskip("timm_models")
    there = {name: array.numpy() for name, array in timm_models.create(theirs).state_dict().items()}
    network = models.build(model)
    names = TWINS[model][0].names(network)
    back = names.there(names.here(there, shapes(network))) | dict.fromkeys(names.counters, np.int64(0))
    assert back.keys() == there.keys()
    for name, array in there.items():
        np.testing.assert_array_equal(back[name], array)


def test_a_pt_file_is_read_without_pytorch(tmp_path):
    nets.state_pt(tmp_path / "net.pt", ARRAYS)
    found = files.read_zip_without_torch(tmp_path / "net.pt")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)


def test_both_readers_agree_on_what_pytorch_wrote(tmp_path):
    torch = pytest.importorskip("torch")
    layer = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).double()
    state = layer.state_dict() | {"half": torch.ones(3).half(), "transposed": torch.arange(6.0).reshape(2, 3).T,
                                  "part": torch.arange(9)[2:5], "parameter": torch.nn.Parameter(torch.ones(2)),
                                  "empty": torch.zeros(0, 3), "number": torch.tensor(5)}
    torch.save(state, tmp_path / "net.pt")
    mine, theirs = files.read_zip_without_torch(tmp_path / "net.pt"), files.read(tmp_path / "net.pt")[0]
    assert mine.keys() == theirs.keys() == state.keys()
    for name in state:
        assert mine[name].dtype == theirs[name].dtype
        np.testing.assert_array_equal(mine[name], theirs[name])


@pytest.mark.parametrize("wrap", [lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": s},
                                  lambda s: {f"module.{name}": array for name, array in s.items()}])
def test_usual_checkpoints_are_unwrapped(wrap, tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(wrap({name: torch.tensor(array) for name, array in ARRAYS.items()}), tmp_path / "net.pth")
    assert files.read(tmp_path / "net.pth")[0].keys() == ARRAYS.keys()


# Wrong files --------------------------------------------------------------------------------------------------------


class Foul:
    def __reduce__(self):
        return print, ("it ran",)


def no_pt(path):
    path.write_bytes(b"PK\x03\x04 and nothing more")


def truncated_safetensors(path):
    save_file(ARRAYS, path)
    path.write_bytes(path.read_bytes()[:-20])


def truncated_pt(path):
    nets.state_pt(path, ARRAYS)
    path.write_bytes(path.read_bytes()[:-30])


def foreign_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


WRONG = {
    "empty": (lambda path: path.write_bytes(b""), "neither a safetensors file nor"),
    "text": (lambda path: path.write_text("hello, world\n"), "neither a safetensors file nor"),
    "picture": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)), "neither a safetensors file nor"),
    "truncated safetensors": (truncated_safetensors, "not a whole safetensors file"),
    "truncated pt": (truncated_pt, "net.pt: "),
    "no archive": (no_pt, "net.pt: "),
    "foreign zip": (foreign_zip, "net.pt: "),
    "hostile pickle in an archive": (lambda path: nets.write_pt(path, nets.HOSTILE), "refused"),
    "hostile pickle": (lambda path: path.write_bytes(pickle.dumps(Foul(), protocol=2)), "refused|install PyTorch"),
    "a number": (lambda path: nets.write_pt(path, nets.number(3)), "expected tensors"),
    "no tensors": (lambda path: nets.write_pt(path, b"}(" + nets.text("a") + nets.number(3) + b"u"), "'a' is a int"),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("torch", [True, False])
def test_a_wrong_file_is_refused_in_one_line(kind, torch, tmp_path, monkeypatch, capfd):
    if torch:
        pytest.importorskip("torch")
    else:
        monkeypatch.setattr(files, "_has_torch", lambda: False)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "net.pt"
    make, message = WRONG[kind]
    make(path)
    with pytest.raises(ValueError, match=message) as caught:
        files.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "it_ran").exists()
    assert "it ran" not in capfd.readouterr().out


@pytest.mark.parametrize(("pickled", "message"), [
    (nets.HOSTILE, "os.system"),
    (b"cbuiltins\neval\n(" + nets.text("1") + b"tR", "builtins.eval"),
    (b"ctorch._utils\n_rebuild_sparse_tensor\n)R", "_rebuild_sparse_tensor"),
    (nets.tensor("0", np.ones((2, 3), np.float32), count=6), "a storage of 4 numbers in place of 6"),
    (nets.tensor("0", np.ones((2, 3), np.float32), count=4), "larger than its file"),
    (nets.tensor("0", np.ones(2, np.float32), offset=3, count=4), "larger than its file"),
    (nets.tensor("0", np.ones(2, np.float32), offset=-1, count=4), "wrong shape"),
    (nets.tensor("0", np.ones(2, np.float32), storage="UntypedStorage"), "UntypedStorage"),
])
def test_the_reader_without_pytorch_takes_tensors_alone(pickled, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nets.write_pt(tmp_path / "net.pt", pickled, [np.ones(4, np.float32)])
    with pytest.raises(pickle.UnpicklingError, match=message):
        files.read_zip_without_torch(tmp_path / "net.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["net.pt"]


def test_a_file_of_bytes_that_numpy_lacks_is_named(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "net.pt")
    with pytest.raises(ValueError, match=r"'a' is a Tensor of torch\.bfloat16; .* as float32"):
        files.read(tmp_path / "net.pt")


# Files that do not fit ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good():
    network = nets.drawn(models.se_resnet8())
    return state_dict(network, own_names(network))


def changed(arrays, **changes):
    arrays = dict(arrays)
    for name, array in changes.items():
        if array is None:
            del arrays[name.replace("__", ".")]
        else:
            arrays[name.replace("__", ".")] = array
    return arrays


@pytest.mark.parametrize(("changes", "message"), [
    ({"fc__bias": None}, r"lacks fc\.bias, which this network has"),
    ({"fc__bias": None, "bn1__weight": None}, r"lacks bn1\.weight, which this network has, and 1 more"),
    ({"head__weight": np.ones(3, np.float32)}, r"holds head\.weight, which this network does not have"),
    ({"conv1__weight": np.ones((16, 3, 5, 5), np.float32)},
     r"holds conv1\.weight of shape \(16, 3, 5, 5\), but this network has \(16, 3, 3, 3\)"),
    ({"fc__bias": np.ones(10, np.int64)}, r"fc\.bias must hold floats, but holds int64"),
    ({"fc__bias": np.full(10, np.nan, np.float32)}, r"fc\.bias must hold finite numbers"),
    ({"bn1__running_var": np.full(16, -1, np.float32)}, r"bn1\.running_var must hold finite numbers of at least 0"),
    ({"fc__weight": np.ones((3, 64), np.float32)}, r"holds fc\.bias of shape \(10,\), but this network has \(3,\)"),
])
def test_arrays_that_do_not_fit_are_named(changes, message, good, tmp_path):
    save_file(changed(good, **changes), tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match=message) as caught:
        import_file(tmp_path / "net.safetensors", "se_resnet8", tmp_path / "run", mean=[0.5] * 3, std=[0.5] * 3)
    assert "net.safetensors" in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("words", "message"), [
    ({"model": None}, "does not say which network it holds"),
    ({"model": "se_resnet9"}, "unknown model 'se_resnet9'; did you mean se_resnet8"),
    ({"model": "resnet8"}, r"does not have, and \d+ more"),
    ({"options": {"reduction": 2}}, "fc1.weight of shape"),
    ({"options": {"depths": 2}}, "no option depths"),
    ({"mean": None}, "does not say with which mean and std"),
    ({"mean": [0.5]}, "mean must be 3 numbers"),
    ({"mean": [128.0] * 3}, "mean must hold numbers in 0..1"),
    ({"std": [0.0] * 3}, "std must hold numbers in 0..1, for pixels in 0..1, above 0"),
    ({"classes": ["a", "b"]}, "classes must be 10 different names"),
    ({"image_size": 4000}, "image_size must lie in 8..1024"),
    ({"data_set": "nothing"}, "unknown data set 'nothing'"),
])
def test_wrong_words_are_refused(words, message, good, tmp_path):
    save_file(good, tmp_path / "net.safetensors")
    usual = {"model": "se_resnet8", "mean": [0.5] * 3, "std": [0.5] * 3}
    with pytest.raises(ValueError, match=message):
        import_file(tmp_path / "net.safetensors", out=tmp_path / "run", **usual | words)
    assert not (tmp_path / "run").exists()


def test_a_network_with_options_is_imported(tmp_path):
    network = nets.drawn(models.se_wide(reduction=8, excitation="eca", widths=(4, 8, 8, 16)))
    save_file(state_dict(network, own_names(network)), tmp_path / "net.safetensors")
    found = import_file(tmp_path / "net.safetensors", "se_wide", tmp_path / "run", mean=[0.5] * 3, std=[0.5] * 3,
                        options={"excitation": "eca", "widths": [4, 8, 8, 16]})
    again, facts = found.folder.load_network()
    assert facts == {"epoch": 0}
    x = nets.pixels(2, 32)
    np.testing.assert_array_equal(nets.logits(again.eval(), x), nets.logits(network, x))


def test_the_counters_of_batch_norms_are_kept(good, tmp_path):
    arrays = {name: np.int64(1234) if name.endswith("num_batches_tracked") else array for name, array in good.items()}
    save_file({name: np.asarray(array) for name, array in arrays.items()}, tmp_path / "net.safetensors")
    import_file(tmp_path / "net.safetensors", "se_resnet8", tmp_path / "run", mean=[0.5] * 3, std=[0.5] * 3)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["imported"]["batches"] == 1234


def test_the_classes_of_the_data_are_found_among_those_of_the_network(few_shapes):
    classes = [*reversed(few_shapes.classes), "other"]
    seen = few_shapes.for_network(classes, few_shapes.mean, few_shapes.std)
    assert [seen.classes[label] for label in seen.test_labels] == [
        few_shapes.classes[label] for label in few_shapes.test_labels]
    with pytest.raises(ValueError, match="the class cool disc is not one of the network's 1 classes"):
        few_shapes.for_network(["warm disc"], few_shapes.mean, few_shapes.std)


def test_a_run_without_data_says_so(good, tmp_path):
    save_file(good, tmp_path / "net.safetensors")
    import_file(tmp_path / "net.safetensors", "se_resnet8", tmp_path / "run", mean=[0.5] * 3, std=[0.5] * 3)
    with pytest.raises(FileNotFoundError, match="was imported without data"):
        RunFolder(tmp_path / "run").load_data()


def test_data_with_fewer_classes_need_names(good, few_shapes, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "load", lambda *_: few_shapes)
    arrays = changed(good, fc__weight=np.ones((20, 64), np.float32), fc__bias=np.ones(20, np.float32))
    save_file(arrays, tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match="has 20 classes, and shapes has 10; name the classes of the network"):
        import_file(tmp_path / "net.safetensors", "se_resnet8", tmp_path / "run", data_set="shapes")
