"""The report of a run: a page that holds everything it shows, and that a browser shows without an error."""

import dataclasses
import html.parser
import os
import re
import shutil

import numpy as np
import pytest
from browser import CHROMIUM, WITHOUT, found_on

from npse import backend, data
from npse.analysis import inspect_run, page, report
from npse.bench.report import Table
from npse.models import resnet8, se_resnet8
from npse.training import SGD, Config, RunFolder, TrainingJob
from npse.training import run as train
from npse.training.job import Split

WIDTHS = (400, 1400)


class Quiet:
    def say(self, line):
        pass

    def began(self, epochs, steps, progress):
        pass

    def stepped(self, progress, batch):
        pass

    def epoch_done(self, row):
        pass


@pytest.fixture(scope="module")
def few(few_shapes):
    return dataclasses.replace(few_shapes, test_images=few_shapes.test_images[:60],
                               test_labels=few_shapes.test_labels[:60])


def trained(dataset, folder, network, model):
    """Train a run of two epochs; return its folder."""
    job = TrainingJob(Config(model=model, epochs=2, batch_size=64), dataset, Split.from_dataset(dataset, 0), network,
                      SGD(network))
    run = RunFolder(folder)
    run.create(job.config, dataset, {"commit": "<none>", "command": "npse train", "versions": {"numpy": "2"}})
    with backend.using_edition("auto"):
        train(job, run, Quiet())
    return run


@pytest.fixture(scope="module")
def finished(few, tmp_path_factory):
    """The folder of a finished run."""
    return trained(few, tmp_path_factory.mktemp("report") / "run", se_resnet8(), "se_resnet8")


@pytest.fixture(scope="module")
def found(finished, few):
    """The inspection of a finished run."""
    with pytest.MonkeyPatch.context() as patch, backend.using_edition("auto"):
        patch.setattr(data, "load", lambda *_: few)
        return inspect_run(finished.path)


@pytest.fixture(scope="module")
def written(finished, found):
    """The folder of a finished run with its report."""
    report.write(finished, found)
    return finished.path


