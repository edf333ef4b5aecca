"""Fashion-MNIST: IDX files, plain and compressed, made here with a few random images; the errors for damaged ones."""

import gzip
import hashlib
import os

import numpy as np
import pytest
from cifar10_copies import archive, folder
from PIL import Image

from npse import data
from npse.data import fashion_mnist
from npse.data.fetch import fetch
from npse.data.published import Download

FILES = fashion_mnist.FILES
SIZES = {"train": 30, "t10k": 12}


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.astype(np.uint8).tobytes()


@pytest.fixture
def official(monkeypatch, tmp_path):
    """Small files in place of the official ones, uncompressed, by name."""
    rng = np.random.default_rng(0)
    files = {}
    for name in fashion_mnist.SHA256:
        count = SIZES[name.split("-")[0]]
        shape, high = ((count, 28, 28), 256) if "images" in name else ((count,), 10)
        files[name] = idx(rng.integers(0, high, shape))
    monkeypatch.setenv("NPSE_DATA_DIR", str(tmp_path / "home"))
    monkeypatch.setattr(fashion_mnist, "IMAGES", SIZES)
    monkeypatch.setattr(fashion_mnist, "SHA256",
                        {name: hashlib.sha256(content).hexdigest() for name, content in files.items()})
    return files


def compressed(files):
    return {f"{name}.gz": gzip.compress(content) for name, content in files.items()}


FORMS = {"plain": dict, "gz": compressed}


@pytest.mark.parametrize("pack", [folder, archive])
@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_images_as_they_are(official, tmp_path, form, pack):
    loaded = data.load(str(pack(tmp_path / "copy", FORMS[form](official))))
    assert (loaded.name, loaded.images.shape, loaded.mean.shape) == ("fashion-mnist", (30, 28, 28, 1), (1,))
    assert np.array_equal(loaded.images.ravel(), np.frombuffer(official["train-images-idx3-ubyte"], np.uint8)[16:])
    assert np.array_equal(loaded.test_labels, np.frombuffer(official["t10k-labels-idx1-ubyte"], np.uint8)[8:])
    assert loaded.images.flags.writeable                            # else kernels are compiled once more


@pytest.mark.parametrize("form", FORMS)
def test_fetched_files_are_uncompressed(official, tmp_path, form):
    fetch("fashion-mnist", folder(tmp_path / "copy", FORMS[form](official)), lambda line: None)
    kept = tmp_path / "home" / "fashion-mnist"
    assert {file.name: file.read_bytes() for file in kept.iterdir()} == official
    assert data.load("fashion-mnist").labels.shape == (30,)


def test_the_folder_of_torchvision_is_found(official, tmp_path, monkeypatch):
    (tmp_path / "FashionMNIST").mkdir()
    folder(tmp_path / "FashionMNIST" / "raw", compressed(official))
    monkeypatch.setenv("NPSE_DATA_DIR", str(tmp_path))
    assert data.load("fashion-mnist").test_images.shape == (12, 28, 28, 1)


def test_a_download_takes_all_four_files(official, tmp_path, monkeypatch):
    sent = compressed(official)
    monkeypatch.setattr(FILES, "downloads", tuple(
        Download(f"http://localhost/{name}", f"md5:{hashlib.md5(content).hexdigest()}", 1)
        for name, content in sent.items()), raising=False)

    class Sender:
        def __init__(self, part, slowest):
            pass

        def __call__(self, url, output_file, pooch):
            with open(output_file, "wb") as file:
                file.write(sent[url.rpartition("/")[2]])
    monkeypatch.setattr("npse.data.fetch.Resuming", Sender)
    lines = []
    fetch("fashion-mnist", say=lines.append)
    assert len(lines) == 5
    assert data.load("fashion-mnist").labels.shape == (30,)
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["fashion-mnist"]


@pytest.mark.parametrize(("name", "damage", "match"), [
    ("train-images-idx3-ubyte", lambda c: c[:-1], "has 23535 bytes, expected 23536: it is truncated"),
    ("train-images-idx3-ubyte", lambda c: c[:-1] + bytes([c[-1] ^ 1]), "has been changed, or is another file: its sha"),
    ("train-images-idx3-ubyte", lambda c: c[4:], "is not an IDX file of 30 x 28 x 28 bytes, by its first 16 bytes"),
    ("train-images-idx3-ubyte", lambda c: b"", "is not an IDX file"),
    ("t10k-images-idx3-ubyte", lambda c: idx(np.zeros((12, 32, 32))), "is not an IDX file of 12 x 28 x 28 bytes"),
    ("t10k-labels-idx1-ubyte", lambda c: c[:-1] + b"\x0b", "has the class number 11, expected 0..9"),
    ("train-labels-idx1-ubyte", lambda c: idx(np.zeros(31)), "is not an IDX file of 30 bytes"),
])
@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_file_is_named(official, tmp_path, form, name, damage, match):
    files = FORMS[form](official | {name: damage(official[name])})
    with pytest.raises(ValueError, match=f"{name}.* in .*copy {match}"):
        FILES.read(folder(tmp_path / "copy", files))


def test_a_missing_file_is_named(official, tmp_path):
    del official["train-labels-idx1-ubyte"]
    with pytest.raises(FileNotFoundError, match="lacks train-labels-idx1-ubyte; the other files of Fashion-MNIST"):
        FILES.read(folder(tmp_path / "copy", official))


@pytest.mark.parametrize("cut", [10, -10])
def test_a_truncated_compressed_file_is_named(official, tmp_path, cut):
    files = compressed(official)
    files["t10k-images-idx3-ubyte.gz"] = files["t10k-images-idx3-ubyte.gz"][:cut]
    with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte.gz in .* cannot be read as a file of Fashion-MNIST"):
        FILES.read(folder(tmp_path / "copy", files))


def test_a_run_on_grey_images(official, npse, tmp_path):
    folder(tmp_path / "files", official)
    code, out, err = npse("train", "--data", "files", "--model", "resnet8", "--epochs", 1, "--batch-size", 10,
                          "--edition", "reference", "--out", "run")
    assert (code, err) == (0, "")
    assert out.startswith("resnet8 on fashion-mnist, ")
    assert "resnet8 on fashion-mnist" in npse("evaluate", "run", "--edition", "reference")[1]
    Image.new("RGB", (90, 60), "red").save("shoe.png")              # a picture in colour becomes a grey one
    code, out, _ = npse("predict", "run", "shoe.png", "--edition", "reference")
    assert (code, len(out.splitlines())) == (0, 6)


def test_a_network_for_larger_images_is_refused_before_it_makes_a_folder(official, npse, tmp_path):
    folder(tmp_path / "files", official)
    code, _, err = npse("train", "--data", "files", "--model", "se_vgg16", "--edition", "reference")
    assert (code, err) == (2, "npse: image_size must be at least 32 for this network, but is 28\n")
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(not os.environ.get("NPSE_FASHION_MNIST"),
                    reason="NPSE_FASHION_MNIST names no folder with the official files")
def test_the_official_files():
    loaded = data.load(os.environ["NPSE_FASHION_MNIST"])
    assert loaded.images.shape == (60_000, 28, 28, 1)
    assert np.bincount(loaded.labels).tolist() == [6000] * 10
    assert loaded.labels[:8].tolist() == [9, 0, 0, 3, 0, 2, 7, 2]
    np.testing.assert_allclose((loaded.mean[0], loaded.std[0]), (0.2860, 0.3530), atol=5e-5)
