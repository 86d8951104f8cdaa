"""O9: which release site.yml starts where none runs yet. The modules are stand-ins: one tells what runs, one what it was asked for."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

PLAYBOOK = """
- hosts: r3
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: { name: replica }
"""
# The inventory's own word, not an argument of the command line.
INVENTORY = """
all:
  vars: { ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}" }
  children:
    replicas:
      hosts:
        r1: { rollcall_number: 1, rollcall_release: 2.0.1 }
        r2: { rollcall_number: 2, rollcall_release: 2.0.1 }
        r3: { rollcall_number: 3, rollcall_release: 2.0.1 }
"""
MODULE = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec={%s})
%s
"""
SLOTS = "'project': {}, 'socket': {}, 'slots': {'type': 'dict'}, 'docker_hosts': {'type': 'dict'}, 'known_only': {}, 'want_up': {}, 'patient': {}"
RELEASE = "'image': {}, 'release': {}, 'settings': {'type': 'dict'}, 'marks': {}, 'force': {}"


def replica(release):
    slots = {slot: {"server": f"x-{slot}", "container": "x" if release else "", "running": bool(release), "phase": "ready"} for slot in ("blue", "green")}
    return {"serving": "blue", "idle": "green", "release": release, "slots": slots}


@pytest.mark.parametrize(
    ("served", "settings", "started"),
    [
        ({"r1": "", "r2": ""}, [], "2.0.1"),
        ({"r1": "1.9.0", "r2": "1.9.0"}, [], "1.9.0"),
        ({"r1": "1.9.0", "r2": "1.9.0"}, ["-erelease=2.1.0"], "2.1.0"),
    ],
)
def test_o9_the_inventorys_release_starts_where_the_others_do_not_say(tmp_path, served, settings, started):
    replicas = {name: replica(release) for name, release in (served | {"r3": ""}).items()}
    library = tmp_path / "library"
    library.mkdir()
    (library / "rollcall_slots.py").write_text(MODULE % (SLOTS, f"module.exit_json(up=0, replicas={replicas!r})"))
    (library / "rollcall_release.py").write_text(MODULE % (RELEASE, "module.fail_json(msg='asked for ' + module.params['release'])"))
    (tmp_path / "playbook.yml").write_text(PLAYBOOK)
    (tmp_path / "hosts.yml").write_text(INVENTORY)
    environment = os.environ | {
        "ANSIBLE_LIBRARY": f"{library}:{ROOT}/library", "ANSIBLE_ACTION_PLUGINS": "/nonexistent", "ANSIBLE_ROLES_PATH": str(ROOT / "roles"),
        "ANSIBLE_STDOUT_CALLBACK": "default", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    }
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", tmp_path / "hosts.yml", tmp_path / "playbook.yml", *settings]
    played = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert f"asked for {started}" in played.stdout, played.stdout + played.stderr
