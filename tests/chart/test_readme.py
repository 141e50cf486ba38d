"""The six commands of the chart's README, and the values beside them, are right."""

from __future__ import annotations

import re
import shlex

import yaml

from tests.chart.engine import CHART, chart, own_containers, pods, render, worker
from tests.chart.kinds import KUBERNETES, validate

PAGE = (CHART / "README.md").read_text(encoding="utf-8")
(VALUES,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
(BLOCK,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [shlex.split(line) for line in BLOCK.splitlines()]


def test_there_are_six_commands() -> None:
    assert [words[:2] for words in COMMANDS] == [
        ["docker", "build"],
        ["docker", "push"],
        ["kubectl", "create"],
        ["kubectl", "--namespace"],
        ["helm", "install"],
        ["helm", "test"],
    ]


def test_the_values_render_and_pull_the_image_that_was_pushed() -> None:
    manifests = render(yaml.safe_load(VALUES))
    for manifest in manifests:
        validate(manifest, KUBERNETES[-1])
    pushed = COMMANDS[1][2]
    assert pushed == COMMANDS[0][COMMANDS[0].index("--tag") + 1]
    for _, pod in pods(manifests):
        assert {each["image"] for each in own_containers(pod["spec"])} == {pushed}
    assert {m["kind"] for m in manifests} >= {"Deployment", "Job", "Pod"}


def test_the_secret_has_the_name_and_the_file_that_the_workers_look_for() -> None:
    create = COMMANDS[3]
    pod = worker(render(yaml.safe_load(VALUES)))["spec"]["template"]["spec"]
    (volume,) = [each for each in pod["volumes"] if "secret" in each]
    assert create[create.index("generic") + 1] == volume["secret"]["secretName"]
    (file,) = [word for word in create if word.startswith("--from-file=")]
    key = file.removeprefix("--from-file=").partition("=")[0]
    assert chart().values["config"]["extend"]["api_key_file"] == f"{chart().values['secrets']['mountPath']}/{key}"


def test_all_commands_are_about_one_namespace_and_one_release() -> None:
    namespaces = {words[words.index("--namespace") + 1] for words in COMMANDS if "--namespace" in words}
    assert namespaces == {COMMANDS[2][3]}
    assert COMMANDS[4][2] == COMMANDS[5][2]
    assert (CHART.parents[1] / COMMANDS[4][3]).samefile(CHART)
