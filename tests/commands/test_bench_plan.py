"""What a run needs is said without a device, and it is its own step that is meant."""

import dataclasses
import json
import subprocess
import sys

import flax.linen as nn
import jax
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.commands import bench_plan
from surgvista_jax.config import load_config
from surgvista_jax.models import attention
from surgvista_jax.training import memory, planning
from surgvista_jax.training.benchmarks import memory_of
from surgvista_jax.training.compiled_step import CompiledStep
from surgvista_jax.training.partition import RULES, MeshConfig, make_mesh
from surgvista_jax.training.planning import MEASURED
from surgvista_jax.training.run import abstract_state, step_of
from surgvista_jax.training.state import abstract_sharded
from tests.support import finetune_run

PUBLISHED, FINETUNED = "configs/pretrain/surgvista.py", "configs/finetune/cholec80.py"
ONE_BLOCK = ["--config.model.encoder.transformer.depth=1"]
RANDOM = "--config.teacher.weights=random"
_TEACHER = 1.13  # GiB of the parameters of a ViT-L


@pytest.fixture
def config(tmp_path):
    return finetune_run.make_config(tmp_path / "config.py", tmp_path / "no data")


def asked_for(config, words):
    kinds = ("pretraining", "finetuning")
    return bench_plan._read(load_config(config, bench_plan._class_of, words, kinds=kinds))


