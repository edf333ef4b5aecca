"""A run on own pictures: it trains, is evaluated, predicts and resumes, and notices pictures that have changed."""

import pytest
from own_pictures import COLOURS, make, put

OPTIONS = ("--edition", "reference", "--epochs", 1, "--batch-size", 12, "--image-size", 8, "--crop", 1,
           "--model", "resnet8")


@pytest.fixture
def photos(tmp_path):
    return make(tmp_path / "photos")


@pytest.fixture
def run(npse, photos):
    code, out, err = npse("train", "--data", "photos", *OPTIONS, "--out", "run")
    assert (code, err) == (0, "")
    assert "one in 5 pictures of each class is a test picture" in out
    return photos


def test_evaluate_and_predict(run, npse, tmp_path, monkeypatch):
    monkeypatch.chdir(run)                                      # the run knows where its pictures are
    code, out, _ = npse("evaluate", tmp_path / "run", "--edition", "reference")
    assert (code, "resnet8 on photos, last weights (epoch 1)" in out, "6 images" in out) == (0, True, True)
    code, out, _ = npse("predict", tmp_path / "run", "cat/1.png", "--edition", "reference")
    assert code == 0
    assert {line.split()[0] for line in out.splitlines()[1:]} == {*COLOURS}


def test_resume(run, npse):
    code, out, _ = npse("train", "--resume", "--out", "run", "--epochs", 2)
    assert (code, "epoch=2/2" in out) == (0, True)


@pytest.mark.parametrize("change", ["a pixel", "a new picture", "a new class", "gone"])
def test_changed_pictures_are_noticed(run, npse, tmp_path, change):
    words = {"a pixel": "with other images or labels", "a new picture": "with other images or labels",
             "a new class": "with other classes: ['cat', 'dog', 'fox', 'owl']", "gone": "photos does not exist"}
    if change == "a pixel":
        put(run / "cat" / "3.png", (201, 30, 30))
    elif change == "gone":
        run.rename(tmp_path / "moved")
    else:
        for n in range(2):
            put(run / ("cat" if change == "a new picture" else "fox") / f"new{n}.png")
    for command in (("evaluate", "run", "--edition", "reference"),
                    ("train", "--resume", "--out", "run", "--epochs", 2)):
        code, _, err = npse(*command)
        assert (code, len(err.splitlines())) == (2, 1)
        assert words[change] in err
        assert "config.json" in err
    if change == "gone":
        picture = tmp_path / "moved" / "cat" / "1.png"
        assert npse("predict", "run", picture, "--edition", "reference")[0] == 0


def test_the_command_shows_them(photos, npse):
    (photos / "notes.txt").touch()
    code, out, _ = npse("data", "info", "photos", "--image-size", 16)
    assert code == 0
    assert "photos: images of 16x16 pixels, 3 channels" in out
    assert "1 x .txt" in out
    assert npse("data", "sheet", "photos")[1] == "wrote sheet-photos.png\n"


@pytest.mark.parametrize("words", [("--data", "nowhere/photos"), ("--data", "nowhere"), ("--image-size", 64),
                                   ("--data", "photos", "--budget", "5min")])
def test_a_mistake_is_one_line(photos, npse, words):
    code, _, err = npse("train", *words)
    assert (code, len(err.splitlines())) == (2, 1)
    assert not (photos.parent / "runs").exists() or not [*(photos.parent / "runs").iterdir()]
