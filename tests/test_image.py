"""The Dockerfile keeps to what was decided for the image, and to what older builders can parse."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def instructions() -> list[tuple[str, str]]:
    """Reads the Dockerfile: (instruction, rest), comments dropped, continued lines joined."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined.splitlines() if line.strip()]


def of(kind: str) -> list[str]:
    return [rest for name, rest in instructions() if name == kind]


def final_stage() -> list[tuple[str, str]]:
    steps = instructions()
    return steps[max(index for index, (name, _) in enumerate(steps) if name == "FROM") :]


def test_the_base_is_one_argument_so_that_a_digest_can_be_given() -> None:
    bases = {rest.split()[0] for rest in of("FROM")}
    default = next(rest for rest in of("ARG") if rest.startswith("PYTHON_IMAGE="))

    # The bill of materials is made in a stage beside, and comes out alone.
    assert bases == {"${PYTHON_IMAGE}", "build", "scratch"}
    assert re.search(r"python:3\.\d+-slim-\w+$", default), "Debian slim: the wheels need glibc"


def test_an_older_builder_can_parse_it() -> None:
    text = "\n".join(f"{name} {rest}" for name, rest in instructions())

    assert "<<" not in text, "heredoc"
    assert "--link" not in text
    assert not re.search(r"target=[^/]", text), "mount targets are absolute"


def test_nothing_is_installed_without_its_hash() -> None:
    installs = re.findall(r"pip [^&]*\binstall\b[^&]*", " && ".join(of("RUN")))

    assert installs
    assert [line for line in installs if "--require-hashes" not in line and "--no-index" not in line] == []


def test_the_process_runs_as_a_numeric_user_by_exec() -> None:
    final = dict(final_stage())

    assert final["USER"] == "65532:65532"
    assert final["ENTRYPOINT"] == '["extend-connector"]'


def test_a_linter_of_dockerfiles_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    ended = subprocess.run(
        [hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False
    )

    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


def test_build_tools_stay_in_the_build_stage() -> None:
    copied = [rest for name, rest in final_stage() if name in {"COPY", "ADD"}]

    assert copied == ["--from=build /app /app"]
    assert not [rest for name, rest in final_stage() if name == "RUN" and "pip install" in rest]


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    sources = [path for rest in of("COPY") if not rest.startswith("--from") for path in rest.split()[:-1]]

    assert sources
    assert [path for path in sources if not (ROOT / path).exists()] == []
    assert [path for path in sources if not any(fnmatchcase(path, name) for name in kept)] == []
    assert sorted(kept) == sorted(sources)


def test_the_labels_are_those_of_the_open_container_initiative() -> None:
    names = set(re.findall(r"org\.opencontainers\.image\.([\w.]+)=", " ".join(of("LABEL"))))

    assert names >= {"title", "description", "licenses", "version", "revision", "source", "base.name", "base.digest"}


def test_the_workflow_gives_arguments_and_values_that_exist_and_says_that_it_was_not_run() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    declared = {rest.split("=")[0] for rest in of("ARG")}
    given = set(re.findall(r"^ +([A-Z_]+)=", text.split("build-args: |")[1].split("- name:")[0], re.MULTILINE))

    assert text.startswith("# NOT RUN SO FAR")
    assert given
    assert given <= declared
    assert [path for path in re.findall(r"\bhelm/extend[\w./-]+", text) if not (ROOT / path).exists()] == []
    assert yaml.safe_load(text)["jobs"].keys() == {"image", "cluster"}


def test_a_release_is_a_tag_and_its_image_has_the_name_that_the_chart_pulls(tmp_path: Path) -> None:
    # PyYAML reads the key `on` as true.
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    steps = {each.get("id"): each for each in workflow["jobs"]["image"]["steps"]}
    chart = ROOT / "helm" / "extend-kafka-connector" / "Chart.yaml"
    version = yaml.safe_load(chart.read_text())["appVersion"]

    assert workflow[True] == {"push": {"tags": ["v*"]}}
    assert steps["build"]["with"]["tags"] == "${{ env.IMAGE }}:${{ steps.version.outputs.version }}"
    for tag, fails in ((f"v{version}", False), (f"v{version}0", True), ("v" + version.replace(".", "x"), True)):
        output = tmp_path / tag
        output.touch()
        environment = {**os.environ, "GITHUB_REF_NAME": tag, "GITHUB_OUTPUT": str(output)}
        step = subprocess.run(["/bin/bash", "-ec", steps["version"]["run"]], cwd=ROOT, env=environment, check=False)
        assert bool(step.returncode) == fails
        assert output.read_text() == ("" if fails else f"version={version}\n")
