"""Machine code of kernels: compiled for a compute capability, without a GPU, and kept on disk for later processes.

    code = machine_code(kernel, signature, (9, 0))       from disk, or compiled now
    code.cubin, code.entry                               what the driver loads, and the name of the kernel in it

A kernel becomes PTX by way of Numba and NVVM, and PTX becomes machine code by NVIDIA's assembler. The files are those
of `npse.editions.kernel_files`; their folder follows the source of this edition and the versions of all packages that
take part.
"""

import functools
import importlib.metadata
import json
import re
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace

from numba import typeof, types
from numba.cuda import compiler, dispatcher
from numba.cuda.cudadrv import nvrtc
from numba.cuda.np.numpy_support import from_dtype

from npse.editions import kernel_files

_SOURCE = Path(__file__).parents[1]
_COMPILERS = "numba", "llvmlite", "numpy", "numba-cuda", "cuda-bindings", "nvidia-"     # names, or how they begin


@dataclass(frozen=True)
class Resources:
    """The resources that a kernel needs.

    Attributes
    ----------
    registers : int
        Registers of a thread.
    shared : int
        Bytes of shared memory of a block.
    local : int
        Bytes of local memory of a thread, which is as slow as global memory. It has the values that do not fit into the
        registers, and arrays whose indices are not constants.
    """

    registers: int
    shared: int
    local: int


@dataclass(frozen=True)
class MachineCode:
    """A kernel for one signature and one compute capability.

    Attributes
    ----------
    entry : str
        The name of the kernel in the code.
    parameters : tuple of str
        The types of its parameters in PTX, such as u64 and f32. An array is several parameters.
    resources : Resources
    instructions : dict of str to int
        Numbers of instructions in the PTX: ``instructions`` in all, ``fma``, ``mma`` (of tensor cores), ``loads``,
        ``wide_loads`` (of 128 bits) and ``stores``, of global memory.
    cubin : bytes
        The code, as the driver loads it.
    """

    entry: str
    parameters: tuple
    resources: Resources
    instructions: dict
    cubin: bytes


def signature_of(arguments):
    """Return the Numba types of the arguments of a launch, a tuple. An array is C-contiguous."""
    return tuple(map(_type_of, arguments))


def _type_of(value):
    if hasattr(value, "__cuda_ndarray__"):
        return types.Array(from_dtype(value.dtype), value.ndim, "C")
    if type(value) is tuple:
        return types.BaseTuple.from_types(signature_of(value))
    return typeof(value)


def machine_code(kernel, signature, capability, compiled=lambda kernel: None):
    """Return the `MachineCode` of a kernel for a signature and a compute capability, such as (9, 0).

    It is loaded from disk, or compiled and kept there. ``compiled(kernel)`` is called before a compilation. Errors as
    for `assemble`.
    """
    file, key = _file(kernel, signature, capability)
    found = _loaded(file, key) if file else None
    if found is None:
        compiled(kernel)
        found = assemble(to_ptx(kernel, signature, [capability])[capability], capability)
        if file:
            header = {"key": key, **asdict(found)} | {"cubin": len(found.cubin)}
            kernel_files.keep(file, json.dumps(header).encode() + b"\n" + found.cubin)
    return found


def is_kept(kernel, signature, capability):
    """Return whether the machine code of a kernel is on disk, undamaged."""
    file, key = _file(kernel, signature, capability)
    return bool(file) and _loaded(file, key) is not None


def _loaded(file, key):
    content = kernel_files.content(file)
    if content is None:
        return None
    try:
        line, cubin = content.split(b"\n", 1)
        header = json.loads(line)
        if header["key"] != key or header["cubin"] != len(cubin):
            return None
        return MachineCode(header["entry"], tuple(header["parameters"]), Resources(**header["resources"]),
                           header["instructions"], cubin)
    except (ValueError, KeyError, TypeError):                     # of another format
        return None


def _file(kernel, signature, capability):
    """Return the file of a kernel and the key that it must contain; None if it cannot be kept."""
    place, known = cache_folder(), identity(kernel)
    if place is None or known is None:
        return None, None
    key = f"{known} {signature} {capability}"
    name = re.sub(r"[^\w.-]", "", name_of(kernel))[:100]
    return place / f"{name}.{kernel_files.digest(key.encode()).hex()[:16]}.cubin", key


