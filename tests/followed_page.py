"""A page of docs followed literally, in a copy of the package: its blocks go to the files it names."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import npse

ROOT = Path(npse.__file__).parents[1]


class Page:
    """The blocks of code of a page, each under the path of its file, and its commands."""

    def __init__(self, name):
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        self.blocks = re.findall(r"^`(npse/[\w/]+\.py)`\n\n```python\n(.*?)```$", text, re.MULTILINE | re.DOTALL)
        self.commands = re.findall(r"^```sh\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL)

    def follow(self, folder):
        """Copy the package into a folder and put every block into its file; return the folder."""
        shutil.copytree(ROOT / "npse", folder / "npse", ignore=shutil.ignore_patterns("__pycache__"))
        for name, block in self.blocks:
            _put(folder / name, block)
        return folder


def _put(file, block):
    """Write a new file, or append to a file; then import lines go to its head, under the docstring."""
    if not file.exists():
        file.write_text(block, encoding="utf-8")
        return
    imports = [line for line in block.splitlines(keepends=True) if line.startswith(("import ", "from "))]
    rest = "".join(line for line in block.splitlines(keepends=True) if line not in imports)
    head, quotes, body = file.read_text(encoding="utf-8").partition('"""\n\n')
    file.write_text(head + quotes + "".join(imports) + body.rstrip() + "\n\n\n" + rest.lstrip(), encoding="utf-8")


def run(folder, command):
    """Run a command of npse with the copy in a folder; return its exit code and its output."""
    words = command.replace("npse ", "-m npse ", 1).split()
    environment = os.environ | {"PYTHONPATH": str(folder), "NPSE_CACHE_DIR": str(folder / "cache"), "COLUMNS": "200"}
    ran = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
    return ran.returncode, ran.stdout + ran.stderr
