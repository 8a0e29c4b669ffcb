"""What holds for every test: eight simulated CPU devices and no silent broadcasting.

On a GPU: `JAX_PLATFORMS=cuda JAX_DEFAULT_MATMUL_PRECISION=highest pytest tests/test_layers.py`.
"""

import atexit
import compileall
import gc
import importlib.metadata
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

# What one test or the process that it starts has compiled, the others need not. Workers that run
# tests side by side inherit the folder.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _COMPILED = tempfile.mkdtemp(prefix="surgvista_compiled_")
    atexit.register(shutil.rmtree, _COMPILED, ignore_errors=True)
    os.environ |= {
        "JAX_COMPILATION_CACHE_DIR": _COMPILED,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }

    # Hundreds of processes import the package, which must not compile it each for itself.
    compileall.compile_dir(Path(__file__).parents[1] / "surgvista_jax", quiet=2)

# Some tests limit how large a file may become, and Python would cut its own .pyc files by that.
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
sys.dont_write_bytecode = True

if os.environ.setdefault("JAX_PLATFORMS", "cpu") == "cpu":
    # The programs of tests run for moments: compiling them is what takes time.
    os.environ["XLA_FLAGS"] = (
        "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
        " --xla_cpu_parallel_codegen_split_count=1"
    )
    # Later ones end over this flag, which they have no more.
    if importlib.metadata.version("jaxlib").startswith("0.10."):
        os.environ["XLA_FLAGS"] += " --xla_cpu_use_fusion_emitters=false"

import hypothesis  # noqa: E402
import jax  # noqa: E402

from tests.support import device_memory  # noqa: E402

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")

# Tracing makes many objects, which hardly ever go in circles: looking for those took a seventh of
# the time. What is imported stays.
gc.freeze()
gc.set_threshold(50_000, 20, 50)

# A shell has its background jobs ignore Ctrl-C, and nohup a lost terminal, which some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")

# Estimating what a run needs traces its step several times over, in every run of every test. Those
# that are of the estimate, and some runs of each kind, ask for it: `tests.support.device_memory`.
device_memory.leave_unknown()
