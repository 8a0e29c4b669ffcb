"""Does a protocol's digest change with its choices, and only with them?"""

from dataclasses import replace

import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.metrics import relaxed
from surgvista_jax.metrics.named_protocols import PROTOCOLS, find
from surgvista_jax.metrics.protocols import PhaseChoices, Split, video_number


def test_digests_are_distinct_and_frozen() -> None:
    digests = {protocol.digest for protocol in PROTOCOLS.values()}
    assert len(digests) == len(PROTOCOLS)
    # A changed digest means that old reports no longer describe this protocol: raise its version.
    assert find("cholec80-relaxed-official").digest == "1544cac79fd17872"
    assert find("cholect50-rdv").digest == "25ee04dacfcf99f8"
    assert find("endoscapes-cvs50").digest == "57a97505d248e9d7"
    assert find("clips-single").digest == "1740b65b1d5c3f8b"
    assert find("cholec80-tool").digest == "0d8c4a66235c4996"


def test_words_do_not_move_the_digest_and_choices_do() -> None:
    protocol = find("cholec80-strict")
    assert replace(protocol, text="other words", splits=()).digest == protocol.digest
    assert replace(protocol, choices=PhaseChoices("union")).digest != protocol.digest
    assert replace(protocol, fps=25.0).digest != protocol.digest
    assert replace(protocol, version=2).digest != protocol.digest
    assert protocol.label == f"cholec80-strict v1 ({protocol.digest})"


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_is_described(name: str) -> None:
    protocol = find(name)
    assert protocol.name == name and len(protocol.text) > 80 and protocol.primary
    rules = getattr(protocol.choices, "relaxed", None)
    if rules:
        assert len(protocol.classes) == relaxed.NUM_PHASES[rules.dataset]
        assert rules.window_seconds == relaxed.WINDOW_SECONDS and rules.cap == 1.0
        assert protocol.fps == 1


def test_splits_are_recognised_by_number() -> None:
    protocol = find("cholec80-strict")
    forty = [f"video{k}" for k in range(41, 81)]
    for frames in (98_234, 98_194):  # the second of copies that lack one frame of each video
        assert protocol.recognise_split(forty, frames) == "40 videos: Cholec80 41-80, the usual 40"
    without = [v for v in forty if v not in ("video73", "video77", "video78", "video79", "video80")]
    assert "SurgVISTA's 35" in protocol.recognise_split(without, 88_494)
    assert "none of the test splits on record" in protocol.recognise_split(forty[:39], 9)
    assert "none of the test splits" in protocol.recognise_split(["a"] * 40, 9)
    assert "no test split is on record" in find("phase-strict").recognise_split(forty, 9)
    assert video_number("VID06") == 6 and video_number("case") is None
    assert video_number("VID" + "9" * 5000) is None
    assert "(whose videos have 98,234 frames)" in protocol.recognise_split(forty, 98_000)
    assert Split("x", frozenset({1})).frames is None
    fourteen = [f"video{k}" for k in range(28, 42)]  # whose frames no publication counts
    assert "M2CAI16 28-41" in find("m2cai16-strict").recognise_split(fourteen, 9)


def test_unknown_protocol_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match="--protocol=cholec81: no such protocol.*cholec80-strict"):
        find("cholec81")
