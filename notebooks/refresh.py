"""Execute the pages and write them as notebooks with their outputs:  python notebooks/refresh.py [NAME.py ...]

The .py file is the source, the .ipynb what comes of it. The test suite executes the same way and compares.
"""

import os
import sys
from pathlib import Path

import jupytext
import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
COMPILING = "npse: compiling kernels"
PAGES = sorted(HERE.glob("[0-9][0-9]_*.py"))


def read(source):
    """Return the notebook that a py:percent source describes, without outputs; nothing in it depends on the machine."""
    notebook = jupytext.read(source)
    header = notebook.metadata
    notebook.metadata = {"jupytext": {"formats": header["jupytext"]["formats"]}, "kernelspec": header["kernelspec"],
                         "language_info": {"name": "python"}}
    for number, cell in enumerate(notebook.cells):
        cell.id = f"{source.stem}-{number}"
    return notebook


def execute(source):
    """Run a page from top to bottom and return it with its outputs; CellExecutionError where it fails."""
    notebook = read(source)
    metadata = notebook.metadata.copy()
    # No kernel folders: what is left is ipykernel's own kernel, which runs on this very interpreter.
    kernel = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    figures = {"MPLBACKEND": "module://matplotlib_inline.backend_inline",     # whatever the shell has chosen
               "NPSE_STATIC_PAGES": "1"}                                      # sliders would differ from run to run
    NotebookClient(notebook, km=kernel, timeout=120, record_timing=False, coalesce_streams=True,
                   resources={"metadata": {"path": str(HERE)}}).execute(cleanup_kc=True, env=os.environ | figures)
    for cell in notebook.cells:                                   # said only where the kernels are not yet compiled
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not output.get("text", "").startswith(COMPILING)]
    notebook.metadata = metadata                                  # the kernel adds the version of its Python
    return notebook


def write(source):
    """Execute a page and replace its .ipynb, in one step at the end."""
    target = source.with_suffix(".ipynb")
    unfinished = target.with_suffix(".ipynb.part")
    nbformat.write(execute(source), unfinished)
    os.replace(unfinished, target)
    return target


if __name__ == "__main__":
    for page in [Path(name).resolve() for name in sys.argv[1:]] or PAGES:
        print(f"{write(page).name}", flush=True)
