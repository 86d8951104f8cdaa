"""Containers of our own HAProxy image: any that runs until it is told to stop will do."""

import subprocess

import pytest
from conftest import wait_until

LABELS = ["--label", "rollcall.project=rollcall-pytest", "--label", "rollcall.deploy=this"]
NAME = "rollcall-pytest-slot"


def docker(*arguments):
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False).stdout.strip()


def fill(command="sleep 60", name=NAME):
    """Fills the slot, and returns once the command's first word has been said, if it says one."""
    docker("run", "--detach", "--init", "--stop-signal", "TERM", "--name", name, *LABELS, "--entrypoint", "sh", "rollcall-haproxy:3.0", "-c", command)
    wait_until(lambda: "echo" not in command or docker("logs", name))
    return docker("inspect", "--format", "{{.Id}}", name)


def holds(name=NAME):
    return docker("ps", "--all", "--no-trunc", "--filter", f"name=^{name}$", "--format", "{{.ID}}")


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    docker("rm", "--force", NAME, NAME + "-aside")


def test_what_the_slot_kept_comes_back_when_the_roll_fails(tmp_path, run):
    kept = fill()
    assert run("rollcall_container", name=NAME, state="aside")["changed"]
    assert holds() == ""
    tried = fill("echo it broke; sleep 60")
    assert tried != kept
    result = run("rollcall_container", name=NAME, state="back", deploy="this", logs=str(tmp_path))
    assert holds() == kept and holds(NAME + "-aside") == ""
    assert (tmp_path / f"{NAME}.log").read_text() == "it broke\n" and str(tmp_path) in result["note"]


def test_what_another_deploy_put_there_stays(run):
    before = fill()
    assert not run("rollcall_container", name=NAME, state="back", deploy="another")["changed"]
    assert holds() == before


def test_the_first_release_of_a_slot_leaves_it_empty(run):
    fill()
    run("rollcall_container", name=NAME, state="back", deploy="this")
    assert holds() == ""


def test_setting_aside_twice_keeps_the_older(run):
    kept = fill()
    run("rollcall_container", name=NAME, state="aside")
    fill()
    run("rollcall_container", name=NAME, state="aside")
    assert (holds(), holds(NAME + "-aside")) == ("", kept)
    replica = NAME.removeprefix("rollcall-pytest-").partition("-")[0]
    dropped = {"project": "rollcall-pytest", "state": "dropped"}
    assert not run("rollcall_container", **dropped, replicas=["another"])["changed"]
    assert run("rollcall_container", **dropped, replicas=[replica])["changed"]
    assert holds(NAME + "-aside") == ""


def test_a_container_that_ignores_sigterm_is_killed_and_told(run):
    fill("trap '' TERM; echo deaf; while :; do sleep 1; done")
    result = run("rollcall_container", name=NAME, state="stopped", timeout=1)
    assert result["changed"] and "was killed" in result["note"]
    assert not run("rollcall_container", name=NAME, state="stopped")["changed"]
    assert run("rollcall_container", name=NAME, state="started")["changed"]


def test_a_frozen_container_starts_anew(run):
    before = fill("trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done")
    first = docker("inspect", "--format", "{{.State.StartedAt}}", NAME)
    docker("pause", NAME)
    result = run("rollcall_container", name=NAME, state="restarted", timeout=5)
    assert result["changed"] and "note" not in result
    assert docker("inspect", "--format", "{{.State.Status}} {{.Id}}", NAME) == f"running {before}"
    assert docker("inspect", "--format", "{{.State.StartedAt}}", NAME) > first


def test_a_container_that_hangs_is_killed_told_and_starts_anew(run):
    fill("trap '' TERM; echo deaf; while :; do sleep 1; done")
    assert "was killed" in run("rollcall_container", name=NAME, state="restarted", timeout=1)["note"]
    assert docker("inspect", "--format", "{{.State.Status}}", NAME) == "running"
