"""The published recipe on growing amounts of data: the settings of the study of scale.

    A   Cholec80                                            86,344 frames
    B   A and M2CAI16-workflow                             153,922
    C   B and HeiChole, PitVis, PSI-AVA, AutoLaparo        441,608
    D   C and BernBypass70, StrasBypass70                1,203,159
    E   D and GenSurgery, all of it                      3,552,777

The letters are those that the method's authors used among themselves, less the few videos that
their released recipe leaves out; the paper does not say how it letters its settings.

Convert each dataset into a folder of its name below one folder, and name that:
`--config=configs/pretrain/settings.py:C --config.data.root=DATA`.
"""

from pathlib import Path

from ml_collections import ConfigDict

from surgvista_jax.config import run_config
from surgvista_jax.errors import UserError

ADDED = {
    "A": ("cholec80",),
    "B": ("m2cai16",),
    "C": ("heichole", "pitvis", "psi-ava", "autolaparo"),
    "D": ("bernbypass70", "strasbypass70"),
    "E": ("gensurgery",),
}


def get_config(setting: str = "D") -> ConfigDict:
    """setting: "A" to "E"."""
    if setting not in ADDED:
        raise UserError(f"--config=…settings.py:{setting}: the settings are {', '.join(ADDED)}")
    letters = list(ADDED)[: list(ADDED).index(setting) + 1]
    config = run_config(Path(__file__).with_name("surgvista.py"))
    config.data.folder = ",".join(name for letter in letters for name in ADDED[letter])
    config.data.root = ""
    return config
