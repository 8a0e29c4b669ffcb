"""Are the tables of triplets those that are published?"""

import hashlib

from surgvista_jax.facts.triplets import CHOLECT50, PROSTATD

# SHA-256 of the lines `triplet,i,v,t,iv,it` of maps.txt in CAMMA-public/rendezvous, which are those
# of label_mapping.txt in the dataset, too.
MAPS = "964da1229afb98f8673269f2b6c8696ac8a9fb7265722732b0b10b15db78e0eb"


def test_cholect50_is_the_table_by_which_its_authors_take_triplets_apart():
    lines = (
        f"{triplet},{i},{v},{t},{10 * i + v},{15 * i + t}\n"
        for triplet, (i, v, t) in enumerate(CHOLECT50.rows.tolist())
    )
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == MAPS


def test_prostatd_has_as_many_members_as_its_authors_tell():
    assert [PROSTATD.num_classes(component) for component in ("i", "v", "t", "ivt")] == [
        *(7, 10, 10, 89),
    ]
