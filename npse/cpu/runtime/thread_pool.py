"""The thread pool in compiled code: jobs reach the workers without a call of Python.

A thread that waits for a lock sleeps. To wake it takes tens of microseconds, as long as many ops take. So workers wait
in compiled code, in `worker_loop`, and poll a word of memory. `submit` publishes a job in the queue, processes ranges
itself, cancels workers that have not started, and waits for the others.

The queue holds one job. It is an array of 64-bit words, in rows of one cache line each. The job is first. Its first row
holds the first index of the next range, the count of indices, the length of a range, whether a call failed, the address
of the function that runs the job, and whether `replay` runs. The next row holds the kernel and its arguments. The
function is made for the types of the arguments, not for one kernel. It takes ranges until none is left, and calls the
kernel with each. After the job each worker has a row, with its state

    IDLE        polls, or sleeps              `submit` makes it SUBMITTED
    SUBMITTED   there is a job                the worker makes it RUNNING, or `submit` makes it IDLE again
    RUNNING     runs the job                  the worker makes it IDLE

and the number of times that it went to sleep. No worker goes to sleep while `replay` runs: it could not wake it.
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

IDLE, SUBMITTED, RUNNING = range(3)
STATE, SLEEPS = range(2)                       # words of a worker
NEXT, COUNT, BLOCK, FAILED, RUN, REPLAYS = range(6)    # words of the job
ROW_WORDS, JOB_WORDS = 8, 512                  # words of a row, and of the job; the rows of the workers follow
POLLS, ROUNDS = 64, 500                        # polls between two yields of the core; yields before a worker sleeps

_WORD = ir.IntType(64)
_NOTHING, _HINT = (ir.FunctionType(ir.VoidType(), words) for words in ([], [ir.IntType(32)]))
_RUN = ir.FunctionType(ir.VoidType(), [_WORD, _WORD])             # (address of the job, number of the thread)


def job_queue(workers):
    """Make the queue for ``workers`` workers: (JOB_WORDS + workers * ROW_WORDS,) zeros, aligned to a cache line."""
    size = JOB_WORDS + workers * ROW_WORDS
    words = np.zeros(size + ROW_WORDS, np.int64)
    return words[-words.ctypes.data % (8 * ROW_WORDS) // 8:][:size]


def _yield_core_address():
    """Return the address of the system's function that yields the core to other threads; 0 if it is not found."""
    library, name = ("kernel32", "SwitchToThread") if sys.platform == "win32" else (None, "sched_yield")
    try:
        return ctypes.cast(getattr(ctypes.CDLL(library), name), ctypes.c_void_p).value
    except (OSError, AttributeError):
        return 0


YIELD_CORE = _yield_core_address()


def _word(builder, address, number=0):
    return builder.inttoptr(builder.add(address, _WORD(8 * number)), _WORD.as_pointer())


def entry_point(kernel, values, pass_thread):
    """Return the address of a kernel's machine code for kernel(*values, first, last); compile it if needed."""
    kinds = (*map(numba.typeof, values), *[types.int64] * (2 + pass_thread))
    kernel.compile(kinds)
    compiled = kernel.overloads[kinds]
    returned = compiled.signature.return_type
    if returned != types.none:                                    # the caller has no memory for a result
        raise TypeError(f"a kernel writes into its arguments, but {kernel.__name__} returns {returned}")
    return uninterrupted(compiled.library.get_pointer_to_function, compiled.fndesc.llvm_func_name)


@intrinsic
def _read(typing, address):
    """Load the word at an address, with acquire ordering."""
    def generate(context, builder, signature, arguments):
        return builder.load_atomic(_word(builder, *arguments), "acquire", 8)
    return types.int64(types.int64), generate


@intrinsic
def _write(typing, address, value):
    """Store a word at an address, with release ordering."""
    def generate(context, builder, signature, arguments):
        address, value = arguments
        builder.store_atomic(value, _word(builder, address), "release", 8)
        return context.get_dummy_value()
    return types.void(types.int64, types.int64), generate


@intrinsic
def _change(typing, address, old, new):
    """Compare and swap the word at an address: if it is ``old``, make it ``new`` and return True; atomic."""
    def generate(context, builder, signature, arguments):
        address, old, new = arguments
        return builder.extract_value(builder.cmpxchg(_word(builder, address), old, new, "acq_rel", "acquire"), 1)
    return types.boolean(types.int64, types.int64, types.int64), generate


@intrinsic
def _wait(typing):
    """Tell the core that this thread polls: a pause instruction."""
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
    """Call the function at an address with two words; its result is ignored."""
    def generate(context, builder, signature, arguments):
        function, *words = arguments
        builder.call(builder.inttoptr(function, _RUN.as_pointer()), words)
        return context.get_dummy_value()
    return types.void(types.int64, types.int64, types.int64), generate


