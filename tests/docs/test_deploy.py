"""The files of deploy/ are judged by the tools that people judge them with, and their steps are run."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.matches import found
from support.ports import free_port
from support.sources import ROOT
from support.ward import environment

DEPLOY = ROOT / "deploy"
BIN = Path(sys.executable).parent


def run(*words, cwd=ROOT, **more):
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, timeout=240, **more)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def test_the_linter_of_dockerfiles_has_nothing_to_say():
    assert run(BIN / "hadolint", "--failure-threshold", "style", "deploy/Dockerfile") == ""


def test_every_manifest_fits_the_schema_of_kubernetes():
    assert run(BIN / "kubernetes-validate", "deploy/kubernetes.yaml").count("passed for resource") == 4


def test_the_probes_and_times_of_the_manifests_fit_the_settings():
    stateful, *_ = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    pod = stateful["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    shown = json.loads(run(sys.executable, "-m", "mcpward", "config", "show", "site", "--json", env=environment({})))
    drain_s = shown["site.drain_s"]["value"]
    delay_s = 5.0  # the default; tests have none
    assert f"`{delay_s}` | seconds after SIGTERM" in (ROOT / "docs" / "configuration.md").read_text()
    assert pod["terminationGracePeriodSeconds"] > drain_s + delay_s
    ready = container["readinessProbe"]
    assert ready["httpGet"]["path"] == "/readyz"
    assert ready["periodSeconds"] * ready["failureThreshold"] < delay_s
    assert {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe")} == {"/healthz"}
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert float(compose["services"]["mcpward"]["stop_grace_period"].rstrip("s")) > drain_s + delay_s
    unit = (DEPLOY / "mcpward.service").read_text()
    assert float(found(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)[1]) > drain_s + delay_s


def test_systemd_takes_the_unit_and_calls_it_well_hardened(tmp_path):
    systemd = shutil.which("systemd-analyze")
    assert systemd, "systemd is missing: apt install systemd"
    unit = tmp_path / "mcpward.service"
    text = (DEPLOY / "mcpward.service").read_text()
    unit.write_text(text.replace("/opt/mcpward/bin/mcpward", str(BIN / "mcpward")))
    assert run(systemd, "verify", "--man=no", unit) == ""
    assert run(systemd, "security", "--offline=true", "--threshold=20", unit)  # of 100, which is no protection at all


def test_the_command_of_every_file_is_one_that_there_is():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    stateful, *_ = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    (container,) = stateful["spec"]["template"]["spec"]["containers"]
    commands = [compose["services"]["mcpward"]["command"], container["args"]]
    commands.append(
        shlex.split(found(r"^ExecStart=\S+ (.*)$", (DEPLOY / "mcpward.service").read_text(), re.MULTILINE)[1])
    )
    for verb, *options in commands:
        known = run(sys.executable, "-m", "mcpward", verb, "--help", env=environment({}))
        assert not [option for option in options if option.startswith("--") and option not in known]
    # The environment of each is read as it is there; a name that is no setting would be an error.
    given = compose["services"]["mcpward"]["environment"] | {one["name"]: one["value"] for one in container["env"]}
    run(sys.executable, "-m", "mcpward", "config", "check", cwd=DEPLOY / "site", env=environment(given))


def stages(text):
    """The instructions of a Dockerfile, stage by stage: (name, argument)."""
    joined = re.sub(r"\\\n", " ", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    found: list[Any] = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, _, argument = line.partition(" ")
        if name == "FROM":
            found.append([])
        found[-1].append((name, argument.strip()))
    return found


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_the_steps_of_the_dockerfile_make_a_site_that_is_healthy_and_stops_as_asked(tmp_path):
    """Without a builder: the build stage's steps are run in a folder, and then what the image would run."""
    build, final = stages((DEPLOY / "Dockerfile").read_text())
    source, opt = tmp_path / "src", str(tmp_path / "opt")
    source.mkdir()
    for name, argument in build:
        if name == "COPY":
            *parts, target = argument.split()
            for part in parts:
                place = source / target
                if (ROOT / part).is_dir():
                    shutil.copytree(ROOT / part, place, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    place.mkdir(exist_ok=True)
                    shutil.copy(ROOT / part, place)
        elif name == "RUN":
            command = argument.replace("/opt/mcpward", opt).replace("python3 ", f"{sys.executable} ")
            run("bash", "-euc", command, cwd=source, env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    told = dict(final)
    port = free_port()
    address = f"127.0.0.1:{port}"
    folder = shutil.copytree(DEPLOY / "site", tmp_path / "site")
    env = environment({"MCPWARD_SITE__LISTEN": address, "MCPWARD_SITE__METRICS_LISTEN": ""})
    env |= {"MCPWARD_SITE__DATA": str(tmp_path / "data"), "MCPWARD_CONFIG": str(folder / "mcpward.toml")}
    assert "MCPWARD_CONFIG=/etc/mcpward/mcpward.toml" in told["ENV"]
    words = [*json.loads(told["ENTRYPOINT"]), *json.loads(told["CMD"])]
    with subprocess.Popen([f"{opt}/bin/{words[0]}", *words[1:]], cwd=folder, env=env) as process:
        try:
            check = json.loads(told["HEALTHCHECK"].partition("CMD ")[2])
            check = [word.replace("127.0.0.1:8000", address) for word in check]
            end = time.monotonic() + 60
            while subprocess.run(check, check=False, capture_output=True).returncode:
                assert process.poll() is None
                assert time.monotonic() < end
        finally:
            process.send_signal(getattr(signal, told["STOPSIGNAL"]))
        assert process.wait(45) == 0