def planned(capsys, *words, **options):
    options = {"device": "h100", **options}
    said = [f"--{name}={value}" for name, value in options.items()]
    assert main(["bench", "plan", *map(str, words), *said, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_estimate_is_of_the_step_that_a_run_compiles(config):
    """What it is given to the byte, and the whole as far as another compiler's factors reach."""
    asked = asked_for(str(config), [*ONE_BLOCK, "--config.mode=lora"])  # has frozen parts
    parts = bench_plan.plan(asked, "v4", 1, None)["memory_bytes"]
    mesh = make_mesh(MeshConfig(), jax.devices()[:1])
    task, settings = asked.task, asked.settings
    with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
        state = abstract_state(task, settings, mesh)
        frozen = abstract_sharded(task.init_frozen, mesh)
    shapes = task.batch_shapes(settings.budget.batch_size)
    step = CompiledStep(step_of(task, settings, 100), {})
    program = step.lower(state, frozen, shapes, mesh).compile()
    given = sum(parts[name] for name in ("parameters", "moments", "frozen", "inputs"))
    assert given == pytest.approx(program.memory_analysis().argument_size_in_bytes, abs=64)
    assert parts["total"] / 2**20 == pytest.approx(memory_of(program, mesh)["program_mib"], rel=0.5)


@pytest.mark.parametrize(
    ("student", "clips", "measured"), [("base", 64, 12.9), ("large", 32, 13.4), ("huge", 16, 14.2)]
)
def test_memory_is_within_a_tenth_of_what_was_measured(student, clips, measured, monkeypatch):
    """GiB of one H100, jax 0.11.2. Of the teacher's blocks, which keep nothing, one is traced."""
    words = [f"--config.budget.batch_size={clips}", "--config.teacher.transformer.depth=1", RANDOM]
    monkeypatch.setattr(memory, "_working", lambda *_: 0.0)  # less than what these keep
    found = bench_plan.plan(asked_for(f"{PUBLISHED}:{student}", words), "h100", 1, 1)
    total = found["memory_bytes"]["total"] - found["memory_bytes"]["frozen"]
    assert total / 2**30 + _TEACHER == pytest.approx(measured, rel=0.1)


def test_the_published_models_are_those_whose_rates_were_measured():
    """By the operations of a clip, from which their rates are found."""
    pretraining, finetuning, prediction = (row.gflop for row in MEASURED)
    student = asked_for(PUBLISHED, [RANDOM]).task.flops_per_clip["mfu"]
    assert student / 1e9 == pytest.approx(pretraining, rel=1e-3)
    finetuned = asked_for(FINETUNED, []).task.flops_per_clip["mfu"]
    assert finetuned / 1e9 == pytest.approx(finetuning, rel=1e-3)
    assert finetuned / 3e9 == pytest.approx(prediction, rel=1e-3)


def test_a_rate_is_said_to_be_measured_only_of_what_is_computed_as_it_was(config, monkeypatch):
    words = [*ONE_BLOCK, "--config.compute.unroll=true", "--config.compute.dtype=bfloat16"]
    asked = asked_for(str(config), words)
    gflop = asked.task.flops_per_clip["mfu"] / 1e9
    row = planning.Measured("finetuning", "h100", gflop, 303.0, "ViT-B")
    monkeypatch.setattr(planning, "MEASURED", (row,))
    alone, several = (bench_plan.plan(asked, "h100", count, 1000) for count in (1, 8))
    assert alone["measured"] and not several["measured"]
    assert "(measured on one device at batch 64, ViT-B)" in bench_plan._table(alone)
    assert "(measured on one device at batch 64, ViT-B, times 8)" in bench_plan._table(several)
    noted = dataclasses.replace(asked.compute, xla="xla_gpu_enable_triton_gemm?=true")
    assert bench_plan._as_measured(asked._replace(compute=noted))
    others = {
        **{"deterministic": True, "remat": "dots", "dtype": "float32", "unroll": False},
        "xla": "xla_gpu_enable_triton_gemm=true",
    }
    for name, value in others.items():
        compute = dataclasses.replace(asked.compute, **{name: value})
        assert not bench_plan._as_measured(asked._replace(compute=compute))


def test_a_teacher_of_8_bit_floats_is_not_the_one_that_was_measured():
    asked = asked_for(PUBLISHED, [RANDOM])
    assert bench_plan._as_measured(asked)
    teacher = dataclasses.replace(asked.task.config.teacher, precision="float8")
    config = dataclasses.replace(asked.task.config, teacher=teacher)
    task = dataclasses.replace(asked.task, config=config)
    assert not bench_plan._as_measured(asked._replace(task=task))


def test_more_devices_share_out_what_one_holds_and_shorten_the_whole(config, capsys):
    words = [f"--config={config}", *ONE_BLOCK]
    alone = planned(capsys, *words)
    shared = planned(capsys, *words, "--config.mesh.fsdp=4", device="v5e", devices=8)
    assert alone["clips_per_epoch"] is None  # the folder is on another machine
    assert shared["mesh"] == {"data": 2, "fsdp": 4, "model": 1} and not shared["measured"]
    assert shared["memory_bytes"]["parameters"] < alone["memory_bytes"]["parameters"] / 2
    assert shared["steps"] == 8
    assert shared["device_hours"] == pytest.approx(8 * shared["hours"])
    assert shared["hours"] == pytest.approx(8 * 8 / shared["clips_per_second"] / 3600)
    parts = {name: size for name, size in alone["memory_bytes"].items() if name != "usable"}
    total = parts.pop("total")
    assert sum(parts.values()) == pytest.approx(total) and alone["fits"]
    fixed = total - parts["activations"] - parts["inputs"]
    most = (alone["memory_bytes"]["usable"] - fixed) / ((total - fixed) / 8)
    assert most - 1 < alone["largest_batch"] <= most


def test_finetuning_is_planned_too_and_data_say_the_clips_of_an_epoch(tmp_path, capsys):
    folder = finetune_run.make_dataset(tmp_path / "data")
    config = finetune_run.make_config(tmp_path / "config.py", folder)
    found = planned(capsys, f"--config={config}", *ONE_BLOCK)
    assert found["program"] == "finetuning" and found["clips_per_epoch"] == 45
    assert "8 updates" in bench_plan._table(found)


def test_attention_is_traced_as_on_the_device_and_only_inside_a_plan():
    """On GPUs no probabilities are kept, which elsewhere are the most of it."""

    def kept(length):
        x = jax.ShapeDtypeStruct((1, length, 2, 64), jax.numpy.bfloat16)
        backward = jax.eval_shape(
            lambda q: jax.vjp(lambda q: attention.attend(q, q, q, differentiable=True), q)[1], x
        )
        return sum(leaf.size for leaf in jax.tree.leaves(backward))

    with attention.planned_for("gpu"):
        assert kept(512) == 2 * kept(256)
    assert kept(512) > 2.5 * kept(256)


@pytest.mark.parametrize(
    "words, said",
    [
        (["--devices=0"], "--devices=0"),
        (["--clips=-1"], "--clips=-1"),
        (["--devices=3"], "batch_size=8"),
    ],
)
def test_mistakes_are_one_line(config, capsys, words, said):
    assert main(["bench", "plan", f"--config={config}", "--device=h100", *words]) == 1
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error


def test_a_step_is_divided_among_64_devices_that_add_up_each_gradient_once(config):
    """Blocks' parameters are shared by 8 devices, of which each adds up its part with 8 others."""
    words = [f"--config={config}", *ONE_BLOCK, "--config.mesh.fsdp=8", "--device=h100"]
    words += ["--devices=64", "--config.budget.batch_size=64", "--collectives", "--json"]
    process = subprocess.run(
        [sys.executable, "-m", "surgvista_jax", "bench", "plan", *words],
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    found = json.loads(process.stdout)
    sizes = {(row["kind"], *row["axes"]): 0 for row in found["collectives"]}
    for row in found["collectives"]:
        sizes[row["kind"], *row["axes"]] += row["bytes"]
    shared = sizes["reduce-scatter", "fsdp"]
    assert shared > 0.5 * found["memory_bytes"]["gradients"]
    assert sizes["all-reduce", "data"] == shared / 8
    whole = sizes["all-reduce", "data", "fsdp"]
    own = found["memory_bytes"]["parameters"]  # of one device: its eighth of what is shared
    assert shared / 8 + whole == pytest.approx(own, rel=0.02)
    assert sizes["all-gather", "fsdp"] >= shared
    assert found["exchange_seconds"] == sum(row["seconds"] for row in found["collectives"])
    hidden, shown = found["step_seconds"]
    assert 0 < hidden < shown == found["compute_seconds"] + found["exchange_seconds"]
