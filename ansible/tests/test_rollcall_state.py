"""One place for the state of a stack, whoever looks and from where."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from ansible.module_utils import rollcall_state
from conftest import ROOT, load

PROJECT = "rollcall-pytest-state"
NOBODY = 65534


def container(destination="/run/rollcall", source="/srv/one/run", **labels):
    return {"Mounts": [{"Destination": destination, "Source": source}], "Config": {"Labels": labels}}


def test_a_stack_names_its_place_also_without_its_haproxy():
    labelled = container("/data", "/srv/volume", **{"rollcall.state": "/srv/two"})
    assert rollcall_state.named_by([labelled, container()]) == "/srv/one"
    assert rollcall_state.named_by([labelled]) == "/srv/two"
    assert rollcall_state.named_by([container("/data")]) is None


def test_a_stack_has_its_place_where_it_stands_and_a_new_one_where_all_users_look(tmp_path):
    home, shared = str(tmp_path / "home"), tmp_path / "shared"
    shared.mkdir()

    def place(standing=None):
        return rollcall_state.place("it", home, shared=str(shared), found=lambda project: standing)

    assert place() == f"{shared}/it"
    # A release before has left one there: it goes on, with its journal and its hooks.
    (tmp_path / "home" / ".rollcall" / "it").mkdir(parents=True)
    assert place() == f"{home}/.rollcall/it"
    (shared / "it").mkdir()
    assert place() == f"{shared}/it"
    assert place("/home/alice/.rollcall/it") == "/home/alice/.rollcall/it"


def test_no_place_is_looked_for_under_a_name_that_is_none():
    assert rollcall_state.in_force("..") is None and rollcall_state.in_force("") is None


@pytest.fixture
def public():
    """A directory that everybody can see, as none of pytest's is."""
    with tempfile.TemporaryDirectory(prefix="rollcall-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture
def stack():
    """A container that has its state where a release before had it."""
    made = []

    def stack(directory):
        (directory / "run").mkdir(parents=True)
        command = ["docker", "create", "--name", f"{PROJECT}-haproxy", "--label", f"rollcall.project={PROJECT}"]
        command += ["--volume", f"{directory}/run:/run/rollcall", "rollcall-haproxy:3.0"]
        subprocess.run(command, check=True, capture_output=True)
        made.append(f"{PROJECT}-haproxy")

    yield stack
    for name in made:
        subprocess.run(["docker", "rm", "--force", name], check=True, capture_output=True)


def test_o8_a_second_place_is_refused_and_both_are_named(public, run, stack):
    before = public / ".rollcall" / PROJECT
    stack(before)
    refused = run("rollcall_state", project=PROJECT, directory=f"{public}/elsewhere")
    assert refused["failed"] and str(before) in refused["msg"] and f"{public}/elsewhere" in refused["msg"]
    assert run("rollcall_state", project=PROJECT, directory=str(before))["ansible_facts"] == {"rollcall_run_dir": str(before)}


def test_o8_a_socket_that_could_not_be_opened_is_refused(tmp_path, run):
    refused = run("rollcall_state", project=PROJECT, directory=str(tmp_path / ("x" * 100)))
    assert refused["failed"] and "at most 107 characters" in refused["msg"]


def as_nobody(module, **arguments):
    """What the module says to a user who is in the docker group and nothing else."""
    group = Path("/var/run/docker.sock").stat().st_gid
    # What it imports it may not be able to read as nobody.
    script = (
        "import os, conftest; from ansible.module_utils.testing import patch_module_args\n"
        f"module = conftest.load({module!r})\n"
        f"os.setgroups([{group}]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        f"with patch_module_args({arguments!r}): module.main()"
    )
    command = [sys.executable, "-c", script]
    environment = os.environ | {"HOME": "/nonexistent", "USER": "nobody", "LOGNAME": "nobody"}
    played = subprocess.run(command, cwd=Path(__file__).parent, env=environment, capture_output=True, text=True, check=False)
    return json.loads(played.stdout)


def test_o8_another_user_is_told_whose_it_is_and_how_to_share(public):
    ours, theirs = public / "ours", public / "theirs"
    ours.mkdir(mode=0o700)
    refused = as_nobody("rollcall_state", project=PROJECT, directory=str(ours))
    assert refused["failed"] and f"is in {ours}, which is root's" in refused["msg"]
    # One inside cannot even be seen.
    assert "which is root's" in as_nobody("rollcall_state", project=PROJECT, directory=str(ours / "it"))["msg"]
    other = as_nobody("rollcall_state", project=PROJECT, directory=str(public / "other"))
    assert f"may not make {public}/other: sudo install -d -m 1775" in other["msg"]
    # What the user may make is used, but not without a word.
    theirs.mkdir()
    os.chown(theirs, NOBODY, NOBODY)
    used = as_nobody("rollcall_state", project=PROJECT, directory=str(theirs / PROJECT))
    assert "failed" not in used and "sudo install -d -m 1775 -g docker /var/lib/rollcall" in used["hint"]


def test_o8_root_leaves_a_users_stack_to_that_user(public):
    """Root has deployed there once, so the guard of the lock is root's."""
    os.chown(public, NOBODY, NOBODY)
    (public / "lock.guard").touch(mode=0o644)
    taken = as_nobody("rollcall_lock", path=str(public / "lock"))
    assert "failed" not in taken and taken["owner"]["owner"] == "nobody"
    (public / "deploys.jsonl").touch()
    rollcall_state.give_to_owner(str(public / "deploys.jsonl"))
    assert (public / "deploys.jsonl").stat().st_uid == NOBODY


def operator(home):
    return {"PATH": os.environ["PATH"], "HOME": str(home)}


@pytest.fixture
def deploy():
    """A deploy that is alive, in the place that a new stack gets."""
    directory = Path(rollcall_state.SHARED) / PROJECT
    directory.mkdir(parents=True)
    yield load("rollcall_lock").take(str(directory / "lock"), "rolling to 1.1.0", {})
    shutil.rmtree(directory)
    with contextlib.suppress(OSError):
        directory.parent.rmdir()


SECONDS = {
    "another home": ([], {}),
    "sudo": ([], {"SUDO_USER": "alice", "SUDO_UID": "1000", "SUDO_GID": "1000", "USER": "root", "LOGNAME": "root"}),
    "another PID namespace": (["unshare", "--pid", "--fork", "--mount-proc"], {}),
}


@pytest.mark.parametrize("second", SECONDS)
@pytest.mark.parametrize("playbook", ["rolling-update", "site", "proxy", "teardown"])
def test_o8_o13_a_second_operator_meets_the_same_lock(second, playbook, deploy, tmp_path):
    prefix, environment = SECONDS[second]
    command = [*prefix, Path(sys.executable).with_name("ansible-playbook"), f"playbooks/{playbook}.yml", "-e", f"rollcall_project={PROJECT}"]
    played = subprocess.run(command, cwd=ROOT, env=operator(tmp_path) | environment, capture_output=True, text=True, check=False)
    words = " ".join((played.stdout + played.stderr).split())
    assert played.returncode != 0 and f"has held the lock since {deploy['time']}: rolling to 1.1.0" in words
    assert json.loads((Path(rollcall_state.SHARED) / PROJECT / "lock").read_text()) == deploy
    assert not (tmp_path / ".rollcall").exists()
