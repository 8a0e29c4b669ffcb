"""Is it said which classes training never sees?"""

import numpy as np

from surgvista_jax.data.labels.coverage import class_counts, classes_without_training


def test_frames_of_each_class():
    assert class_counts((0, 2, -1, 2), 3).tolist() == [1, 0, 2]
    assert class_counts(((0, 2), (), -1), 3).tolist() == [1, 0, 1]
    assert class_counts(None, 2).tolist() == [0, 0]


def test_each_training_split_is_held_against_the_classes():
    counts = {"a": np.array([3, 0, 0]), "b": np.array([0, 2, 0]), "c": np.array([1, 1, 1])}
    splits = {"train": ("a", "b"), "test": ("c",), "fold1/train": ("a",), "fold2/train": ("c",)}
    lacking = classes_without_training(counts, splits, ("x", "y", "z"))
    assert lacking == {"train": ("z",), "fold1/train": ("y", "z")}
    assert classes_without_training(counts, {"train": ("gone",)}, ("x",) * 3) == {
        "train": ("x",) * 3
    }
    assert classes_without_training({}, {"train": ()}, ()) == {}
