"""What cannot be right is refused before anything is built from it, by every playbook."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.module_utils.rollcall_state import SHARED
from conftest import ROOT

PLAYBOOKS = ["site", "rolling-update", "rollback", "status", "unlock", "teardown", "proxy", "scale", "rebalance", "forgive", "switch"]
INVENTORY = """
all:
  vars: {{ ansible_connection: local }}
  children: {{ replicas: {{ hosts: {hosts} }} }}
"""


def play(playbook, settings, *arguments, **environment):
    command = [Path(sys.executable).with_name("ansible-playbook"), f"playbooks/{playbook}.yml", "-e", json.dumps(settings), *arguments]
    played = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | environment)
    return played.returncode, " ".join((played.stdout + played.stderr).split())


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_o10_a_project_that_would_lead_elsewhere_is_refused(playbook, tmp_path):
    """`..` would be the home directory, and with an empty one every stack's files are this one's."""
    (tmp_path / ".rollcall").mkdir()
    (tmp_path / "precious").touch()
    code, words = play(playbook, {"rollcall_project": ".."}, HOME=str(tmp_path))
    assert code != 0 and "rollcall_project names paths" in words
    assert (tmp_path / "precious").exists() and (tmp_path / ".rollcall").exists()


@pytest.mark.parametrize("project", ["", "a/b"])
def test_o10_what_is_no_name_is_refused(project, tmp_path):
    code, words = play("teardown", {"rollcall_project": project}, HOME=str(tmp_path))
    assert code != 0 and "rollcall_project names paths" in words


def test_o10_the_home_directory_is_no_stacks_own(tmp_path):
    code, words = play("teardown", {"rollcall_project": "rollcall-pytest-none", "rollcall_run_dir": str(tmp_path)}, HOME=str(tmp_path))
    assert code != 0 and "rollcall_run_dir" in words


@pytest.mark.parametrize("playbook", ["site", "rolling-update"])
def test_o16_a_release_that_is_a_number_is_refused(playbook, tmp_path):
    code, words = play(playbook, {"rollcall_project": "rollcall-pytest-none", "release": 1.10}, HOME=str(tmp_path))
    assert code != 0 and "1.1 is a number" in words and "quotes" in words


@pytest.mark.parametrize(
    ("hosts", "fault"),
    [
        ({"r1": {"rollcall_number": 1}, "r2": {"rollcall_number": 1}}, "the same rollcall_number"),
        ({"r1": {"rollcall_number": 100}, "r2": {}}, "from 1 to 99"),
        ({"r1": {"rollcall_number": 0}}, "from 1 to 99"),
        ({"r1": {"rollcall_number": "one"}}, "from 1 to 99"),
        ({"r1": {"rollcall_number": 1, "rollcall_machine": "10.77.0.2"}}, "find Redis at rollcall_private_address"),
    ],
)
def test_o18_replicas_whose_addresses_would_clash_are_refused(hosts, fault, tmp_path):
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(INVENTORY.format(hosts=json.dumps(hosts)))
    code, words = play("status", {"rollcall_project": "rollcall-pytest-none"}, "-i", str(inventory), HOME=str(tmp_path))
    assert code != 0 and fault in words


@pytest.mark.parametrize("playbook", ["site", "proxy"])
@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"rollcall_floating_address": "10.77.0.100"}, "with the length of its network"),
        ({"rollcall_floating_address": "10.77.0.100/24"}, "A pair is two machines"),
        ({"rollcall_virtual_router": 256}, "a number from 1 to 255"),
        ({"rollcall_floating_address": "10.77.0.100/24", "rollcall_accept_proxy": True}, "rollcall_accept_proxy off"),
        ({"rollcall_second_machine": "10.77.0.2"}, "clients need a rollcall_floating_address"),
        (
            {"rollcall_floating_address": "10.77.0.100/24", "rollcall_second_machine": "10.77.0.2", "rollcall_private_address": "10.77.0.1"},
            "r1, r2, r3 must say by rollcall_machine",
        ),
        ({"rollcall_tls": "on"}, 'rollcall_tls is "off", "self-signed" or "files"'),
        ({"rollcall_tls": "files"}, "rollcall_tls_certificate is not set"),
        ({"rollcall_redirect_port": 8081}, "rollcall_redirect_port leads to TLS"),
        ({"rollcall_haproxy_metrics_port": 8080}, "ports of their own"),
        ({"monitoring": True}, "rollcall_haproxy_metrics_port"),
        ({"rollcall_trusted_proxies": ["10.0.0.0/24", "example.com"]}, "not example.com"),
        ({"rollcall_api_key": "fifteen-letters"}, "16 to 256 characters"),
        ({"rollcall_api_key": "sixteen letters and a space"}, "16 to 256 characters"),
        ({"rollcall_api_key_file": "/nonexistent/key"}, "rollcall_api_key_file is a file with a key, and there is no /nonexistent/key"),
        ({"rollcall_api_key_file": "/etc"}, "there is no /etc"),
        ({"rollcall_api_key": "generated", "rollcall_api_key_kept": "/etc/passwd"}, "where there is no /etc/passwd"),
        ({"rollcall_api_key_file": "/dev/null"}, "there is no /dev/null"),
        ({"rollcall_api_key": "generated", "rollcall_api_key_file": "/etc/hostname"}, "they may not be the same"),
        ({"rollcall_session_days": 0}, "from 1 to 3650"),
        ({"rollcall_rate_sign_ins": "many"}, "rollcall_rate_sign_ins is a whole number"),
        ({"rollcall_cors_origins": "https://chat.example"}, "rollcall_cors_origins is a list"),
        ({"rollcall_cors_origins": ["https://chat.example/"]}, "not https://chat.example/"),
        ({"rollcall_drain_spread_ms": -1}, "rollcall_drain_spread_ms is one from 0 on"),
        ({"rollcall_heartbeat_ms": "5s"}, "rollcall_heartbeat_ms"),
    ],
)
def test_what_cannot_be_right_ends_before_anything_is_touched(playbook, settings, fault, tmp_path):
    code, words = play(playbook, {"rollcall_project": "rollcall-pytest-none"} | settings, HOME=str(tmp_path))
    assert code != 0 and fault in words
    assert not (tmp_path / ".rollcall").exists() and not (Path(SHARED) / "rollcall-pytest-none").exists()


def test_a_number_of_replicas_that_is_none_is_refused(tmp_path):
    for number in ("five", "0", "100"):
        code, words = play("scale", {"rollcall_project": "rollcall-pytest-none", "replicas": number}, HOME=str(tmp_path))
        assert code != 0 and ("is a number" in words or "from 1 to 99" in words)


@pytest.mark.parametrize(
    ("listed", "settings", "fault"),
    [
        (False, {"without": "r3"}, "counts its replicas"),
        (True, {"replicas": 2}, "lists its replicas"),
        (True, {"without": "r1, r7"}, "r7 is no replica of this inventory"),
        (True, {"without": "r1,r2"}, "one replica or more"),
    ],
)
def test_a_scale_that_an_inventory_cannot_mean_is_refused(listed, settings, fault, tmp_path):
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(INVENTORY.format(hosts=json.dumps({"r1": {"rollcall_number": 1}, "r2": {"rollcall_number": 2}})))
    arguments = ["-i", str(inventory)] if listed else []
    code, words = play("scale", {"rollcall_project": "rollcall-pytest-none"} | settings, *arguments, HOME=str(tmp_path))
    assert code != 0 and fault in words and "Take the lock" not in words


def test_o24_an_ansible_that_is_too_old_is_one_line(tmp_path):
    old = "import sys, ansible.release as r; r.__version__ = '2.18.3'; from ansible.cli.playbook import main; main(sys.argv)"
    command = [sys.executable, "-c", old, "playbooks/status.yml", "-e", "rollcall_project=rollcall-pytest-none"]
    played = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | {"HOME": str(tmp_path)})
    words = (played.stdout + played.stderr).strip()
    assert played.returncode != 0 and "takes ansible-core 2.19 or later, and this is 2.18.3" in words
    assert "Traceback" not in words


def test_a_key_that_is_refused_is_not_shown(tmp_path):
    (tmp_path / "key").write_text("short-secret\n")
    for given in ({"rollcall_api_key": "short-secret"}, {"rollcall_api_key_file": str(tmp_path / "key")}):
        settings = tmp_path / "settings.json"
        settings.write_text(json.dumps(given))
        code, words = play("site", {"rollcall_project": "rollcall-pytest-none"}, "-e", f"@{settings}", "-vvv", HOME=str(tmp_path))
        assert code != 0 and next(iter(given)) in words and "short-secret" not in words
