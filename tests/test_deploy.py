"""What deploy/ and docs/cloud.md tell a user to type is there: commands, options, keys of recipes, variables, extras."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from geodl.recipe import load_recipe
from tests.commandlines import called, check_command

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "cloud.md"
FILES = [*sorted(path for path in (ROOT / "deploy").iterdir() if path.is_file()), PAGE]
MANIFESTS = sorted((ROOT / "deploy").glob("kubernetes-*.yaml"))

# Names with a domain in them that are no addresses of machines.
NO_HOSTS = {"nvidia.com", "batch.kubernetes.io"}


def _text(path: Path) -> str:
    """A file without comment signs and with its continued lines joined."""
    text = re.sub(r"\s*\\\n[#\s]*", " ", path.read_text(encoding="utf-8"))
    return re.sub(r"(?m)^#+ ?", "", text) if path != PAGE else text


def _spans() -> list[str]:
    """Code inside the page's sentences and tables."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", _text(PAGE))]


def _documents() -> Iterator[Any]:
    for path in MANIFESTS:
        yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


def _jobs() -> list[Any]:
    return [document for document in _documents() if document["kind"] == "Job"]


def _commands() -> Iterator[list[str]]:
    """The arguments of every call of geodl."""
    blocks = [line for line in _text(PAGE).splitlines() if line.startswith("    ")]
    scripts = [line for path in FILES if path != PAGE for line in _text(path).splitlines()]
    for line in (*blocks, *scripts, *_spans()):
        if (arguments := called(line)) is not None:
            yield arguments
        if started := re.search(r"docker run .*? geodl:\w+ (.*)|sbatch .*?deploy/slurm\.sh (.*)", line):
            yield shlex.split(started[1] or f"train {started[2]}")
    for job in _jobs():
        yield job["spec"]["template"]["spec"]["containers"][0]["args"]
    for span in _spans():
        if span.startswith("--set "):
            yield ["train", "segmentation", *shlex.split(span)]


COMMANDS = list({shlex.join(command): command for command in _commands()}.values())


def test_all_commands_were_found() -> None:
    assert len(COMMANDS) >= 20
    assert {command[0] for command in COMMANDS} == {"train", "check", "info", "predict", "evaluate"}


@pytest.mark.parametrize("arguments", COMMANDS, ids=shlex.join)
def test_a_command_is_one_of_geodls_and_its_settings_are_keys_of_the_recipe(arguments: list[str]) -> None:
    check_command(arguments)


