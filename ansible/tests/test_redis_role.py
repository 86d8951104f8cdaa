"""The role that runs Redis, as site.yml runs it, on a stack that has nothing else."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

PROJECT = "rollcall-pytest"
NAME = f"{PROJECT}-redis"
# What stands for a replica of the server, with users on it: to the role it is one by its labels.
REPLICA = f"{PROJECT}-r1-blue"
LABEL = ["--label", f"rollcall.project={PROJECT}"]
IMAGE = "rollcall-redis:8.0"
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


def docker(*words, check=True):
    return subprocess.run(["docker", *words], check=check, capture_output=True, text=True).stdout.strip()


class Role:
    def __init__(self, directory):
        self.directory = directory
        (directory / "playbook.yml").write_text(PLAYBOOK)

    def run(self, *settings):
        """Its end, and what the operator saw."""
        command = [Path(sys.executable).with_name("ansible-playbook"), self.directory / "playbook.yml", "-i", ROOT / "inventories/local"]
        own = [f"rollcall_project={PROJECT}", "rollcall_network_prefix=172.30.89", f"rollcall_run_dir={self.directory}"]
        command += [word for setting in (*own, *settings) for word in ("-e", setting)]
        environment = os.environ | {"ANSIBLE_ROLES_PATH": str(ROOT / "roles"), "ANSIBLE_STDOUT_CALLBACK": "default"}
        played = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
        return played.returncode, " ".join((played.stdout + played.stderr).split())

    def play(self, *settings):
        """How many of its tasks changed something."""
        code, words = self.run(*settings)
        assert code == 0, words
        return int(re.search(r"changed=(\d+)", words)[1])

    def refusal(self, *settings):
        code, words = self.run(*settings)
        assert code != 0, words
        return words

    def container(self):
        """ID of the container that has the name of Redis, while it runs."""
        return docker("ps", "--quiet", "--no-trunc", "--filter", f"name=^{NAME}$")

    def ask(self, *words):
        return docker("exec", NAME, "redis-cli", *words)


def add_users():
    docker("run", "--detach", *LABEL, "--label", "rollcall.replica=r1", "--name", REPLICA, "--entrypoint", "sleep", IMAGE, "600")


@pytest.fixture
def role(tmp_path):
    yield Role(tmp_path)
    docker("rm", "--force", NAME, REPLICA, check=False)
    docker("volume", "rm", NAME, check=False)
    docker("network", "rm", PROJECT, check=False)
    docker("rmi", f"{IMAGE}-pytest", check=False)


def test_a_second_run_changes_nothing(role):
    assert role.play() > 0
    before = role.container()
    assert before and role.play() == 0
    assert role.container() == before


def test_o7_a_limit_changes_while_users_are_on_it(role):
    """site.yml started Redis anew for it, and said "changed"."""
    role.play()
    add_users()
    before = role.container()
    assert role.play("rollcall_redis_maxmemory=300mb", "rollcall_redis_memory=900m") > 0
    assert role.container() == before
    assert role.ask("CONFIG", "GET", "maxmemory").split() == ["maxmemory", str(300 * 2**20)]
    assert docker("inspect", "--format", "{{.HostConfig.Memory}}", NAME) == str(900 * 2**20)
    # And it has it still after a restart.
    docker("restart", NAME)
    assert role.play("rollcall_redis_maxmemory=300mb", "rollcall_redis_memory=900m") == 0
    assert role.container() == before
    assert "nobody could say anything more" in role.refusal("rollcall_redis_maxmemory=500kb")
    assert role.ask("CONFIG", "GET", "maxmemory").split() == ["maxmemory", str(300 * 2**20)]


@pytest.mark.parametrize("another", ["image", "command"])
def test_o7_another_redis_is_refused_under_users_and_made_without_them(role, another):
    role.play()
    before = role.container()
    assert role.ask("SET", "said", "before") == "OK"
    # Of the same content, it has another ID for its label.
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", f"{IMAGE}-pytest", "-"],
        input=f"FROM {IMAGE}\nLABEL other=1\n", check=True, capture_output=True, text=True,
        env=os.environ | {"DOCKER_BUILDKIT": "0"},
    )  # fmt: skip
    command = '{"redis_command": ["/data/redis.conf", "--include", "/data/rollcall.conf", "--maxclients", "5000"]}'
    setting = {"image": f"rollcall_redis_image={IMAGE}-pytest", "command": command}[another]

    add_users()
    words = role.refusal(setting)
    assert "runs with another image or other settings" in words and "playbooks/store.yml" in words
    assert role.container() == before
    # With what it has it goes on.
    assert role.play() == 0 and role.container() == before

    docker("rm", "--force", REPLICA)
    assert role.play(setting) > 0
    assert role.container() not in ("", before) and role.ask("GET", "said") == "before"


def test_an_image_that_nobody_has_built_is_refused_by_name(role):
    assert "There is no image rollcall-redis:none" in role.refusal("rollcall_redis_image=rollcall-redis:none")
    assert role.container() == ""
