"""Is the time of a trace shared out by kinds of work, and what nothing ran in called a gap?"""

from types import SimpleNamespace

import pytest

from surgvista_jax.training.trace_summary import (
    GAPS,
    REST,
    Work,
    kind_of,
    summary_of,
    work_by_device,
)


@pytest.mark.parametrize(
    "name, kind",
    [
        ("nvjet_tst_128x256_64x4_2x1_v_bz_TNT", "matrix products"),
        ("sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64", "matrix products"),
        ("gemm_fusion_dot_42", "matrix products"),
        ("dot.7", "matrix products"),
        ("cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16_knob_7", "attention"),
        ("ncclDevKernel_AllReduce_Sum_f32_RING_LL", "collectives"),
        ("all-reduce-start.1", "collectives"),
        ("MemcpyD2D", "copies"),
        ("loop_erf_fusion_3", REST),
        ("input_reduce_fusion", REST),
    ],
)
def test_kernels_and_operations_are_known_by_their_names(name, kind):
    assert kind_of(name) == kind


def test_shares_are_of_the_whole_time_and_what_runs_at_once_is_no_gap():
    work = [
        Work("dot.1", 0, 40),
        Work("dot.2", 30, 50),  # overlaps: 50 in all
        Work("all-reduce.1", 40, 60),  # behind the products
        Work("loop_add_fusion", 70, 80),
        Work("loop_add_fusion", 90, 100),
    ]
    found = summary_of([work])
    expected = {"matrix products": 0.5, "collectives": 0.2, REST: 0.2, GAPS: 0.2}
    expected |= {"attention": 0, "copies": 0}
    assert found.shares == pytest.approx(expected) and found.milliseconds == pytest.approx(1e-4)
    assert found.longest[0] == ("dot.1", pytest.approx(0.4))
    idle = [Work("dot.1", 0, 10), Work("loop_add_fusion", 90, 100)]
    both = summary_of([work, idle])  # of two devices the mean
    assert both.shares[GAPS] == pytest.approx((0.2 + 0.8) / 2)
    assert "host gaps 50.0%" in both.in_words()
    assert summary_of([]) is None and summary_of([[]]) is None


def event(name, start, duration, **stats):
    return SimpleNamespace(name=name, start_ns=start, duration_ns=duration, stats=stats.items())


def plane(name, **lines):
    found = [SimpleNamespace(name=line, events=events) for line, events in lines.items()]
    return SimpleNamespace(name=name, lines=found)


def test_a_gpu_is_read_from_its_streams_a_tpu_from_its_operations_a_processor_from_its_host():
    kernel, module = event("dot", 5, 5), event("jit_step", 0, 90)
    gpu = plane("/device:GPU:0", **{"Stream #13(Compute)": [kernel], "XLA Modules": [module]})
    tpu = plane("/device:TPU:0", **{"XLA Ops": [kernel], "Steps": [module]})
    host = plane(
        "/host:CPU",
        python=[event("main", 0, 99)],
        pool=[
            event("dot", 5, 5, hlo_op="dot", device_ordinal=1),
            event("while.3", 0, 50, hlo_op="while.3", device_ordinal=1),  # holds the product
        ],
    )
    for some in (gpu, tpu, host):
        assert work_by_device(SimpleNamespace(planes=[some])) == [[Work("dot", 5, 10)]]
