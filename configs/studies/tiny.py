"""Two settings, with and without teacher, on two made-up datasets: minutes on two cores.

Everything that a study does at its smallest: it makes its data, pretrains four students, and has 48
cells, by full finetuning and by linear probe from three seeds. The teacher is a small random ViT,
and the students see a few minutes of video: the numbers say that the chain works, and no more.
"""

from ml_collections import ConfigDict

from surgvista_jax.studies.cells import Backbone, Cell, Data, Pretraining, grid

_LOADER = {"loader.workers": 0}  # processes take longer to start than these clips to be read
_PRETRAINING = {
    **_LOADER,
    "data.allow_overlap": True,  # the datasets' operations have the same names, and are others
    "budget.batch_size": 16,
    "clip.num_frames": 4,
    "clip.stride": 2,
    "model.encoder.width": 96,
    "model.encoder.depth": 4,
    "model.pixel_decoder.width": 64,
    "model.pixel_decoder.heads": 2,
    "model.feature_decoder.width": 64,
    "model.feature_decoder.heads": 2,
    "optim.reference_batch": 16,
    "compute.dtype": "float32",
    "compute.unroll": False,
    "checkpoint.save_every": 50,
    "loop.log_every": 25,
}
_TEACHER = {
    "teacher.transformer.width": 96,
    "teacher.transformer.depth": 4,
    "teacher.transformer.heads": 3,
}
_FINETUNING = {
    **_LOADER,
    "model": None,  # the student's
    "budget.batch_size": 16,
    "optim.reference_batch": 16,
    "checkpoint.save_every": 50,
    "probe.epochs": 20,
}


def get_config() -> ConfigDict:
    return ConfigDict(
        {
            "videos": 16,
            "frames": 60,
            "pretraining_steps": 200,
            "finetuning_steps": 60,
            "seeds": 3,
            "modes": "full,linear",
            "ours": "A-teacher",
        }
    )


def study(config: ConfigDict) -> list[Cell]:
    finetuning = {**_FINETUNING, "budget.steps": config.finetuning_steps}
    datasets = [
        Data(
            name=f"made-up-{task}",
            task=task,
            config=f"configs/finetune/synthetic.py:{task}",
            made_by=(
                f"--task={task}",
                f"--videos={config.videos}",
                f"--frames={config.frames}",
                f"--seed={seed}",
                "--size=64",
            ),
            group=group,
            changes=finetuning,
        )
        for seed, (task, group) in enumerate({"phase": "internal", "tool": "external"}.items())
    ]
    backbones = []
    for setting, seen in {"A": datasets[:1], "B": datasets}.items():
        for name, changes in {"teacher": _TEACHER, "alone": {"teacher": None}}.items():
            made = Pretraining(
                name=f"{setting}-{name}",
                config="configs/pretrain/minutes.py",
                changes={**_PRETRAINING, **changes, "budget.steps": config.pretraining_steps},
                data=tuple(seen),
                teacher=name == "teacher",
            )
            backbones.append(Backbone(name=made.name, start=made, setting=setting))
    return grid(backbones, datasets, config.modes.split(","), config.seeds)
