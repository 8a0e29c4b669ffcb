"""The reference's numbers, from parameters that came in through the tables of names."""

import numpy as np
import pytest

from surgvista_jax.weights import tables
from surgvista_jax.weights.files.write import flat, to_theirs
from surgvista_jax.weights.kinds import StudentConfig
from tests.support.golden import PRETRAINING, load, part


@pytest.mark.parametrize("name", PRETRAINING)
def test_the_students_and_teachers_arrays_come_out_as_they_went_in(name):
    golden = load(name)
    width = golden.teacher.transformer.width
    student = StudentConfig(golden.model, width)
    for prefix, tree, table, config in (
        ("student/", golden.stepped, "surgvista", student),
        ("teacher/", golden.teacher_params, "endossl", golden.teacher.encoder),
    ):
        theirs = part(golden.arrays, prefix)
        back = to_theirs(flat(tree), tables.find(table), config)
        unused = theirs.keys() - back.keys()
        assert all(key.startswith("norm.") and prefix == "teacher/" for key in unused)
        for key, array in back.items():
            np.testing.assert_array_equal(array, theirs[key], err_msg=key)
