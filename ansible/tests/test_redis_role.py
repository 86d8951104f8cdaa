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
    def __init__(self, directory, project=PROJECT, network="172.30.89"):
        self.directory, self.project, self.network = directory, project, network
        (directory / "playbook.yml").write_text(PLAYBOOK)

    def run(self, *settings, playbook=None):
        """Its end, and what the operator saw; of the role, or of a playbook as operators run it."""
        playbook = ROOT / "playbooks" / f"{playbook}.yml" if playbook else self.directory / "playbook.yml"
        command = [Path(sys.executable).with_name("ansible-playbook"), playbook, "-i", ROOT / "inventories/local"]
        own = [f"rollcall_project={self.project}", f"rollcall_network_prefix={self.network}", f"rollcall_run_dir={self.directory}"]
        command += [word for setting in (*own, *settings) for word in ("-e", setting)]
        environment = os.environ | {"ANSIBLE_ROLES_PATH": str(ROOT / "roles"), "ANSIBLE_STDOUT_CALLBACK": "default"}
        played = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
        return played.returncode, " ".join((played.stdout + played.stderr).split())

    def play(self, *settings):
        """How many of its tasks changed something."""
        return int(re.search(r"changed=(\d+)", self.told(*settings))[1])

    def told(self, *settings, playbook=None):
        code, words = self.run(*settings, playbook=playbook)
        assert code == 0, words
        return words

    def refusal(self, *settings, playbook=None):
        code, words = self.run(*settings, playbook=playbook)
        assert code != 0, words
        return words

    def container(self):
        """ID of the container that has the name of Redis, while it runs."""
        return docker("ps", "--quiet", "--no-trunc", "--filter", f"name=^{NAME}$")

    def ask(self, *words):
        return docker("exec", f"{self.project}-redis", "redis-cli", *words)

    def remove(self):
        docker("rm", "--force", f"{self.project}-redis", check=False)
        docker("volume", "rm", f"{self.project}-redis", check=False)
        docker("network", "rm", self.project, check=False)


def add_users():
    docker("run", "--detach", *LABEL, "--label", "rollcall.replica=r1", "--name", REPLICA, "--entrypoint", "sleep", IMAGE, "600")


@pytest.fixture
def role(tmp_path):
    role = Role(tmp_path)
    yield role
    docker("rm", "--force", REPLICA, check=False)
    role.remove()
    docker("rmi", f"{IMAGE}-pytest", check=False)


@pytest.fixture
def other(tmp_path_factory):
    role = Role(tmp_path_factory.mktemp("other"), f"{PROJECT}-other", "172.30.88")
    yield role
    role.remove()


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


LOG = "rollcall:{1}:room:den:log"


def test_a_backup_is_restored_here_and_in_another_project_and_nothing_else_is(role, other, tmp_path):
    copy, torn = tmp_path / "copies" / "one.tar.gz", tmp_path / "torn.tar.gz"
    role.play()
    for text in ("one", "two", "three"):
        role.ask("XADD", LOG, "*", "text", text)
    assert "holds 3 messages in 1 rooms" in role.told(f"backup={copy}", playbook="backup")
    assert copy.stat().st_mode & 0o077 == 0, "it has what people said to each other"
    role.ask("XADD", LOG, "*", "text", "after it")

    # Nothing is touched without a word, nor for a file that is no copy.
    assert "-e replace=true" in role.refusal(f"backup={copy}", playbook="restore")
    torn.write_bytes(copy.read_bytes()[:100])
    role.refusal(f"backup={torn}", "replace=true", playbook="restore")
    assert role.ask("XLEN", LOG) == "4"
    role.refusal(f"backup={torn}", playbook="restore")
    other.refusal(f"backup={torn}", playbook="restore")

    role.told(f"backup={copy}", "replace=true", playbook="restore")
    assert role.play() == 0 and role.ask("XLEN", LOG) == "3"
    assert "playbooks/site.yml starts it" in other.told(f"backup={copy}", playbook="restore")
    other.play()
    assert other.ask("XLEN", LOG) == "3"
