"""docs/cuda.md is correct: its kernels are traced with its commands, and the outputs are compared.

    python tests/test_cuda_docs.py             writes the outputs and the picture anew
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_exercises_docs import BLOCK, output_of

pytestmark = pytest.mark.slow
PAGE = Path(__file__).parents[1] / "docs" / "cuda.md"
PICTURE = PAGE.parent / "pictures" / "trace.png"


def run(folder):
    """Return the page with the output of its commands today; its Python blocks are written to a file of ``folder``."""
    file = folder / "matmul.py"
    blocks = []

    def block(match):
        if match["kind"] == "python":
            blocks.append(match["text"])
            file.write_text("\n\n".join(blocks), encoding="utf-8")
            return match[0]
        command = match["text"].splitlines()[0]
        return f"```console\n{command}\n{output_of(command[2:], folder)}```\n"
    return BLOCK.sub(block, PAGE.read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def _numba_cuda():
    if importlib.util.find_spec("numba_cuda") is None:
        (pytest.fail if os.environ.get("NPSE_REQUIRE_CUDA") == "1" else pytest.skip)("numba-cuda is not installed")


def test_the_outputs_on_the_page_are_correct(tmp_path):
    page = PAGE.read_text(encoding="utf-8")
    assert run(tmp_path).splitlines() == page.splitlines()
    assert page.count("$ npse trace") == 4
    assert page.count("\n  race: ") == 2
    assert (tmp_path / "matmul.png").read_bytes().startswith(b"\x89PNG")


def test_the_python_for_a_notebook_runs(tmp_path):
    code = "\n\n".join(match["text"] for match in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))
                       if match["kind"] == "python")
    (tmp_path / "notebook.py").write_text(f"{code}\nprint(record.reads('x'))", encoding="utf-8")
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1",
                                "PYTHONPATH": os.pathsep.join([str(PAGE.parents[1]), *sys.path])}
    ran = subprocess.run([sys.executable, "notebook.py"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.stdout == "[2 3 3 3 3 3 3 3]\n", ran.stderr


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as here:
        PAGE.write_text(run(Path(here)), encoding="utf-8")
        PICTURE.write_bytes((Path(here) / "matmul.png").read_bytes())
