"""The playbook that removes a stack, where there is little more than its files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, load

PROJECT = "rollcall-pytest-none"
VOLUME = f"{PROJECT}-redis"


def teardown(directory, *settings):
    command = [Path(sys.executable).with_name("ansible-playbook"), "playbooks/teardown.yml"]
    own = [f"rollcall_project={PROJECT}", f"rollcall_run_dir={directory}/it"]
    command += [f"-e{setting}" for setting in (*own, *settings)]
    played = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return played.returncode, " ".join(played.stdout.split())


@pytest.fixture
def volume():
    subprocess.run(["docker", "volume", "create", "--label", f"rollcall.project={PROJECT}", VOLUME], check=True, capture_output=True)
    yield lambda: subprocess.run(["docker", "volume", "inspect", VOLUME], check=False, capture_output=True).returncode == 0
    subprocess.run(["docker", "volume", "rm", "--force", VOLUME], check=True, capture_output=True)


def test_an_operators_hooks_outlive_the_stack(tmp_path):
    hook, run = tmp_path / "it" / "hooks" / "pre-deploy", tmp_path / "it" / "run"
    hook.parent.mkdir(parents=True)
    hook.touch()
    run.mkdir()
    (tmp_path / "it" / "deploys.jsonl").touch()
    assert teardown(tmp_path)[0] == 0
    assert hook.exists() and [file.name for file in (tmp_path / "it").iterdir()] == ["hooks"]
    hook.unlink()
    hook.parent.rmdir()
    assert teardown(tmp_path)[0] == 0
    assert not (tmp_path / "it").exists()


def test_copies_of_the_room_logs_outlive_the_stack(tmp_path, volume):
    """Preflight says: copy them, take the stack down, put the copy into another Redis. The copy was gone then."""
    copy = tmp_path / "it" / "backups" / "20261129-120000.tar.gz"
    copy.parent.mkdir(parents=True)
    copy.touch()
    code, words = teardown(tmp_path, "keep_logs=false", "yes=true")
    assert code == 0 and not volume() and copy.exists() and str(copy.parent) in words


def test_no_secret_outlives_the_stack(tmp_path, volume):
    """The key of operators' programs did, in a volume that was said to be of what people had said."""
    secrets = f"{PROJECT}-secrets"
    subprocess.run(["docker", "volume", "create", "--label", f"rollcall.project={PROJECT}", secrets], check=True, capture_output=True)
    code, words = teardown(tmp_path)
    left = subprocess.run(["docker", "volume", "rm", secrets], check=False, capture_output=True).returncode == 0
    assert code == 0 and not left and volume() and secrets not in words


def test_o10_room_logs_stay_unless_they_are_to_go_and_somebody_said_yes(tmp_path, volume):
    code, words = teardown(tmp_path)
    assert code == 0 and volume() and VOLUME in words
    # Nobody can be asked here.
    code, words = teardown(tmp_path, "keep_logs=false")
    assert code != 0 and "yes=true" in words and volume()
    assert teardown(tmp_path, "keep_logs=false", "yes=true")[0] == 0
    assert not volume()


def test_o10_a_teardown_waits_for_no_deploy_and_harms_none(tmp_path):
    lock = tmp_path / "it" / "lock"
    lock.parent.mkdir()
    owner = load("rollcall_lock").take(str(lock), "rolling to 1.1.0", {})
    code, words = teardown(tmp_path)
    assert code != 0 and "has held the lock since" in words
    assert json.loads(lock.read_text())["deploy"] == owner["deploy"]
