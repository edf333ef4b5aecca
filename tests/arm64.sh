#!/usr/bin/env bash
# The tests of the CPU edition on an ARM processor that qemu emulates, on a Debian or Ubuntu machine with another one.
#
#   tests/arm64.sh [FOLDER [ARGUMENT of pytest ...]]
#
# FOLDER (by default ~/.cache/npse/arm64) gets an arm64 Python 3.11 from Debian's packages and npse's dependencies as
# aarch64 wheels; a second run uses them again. Nothing else on the machine is changed. It needs qemu-user (`apt-get
# install qemu-user`) and pip. The arguments are those of pytest; without them the tests of the register tile, of the
# convolutions and of Winograd's algorithm run, which takes half an hour. An emulator cannot say how fast a kernel is.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mkdir -p "${1:-$HOME/.cache/npse/arm64}" && cd "${1:-$HOME/.cache/npse/arm64}" && pwd)
shift || true
root="$folder/root" packages="$folder/packages" python="$folder/python"
command -v qemu-aarch64 > /dev/null || { echo "qemu-aarch64 is missing: apt-get install qemu-user" >&2; exit 2; }

if [ ! -x "$root/usr/bin/python3.11" ]; then
    echo "== an arm64 Python from Debian's packages"
    mkdir -p "$folder"/apt/{state,lists/partial,cache/archives/partial} "$root"
    touch "$folder/apt/status"
    cat > "$folder/apt.conf" << END
APT::Architecture "arm64";
APT::Architectures {"arm64";};
Dir::State "$folder/apt/state";
Dir::State::lists "$folder/apt/lists";
Dir::State::status "$folder/apt/status";
Dir::Cache "$folder/apt/cache";
END
    export APT_CONFIG="$folder/apt.conf"
    apt-get -qq update
    apt-get -qq --yes --no-install-recommends --download-only install python3.11 libstdc++6
    for package in "$folder"/apt/cache/archives/*.deb; do dpkg-deb -x "$package" "$root"; done
    unset APT_CONFIG
fi

if [ ! -d "$packages/pytest" ]; then
    echo "== aarch64 wheels of npse's dependencies"
    mapfile -t needed < <(python3 - "$repository/pyproject.toml" << 'END'
import sys
import tomllib

project = tomllib.load(open(sys.argv[1], "rb"))["project"]
print(*project["dependencies"], *project["optional-dependencies"]["test"], sep="\n")
END
    )
    platforms=(--platform manylinux2014_aarch64 --platform manylinux_2_17_aarch64 --platform manylinux_2_28_aarch64)
    python3 -m pip install --quiet --disable-pip-version-check --target "$packages" --only-binary=:all: \
        --implementation cp --python-version 3.11 "${platforms[@]}" "${needed[@]}"
fi

# A test that starts Python again starts this script; the kernel could not run the arm64 program by itself.
# The processor has NEON, and neither SVE nor SME: for SME the OpenBLAS of NumPy 2.4.6 has a product of matrices after
# which NumPy warns of a division by zero, though the numbers are right.
cat > "$python" << END
#!/bin/sh
exec qemu-aarch64 -cpu cortex-a76 -L "$root" "$root/usr/bin/python3.11" "\$@"
END
chmod +x "$python"
echo "import sys; sys.executable = '$python'" > "$packages/sitecustomize.py"

export PYTHONPATH="$repository:$packages" PYTHONDONTWRITEBYTECODE=1 NPSE_CACHE_DIR="$folder/kernels"
cd "$repository"
"$python" - << 'END'
import platform

import numpy

import numba

print(f"== {platform.machine()}, Python {platform.python_version()}, NumPy {numpy.__version__}, Numba {numba.__version__}")
END
if [ $# -eq 0 ]; then set -- tests/test_cpu_tile.py tests/test_cpu_conv.py tests/test_cpu_winograd.py; fi
"$python" -m pytest -o addopts= -q -p no:cacheprovider "$@"
