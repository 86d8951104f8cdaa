"""The collection, built and installed elsewhere, for a repository that has nothing of ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

INVENTORY = """
all:
  vars: { ansible_connection: local, ansible_python_interpreter: "{{ ansible_playbook_python }}" }
  children: { replicas: { hosts: { r1: { rollcall_number: 1 }, r2: { rollcall_number: 2 } } } }
"""
PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: { name: rollcall.stack.base, tasks_from: settings }
    - ansible.builtin.debug: { msg: "{{ rollcall_run_dir }} {{ rollcall_all_slots.r2.green }}" }
    - rollcall.stack.rollcall_state: { project: "{{ rollcall_project }}", directory: "{{ rollcall_run_dir }}" }
      environment: { LOGNAME: alice }
"""
PROJECT = "rollcall-pytest-none"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Runs a program of Ansible's there."""
    directory = tmp_path_factory.mktemp("elsewhere")
    (directory / "hosts.yml").write_text(INVENTORY)
    (directory / "own.yml").write_text(PLAYBOOK)
    environment = os.environ | {"ANSIBLE_COLLECTIONS_PATH": str(directory / "collections")}

    def run(program, *arguments):
        command = [Path(sys.executable).with_name(program), *arguments]
        done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    built = subprocess.run([ROOT.parent / "scripts" / "collection", directory], check=True, capture_output=True, text=True)
    assert run("ansible-galaxy", "collection", "install", "--no-deps", "-p", "collections", built.stdout.strip())[0] == 0
    return run


def test_its_modules_are_found(elsewhere):
    code, words = elsewhere("ansible-doc", "-t", "module", "rollcall.stack.rollcall_lock")
    assert code == 0 and "names who holds it" in words


def test_its_roles_and_their_defaults_serve_a_playbook_of_somebody_elses(elsewhere):
    """Also where a module is packed, as for another host; there it must find what it shares with others."""
    code, words = elsewhere("ansible-playbook", "-i", "hosts.yml", "own.yml", "-e", f"rollcall_project={PROJECT}")
    assert code == 0 and f"{PROJECT} 172.30.90.112" in words


def test_its_playbooks_run(elsewhere):
    code, words = elsewhere("ansible-playbook", "-i", "hosts.yml", "rollcall.stack.status", "-e", f"rollcall_project={PROJECT}")
    assert code != 0 and f"no HAProxy runs at /var/lib/rollcall/{PROJECT}/run/haproxy.sock" in words


def test_each_of_its_playbooks_is_found_by_name(elsewhere):
    """One with a hyphen was not, nor one beside a folder of its name: Ansible took that for a file."""
    names = [f"rollcall.stack.{path.stem.replace('-', '_')}" for path in sorted((ROOT / "playbooks").glob("*.yml"))]
    code, words = elsewhere("ansible-playbook", "-i", "hosts.yml", "--syntax-check", *names)
    assert code == 0 and "rollcall.stack.rolling_update" in names, words
