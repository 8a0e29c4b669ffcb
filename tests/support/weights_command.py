"""`surgvista weights …` in this process, and the line with which it refuses."""

from surgvista_jax.__main__ import main


def refused(capsys, *words) -> str:
    """What a command says that fails: its first line; the rest is the table of names."""
    assert main(["weights", *map(str, words)]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("surgvista: ")
    line, _, table = err.partition("\n")
    assert not table or "matched" in table
    return line