@functools.cache
def identity(kernel):
    """Return a text that tells kernels apart in every process; None if the kernel cannot be kept on disk."""
    function = kernel.py_func
    if not Path(function.__code__.co_filename).is_relative_to(_SOURCE):
        return None                           # its helpers may change, and the folder would not
    options = {name: kernel.targetoptions.get(name) for name in ("fastmath", "launch_bounds")}
    try:
        return f"{kernel_files.identity(function).hex()} {options}"
    except TypeError:
        return None


def name_of(kernel):
    """Return the module and the name of a kernel."""
    return f"{kernel.py_func.__module__}.{kernel.py_func.__name__}"


@functools.cache
def cache_folder():
    """Return the folder of the machine code, or None if no folder can be written; see `kernel_files.folder`."""
    found = sorted(f"{package.name} {package.version}" for package in importlib.metadata.distributions()
                   if (package.name or "").lower().startswith(_COMPILERS))
    return kernel_files.folder(kernel_files.fingerprint(_SOURCE, sys.version, *found))


def capability_of(text):
    """Return a compute capability such as "9.0" as two numbers.

    Raises
    ------
    ValueError
        It is not written like that, or the compiler does not know it.
    """
    if not re.fullmatch(r"[1-9][0-9]?\.[0-9]", text):
        raise ValueError(f"a compute capability must be two numbers such as 9.0, but is {text!r}")
    known = nvrtc.get_supported_ccs()
    if (capability := tuple(map(int, text.split(".")))) not in known:
        raise ValueError(f"there is no compute capability {text}; the compiler knows "
                         + ", ".join("{}.{}".format(*each) for each in known))
    return capability


_KINDS = {"fma": r"fma\.", "mma": r"mma\.", "loads": r"ld\.global", "wide_loads": r"ld\.global.*\.(v4\.\w32|v2\.\w64)",
          "stores": r"st\.global"}

_one_at_a_time = threading.RLock()            # the function that Numba asks for the device is exchanged


def to_ptx(kernel, signature, capabilities):
    """Return the PTX for each compute capability. Type inference, the slowest part, is done only for the first one."""
    fastmath, bounds = (kernel.targetoptions.get(option) for option in ("fastmath", "launch_bounds"))
    with _one_at_a_time:
        here = dispatcher.get_current_device                      # Numba compiles device functions for the current GPU
        dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capabilities[0])
        try:
            library, _ = compiler._compile_pyfunc_with_fixup(kernel.py_func, signature, None, False, False, fastmath,
                                                             capabilities[0], None, "numba", None, False, bounds)
            return {capability: "\n".join(library.get_asm_strs(cc=capability)) for capability in capabilities}
        finally:
            dispatcher.get_current_device = here


def assemble(ptx, capability):
    """Translate PTX into the `MachineCode` for a compute capability.

    Raises
    ------
    ValueError
        The assembler finds an error.
    """
    from cuda.bindings import nvjitlink

    code = ptx.encode()
    handle = nvjitlink.create(2, ["-arch=sm_{}{}".format(*capability), "-verbose"])
    try:
        nvjitlink.add_data(handle, nvjitlink.InputType.PTX, code, len(code), "kernel")
        nvjitlink.complete(handle)
        log = _log(nvjitlink.get_info_log_size, nvjitlink.get_info_log, handle)
        cubin = bytearray(nvjitlink.get_linked_cubin_size(handle))
        nvjitlink.get_linked_cubin(handle, cubin)
    except nvjitlink.nvJitLinkError as error:
        why = _log(nvjitlink.get_error_log_size, nvjitlink.get_error_log, handle)
        raise ValueError(f"the assembler finds an error in the PTX for {capability}: {why or error}") from error
    finally:
        nvjitlink.destroy(handle)
    resources = Resources(*(int(re.search(rf"^info .*?(\d+) {what}\b", log, re.MULTILINE)[1])
                            for what in ("registers", "bytes smem", "stack")))
    entry, parameters = re.search(r"\.visible \.entry (\w+)\((.*?)\)", ptx, re.DOTALL).groups()
    return MachineCode(entry, tuple(re.findall(r"\.param \.(?:align \d+ )?\.?(\w+)", parameters)), resources,
                       _instructions(ptx), bytes(cubin))


def _instructions(ptx):
    names = re.findall(r"^\s+(?:@!?%\w+\s+)?([a-z][\w.]*)\s+[^;]*;", ptx, re.MULTILINE)
    return {"instructions": len(names), **{kind: sum(bool(re.match(pattern, name)) for name in names)
                                           for kind, pattern in _KINDS.items()}}


def _log(size, read, handle):
    log = bytearray(size(handle))
    if log:
        read(handle, log)
    return log.decode().strip("\0 \n")
