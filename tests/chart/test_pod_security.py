"""The restricted Pod Security Standard, rule by rule, and what this chart promises beyond it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import pytest

from tests.chart.engine import (
    Manifest,
    containers,
    own_containers,
    pods,
    render,
    scenarios,
    smallest,
    values_of,
    worker,
)
from tests.summary import Count

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
CAPABILITIES = {"NET_BIND_SERVICE"}
SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
}


def contexts(pod: Manifest) -> Iterator[Manifest]:
    """What is in force for each container: its own context over that of the pod."""
    return ({**pod.get("securityContext", {}), **c.get("securityContext", {})} for c in containers(pod))


def profile(context: Manifest) -> str:
    """The seccomp profile's type."""
    return str(context.get("seccompProfile", {}).get("type"))


Rule = Callable[[Manifest], bool]
RULES: dict[str, Rule] = {
    "no namespaces of the host": lambda p: not any(p.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")),
    "not privileged": lambda p: not any(c.get("privileged") for c in contexts(p)),
    "no capability but one": lambda p: all(
        set(c.get("capabilities", {}).get("add", [])) <= CAPABILITIES for c in contexts(p)
    ),
    "all capabilities dropped": lambda p: all("ALL" in c.get("capabilities", {}).get("drop", []) for c in contexts(p)),
    "harmless volumes": lambda p: all(v.keys() - {"name"} <= VOLUMES for v in p["volumes"]),
    "no port of the host": lambda p: (
        not any(port.get("hostPort") for c in containers(p) for port in c.get("ports", []))
    ),
    "no profile of AppArmor of its own": lambda p: all(
        c.get("appArmorProfile", {}).get("type", "RuntimeDefault") in {"RuntimeDefault", "Localhost"}
        for c in contexts(p)
    ),
    "no options of SELinux": lambda p: (
        not any(c.get("seLinuxOptions", {}).keys() & {"user", "role"} for c in contexts(p))
    ),
    "the default mount of proc": lambda p: all(c.get("procMount", "Default") == "Default" for c in contexts(p)),
    "safe sysctls": lambda p: {s["name"] for s in p.get("securityContext", {}).get("sysctls", [])} <= SYSCTLS,
    "no privilege escalation": lambda p: all(c.get("allowPrivilegeEscalation") is False for c in contexts(p)),
    "not root": lambda p: all(c.get("runAsNonRoot") is True for c in contexts(p)),
    "no user 0": lambda p: all(c.get("runAsUser") != 0 for c in contexts(p)),
    "a seccomp profile": lambda p: all(profile(c) in {"RuntimeDefault", "Localhost"} for c in contexts(p)),
}

BROKEN: dict[str, Manifest] = {
    "no namespaces of the host": {"hostPID": True},
    "not privileged": {"context": {"privileged": True}},
    "no capability but one": {"context": {"capabilities": {"drop": ["ALL"], "add": ["SYS_TIME"]}}},
    "all capabilities dropped": {"context": {"capabilities": {"drop": ["NET_RAW"]}}},
    "harmless volumes": {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
    "no port of the host": {"container": {"ports": [{"containerPort": 1, "hostPort": 1}]}},
    "no profile of AppArmor of its own": {"context": {"appArmorProfile": {"type": "Unconfined"}}},
    "no options of SELinux": {"context": {"seLinuxOptions": {"role": "r"}}},
    "the default mount of proc": {"context": {"procMount": "Unmasked"}},
    "safe sysctls": {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
    "no privilege escalation": {"context": {"allowPrivilegeEscalation": True}},
    "not root": {"context": {"runAsNonRoot": False}},
    "no user 0": {"context": {"runAsUser": 0}},
    "a seccomp profile": {"context": {"seccompProfile": {"type": "Unconfined"}}},
}
"""For each rule what breaks it: keys of the pod, of its first container, or of that one's security context."""


@scenarios
@pytest.mark.parametrize("rule", RULES)
def test_every_pod_keeps_the_restricted_pod_security_standard(scenario: Path, rule: str, count: Count) -> None:
    found = list(pods(render(values_of(scenario))))
    assert len(found) >= 2
    for name, pod in found:
        assert RULES[rule](pod["spec"]), name
    count("chart: rules of the restricted Pod Security Standard", rule)


@pytest.mark.parametrize("rule", RULES)
def test_a_pod_that_breaks_the_rule_would_be_found(rule: str) -> None:
    pod = deepcopy(worker(render(smallest()))["spec"]["template"]["spec"])
    broken = dict(BROKEN[rule])
    pod["containers"][0]["securityContext"] |= broken.pop("context", {})
    pod["containers"][0] |= broken.pop("container", {})
    pod |= broken
    assert [name for name, holds in RULES.items() if not holds(pod)] == [rule]


# Beyond the standard.


@scenarios
def test_nothing_but_tmp_can_be_written_and_no_token_is_mounted(scenario: Path) -> None:
    for name, pod in pods(render(values_of(scenario))):
        assert pod["spec"]["automountServiceAccountToken"] is False, name
        assert pod["spec"]["enableServiceLinks"] is False, name
        for container in containers(pod["spec"]):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
        for container in own_containers(pod["spec"]):
            assert container["securityContext"]["runAsUser"] == 65532
            writable = [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")]
            assert writable == ["/tmp"]  # noqa: S108 - the path in the container


@scenarios
def test_ids_can_be_left_to_the_cluster(scenario: Path) -> None:
    # OpenShift gives each namespace ids of its own, and refuses pods that ask for others.
    values = {**values_of(scenario), "podSecurity": {"fixedIds": False}, "initContainers": [], "extraContainers": []}
    for name, pod in pods(render(values)):
        asked = [pod["spec"]["securityContext"], *(c["securityContext"] for c in containers(pod["spec"]))]
        assert [each for each in asked if each.keys() & {"runAsUser", "runAsGroup", "fsGroup"}] == [], name
        assert [rule for rule, holds in RULES.items() if not holds(pod["spec"])] == [], name


@scenarios
def test_secrets_are_files_and_no_value_of_one_is_in_an_environment(scenario: Path) -> None:
    for _, pod in pods(render(values_of(scenario))):
        modes = {volume["secret"]["defaultMode"] for volume in pod["spec"]["volumes"] if "secret" in volume}
        assert modes == {0o440}
        assert pod["spec"]["securityContext"]["fsGroup"] == 65532
        for container in own_containers(pod["spec"]):
            given = {each["name"] for each in container.get("env", []) if "value" in each}
            assert given <= {
                "CONNECTOR__ADMIN__PORT",
                "CONNECTOR__LOG__LEVEL",
                "CONNECTOR__KAFKA__PROPERTIES__SASL_USERNAME",
                "CONNECTOR__WEBHOOK__SECRET_FILES",
            }


@scenarios
def test_memory_is_limited_and_the_processor_is_not(scenario: Path) -> None:
    for name, pod in pods(render(values_of(scenario))):
        for container in containers(pod["spec"]):
            assert "memory" in container["resources"]["limits"], name
            assert "cpu" not in container["resources"]["limits"], name
