"""How compiled code hands work to other threads without a word of Python in between.

A thread that waits for a lock sleeps, Python's own lock included, and to wake it takes tens of microseconds: as long as
many an op. So helpers wait inside of compiled code, `serve`, looking at a word of memory. Whoever has work for them,
`offer`, writes it on a board, does of it what it can, takes back what nobody has begun, and waits for the rest.

The board is an array of 64-bit words, its rows are cache lines. The job stands first: the next number to be worked on,
their count, how many are taken at once, whether something failed, and the function that runs it; in the row below, the
kernel and what it is called with. That function is made for the types of the arguments, whatever the kernel: it takes
ranges until none is left, and calls the kernel with each. Then each helper has a row, with its state

    IDLE      looks for work, or sleeps           `offer` makes it OFFERED
    OFFERED   there is work                       the helper makes it RUNNING, or `offer` makes it IDLE again
    RUNNING   works                               the helper makes it IDLE

and the number of times that it went to sleep.
"""

import ctypes
import platform
import sys

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.uninterrupted import uninterrupted

IDLE, OFFERED, RUNNING = range(3)
STATE, NAPS = range(2)                         # words of a helper
NEXT, COUNT, BLOCK, FAILED, RUN = range(5)     # words of the job
ROW, ROOM = 8, 512                             # words of a row, and of the job: the first helper's row is behind them
LOOKS, ROUNDS = 64, 500                        # looks at the board in a row, and how many rounds of them before a nap

_WORD = ir.IntType(64)
_NOTHING, _HINT = (ir.FunctionType(ir.VoidType(), words) for words in ([], [ir.IntType(32)]))
_RUN = ir.FunctionType(ir.VoidType(), [_WORD, _WORD])             # (address of the job, number of the thread)


