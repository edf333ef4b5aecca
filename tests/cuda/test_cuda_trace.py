"""What `npse trace` counts, what it warns about, and what it draws."""

import sys
from pathlib import Path

import numpy as np
import pytest
import trace_kernels as kernels

from npse import cli
from npse import reference as book
from npse.cuda.runtime.vector_array import VectorArray
from npse.trace import draw, trace, trace_op, trace_variants

pytestmark = [pytest.mark.simulator, pytest.mark.slow]
FILE = Path(kernels.__file__)


def ones(*shape):
    return np.ones(shape, np.float32)


def line(kernel, number):
    """How a finding names a line of a kernel, counted from its decorator."""
    return f"line {kernel.py_func.__code__.co_firstlineno + number}"


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Call ``npse trace WORDS`` in an empty folder; returns (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["npse", "trace", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        return left.value.code or 0, *capsys.readouterr()
    return call


def kinds(record):
    return [finding.kind for finding in record.findings]


def test_counts_are_exact():
    y = np.zeros(8, np.float32)
    record = trace(kernels.neighbours, 2, 4, ones(9), y)
    assert (y == 2).all()
    assert record.reads("x").tolist() == [1, 2, 2, 2, 2, 2, 2, 2, 1]
    assert record.reads("x", block=1).tolist() == [0, 0, 0, 0, 1, 2, 2, 2, 1]
    assert record.writes("y").tolist() == [1] * 8
    assert record.reads("y").sum() == record.writes("x").sum() == 0
    assert record.reads_by_thread("x").tolist() == [2] * 4
    assert record.writes_by_thread(block=1).tolist() == [1] * 4
    assert record.cells("x", "reads", 1, 2).tolist() == [False] * 6 + [True] * 2 + [False]
    assert record.writers("y", 1).tolist() == [-1] * 4 + [0, 1, 2, 3]
    assert record.pieces("x") == 1 + 1 + 1 + 2                    # x[8] lies in a piece of its own
    assert record.findings == []
    assert "neighbours: 2 blocks of 4 threads" in str(record)


def test_views_and_atomic_operations_are_counted():
    x, total = ones(2, 3), np.zeros(1, np.float32)
    record = trace(kernels.in_place, 1, (2, 3), x, total)
    assert (x == 2).all()
    assert total == 12
    assert record.reads("x").tolist() == [[2] * 3] * 2
    assert record.writes("x").tolist() == [[1] * 3] * 2
    assert (record.reads("total"), record.writes("total")) == (6, 6)
    assert record.reads_by_thread("x").shape == (3, 2)
    assert record.findings == []


def test_a_loop_over_an_array_ends_and_is_counted():
    y = np.zeros(3, np.float32)
    record = trace(kernels.row_by_row, 1, 1, ones(3, 2), y)
    np.testing.assert_array_equal(y, [2, 2, 2])
    np.testing.assert_array_equal(record.reads("x"), ones(3, 2))


def test_threads_that_read_apart_ask_for_more_pieces():
    a, b, c = ones(8, 8), ones(8, 8), ones(8, 8)
    record = trace(kernels.naive, (1, 1), (8, 4), a, b, c)        # a warp: 8 columns of 4 rows
    assert record.pieces("a") == 8 * 4                            # k at a time, one number of each of 4 rows
    assert record.pieces("b") == 8                                # k at a time, one row


def test_a_missing_barrier_is_seen_whichever_thread_came_first():
    for _ in range(3):
        record = trace(kernels.hasty_reverse, 1, 8, ones(8), ones(8))
        assert kinds(record) == ["race"]
    write, read = (line(kernels.hasty_reverse, number) for number in (4, 5))
    assert str(record.findings[0]) == (
        f"race: shared[0], 8 cells in all: thread 7 reads it ({read}), thread 0 writes it ({write}), in no fixed "
        "order: put cuda.syncthreads() between them")
    assert trace(kernels.reverse, 1, 8, ones(8), ones(8)).findings == []


def test_a_barrier_missing_at_the_end_of_a_loop_is_seen():
    arrays = ones(8, 8), ones(8, 8), ones(8, 8)
    assert kinds(trace(kernels.hasty_tiled, (2, 2), (4, 4), *arrays)) == ["race", "race"]
    assert trace(kernels.tiled, (2, 2), (4, 4), *arrays).findings == []


def test_blocks_that_write_the_same_cell_race():
    record = trace(kernels.sum_of_all, 2, 1, ones(2), np.zeros(1, np.float32))
    assert kinds(record) == ["race"]
    assert "thread 0 of block 1" in record.findings[0].message
    assert "a barrier does not order threads of different blocks" in record.findings[0].message


def test_indices_outside_are_named_and_the_rest_of_the_kernel_runs():
    y = np.zeros(8, np.float32)
    record = trace(kernels.beyond, 3, 4, ones(8), y)
    assert (y == 1).all()
    here = line(kernels.beyond, 3)
    assert list(map(str, record.findings)) == [
        f"outside: thread 0 of block 2 writes y[8], outside of its shape (8,) ({here}), 4 threads in all",
        f"outside: thread 1 of block 2 reads x[8], outside of its shape (8,) ({here}), 3 threads in all",
        f"negative: thread 0 of block 0 reads x[-1], which counts from the end ({here})"]
    assert [finding.wrong for finding in record.findings] == [True, True, False]


def test_threads_without_work_are_counted():
    record = trace(kernels.neighbours, 3, 4, ones(9), ones(8))
    assert kinds(record) == ["idle"]
    assert "4 of 12 threads use no memory, the first of them thread 0 of block 2" in record.findings[0].message
    assert not record.findings[0].wrong


def test_shared_memory_that_nobody_wrote_and_barriers_apart_are_seen():
    record = trace(kernels.unwritten, 1, 8, ones(8), ones(8))
    assert kinds(record) == ["unwritten"]
    assert "thread 0 reads shared[0]" in record.findings[0].message
    assert kinds(trace(kernels.two_barriers, 1, 8, ones(8), ones(8))) == ["barrier"]


def test_device_functions_are_followed():
    record = trace(kernels.through_a_function, 1, 2, ones(8), ones(8))
    assert f"thread 0 reads x[8], outside of its shape (8,) ({line(kernels.fetch, 2)})" in record.findings[0].message


def test_a_vector_is_four_cells_and_one_access():
    record, = trace_op("scale", ones(1, 4, 3, 8), ones(1, 8))
    assert record.threads == (1, 12, 1)                           # a thread has a vector of four channels of a pixel
    assert (record.reads("u") == 1).all()
    assert (record.writes("y") == 1).all()
    assert record.pieces("u") == 2 * 12 * 1                       # of 32 bytes: a block reads 16 of each pixel's 32
    assert record.reads_by_thread("u").tolist() == [[4]] * 12
    assert record.findings == []


def test_what_a_vector_does_outside_is_seen():
    record = trace(kernels.neighbours, 2, 4, VectorArray(ones(32), 4), VectorArray(ones(32), 4))
    assert "outside" in kinds(record)


def test_tiles_save_reads_of_global_memory():
    a, b = np.random.default_rng(0).standard_normal((2, 8, 8)).astype(np.float32)
    c, d = ones(8, 8), ones(8, 8)
    naive, tiled = trace(kernels.naive, (2, 2), (4, 4), a, b, c), trace(kernels.tiled, (2, 2), (4, 4), a, b, d)
    np.testing.assert_allclose(c, a @ b, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(d, a @ b, rtol=1e-5, atol=1e-5)
    for name in "ab":
        assert naive.reads(name).sum() == 4 * tiled.reads(name).sum() == 512
    assert [memory.name for memory in tiled.arrays] == ["a", "b", "c", "left", "right"]
    assert tiled.reads("left").tolist() == [[4 * 2 * 4] * 4] * 4  # by 4 threads, for 2 tiles, of 4 blocks

    figure = draw(naive, tiled)
    panels = {ax.get_title(): ax for ax in figure.axes if ax.get_title()}           # of the same name, the last
    assert list(panels) == ["threads", "a", "b", "c", "left", "right"]
    written = [int(text.get_text()) for text in panels["a"].texts]
    assert sorted(written) == [1] * 32
    assert len(panels["a"].patches) == 2                          # the cells of the thread that is framed


def marked(panel):
    """Row and column of each cell of a panel with a purple corner."""
    corners = (patch.get_xy()[1] for patch in panel.patches if len(patch.get_xy()) == 4)      # closed triangles
    return sorted((int(y + 0.5), int(x - 0.5)) for x, y in corners)


def panels_of(record, block=0):
    return {ax.get_title(): ax for ax in draw(record, block=block).axes if ax.get_title()}


def test_a_picture_marks_the_cells_of_a_race_and_of_what_nobody_wrote():
    panels = panels_of(trace(kernels.hasty_reverse, 1, 8, ones(8), ones(8)))
    assert {name: marked(panel) for name, panel in panels.items()} == {
        "threads": [], "x": [], "y": [], "shared": [(0, k) for k in range(8)]}
    record = trace(kernels.hasty_tiled, (2, 2), (4, 4), ones(8, 8), ones(8, 8), ones(8, 8))
    for block in range(4):                                        # each has shared memory, and a race, of its own
        assert record.wrong_cells("left", block).all()
        assert not record.wrong_cells("a", block).any()
    assert "16 cells in all" in record.findings[0].message
    panels = panels_of(trace(kernels.unwritten, 1, 8, ones(8), ones(8)))
    assert {name: marked(panel) for name, panel in panels.items()} == {
        "threads": [], "x": [], "y": [], "shared": [(0, 0)]}


def test_a_picture_marks_who_goes_outside_of_which_array():
    record = trace(kernels.beyond, 2, 8, ones(16), ones(12))
    panels = panels_of(record, block=1)
    assert {name: marked(panel) for name, panel in panels.items()} == {
        "threads": [(0, 4), (0, 5), (0, 6), (0, 7)], "x": [], "y": []}
    assert panels["y"].get_xlabel() == "global, 12\n4 writes, 4 outside"
    assert {name: panel.spines["left"].get_visible() for name, panel in panels.items()} == {
        "threads": False, "x": False, "y": True}
    assert marked(panels_of(record, block=0)["threads"]) == []    # x[-1] is in the array
    panels = panels_of(trace(kernels.through_a_function, 1, 2, ones(8), ones(8)))
    assert panels["x"].get_xlabel() == "global, 8\n0 writes, 2 outside"       # shown though no cell of it is touched


def test_the_legend_tells_of_marks_where_there_are_some():
    def legend(record):
        return draw(record).subfigs[-1].get_suptitle()

    assert "Purple corners" in legend(trace(kernels.hasty_reverse, 1, 8, ones(8), ones(8)))
    assert "Purple" not in legend(trace(kernels.reverse, 1, 8, ones(8), ones(8)))


def test_the_fast_variants_of_the_convolution_save_reads_of_global_memory():
    naive, tile, *_ = trace_variants("conv2d")
    assert naive.name == "conv2d, naive"
    assert naive.reads("x").sum() >= 3.5 * tile.reads("x").sum()
    assert naive.reads("w").sum() >= 3 * tile.reads("w").sum()
    assert not tile.findings
    assert draw(naive, tile).axes


@pytest.mark.parametrize("op", book.OPS)
def test_no_kernel_of_the_edition_does_anything_suspicious(op):
    for record in trace_variants(op):
        assert not [str(finding) for finding in record.findings if finding.wrong], record


def test_an_op_is_traced_on_arguments_of_ones_own():
    u = ones(1, 3, 3, 2)
    record, = trace_op("squeeze", u)
    assert record.reads(record.arrays[0].name).sum() == u.size


@pytest.mark.parametrize(("words", "says"), [
    (["nix"], "unknown op 'nix'; all are in npse.reference.OPS"),
    (["squeze"], "unknown op 'squeze'; did you mean squeeze? all are in npse.reference.OPS"),
    (["naive", "--blocks", "2"], "name a kernel of your own with its file, as in my_kernels.py:naive"),
    (["se_backward_staged"], "launches no kernel"),
    (["no.py:x"], "there is no file no.py; expected a kernel in a Python file, as in my_kernels.py:blur"),
    ([f"{FILE}:nix"], "has no kernel 'nix', a function with @cuda.jit; known are: neighbours, in_place"),
    ([f"{FILE}:hasty_revers"], "a function with @cuda.jit; did you mean hasty_reverse? known are: "),
    ([f"{FILE}:wrong"], "wrong_example() must return (blocks, threads, *arguments), but returned [1, 2]"),
    ([FILE], "may hold several kernels: name one"),
    ([f"{FILE}:naive", "--threads", "4,x"], "--threads must be integers separated by commas, such as 2,2, but"),
    ([f"{FILE}:naive", "--threads", "64,64"], "threads must be one to three numbers from 1, 1024 in all at most"),
    ([f"{FILE}:naive", "--block", "3"], "naive has no block 3: its grid is 1 block of 8 x 8 threads"),
    ([f"{FILE}:broken"], "broken raises AttributeError"),
    ([f"{FILE}:with_a_length"], "add to the file: def with_a_length_example(): return blocks, threads, *arguments"),
    ([f"{FILE}:with_a_place"], "with_a_place raises IndexError"),
    (["notes.txt"], "there is no file notes.txt"),
    ([FILE.parent], f"there is no file {FILE.parent}"),
    (["squeeze", "--out", "a.pdf"], "cannot write a.pdf: its name must end in .png"),
    (["squeeze", "--threads", "3"], "squeeze is an op, which chooses its grid itself"),
])
def test_errors_of_the_command_are_one_line(command, words, says):
    code, out, err = command(*words)
    assert (code, out) == (2, "")
    assert err.startswith("npse: ")
    assert err.count("\n") == 1
    assert says in err


def test_the_command_draws_and_says_whether_all_is_well(command, tmp_path):
    code, out, _ = command(f"{FILE}:neighbours", f"{FILE}:reverse", "--threads", "8", "--blocks", "1")
    assert code == 0
    assert "global x  (9,)" in out                               # of neighbours_example
    assert (tmp_path / "trace-neighbours.png").read_bytes().startswith(b"\x89PNG")
    code, out, _ = command(f"{FILE}:hasty_reverse", "--threads", "8", "--out", "hasty.png")
    assert code == 1
    assert "race: shared[0]" in out
    assert (tmp_path / "hasty.png").exists()


def test_a_trace_says_what_it_does_not_have():
    record = trace(kernels.neighbours, 2, 4, ones(9), ones(8))
    with pytest.raises(ValueError, match="neighbours has no array 'z'; known are: x, y"):
        record.reads("z")
    with pytest.raises(ValueError, match=r"neighbours takes 2 arguments \(x, y\), but 1 are given"):
        trace(kernels.neighbours, 2, 4, ones(9))


def test_a_picture_is_no_wider_than_a_page_and_named_as_asked(command, tmp_path):
    from PIL import Image

    assert command("squeeze")[0] == 0
    assert command("conv2d_moments")[0] == 0
    for name in ("trace-squeeze.png", "trace-conv2d_moments.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.width <= 1300
