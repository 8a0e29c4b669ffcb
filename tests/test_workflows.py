"""Do the files for GitHub and for citing parse, and do the workflows run what the project runs?"""

import re
import tomllib

import pytest
import yaml

from surgvista_jax import __version__
from tests.support.places import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
OURS = (".ci/run", ".ci/package", ".ci/versions", "README.md", "docs/contributing.md")


def parsed(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(path):
    for name, job in parsed(path)["jobs"].items():
        for step in job.get("steps", []):  # none where it calls a workflow
            yield name, step


def words_of(text: str) -> str:
    """Commands without what only makes them quieter or says where their program lies."""
    return re.sub(r" --quiet| --disable-pip-version-check|\.venv/bin/", "", text)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_command_of_a_workflow_is_one_of_ours(path):
    known = words_of("\n".join((ROOT / name).read_text(encoding="utf-8") for name in OURS))
    for name, step in steps(path):
        for line in step.get("run", "").splitlines():
            script = ROOT / line.split()[0]
            if script.is_file():
                assert script.parent.name == ".ci" and script.stat().st_mode & 0o100, line
            else:
                assert line in known, f"{name}: {line}"


def test_what_ci_runs_the_workflows_run():
    text = words_of((ROOT / ".ci" / "run").read_text(encoding="utf-8"))
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    programs = r"ruff check \.|ruff format --check \.|lint-imports --no-logo|\bmypy\b"
    programs += r"|mkdocs build --strict|pip install .*|python -m .*"
    commands = set(re.findall(programs, text))
    run = {step["run"] for path in WORKFLOWS for _, step in steps(path) if "run" in step}
    assert len(commands) >= 8 and commands <= run


def test_actions_are_of_a_version_and_only_the_release_may_publish():
    used = [step["uses"] for path in WORKFLOWS for _, step in steps(path) if "uses" in step]
    assert used and all(re.fullmatch(r"[\w-]+/[\w-]+@[\w./]+", name) for name in used)
    publishers = [
        n
        for path in WORKFLOWS
        for n, job in parsed(path)["jobs"].items()
        if "id-token" in job.get("permissions", {})
    ]
    assert publishers == ["publish"]
    assert all(parsed(path)["permissions"] == {"contents": "read"} for path in WORKFLOWS)


def test_no_line_installs_from_pypi_what_is_not_released_there():
    """That name may be anybody's; the notebooks' `surgvista_jax @ PLACE` names a place."""
    changes = (ROOT / "docs" / "changelog.md").read_text(encoding="utf-8")
    assert f"## {__version__} (not released yet)" in changes  # else this test has had its day
    files = [*ROOT.glob("surgvista_jax/**/*.py"), *ROOT.glob("launch/**/*.ipynb")]
    files += [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    asked = r"(?:surgvista_jax|\{OURS\})\[(?:gpu|tpu|torch|hub|wandb|mlflow|\{)"
    asked += r"|pip install (?:-\S+ )*[\\'\"]*surgvista_jax(?! @|\{extra\} @)"
    found = [
        f"{path}: {m[0]}" for path in files for m in re.finditer(asked, path.read_text("utf-8"))
    ]
    assert len(files) > 100 and found == []


def test_nothing_is_published_that_fails_a_check():
    folder = ROOT / ".github" / "workflows"
    jobs = parsed(folder / "release.yml")["jobs"]
    called = {name: ROOT / job["uses"] for name, job in jobs.items() if "uses" in job}
    assert called == {"checks": folder / "checks.yml"}
    assert {*called, "build"} == set(jobs["publish"]["needs"])
    assert "workflow_call" in parsed(folder / "checks.yml")[True]  # YAML reads the key `on` so


def test_no_name_that_others_choose_is_pasted_into_a_shell():
    """Such as a branch's or a tag's: it may hold commands. A matrix is our own."""
    runs = [step.get("run", "") for path in WORKFLOWS for _, step in steps(path)]
    pasted = re.findall(r"\$\{\{\s*([\w.]+)", "\n".join(runs))
    assert pasted and all(name.startswith("matrix.") for name in pasted), pasted


def test_pythons_that_are_tested_are_those_that_are_allowed():
    jobs = parsed(ROOT / ".github" / "workflows" / "checks.yml")["jobs"]
    tested = jobs["tests"]["strategy"]["matrix"]["python"]
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    first, last = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', text).groups()
    assert tested == [f"3.{minor}" for minor in range(int(first), int(last))]


def test_the_citation_is_of_this_version_and_of_the_papers_that_the_readme_names():
    told = parsed(ROOT / "CITATION.cff")
    assert told["version"] == __version__ and told["cff-version"] == "1.2.0"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert told["authors"] == project["authors"] and told["license"] == project["license"]
    paper = told["preferred-citation"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    joined = " ".join(readme.split())
    assert paper["title"] in joined and paper["doi"] in joined
    assert paper["identifiers"][0]["value"] in joined
    assert f"## {__version__}" in (ROOT / "docs" / "changelog.md").read_text(encoding="utf-8")


def test_the_forms_for_issues_have_fields():
    for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        form = parsed(path)
        if path.stem == "config":
            continue
        assert form["name"] and form["description"]
        fields = [part["id"] for part in form["body"] if part["type"] != "markdown"]
        assert fields and len(fields) == len(set(fields))
