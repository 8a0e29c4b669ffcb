"""What pages remember: does each keep what another that is open beside it wrote?"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import surgvista_jax
from surgvista_jax.data.video_files import safe_name

NAMES = [
    "a/b",
    'a\\b:"c"',
    " .x?/y. ",
    "\ufeff.\u2003Fall\u00a0",
    "..",
    "",
    "\U0001fac0" * 90,
    "a\x01\x1fb",
]
SCRIPT = Path(surgvista_jax.__file__).parent / "viewer" / "element.js"
_RUN = """
const script = require("fs").readFileSync(0, "utf8") + "; return { remember, remembered };";
const kept = new Map();
const storage = {
  getItem: (name) => kept.get(name) ?? null,
  setItem: (name, text) => kept.set(name, text),
  removeItem: (name) => kept.delete(name),
};
const refusing = new Proxy({}, { get() { throw new Error("refused"); } });
const open = (held) => new Function("localStorage", script)(held);
const one = open(storage), two = open(storage), alone = open(refusing);
one.remember("mended a", [[0, 1, 2]]);
two.remember("mended b", [[3, 4, 5]]);
one.remember("details", false);
const outlasts = [one.remember("details", false), alone.remember("details", true)];
const names = ["mended a", "mended b", "details"];
const all = (page) => names.map((name) => page.remembered(name) ?? null);
const told = [all(open(storage)), all(alone)];
two.remember("mended b", undefined);
told.push(all(open(storage)));
process.stdout.write(JSON.stringify([...told, outlasts]));
"""


def test_pages_side_by_side_keep_what_the_other_wrote():
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node to run the page's script")
    run = subprocess.run(
        [node, "-e", _RUN], input=SCRIPT.read_text(), capture_output=True, text=True, check=True
    )
    both, alone, discarded, outlasts = json.loads(run.stdout)
    assert both == [[[0, 1, 2]], [[3, 4, 5]], False]
    assert alone == [None, None, True]
    assert discarded == [[[0, 1, 2]], None, False]
    assert outlasts == [True, False]


def test_a_name_of_a_file_is_the_one_by_which_labels_are_found():
    """`data convert` looks for what the page saved."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node to run the page's script")
    names = [*NAMES, "x" * 119 + "\U0001fac0"]
    program = f"""
const script = require("fs").readFileSync(0, "utf8") + "; return safeName;";
const saved = {json.dumps(names)}.map(new Function(script)());
process.stdout.write(JSON.stringify(saved));
"""
    run = subprocess.run(
        [node, "-e", program], input=SCRIPT.read_text(), capture_output=True, text=True, check=True
    )
    whole = [name.encode("utf-16", "surrogatepass") for name in json.loads(run.stdout)]
    assert [name.decode("utf-16", "ignore") for name in whole] == [*map(safe_name, names)]
