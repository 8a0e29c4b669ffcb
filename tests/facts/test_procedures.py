"""Are operations and anatomy those that the datasets' own words mean?"""

import importlib
import inspect
import pkgutil
import re

from surgvista_jax.data import datasets
from surgvista_jax.facts.procedures import MANY, OTHER, SAME, UNKNOWN, common, operated


def test_every_dataset_that_is_converted_has_its_operation_in_the_table() -> None:
    found = {}
    for info in pkgutil.iter_modules(datasets.__path__):
        source = inspect.getsource(importlib.import_module(f"{datasets.__name__}.{info.name}"))
        found |= dict.fromkeys(re.findall(r'procedure="([^"]+)"', source), info.name)
    assert len(found) > 8
    lacking = [words for words in found if words != MANY and not operated(words).anatomy]
    assert lacking == []


def test_what_two_datasets_have_in_common() -> None:
    cholec = operated("laparoscopic cholecystectomy")
    eye, both = operated("cataract surgery"), operated("cataract, glaucoma and corneal surgery")
    assert common(cholec, operated("Laparoscopic  Cholecystectomy")) == (SAME, SAME)
    assert common(cholec, eye) == (OTHER, OTHER)
    assert common(eye, both) == (SAME, SAME)
    assert common(operated("laparoscopic hysterectomy"), operated("gynaecologic laparoscopy")) == (
        OTHER,
        SAME,
    )
    assert common(cholec, operated(MANY)) == (UNKNOWN, UNKNOWN) == common(operated(""), cholec)
    own = operated("knee arthroscopy")
    assert common(own, operated("Knee arthroscopy")) == (SAME, SAME)
    assert common(own, cholec) == (OTHER, UNKNOWN)
