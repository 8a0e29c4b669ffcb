"""No figure is drawn of clips that could not be read."""

from types import SimpleNamespace

import numpy as np
import pytest

from surgvista_jax.tasks.pretraining import reconstruction
from surgvista_jax.training.loop import LoopConfig
from surgvista_jax.training.partition import MeshConfig, make_mesh


class Drawn(Exception):
    pass


@pytest.mark.parametrize(("unreadable", "is_drawn"), [(0, True), (1, True), (2, False), (8, False)])
def test_a_figure_of_too_many_unreadable_frames_is_not_drawn(
    monkeypatch, capsys, unreadable, is_drawn
):
    def predict(*_):
        raise Drawn

    flags = (np.arange(8) < unreadable).reshape(2, 4)
    batch = {key: np.zeros((8, 1)) for key in ("video", "visible_ids", "hidden_ids")}
    monkeypatch.setattr(
        reconstruction, "figure_batch", lambda *_, **__: {**batch, "unreadable": flags}
    )
    monkeypatch.setattr(reconstruction, "predict_pixels", predict)
    task = SimpleNamespace(config=SimpleNamespace(figure=SimpleNamespace(clips=2, every=1), seed=0))
    run = SimpleNamespace(
        mesh=make_mesh(MeshConfig()),
        config=LoopConfig(max_unreadable_share=0.125),
        writer=SimpleNamespace(active=True),
    )
    hook = reconstruction.figure_hook(task, None, run)
    if is_drawn:
        with pytest.raises(Drawn):
            hook.run(3, SimpleNamespace(params=np.zeros(1)))
    else:
        hook.run(3, SimpleNamespace(params=None))
    told = f"no figure of step 3: {unreadable} of its 8 frames could not be read"
    assert (told in capsys.readouterr().err) != is_drawn
