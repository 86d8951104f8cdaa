import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import load, wait_until


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


def held_by(path, **changes):
    """A lock as this process takes it, but for the changes."""
    owner = load("rollcall_lock").take(str(path), "rolling to 1.1.0", {})
    path.write_text(json.dumps(owner | changes))
    return owner


def test_one_holds_it_and_the_other_learns_who(path, run):
    assert "failed" not in run("rollcall_lock", path=str(path), purpose="rolling to 1.1.0")
    second = run("rollcall_lock", path=str(path))
    owner = json.loads(path.read_text())
    for fact in ("owner", "host", "time", "purpose"):
        assert owner[fact] in second["msg"]
    assert second["failed"] and "unlock.yml" in second["msg"]
    assert run("rollcall_lock", path=str(path), state="free", deploy=owner["deploy"])["changed"]
    assert not run("rollcall_lock", path=str(path), state="free", deploy=owner["deploy"])["changed"]
    assert "failed" not in run("rollcall_lock", path=str(path))


def test_a_lock_whose_process_is_gone_is_taken_over_and_said_so(path, run):
    gone = subprocess.Popen(["true"])
    gone.wait()
    before = held_by(path, pid=gone.pid)
    result = run("rollcall_lock", path=str(path), purpose="rolling to 1.1.0")
    assert "failed" not in result and f"process {gone.pid} is gone" in result["note"]
    # The same purpose goes on with the same deploy.
    assert result["ansible_facts"]["deploy_id"] == before["deploy"]


def test_another_purpose_is_another_deploy(path, run):
    before = held_by(path, process="another start")
    result = run("rollcall_lock", path=str(path), purpose="rolling back")
    assert "failed" not in result and result["ansible_facts"]["deploy_id"] != before["deploy"]


def test_a_mistyped_release_does_not_forget_an_interrupted_deploy(path, run):
    """Refused, it leaves the lock to whoever goes on; so does one that is interrupted as well."""
    before = held_by(path, process="another start")
    for purpose in ("rolling to 1.1.O", "rolling to 1.l.0"):
        run("rollcall_lock", path=str(path), purpose=purpose)
        path.write_text(json.dumps(json.loads(path.read_text()) | {"process": "another start"}))
    facts = run("rollcall_lock", path=str(path), purpose="rolling to 1.1.0")["ansible_facts"]
    assert facts == {"deploy_id": before["deploy"], "deploy_resumed": True}


def test_what_has_come_to_its_end_is_not_continued(path, run):
    before = held_by(path, process="another start")
    back = run("rollcall_lock", path=str(path), purpose="rolling back")["owner"]
    run("rollcall_lock", path=str(path), state="free", deploy=back["deploy"])
    facts = run("rollcall_lock", path=str(path), purpose="rolling to 1.1.0")["ansible_facts"]
    assert facts["deploy_id"] != before["deploy"] and not facts["deploy_resumed"]


def test_a_process_that_only_has_the_number_is_not_the_owner(path, run):
    held_by(path, pid=os.getpid(), process="another boot 1")
    assert "failed" not in run("rollcall_lock", path=str(path))


def test_a_lock_from_another_host_is_never_taken_over(path, run):
    held_by(path, host="elsewhere", pid=2**22, process="another start")
    result = run("rollcall_lock", path=str(path))
    assert result["failed"] and "@elsewhere" in result["msg"]


@pytest.mark.parametrize("namespace", ["pid:[1]", None])
def test_o13_a_lock_from_another_pid_namespace_is_never_taken_over(path, run, namespace):
    """A container may have this host's name and kernel. Its processes have other numbers here, or none that can be seen."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    before = held_by(path, pid=gone.pid, namespace=namespace)
    result = run("rollcall_lock", path=str(path), purpose="rolling to 1.1.0")
    assert result["failed"] and "unlock.yml" in result["msg"]
    assert json.loads(path.read_text())["deploy"] == before["deploy"]
    assert run("rollcall_lock", path=str(path), state="free")["changed"]


def test_o13_a_real_process_in_another_pid_namespace_keeps_its_lock(path, run):
    """It lives, its number here is another's, and both read the same host name."""
    script = "import sys, conftest; conftest.load('rollcall_lock').take(sys.argv[1], 'rolling to 1.1.0', {}); input()"
    # The shell stands for the playbook that a module has above it.
    command = ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", '"$@"; :', "sh", sys.executable, "-c", script, str(path)]
    if os.geteuid() != 0:
        command.insert(1, "--map-root-user")
    with subprocess.Popen(command, cwd=Path(__file__).parent, stdin=subprocess.PIPE) as other:
        wait_until(path.exists)
        result = run("rollcall_lock", path=str(path), purpose="rolling to 1.1.0")
        other.stdin.close()
    assert result["failed"] and "has held the lock since" in result["msg"]


def test_a_lock_from_before_this_boot_is_taken_over(path, run):
    """No process of it can be left, whatever namespace it had."""
    held_by(path, process="another-boot 1", namespace="pid:[1]")
    assert "failed" not in run("rollcall_lock", path=str(path))


def test_a_lock_that_names_no_process_is_never_taken_over(path, run):
    held_by(path, pid=None, process="")
    assert run("rollcall_lock", path=str(path))["failed"]


def test_a_deploy_gives_back_only_its_own_lock(path, run):
    held_by(path, deploy="another")
    assert not run("rollcall_lock", path=str(path), state="free", deploy="mine")["changed"]
    assert path.exists()
    assert run("rollcall_lock", path=str(path), state="free", deploy="another")["changed"]


def test_a_deploy_at_work_keeps_its_lock(path, run):
    held_by(path)
    refused = run("rollcall_lock", path=str(path), state="free")
    assert refused["failed"] and "still at it" in refused["msg"] and path.exists()
    assert run("rollcall_lock", path=str(path), state="free", force=True)["changed"]


def test_a_lock_from_another_host_can_be_freed(path, run):
    held_by(path, host="elsewhere")
    assert run("rollcall_lock", path=str(path), state="free")["changed"]


def test_check_mode_takes_nothing(path, run):
    assert "failed" not in run("rollcall_lock", check=True, path=str(path))
    assert not path.exists()


def test_who_only_asks_is_refused_and_takes_nothing(path, run):
    assert "failed" not in run("rollcall_lock", path=str(path), state="unheld")
    assert not path.exists()
    held_by(path, pid=None, process="")
    before = path.read_text()
    assert run("rollcall_lock", path=str(path), state="unheld")["failed"]
    assert path.read_text() == before


def test_half_a_lock_is_a_lock(path, run):
    path.write_text("{")
    assert run("rollcall_lock", path=str(path))["failed"]


def test_no_stack_is_one_plain_line(tmp_path, run):
    path = str(tmp_path / "none" / "lock")
    result = run("rollcall_lock", path=path)
    assert result["failed"] and "site.yml" in result["msg"]
    assert "failed" not in run("rollcall_lock", path=path, state="free")
