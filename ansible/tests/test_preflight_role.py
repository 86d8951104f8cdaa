"""What a roll is refused for before its first drain. The modules are stand-ins: they tell what the test says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

PLAYBOOK = """
- hosts: replicas
  gather_facts: false
  vars: { preflight_target: image, preflight_purpose: rolling, roll_needed: true, show_phases: false }
  roles: [preflight]
"""
INVENTORY = """
all:
  vars: { ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}" }
  children: { replicas: { hosts: { r1: { rollcall_number: 1 }, r2: { rollcall_number: 2 } } } }
"""
MODULE = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec=dict.fromkeys({arguments}, {{'type': 'raw'}}), supports_check_mode=True)
module.exit_json(**{answer})
"""


def replica(name, up):
    slot = {"server": f"{name}-blue", "phase": "ready"}
    facts = {"serving": "blue", "idle": "green", "up": up, "needs_repair": False, "unproven": False, "spec": "a", "connections": 0}
    return facts | {"server": f"{name}-blue", "release": "1.0.0", "slots": {"blue": slot, "green": slot}}


class Preflight:
    def __init__(self, directory):
        self.directory = directory
        (directory / "playbook.yml").write_text(PLAYBOOK)
        (directory / "hosts.yml").write_text(INVENTORY)
        (directory / "run" / "haproxy").mkdir(parents=True)
        (directory / "run" / "haproxy" / "haproxy.cfg").write_text("http-request set-timeout server 12500ms if { path_end /events }\n")
        (directory / "library").mkdir()
        self.says("rollcall_lock", ["path", "purpose"], {"ansible_facts": {"deploy_id": "x", "deploy_resumed": False}})
        facts = {"replica_image": "i", "replica_release": "1.1.0", "replica_spec": "b"}
        self.says("rollcall_release", ["image", "release", "settings", "marks", "force"], {"ansible_facts": facts})
        self.says("haproxy_weights", ["socket", "prefer", "level", "state_file"], {})

    def says(self, module, arguments, answer):
        text = MODULE.format(arguments=arguments, answer=repr(answer))
        (self.directory / "library" / f"{module}.py").write_text(text)

    def play(self, up, *settings, away=()):
        replicas = {"r1": replica("r1", True), "r2": replica("r2", up)}
        arguments = ["project", "socket", "slots", "docker_hosts", "known_only", "want_up", "patient"]
        self.says("rollcall_slots", arguments, {"up": 1 + up, "replicas": replicas, "away": dict.fromkeys(away, "no route"), "strangers": []})
        environment = os.environ | {
            "ANSIBLE_LIBRARY": f"{self.directory}/library:{ROOT}/library", "ANSIBLE_ACTION_PLUGINS": "/nonexistent",
            "ANSIBLE_ROLES_PATH": str(ROOT / "roles"), "ANSIBLE_STDOUT_CALLBACK": "default", "ANSIBLE_CALLBACKS_ENABLED": "default",
        }
        command = [Path(sys.executable).with_name("ansible-playbook"), "-i", self.directory / "hosts.yml", self.directory / "playbook.yml"]
        command += ["-e", f"rollcall_run_dir={self.directory}/run", *settings]
        played = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        return " ".join((played.stdout + played.stderr).split())


@pytest.fixture
def preflight(tmp_path):
    return Preflight(tmp_path)


def test_o14_a_heartbeat_that_haproxy_would_take_for_death_is_refused(preflight):
    """It was rolled, and every quiet event stream was cut each 12.5 s."""
    words = preflight.play(True, "-e", "rollcall_heartbeat_ms=10000")
    assert "may be silent for 25000 ms, and HAProxy ends it after 12500" in words and "playbooks/proxy.yml" in words
    for heartbeat in (5000, 2000):
        assert "playbooks/proxy.yml" not in preflight.play(True, "-e", f"rollcall_heartbeat_ms={heartbeat}")


def test_o17_with_a_replica_dead_one_is_told_how_to_roll_its_mend(preflight):
    words = preflight.play(False)
    assert "1 of 2 replicas serve" in words and "-e rollcall_min_ready=1" in words
    assert "replicas serve, and a roll needs" not in preflight.play(False, "-e", "rollcall_min_ready=1")


def test_a_machine_that_is_away_is_named(preflight):
    words = preflight.play(False, away=["ssh://root@10.77.0.2"])
    assert "1 of 2 replicas serve" in words and "Not serving: r2. ssh://root@10.77.0.2 does not answer." in words


@pytest.mark.parametrize("login", [[], ["-e", "rollcall_redis_login=true"]])
def test_with_a_machine_away_the_others_are_given_the_key(preflight, login):
    """Secrets were written to all machines, so nobody with a key could roll in an incident, whatever `--limit` said."""
    away = "unix:///nonexistent/docker.sock"
    settings = ["-e", "rollcall_min_ready=1", "-e", "rollcall_project=rollcall-pytest", "-e", "rollcall_api_key=generated", *login]
    machines = {"rollcall_dockers": ["", away], "rollcall_private_address": "10.77.0.1"}
    words = preflight.play(False, *settings, "-e", json.dumps(machines), away=[away])
    subprocess.run(["docker", "volume", "rm", "rollcall-pytest-secrets"], check=False, capture_output=True)
    assert "Make sure of Redis" in words and away not in words
