"""Is what holds of many videos said once?"""

from surgvista_jax.data.conversion.remarks import merged
from surgvista_jax.data.conversion.sources import Remark


def test_many_remarks_of_one_kind_are_one():
    remarks = [Remark(f"labels of v{k:02d}", f"{k} of 100 frames have none") for k in range(64)]
    other = Remark("v01", "left out: 3 frames, 60 are needed")
    said = merged([*remarks, other, other], num_videos=70)
    assert [str(remark) for remark in said] == [
        "labels of 64 videos: 0 of 100 frames have none (v00; in other numbers v01, v02, …)",
        "v01: left out: 3 frames, 60 are needed",
    ]


def test_a_few_have_a_line_each_and_all_are_called_all():
    few = [Remark(f"v{k}", "the same") for k in range(3)]
    assert merged(few, 9) == few
    (said,) = merged([*few, Remark("v3", "the same")], 4)
    assert str(said) == "all videos: the same (v0, v1, v2, …)"
