"""The slow tests of the cuda edition that compile its kernels and run none."""

import pytest
from cuda_processes import FILES, kind_of, succeed


@pytest.mark.parametrize("marks", [pytest.param("ptx and slow", marks=pytest.mark.slow),
                                   pytest.param("ptx and nightly", marks=pytest.mark.nightly)])
@pytest.mark.parametrize("file", [file for file in FILES if kind_of(file) == "ptx"],
                         ids=lambda file: file.stem)
def test_all_of(file, marks):
    succeed("ptx", "-m", marks, file)