def board(helpers):
    """Make a board for so many helpers: an array of zeros that begins with a cache line."""
    size = ROOM + helpers * ROW
    words = np.zeros(size + ROW, np.int64)
    return words[-words.ctypes.data % (8 * ROW) // 8:][:size]


def _give_way():
    """Address of the system's function that lets other threads have the core; 0 if it is not found."""
    library, name = ("kernel32", "SwitchToThread") if sys.platform == "win32" else (None, "sched_yield")
    try:
        return ctypes.cast(getattr(ctypes.CDLL(library), name), ctypes.c_void_p).value
    except (OSError, AttributeError):
        return 0


GIVE_WAY = _give_way()


def _word(builder, address, number=0):
    return builder.inttoptr(builder.add(address, _WORD(8 * number)), _WORD.as_pointer())


def entry_point(kernel, values, numbered):
    """Address of a kernel's machine code for kernel(*values, first, last); compiles it if it is not."""
    kinds = (*map(numba.typeof, values), *[types.int64] * (2 + numbered))
    kernel.compile(kinds)
    compiled = kernel.overloads[kinds]
    returned = compiled.signature.return_type
    if returned != types.none:                                    # it would be written to where nothing is
        raise TypeError(f"a kernel writes into its arguments, but {kernel.__name__} returns {returned}")
    return uninterrupted(compiled.library.get_pointer_to_function, compiled.fndesc.llvm_func_name)


@intrinsic
def _read(typing, address):
    """The word at an address; what was written before it can be read then."""
    def generate(context, builder, signature, arguments):
        return builder.load_atomic(_word(builder, *arguments), "acquire", 8)
    return types.int64(types.int64), generate


@intrinsic
def _write(typing, address, value):
    """Write a word, behind everything that was written before."""
    def generate(context, builder, signature, arguments):
        address, value = arguments
        builder.store_atomic(value, _word(builder, address), "release", 8)
        return context.get_dummy_value()
    return types.void(types.int64, types.int64), generate


@intrinsic
def _change(typing, address, old, new):
    """Make a word new if it is old, and say whether it was: of several threads that try, one succeeds."""
    def generate(context, builder, signature, arguments):
        address, old, new = arguments
        return builder.extract_value(builder.cmpxchg(_word(builder, address), old, new, "acq_rel", "acquire"), 1)
    return types.boolean(types.int64, types.int64, types.int64), generate


@intrinsic
def _wait(typing):
    """Tell the core that this thread only waits."""
    def generate(context, builder, signature, arguments):
        machine = platform.machine().lower()
        if machine in ("x86_64", "amd64"):
            builder.call(builder.module.declare_intrinsic("llvm.x86.sse2.pause", (), _NOTHING), [])
        elif machine in ("aarch64", "arm64"):
            builder.call(builder.module.declare_intrinsic("llvm.aarch64.hint", (), _HINT), [_HINT.args[0](1)])
        return context.get_dummy_value()
    return types.void(), generate


@intrinsic
def _call(typing, function, first, second):
    """Call the function at an address with two words; what it returns is not looked at."""
    def generate(context, builder, signature, arguments):
        function, *words = arguments
        builder.call(builder.inttoptr(function, _RUN.as_pointer()), words)
        return context.get_dummy_value()
    return types.void(types.int64, types.int64, types.int64), generate


def _writer(numbered):
    """Make the intrinsic that writes kernel and arguments on the board and returns the address of what runs the job."""
    @intrinsic
    def write(typing, job, kernel, values):
        def generate(context, builder, signature, arguments):
            job, kernel, values = arguments
            content = ir.LiteralStructType([_WORD, values.type])
            if content.get_abi_size(context.target_data) > 8 * (ROOM - ROW):
                raise NotImplementedError(f"the arguments of a kernel do not fit the board: {signature.args[2]}")
            place = builder.inttoptr(builder.add(job, _WORD(8 * ROW)), content.as_pointer())
            builder.store(kernel, cgutils.gep_inbounds(builder, place, 0, 0))
            builder.store(values, cgutils.gep_inbounds(builder, place, 0, 1))
            run = ir.Function(builder.module, _RUN, "run")
            run.linkage = "internal"
            _write_run(context, run, content, signature.args[2], numbered)
            return builder.ptrtoint(run, _WORD)
        return types.int64(types.int64, types.int64, values), generate
    return write


def _write_run(context, run, content, values, numbered):
    builder = ir.IRBuilder(run.append_basic_block("begin"))
    look, work, stop = (run.append_basic_block(name) for name in ("look", "work", "stop"))
    job, thread = run.args
    place = builder.inttoptr(builder.add(job, _WORD(8 * ROW)), content.as_pointer())
    kernel, arguments = (builder.load(cgutils.gep_inbounds(builder, place, 0, k)) for k in range(2))
    arguments = [builder.extract_value(arguments, k) for k in range(len(values))]
    count, block = (builder.load(_word(builder, job, number)) for number in (COUNT, BLOCK))
    builder.branch(look)

    builder.position_at_end(look)
    first = builder.atomic_rmw("add", _word(builder, job, NEXT), block, "monotonic")
    builder.cbranch(builder.icmp_signed("<", first, count), work, stop)

    builder.position_at_end(work)
    last = builder.add(first, block)
    last = builder.select(builder.icmp_signed("<", last, count), last, count)
    arguments += [thread] * numbered + [first, last]
    kinds = [*values, *[types.int64] * (numbered + 2)]
    convention = context.call_conv
    kernel = builder.inttoptr(kernel, convention.get_function_type(types.none, kinds).as_pointer())
    status, _ = convention.call_function(builder, kernel, types.none, kinds, arguments)
    with builder.if_then(status.is_error, likely=False):
        builder.store(_WORD(1), _word(builder, job, FAILED))
    builder.branch(look)

    builder.position_at_end(stop)
    builder.ret_void()


_write_plain, _write_numbered = _writer(False), _writer(True)


@kernel
def offer(board, helpers, give_way, kernel, count, block, *values):
    """Call kernel(*values, first, last) for the ranges that make up 0 .. count, by the first so many helpers and here.

    ``board``, ``give_way`` and ``kernel`` are addresses. Returns when all is done; False if something failed.
    """
    return _run(board, helpers, give_way, _write_plain(board, kernel, values), count, block)


@kernel
def offer_numbered(board, helpers, give_way, kernel, count, block, *values):
    """The same, but kernel(*values, thread, first, last): threads are numbered, from 0."""
    return _run(board, helpers, give_way, _write_numbered(board, kernel, values), count, block)


@kernel
def _run(board, helpers, give_way, run, count, block):
    for number, value in ((NEXT, 0), (COUNT, count), (BLOCK, block), (FAILED, 0), (RUN, run)):
        _write(board + 8 * number, value)
    for helper in range(helpers):
        _write(_state(board, helper), OFFERED)
    _call(run, board, 0)
    for helper in range(helpers):
        if not _change(_state(board, helper), OFFERED, IDLE):
            while _stays(_state(board, helper), RUNNING):
                _give_core_away(give_way)
    return _read(board + 8 * FAILED) == 0


@kernel
def serve(board, helper, give_way):
    """As helper of that number, from 0, do what is offered, until nothing has been for a while."""
    state = _state(board, helper)
    left = ROUNDS
    while left:
        if _stays(state, IDLE):
            _give_core_away(give_way)
            left -= 1
        elif _change(state, OFFERED, RUNNING):
            _call(_read(board + 8 * RUN), board, helper + 1)
            _write(state, IDLE)
            left = ROUNDS
    naps = state + 8 * (NAPS - STATE)
    _write(naps, _read(naps) + 1)


@kernel
def _state(board, helper):
    return board + 8 * (ROOM + ROW * helper + STATE)


@kernel
def _stays(state, value):
    """Look at a state until it has another value, some times; return whether it still has this one."""
    for _ in range(LOOKS):
        if _read(state) != value:
            return False
        _wait()
    return True


@kernel
def _give_core_away(give_way):
    if give_way:
        _call(give_way, 0, 0)