def test_keys_that_sentences_name_are_keys_of_the_recipe() -> None:
    known = load_recipe("segmentation", files=False).flat()
    sections = {key.partition(".")[0] for key in known}
    named = {span.partition(":")[0] for span in _spans()}
    keys = {key for key in named if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", key) and key.partition(".")[0] in sections}
    assert {"train.accumulate", "distribution.strategy"} <= keys
    assert [key for key in keys if not any(f"{name}.".startswith(f"{key}.") for name in known)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_variables_of_keras_are_those_that_it_reads(path: Path) -> None:
    keras = importlib.util.find_spec("keras")
    assert keras is not None and keras.submodule_search_locations
    source = Path(keras.submodule_search_locations[0]) / "src" / "distribution" / "distribution_lib.py"
    named = set(re.findall(r"KERAS_DISTRIBUTION_\w+", path.read_text(encoding="utf-8")))
    assert named <= set(re.findall(r"KERAS_DISTRIBUTION_\w+", source.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_extras_are_the_packages_and_no_machine_is_named(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = re.findall(r"geodl(?:-\*\.whl\))?\[([\w,]+)\]", text)
    assert set(",".join(named).split(",")) - {""} <= set(extras)
    hosts = set(re.findall(r"\b(?:[a-z0-9-]+\.)+(?:io|com|org|net|dev|ai|cloud)\b(?!\.)", text))
    assert hosts <= NO_HOSTS and "://" not in re.sub(r"\b(s3|gs|tcp)://", "", text)


@pytest.mark.parametrize("job", _jobs(), ids=lambda job: job["metadata"]["name"])
def test_kubernetes_tries_again_what_was_told_to_end_and_no_mistake(job: Any) -> None:
    rules = job["spec"]["podFailurePolicy"]["rules"]
    actions = {code: rule["action"] for rule in rules for code in rule.get("onExitCodes", {}).get("values", ())}
    assert actions == {2: "FailJob", 143: "Ignore"}
    pod = job["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never" and pod["shareProcessNamespace"]
    names = [container["name"] for container in pod["containers"]]
    assert names == [rule["onExitCodes"]["containerName"] for rule in rules if "onExitCodes" in rule][:1]


def test_workers_on_kubernetes_find_the_first() -> None:
    service, job = yaml.safe_load_all((ROOT / "deploy" / "kubernetes-workers.yaml").read_text(encoding="utf-8"))
    pod, name = job["spec"]["template"]["spec"], job["metadata"]["name"]
    given = {entry["name"]: entry.get("value") for entry in pod["containers"][0]["env"]}
    assert given["KERAS_DISTRIBUTION_JOB_ADDRESSES"].startswith(f"{name}-0.{pod['subdomain']}:")
    assert pod["subdomain"] == service["metadata"]["name"] and service["spec"]["selector"] == {"job-name": name}
    count = int(given["KERAS_DISTRIBUTION_NUM_PROCESSES"])
    assert count == job["spec"]["completions"] == job["spec"]["parallelism"]


def test_skypilot_goes_on_after_143_alone() -> None:
    task = yaml.safe_load((ROOT / "deploy" / "skypilot.yaml").read_text(encoding="utf-8"))
    assert task["resources"]["job_recovery"] == {"recover_on_exit_codes": [143]}
    assert set(re.findall(r"\$(\w+)", task["run"])) - set(task["envs"]) == {
        "SKYPILOT_NUM_NODES", "SKYPILOT_NODE_IPS", "SKYPILOT_NODE_RANK",
    }  # fmt: skip
    for script in (task["setup"], task["run"]):
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def _slurm(folder: Path, *, nodes: int, exit_code: int, state: str = "RUNNING") -> tuple[int, str, str]:
    """Runs the batch script with stand-ins for SLURM's commands; returns status, what geodl got, what scontrol got."""
    stand_ins = {
        "srun": 'while [[ $1 == --* ]]; do shift; done; SLURM_PROCID=1 "$@"',
        "geodl": f'echo "$* | $(env | grep ^KERAS_ | sort | tr "\\n" " ")" > {folder}/geodl.txt; exit {exit_code}',
        "scontrol": f'echo "$*" >> {folder}/scontrol.txt\n'
        f'case $1 in hostnames) ;; show) [[ $2 == job ]] && echo JobState={state} || printf "a\\nb\\n";; esac',
    }
    for name, body in stand_ins.items():
        path = folder / name
        path.write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    told = {"SLURM_JOB_NUM_NODES": str(nodes), "SLURM_JOB_ID": "123456", "SLURM_JOB_NODELIST": "[a-b]"}
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", **told}
    words = ["bash", str(ROOT / "deploy" / "slurm.sh"), "my recipe.yaml", "--set", "data.bands=[B02, B03]"]
    status = subprocess.run(words, env=environment, check=False).returncode
    asked = folder / "scontrol.txt"
    return status, (folder / "geodl.txt").read_text().strip(), asked.read_text() if asked.exists() else ""


@pytest.mark.parametrize(
    ("exit_code", "state", "requeued"),
    [(0, "RUNNING", False), (2, "RUNNING", False), (143, "RUNNING", True), (143, "CANCELLED", False)],
    ids=["done", "mistake", "told to end", "cancelled"],
)
def test_slurm_puts_a_job_back_that_was_told_to_end(tmp_path: Path, exit_code: int, state: str, requeued: bool) -> None:
    status, got, asked = _slurm(tmp_path, nodes=1, exit_code=exit_code, state=state)
    assert status == exit_code and ("requeue 123456" in asked) == requeued
    # On one node nothing is said of other workers.
    assert got == "train my recipe.yaml --set data.bands=[B02, B03] | KERAS_DISTRIBUTION_PROCESS_ID=1"


def test_slurm_tells_workers_of_each_other(tmp_path: Path) -> None:
    _, got, _ = _slurm(tmp_path, nodes=2, exit_code=0)
    assert got.partition(" | ")[2].split() == [
        "KERAS_BACKEND=jax",
        "KERAS_DISTRIBUTION_JOB_ADDRESSES=a:23456",
        "KERAS_DISTRIBUTION_NUM_PROCESSES=2",
        "KERAS_DISTRIBUTION_PROCESS_ID=1",
    ]