class Reader(html.parser.HTMLParser):
    """Reads a page: its tags, the pairs of attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attributes]
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.text += text


def test_the_page_holds_everything_and_asks_for_nothing(written):
    text = (written / "report.html").read_text(encoding="utf-8")
    read = Reader(text)
    assert read.open == []                                             # every tag is closed
    assert "script" not in read.tags
    assert not re.search(r"url\(|@import|https?:", re.sub(r"data:[^'\"]*", "", text))
    sources = [value for tag, name, value in read.attributes if name in ("src", "href")]
    assert all(value.startswith("data:") for value in sources)
    pictures = [value for value in sources if value.startswith("data:image/png;base64,iVBOR")]
    assert len(pictures) == read.tags.count("img") == 8
    assert all(value for tag, name, value in read.attributes if name == "alt")
    for words in ("se_resnet8 on shapes, seed 0, last weights (epoch 2)", "test accuracy", "Does it matter?",
                  "The gates of 60 test images", "multiply-adds", "80,730", "<none>", "batch size", "numpy"):
        assert words in read.text, words
    assert (written / "curves.png").read_bytes()[:4] == (written / "gates.png").read_bytes()[:4] == b"\x89PNG"


def test_inspect_prints_tables_and_writes_the_report(finished, few, npse, monkeypatch, tmp_path):
    shutil.copytree(finished.path, tmp_path / "run", ignore=shutil.ignore_patterns("*.html", "*.png"))
    monkeypatch.setattr(data, "load", lambda *_: few)
    code, out, err = npse("inspect", "run", "--weights", "best", "--sample", 30)
    assert code == 0, err
    for words in ("best weights", "The gates of 60 test images", "between / within", "shuffled",
                  "of these 30 test images", "report: run/report.html"):
        assert words in out
    assert out.count("layer3.0") == 3
    assert (tmp_path / "run" / "report.html").exists()


def test_a_network_without_gates_has_a_report_too(few, npse, monkeypatch, tmp_path):
    trained(few, tmp_path / "plain", resnet8(), "resnet8")
    monkeypatch.setattr(data, "load", lambda *_: few)
    code, out, err = npse("inspect", "plain")
    assert code == 0, err
    assert "This network has no gates." in out
    assert "This network has no gates." in Reader((tmp_path / "plain" / "report.html").read_text("utf-8")).text
    assert not (tmp_path / "plain" / "gates.png").exists()


@pytest.mark.parametrize(("words", "message"), [
    (("nowhere",), "nowhere is not the folder of a run"),
    (("run", "--sample", 1), "--sample must lie in 2..60, the number of images, but is 1"),
    (("run", "--weights", "lst"), "did you mean last"),
])
def test_wrong_input_is_one_line(words, message, finished, few, npse, monkeypatch, tmp_path):
    shutil.copytree(finished.path, tmp_path / "run")
    monkeypatch.setattr(data, "load", lambda *_: few)
    code, _, err = npse("inspect", *words)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.slow
def test_a_report_that_cannot_be_written_leaves_the_old_one(written, found, monkeypatch):
    before = (written / "report.html").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=r"report\.html"):
        report.write(RunFolder(written), found)
    assert (written / "report.html").read_bytes() == before


def test_every_epoch_has_a_histogram_of_its_gates(finished):
    for row in finished.metrics():
        assert {name: sum(counts) for name, counts in row["gates"].items()} == {
            "layer1.0": 60 * 16, "layer2.0": 60 * 32, "layer3.0": 60 * 64}


def test_a_torn_line_with_histograms_is_repaired(finished, tmp_path):
    shutil.copytree(finished.path, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    lines = folder.metrics_file.read_bytes().splitlines(keepends=True)
    last_brace = len(lines[1]) - 2
    for end in (last_brace, last_brace - 1, lines[1].index(b'"layer2.0"') + 20):
        folder.metrics_file.write_bytes(lines[0] + lines[1][:end])
        assert [row["epoch"] for row in folder.metrics()] == [1]
    folder.metrics_file.write_bytes(lines[0] + lines[1].replace(b'"layer2.0": [', b'"layer2.0": [0, '))
    with pytest.raises(ValueError, match=r"line 2: gates of layer2.0 must be 60 counts"):
        folder.metrics()


@pytest.mark.slow
def test_many_classes_fit(few, tmp_path):
    """A data set of 100 classes, most of them without a test image."""
    many = dataclasses.replace(few, classes=tuple(f"class {k}" for k in range(100)),
                               labels=np.arange(len(few.labels)) % 100, test_labels=np.arange(60) + 40)
    folder = trained(many, tmp_path / "many", se_resnet8(classes=100), "se_resnet8")
    with pytest.MonkeyPatch.context() as patch, backend.using_edition("auto"):
        patch.setattr(data, "load", lambda *_: many)
        files = report.write(folder, inspect_run(folder.path, sample=10))
    assert [path.name for path in files] == ["report.html", "confusion.png", "curves.png", "gates.png"]


# in a browser

MEASURE = """
return frames.map(frame => {
  const page = frame.contentDocument, images = [...page.images];
  return {width: frame.clientWidth, scroll: page.documentElement.scrollWidth, images: images.length,
          missing: images.filter(image => !image.complete || image.naturalWidth == 0).length,
          narrow: images.filter(image => image.clientWidth < 300).length, text: page.body.innerText.length};
});"""


def shown(file, folder):
    """Show a page in frames of all `WIDTHS`; return what was measured in each, and the lines of the console."""
    return found_on([(file.as_uri(), width) for width in WIDTHS], folder, MEASURE)


@pytest.mark.skipif(CHROMIUM is None, reason=WITHOUT)
def test_a_browser_shows_the_report(written, tmp_path):
    frames, console = shown(written / "report.html", tmp_path)
    assert console == []
    for frame, width in zip(frames, WIDTHS, strict=True):
        assert frame["width"] == width
        assert frame["scroll"] <= width                                # nothing is wider than the page
        assert (frame["images"], frame["missing"], frame["narrow"]) == (8, 0, 0)
        assert frame["text"] > 3000


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason=WITHOUT)
def test_a_browser_shows_what_is_wrong_with_a_page(tmp_path):
    """The check above can fail."""
    wide = page.table(Table("", ("<a",), [("a" * 24,)])).replace("<table", "<table style='width:900px'")
    body = ["<img src='none.png'>", wide.replace("class='wide'", ""), "<script>nonsense()</script>"]
    (tmp_path / "bad.html").write_text(page.document("bad", body), encoding="utf-8")
    (narrow, _), console = shown(tmp_path / "bad.html", tmp_path)
    assert narrow["scroll"] > 800
    assert (narrow["images"], narrow["missing"]) == (1, 1)
    assert any("nonsense is not defined" in line for line in console)


def test_the_page_escapes_what_is_not_its_own():
    table = page.table(Table("<b>", ("<text", "number"), [("<i>", "a&b")], ["<u>"]))
    assert Reader(table).text == "<b>textnumber<i>a&b<u>"
    assert "<title>&lt;b&gt;</title>" in page.document("<b>", [])
