"""Pictures can be read: no labels overlap, every scale has its unit, no part is empty."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from npse.analysis import plots
from npse.bench.roofline import roofline
from npse.data.sheet import contact_sheet


def row(epoch, error=50.0, loss=1.0):
    return {"epoch": epoch, "train_loss": loss, "loss": loss / 2, "train_accuracy": 1 - error / 100,
            "accuracy": 1 - error / 90, "evaluated_on": "test"}


def drawn(picture):
    """Return a figure that is laid out as in its file."""
    FigureCanvasAgg(picture).draw()
    return picture


def overlapping(axis):
    """Return pairs of tick labels that overlap."""
    labels = [label for label in (*axis.get_majorticklabels(), *axis.get_minorticklabels())
              if label.get_text() and label.get_visible()]
    boxes = [(label.get_text(), label.get_window_extent()) for label in labels]
    low, high = axis.axes.bbox.intervaly if axis.axis_name == "y" else axis.axes.bbox.intervalx
    inside = [(text, box) for text, box in boxes
              if low - 9 < (box.y0 + box.y1 if axis.axis_name == "y" else box.x0 + box.x1) / 2 < high + 9]
    return [(a, b) for (a, one), (b, other) in itertools.combinations(inside, 2) if one.overlaps(other)]


@pytest.mark.parametrize("errors", [[50], [77, 34, 12, 6, 4, 2.4, 1.3, 0.9, 0.6, 0.4], [90, 80, 70, 60], [40, 5, 0, 0],
                                    [8, 7.9], [90 / 1.1 ** k for k in range(100)]], ids=len)
def test_no_labels_of_the_curves_overlap(errors):
    picture = drawn(plots.curves([row(epoch, error) for epoch, error in enumerate(errors, 1)], "a run"))
    for axes in picture.axes:
        assert not overlapping(axes.yaxis)
        assert not overlapping(axes.xaxis)
        assert sum(bool(label.get_text()) for label in axes.get_yticklabels()) >= 2


def test_a_single_epoch_can_be_seen():
    for axes in drawn(plots.curves([row(1)], "a run")).axes:
        assert [line.get_marker() for line in axes.lines] == ["s", "o"]
        assert [tick for tick in axes.get_xticks() if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]] == [1]


def test_the_confusion_matrix_says_what_it_counts():
    picture = drawn(plots.confusion(np.array([[999, 1], [0, 50]]), ["cat", "dog"], "a run"))
    axes, scale = picture.axes
    assert [text.get_text() for text in axes.texts] == ["100", "<1", "100"]
    assert scale.get_ylabel() == "per cent of the images of the true class"


def test_every_scale_of_the_gates_has_a_title():
    gates = {f"layer{k}.0": np.random.default_rng(k).random((10, 16)) for k in (1, 2, 3)}
    picture = drawn(plots.gates(gates, list("abcdefghij"), "a run"))
    scales = picture.axes[6:]
    assert {scale.get_xlabel() for scale in scales} == {"gate, 0 to 1", "gate less the mean"}
    for axes in picture.axes[:6:2]:
        assert [label.get_text() for label in axes.get_yticklabels()] == list("abcdefghij")


def test_tiny_ops_do_not_stretch_the_roofline():
    big = [{"op": op, "arguments": [[128, 32, 32, 16]], "flops": 1e9 * k, "bytes": 3e7, "gflops": 20.0 * k,
            "ms_step": 50.0}
           for k, op in enumerate(("conv2d", "conv2d_backward_x", "conv2d_backward_w", "relu"), 1)]
    tiny = [{"op": "sgd", "arguments": [[10]], "flops": 10.0, "bytes": 100.0, "gflops": 0.003, "ms_step": 0.2}] * 9
    rates = {"sgemm_gflops": 137.0, "copy_cache_gbs": 25.0, "copy_memory_gbs": 12.0}
    picture = drawn(roofline([*big, *tiny], rates, "a step"))
    low, high = picture.axes[0].get_ylim()
    assert low == 10
    assert high == 2 * 137
    key = "\n".join(text.get_text() for text in picture.texts)
    assert all(f"{k}  " in key for k in (1, 2, 3, 4))
    assert "sgd" not in key


def test_the_names_on_a_contact_sheet_are_whole():
    images = np.zeros((10, 32, 32, 3), np.uint8)
    picture = drawn(contact_sheet(images, np.arange(10), ["checked triangle"] * 10, columns=2))
    assert min(label.get_window_extent().x0 for label in picture.axes[0].get_yticklabels()) >= 0
