"""Every option of `predict` does something, or is refused by name."""

import argparse

import pytest

from surgvista_jax.commands import predict
from surgvista_jax.data.conversion.sources import SourceVideo
from surgvista_jax.errors import UserError
from surgvista_jax.inference.idle_options import Way, refuse_idle, way_of

LIVE = (Way.CAMERA, Way.PIPE, Way.LIVE_FILE)
NOT_LIVE = tuple(way for way in Way if way not in LIVE)
# An option as it is given -> what it means nothing for.
REFUSED = {
    "--split=test": (*LIVE, Way.FILES, Way.KEPT_FILES, Way.FOLDERS),
    "--features=F": (*LIVE, Way.FILES, Way.KEPT_FILES, Way.FOLDERS),
    "--margins=cut": (*LIVE, Way.DATASET, Way.FEATURES),
    "--video": LIVE,
    "--keep-frames": (*LIVE, Way.DATASET, Way.FEATURES),
    "--part=1/2": LIVE,
    "--clock=picture": (Way.CAMERA, Way.PIPE, Way.DATASET, Way.FEATURES, Way.FOLDERS),
    "--deinterlace=off": (Way.CAMERA, Way.PIPE, Way.DATASET, Way.FEATURES, Way.FOLDERS),
    "--stream=1": (Way.DATASET, Way.FEATURES, Way.FOLDERS),
    "--frame-size=4x4": tuple(way for way in Way if way is not Way.PIPE),
    "--frame-rate=5": tuple(way for way in Way if way is not Way.PIPE),
    "--batch-size=2": (*LIVE, Way.FEATURES),
    "--workers=2": (*LIVE, Way.FEATURES),
    "--max-unreadable-share=0.5": (*LIVE, Way.FEATURES, Way.FILES),
    "--no-check-memory": (*LIVE, Way.FEATURES),
    "--dtype=float32": (Way.FEATURES,),
}
# Of the model and of what is said; and what stands for itself.
EVERYWHERE = {"checkpoint", "backbone", "classes", "fps", "num_frames", "stride", "size"}
EVERYWHERE |= {"label_kind", "heads", "smooth", "causal", "window", "transitions"}
EVERYWHERE |= {"videos", "out", "overwrite", "help"}


@pytest.fixture(scope="module")
def parser():
    parser = argparse.ArgumentParser()
    predict.add_arguments(parser)
    return parser


def test_no_option_is_forgotten(parser):
    named = {word.split("=")[0][2:].removeprefix("no-").replace("-", "_") for word in REFUSED}
    assert named | EVERYWHERE == {action.dest for action in parser._actions}


@pytest.mark.parametrize("word", REFUSED)
def test_an_option_that_means_nothing_is_refused_by_name(parser, word):
    arguments = parser.parse_args(["--checkpoint=C", word])
    refused = []
    for way in Way:
        try:
            refuse_idle(arguments, way)
        except UserError as error:
            assert (
                str(error) == f"{word.split('=')[0]}: means nothing for {way.value}; leave it out"
            )
            refused.append(way)
    assert set(refused) == set(REFUSED[word])


def test_what_is_usual_is_never_refused(parser):
    for way in Way:
        refuse_idle(parser.parse_args(["--checkpoint=C"]), way)


def test_a_way_follows_from_the_sources(parser, tmp_path):
    video, folder = (SourceVideo("a", "a", tmp_path, is_folder, 0) for is_folder in (False, True))
    plain, kept = (
        parser.parse_args(["--checkpoint=C", *words]) for words in ([], ["--keep-frames"])
    )
    assert way_of(plain) is Way.DATASET
    assert way_of(parser.parse_args(["--checkpoint=C", "--features=F"])) is Way.FEATURES
    assert way_of(plain, [video]) is Way.FILES
    assert way_of(kept, [video]) is way_of(plain, [video, folder]) is Way.KEPT_FILES
    assert way_of(kept, [folder]) is Way.FOLDERS
