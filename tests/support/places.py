"""Where what tests read lies: the repository, golden numbers, real recordings if there are any."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
# Real recordings are never copied into the project: tests of them are skipped without.
REALDATA = ROOT.parent / "shared" / "realdata"
