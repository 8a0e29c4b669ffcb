"""Is a device that is not there one line, before anything is read?"""

import jax
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.errors import UserError
from surgvista_jax.training.checkpoint_files import restore_params
from surgvista_jax.training.devices import start_devices
from tests.support.tiny_run import make_config

NO_TPU = (
    "Unable to initialize backend 'tpu': INTERNAL: Failed to open libtpu.so"
    " (set JAX_PLATFORMS='' to automatically choose an available backend)"
)
UNKNOWN = "Unable to initialize backend 'gpuu': Backend 'gpuu' is not in the list of known backends"
BROKEN = (
    "Unable to initialize backend 'cuda': FAILED_PRECONDITION: no device (you may need to uninstall"
    " the failing plugin package, or set JAX_PLATFORMS=cpu to skip this backend.)"
)
# JAX_PLATFORMS -> what JAX raises, and what the line says.
ABSENT = {
    "cuda": (AssertionError(), 'there is no such device here: install ".[gpu]"'),
    "gpu": (RuntimeError("Unable to initialize backend 'rocm': …"), 'install ".[gpu]"'),
    "tpu": (RuntimeError(NO_TPU), 'Failed to open libtpu.so): install ".[tpu]"'),
    "tpu,cpu": (RuntimeError(NO_TPU), "JAX_PLATFORMS=tpu,cpu: there is no such device here"),
    "gpuu": (RuntimeError(UNKNOWN), "there is no platform 'gpuu': take cpu, cuda (NVIDIA) or tpu"),
    " cpu": (RuntimeError(UNKNOWN), "there is no platform ' cpu'"),
    "rocm": (RuntimeError(UNKNOWN), ": unset JAX_PLATFORMS to take what is here"),
    "": (RuntimeError(BROKEN), "FAILED_PRECONDITION: no device: JAX_PLATFORMS=cpu runs on the"),
}


@pytest.fixture
def fail(monkeypatch):
    def devices(error):
        def raise_it():
            raise error

        monkeypatch.setattr(jax, "devices", raise_it)

    return devices


@pytest.mark.parametrize("asked", ABSENT)
def test_a_device_that_is_not_there_is_one_line(asked, fail, monkeypatch):
    error, said = ABSENT[asked]
    monkeypatch.setenv("JAX_PLATFORMS", asked)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    fail(error)
    with pytest.raises(UserError) as refused:
        start_devices()
    assert said in str(refused.value)
    assert "\n" not in str(refused.value) and "uninstall" not in str(refused.value)


def test_hidden_gpus_are_named(fail, monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    fail(AssertionError())
    with pytest.raises(UserError, match="CUDA_VISIBLE_DEVICES hides all GPUs"):
        start_devices()


@pytest.mark.parametrize(("asked", "what"), [("cuda,cpu", "NVIDIA GPU"), ("tpu,cpu", "TPU")])
def test_a_processor_that_was_only_the_second_wish_is_said_once(asked, what, monkeypatch, capsys):
    monkeypatch.setenv("JAX_PLATFORMS", asked)
    start_devices()
    start_devices()
    (line,) = capsys.readouterr().err.splitlines()
    assert (
        line
        == f"WARNING: JAX_PLATFORMS={asked}: there is no {what} here, so the processor computes"
    )


@pytest.mark.parametrize("asked", ["", "cpu", "cpu,cuda"])
def test_a_processor_that_was_asked_for_is_not_spoken_of(asked, monkeypatch, capsys):
    monkeypatch.setenv("JAX_PLATFORMS", asked)
    start_devices()
    assert not capsys.readouterr().err


COMMANDS = {
    "pretrain": ["--config={0}/config.py", "--workdir={0}/new"],
    "finetune": ["--config=configs/finetune/cholec80.py", "--workdir={0}/new"],
    "predict": ["{0}/none.mp4", "--checkpoint={0}/run", "--out={0}/new"],
    "features": ["--init={0}/run", "--dataset={0}/dataset", "--out={0}/new"],
    "demo": ["--out={0}/new"],
    "figure reconstruction": ["--checkpoint={0}/run", "--out={0}/new.png"],
    "bench pretrain": ["--config={0}/config.py"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_needs_devices_asks_for_them_first(command, tmp_path, fail, capsys):
    make_config(tmp_path / "config.py", tmp_path / "dataset")
    fail(AssertionError())
    words = [word.format(tmp_path) for word in COMMANDS[command]]
    assert main([*command.split(), *words]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "there is no such device here" in line
    assert not list(tmp_path.glob("new*"))


def test_a_checkpoint_is_not_called_damaged_for_want_of_a_device(tmp_path, fail):
    (tmp_path / "params").mkdir()
    fail(AssertionError())
    with pytest.raises(UserError, match="there is no such device here"):
        restore_params(tmp_path)


def test_gpus_draw_by_their_kernel():
    """XLA would write one out for each draw of an initialisation, which takes it minutes."""
    start_devices()
    lowered = jax.jit(lambda key: jax.random.normal(key, (8,))).trace(jax.random.key(0))
    assert "threefry2x32_ffi" in lowered.lower(lowering_platforms=("cuda",)).as_text()
