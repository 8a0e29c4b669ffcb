"""What is known of a machine and of what is installed on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Package:
    """A package that ours needs.

    Attributes:
        needed: the versions that do, such as ">=0.10.2,<0.13"; "" where all do.
        version: that is installed; None where none is.
        fits: whether the version is one of those that are needed.
    """

    name: str
    needed: str
    version: str | None
    fits: bool = True


@dataclass(frozen=True)
class Installed:
    """The packages.

    Attributes:
        version: of ours.
        known: whether it is told what ours needs; not where it was never installed.
        python, pythons: the version that runs, and those that do.
        needed: the packages without which nothing goes.
        extras: of each optional extra the packages that it lacks.
        opencv: the builds of OpenCV, with their versions.
        builds: packages that bring JAX's builds for processors, GPUs and TPUs, with their versions.
    """

    version: str = ""
    known: bool = True
    python: str = ""
    pythons: str = ""
    python_fits: bool = True
    needed: tuple[Package, ...] = ()
    extras: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    opencv: Mapping[str, str] = field(default_factory=dict)
    builds: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Device:
    """A device as JAX sees it; memory in bytes, None where it does not tell."""

    kind: str
    memory: int | None = None


@dataclass(frozen=True)
class Jax:
    """What JAX says once its devices have started.

    Attributes:
        trouble: why it did not start; "" where it did.
        said: the lines that it printed meanwhile.
        backend: that it picked: "cpu", "gpu", "tpu".
        cudnn: its version, such as "9.12.0"; None where none is loaded.
        cache: the folder of compiled programs; None where none are kept.
        cache_trouble: why it cannot be used.
    """

    trouble: str = ""
    said: tuple[str, ...] = ()
    backend: str = ""
    devices: tuple[Device, ...] = ()
    cudnn: str | None = None
    cache: str | None = None
    cache_trouble: str = ""


@dataclass(frozen=True)
class Decoders:
    """What reads videos and pictures.

    Attributes:
        videos_trouble, pictures_trouble: why there is none; "" where there is.
        ffmpeg: version of its libraries.
        codecs: of each kind of video the decoder; None where there is none.
        jpeg: whether OpenCV wrote a JPEG and read it again.
    """

    videos_trouble: str = ""
    pictures_trouble: str = ""
    ffmpeg: str = ""
    libraries: Mapping[str, str] = field(default_factory=dict)
    codecs: Mapping[str, str | None] = field(default_factory=dict)
    opencv: str = ""
    jpeg: bool = True


@dataclass(frozen=True)
class Gpu:
    """A GPU as nvidia-smi shows it; memory in bytes, in all and in use."""

    name: str
    memory: int
    used: int
    driver: str
    capability: str


@dataclass(frozen=True)
class Space:
    """A folder, its bytes in all and free ones."""

    folder: str
    total: int
    free: int


@dataclass(frozen=True)
class Machine:
    """The machine, or what a container lets be seen of it.

    Attributes:
        gpus: that nvidia-smi shows.
        gpus_trouble: what nvidia-smi said instead, where there is one.
        tpu: whether files of TPUs lie below /dev.
        memory, free, limit: bytes: of the machine, that may still be taken, that control groups
            allow; None where nothing tells it.
        shared: of /dev/shm; None where there is none that can be written.
        files: how many this process may open, and how many it may allow itself; None: any number.
        cores: that this process may use.
        quota: of control groups, in cores; None where there is none.
        cache: bytes of compiled programs that are kept; None where none are.
    """

    system: str = ""
    gpus: tuple[Gpu, ...] = ()
    gpus_trouble: str = ""
    tpu: bool = False
    memory: float | None = None
    free: float | None = None
    limit: float | None = None
    shared: Space | None = None
    files: tuple[int | None, int | None] = (None, None)
    cores: int = 1
    quota: float | None = None
    cache: int | None = None


@dataclass(frozen=True)
class Facts:
    """All of it.

    Attributes:
        environment: the variables that change what JAX and the libraries below it do.
    """

    installed: Installed = Installed()
    jax: Jax = Jax()
    decoders: Decoders = Decoders()
    machine: Machine = Machine()
    environment: Mapping[str, str] = field(default_factory=dict)
