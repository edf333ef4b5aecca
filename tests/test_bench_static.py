"""What `npse bench --static` tells of the cuda edition's kernels without a GPU."""

import pytest

pytest.importorskip("numba_cuda", reason="numba-cuda is not installed")

from npse.bench import static

HOPPER, TURING = (9, 0), (7, 5)


@pytest.mark.parametrize(("capability", "threads", "registers", "shared", "share", "limit"), [
    (HOPPER, 256, 32, 0, 1.0, "threads"),               # eight blocks of 256 threads fill 2048
    (HOPPER, 256, 33, 0, 0.75, "registers"),            # 40 x 32 x 8 = 10240 registers of a block: six fit
    (HOPPER, 128, 128, 0, 0.25, "registers"),           # 16384 registers: four blocks of 128
    (HOPPER, 32, 16, 0, 0.5, "blocks"),                 # 32 blocks of one warp
    (HOPPER, 256, 32, 48 << 10, 0.5, "shared memory"),  # 49 of 228 KiB: four blocks
    (TURING, 256, 32, 16 << 10, 1.0, "threads"),        # four blocks fill 1024 threads and 64 KiB
    (HOPPER, 100, 32, 0, 1.0, "threads"),               # 100 threads are four warps
])
def test_occupancy(capability, threads, registers, shared, share, limit):
    found, reason = static.occupancy(capability, threads, registers, shared)
    assert (found, reason) == (share, limit)


def test_unknown_limits_are_named():
    with pytest.raises(ValueError, match=r"known for the compute capabilities 7\.5, 8\.0, .*12\.0"):
        static.measure("se_resnet8", 128, (12, 1))


@pytest.mark.slow
def test_the_kernels_of_a_step():
    rows = static.measure("se_resnet8", 128, HOPPER)
    assert 100 < sum(row["launches"] for row in rows) < 250
    by_name = {row["kernel"]: row for row in rows}
    correlate = by_name["conv_kernels.register.correlate"]
    assert correlate["fma"] > 50
    assert not any(row["mma"] for row in rows)           # tensor cores are off by default
    assert all(0 < row["occupancy"] <= 1 and row["registers"] > 0 and row["instructions"] >= row["loads"]
               for row in rows)
    assert str(sum(row["launches"] for row in rows)) in static.table(rows, "se_resnet8", 128, HOPPER).notes[0]


def test_instructions_are_counted_and_the_loop_that_moves_most_is_found():
    from npse.cuda.runtime.instructions import counted

    found = counted("""
    ld.global.f32 %f1, [%rd1];
$L__BB0_1:
    ld.global.nc.v4.f32 {%f1, %f2, %f3, %f4}, [%rd1];
    fma.rn.f32 %f5, %f1, %f2, %f3;
    @!%p1 bra $L__BB0_2;
    st.global.v2.u64 [%rd2], {%rd3, %rd4};
$L__BB0_2:
    ld.shared.v4.f32 {%f1, %f2, %f3, %f4}, [%r1];
    @%p2 bra.uni $L__BB0_1;
$L__BB0_3:
    ld.global.u8 %r1, [%rd1];
    @%p3 bra $L__BB0_3;
    ret;
""")
    assert found == {"instructions": 10, "fma": 1, "mma": 0, "loads": 3, "wide_loads": 1, "stores": 1, "wide_stores": 1,
                     "loop": 6, "loop_bytes": 32}
    assert counted("    bar.sync 0;\n    ret;\n") == dict.fromkeys(found, 0) | {"instructions": 2}
