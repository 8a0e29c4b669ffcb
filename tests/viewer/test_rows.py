"""Rows on the axis of time: is each tick named, and no name over another?"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import surgvista_jax

VIEWER = Path(surgvista_jax.__file__).parent / "viewer"
_RUN = """
const script = require("fs").readFileSync(0, "utf8") + "; return axisRow();";
const told = [];
for (const width of [120, 340, 760, 1210])
  for (const [from, to] of [
    [0, 4], [0, 16], [-2, 61], [7.3, 81], [0, 700], [0, 10800], [1e5, 1e5 + 9e4],
  ]) {
    const names = [], ticks = [];
    const context = {
      measureText: (text) => ({ width: 6.6 * text.length }),
      fillText: (text, left) => names.push([left, left + 6.6 * text.length]),
      fillRect: (left) => ticks.push(left),
    };
    new Function(script)().draw(context, { from, to, width }, 0, { soft: "" });
    told.push([width, ticks, names]);
  }
process.stdout.write(JSON.stringify(told));
"""


def test_every_tick_of_the_axis_is_named_beside_the_others():
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node to run the page's script")
    script = "".join((VIEWER / name).read_text() for name in ("element.js", "rows.js"))
    run = subprocess.run(
        [node, "-e", _RUN], input=script, capture_output=True, text=True, check=True
    )
    for width, ticks, names in json.loads(run.stdout):
        assert len(names) == len(ticks) and (width < 300 or len(names) > 1)
        for (_, right), (after, _) in zip(names, names[1:], strict=False):
            assert right + 4 < after
        assert all(0 <= left < right <= width + 1e-6 for left, right in names)
