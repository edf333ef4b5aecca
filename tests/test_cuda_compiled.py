"""The slow tests of the cuda edition that compile its kernels and run none."""

import pytest
from cuda_processes import marked, succeed


def each_file(mark):
    """Parametrize a test by the files that have tests with a mark."""
    return pytest.mark.parametrize("file", marked("ptx", mark), ids=lambda file: file.stem)


@pytest.mark.slow
@each_file("slow")
def test_all_of(file):
    succeed("ptx", "-m", "ptx and slow and not nightly", file)


@pytest.mark.nightly
@each_file("nightly")
def test_all_of_the_night(file):
    succeed("ptx", "-m", "ptx and nightly", file)