def _writer(pass_thread):
    """Make the intrinsic that writes kernel and arguments to the job; it returns the address of the function to run."""
    @intrinsic
    def write(typing, job, kernel, values):
        def generate(context, builder, signature, arguments):
            job, kernel, values = arguments
            content = ir.LiteralStructType([_WORD, values.type])
            if content.get_abi_size(context.target_data) > 8 * (JOB_WORDS - ROW_WORDS):
                raise NotImplementedError(f"the arguments of a kernel do not fit into a job: {signature.args[2]}")
            place = builder.inttoptr(builder.add(job, _WORD(8 * ROW_WORDS)), content.as_pointer())
            values = _without_owners(builder, values, signature.args[2])
            builder.store(kernel, cgutils.gep_inbounds(builder, place, 0, 0))
            builder.store(values, cgutils.gep_inbounds(builder, place, 0, 1))
            run = ir.Function(builder.module, _RUN, "run")
            run.linkage = "internal"
            _write_run(context, run, content, signature.args[2], pass_thread)
            return builder.ptrtoint(run, _WORD)
        return types.int64(types.int64, types.int64, values), generate
    return write


def _without_owners(builder, value, kind):
    """Return a value of some Numba type in which no array knows the owner of its memory.

    Then no kernel counts references, which all threads would do at one place. The caller of `submit` owns the memory.
    """
    if isinstance(kind, types.Array):
        for place in range(2):                                    # the owner for Numba, and the one for Python
            value = builder.insert_value(value, ir.Constant(value.type.elements[place], None), place)
    elif isinstance(kind, types.BaseTuple):
        for place, item in enumerate(kind):
            part = _without_owners(builder, builder.extract_value(value, place), item)
            value = builder.insert_value(value, part, place)
    return value


def _write_run(context, run, content, values, pass_thread):
    builder = ir.IRBuilder(run.append_basic_block("begin"))
    look, work, stop = (run.append_basic_block(name) for name in ("look", "work", "stop"))
    job, thread = run.args
    place = builder.inttoptr(builder.add(job, _WORD(8 * ROW_WORDS)), content.as_pointer())
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
    arguments += [thread] * pass_thread + [first, last]
    kinds = [*values, *[types.int64] * (pass_thread + 2)]
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
def submit(queue, workers, yield_core, kernel, count, block, *values):
    """Split 0 .. count into ranges, and call kernel(*values, first, last) on ``workers`` workers and this thread.

    ``queue``, ``yield_core`` and ``kernel`` are addresses. Returns when all calls have ended: False if one failed.
    """
    return _run(queue, workers, yield_core, _write_plain(queue, kernel, values), count, block)


@kernel
def submit_numbered(queue, workers, yield_core, kernel, count, block, *values):
    """Do what `submit` does, but call kernel(*values, thread, first, last), with the number of the thread, from 0."""
    return _run(queue, workers, yield_core, _write_numbered(queue, kernel, values), count, block)


@kernel
def _run(queue, workers, yield_core, run, count, block):
    for number, value in ((NEXT, 0), (COUNT, count), (BLOCK, block), (FAILED, 0), (RUN, run)):
        _write(queue + 8 * number, value)
    for worker in range(workers):
        _write(_state(queue, worker), SUBMITTED)
    _call(run, queue, 0)
    for worker in range(workers):
        if not _change(_state(queue, worker), SUBMITTED, IDLE):
            while _stays(_state(queue, worker), RUNNING):
                _yield_core(yield_core)
    return _read(queue + 8 * FAILED) == 0


@kernel
def replay(queue, yield_core, job, jobs, workers):
    """Run ``jobs`` (n, JOB_WORDS), each a copy of the job of an earlier call of `submit`, on so many workers each (n,).

    ``job`` (JOB_WORDS,) are the words of the queue. Returns the number of jobs before one that failed; n if none did.
    """
    done = 0
    _write(queue + 8 * REPLAYS, 1)
    while done < len(jobs):
        job[ROW_WORDS:] = jobs[done, ROW_WORDS:]
        if not _run(queue, workers[done], yield_core, jobs[done, RUN], jobs[done, COUNT], jobs[done, BLOCK]):
            break
        done += 1
    _write(queue + 8 * REPLAYS, 0)
    return done


@kernel
def worker_loop(queue, worker, yield_core):
    """Run submitted jobs as worker number ``worker``, from 0; return after ROUNDS yields without a job."""
    state = _state(queue, worker)
    left = ROUNDS
    while left:
        if _stays(state, IDLE):
            _yield_core(yield_core)
            left -= _read(queue + 8 * REPLAYS) == 0
        elif _change(state, SUBMITTED, RUNNING):
            _call(_read(queue + 8 * RUN), queue, worker + 1)
            _write(state, IDLE)
            left = ROUNDS
    sleeps = state + 8 * (SLEEPS - STATE)
    _write(sleeps, _read(sleeps) + 1)


@kernel
def _state(queue, worker):
    return queue + 8 * (JOB_WORDS + ROW_WORDS * worker + STATE)


@kernel
def _stays(state, value):
    """Poll a state up to POLLS times; return whether it had this value each time."""
    for _ in range(POLLS):
        if _read(state) != value:
            return False
        _wait()
    return True


@kernel
def _yield_core(yield_core):
    if yield_core:
        _call(yield_core, 0, 0)
