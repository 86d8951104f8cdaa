"""The role that runs Redis, as site.yml runs it, on a stack that has nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

PROJECT = "rollcall-pytest"
NAME = f"{PROJECT}-redis"
PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - community.docker.docker_network:
        name: "{{ rollcall_project }}"
        ipam_config: [{ subnet: "{{ rollcall_network_prefix }}.0/24" }]
    - import_role: { name: redis }
"""


class Role:
    def __init__(self, directory):
        self.directory = directory
        (directory / "playbook.yml").write_text(PLAYBOOK)

    def play(self, *settings):
        """What the operator saw; empty if all went well."""
        command = [Path(sys.executable).with_name("ansible-playbook"), self.directory / "playbook.yml", "-i", ROOT / "inventories/local"]
        own = [f"rollcall_project={PROJECT}", "rollcall_network_prefix=172.30.89", f"rollcall_run_dir={self.directory}"]
        command += [f"-e{setting}" for setting in (*own, *settings)]
        environment = {"ANSIBLE_ROLES_PATH": str(ROOT / "roles"), "ANSIBLE_STDOUT_CALLBACK": "default"}
        played = subprocess.run(["env", *(f"{name}={value}" for name, value in environment.items()), *command], cwd=ROOT, check=False, capture_output=True, text=True)
        return "" if played.returncode == 0 else " ".join((played.stdout + played.stderr).split())

    def container(self):
        command = ["docker", "ps", "--quiet", "--no-trunc", "--filter", f"name=^{NAME}$"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def role(tmp_path):
    yield Role(tmp_path)
    for what in (["rm", "--force", NAME], ["volume", "rm", NAME], ["network", "rm", PROJECT]):
        subprocess.run(["docker", *what], check=False, capture_output=True)


def test_o7_another_setting_of_redis_is_refused_under_users_and_taken_by_a_new_container(role):
    """site.yml started Redis anew under users, and said "changed"."""
    assert role.play() == ""
    before = role.container()
    assert role.play() == "" and role.container() == before
    words = role.play("rollcall_redis_maxmemory=300mb")
    assert "Redis runs with another command than the settings say" in words and f"docker rm --force {NAME}" in words
    assert role.container() == before
    # As it says.
    subprocess.run(["docker", "rm", "--force", NAME], check=True, capture_output=True)
    assert role.play("rollcall_redis_maxmemory=300mb") == "" and role.container() not in ("", before)
