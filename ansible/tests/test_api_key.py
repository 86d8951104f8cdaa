"""The key of operators' programs: made once, read by replicas alone, and a setting that a roll carries out."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

PROJECT = "rollcall-pytest-key"
PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - import_role: { name: base, tasks_from: key }
    - copy: { content: "{{ rollcall_server_env | to_json }}", dest: "{{ rollcall_run_dir }}/env" }
      changed_when: false
"""


def docker(*words, check=True):
    return subprocess.run(["docker", *words], check=check, capture_output=True, text=True).stdout.strip()


class Stack:
    def __init__(self, directory):
        self.directory = directory
        (directory / "playbook.yml").write_text(PLAYBOOK)

    def play(self, **settings):
        """How many of its tasks changed something; what an operator sees at the most is kept."""
        file = self.directory / "settings.json"
        file.write_text(json.dumps({"rollcall_project": PROJECT, "rollcall_run_dir": str(self.directory), **settings}))
        command = [Path(sys.executable).with_name("ansible-playbook"), self.directory / "playbook.yml", "-i", ROOT / "inventories/local"]
        environment = os.environ | {"ANSIBLE_ROLES_PATH": str(ROOT / "roles"), "ANSIBLE_STDOUT_CALLBACK": "default"}
        command += ["-e", f"@{file}", "-vvv", "--diff"]
        played = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
        self.words = played.stdout + played.stderr
        assert played.returncode == 0, self.words
        return int(re.search(r"changed=(\d+)", self.words)[1])

    @property
    def environment(self):
        return json.loads((self.directory / "env").read_text())

    def read(self, path):
        """As a replica reads it."""
        command = ["run", "--rm", "--user", "65532", "--label", f"rollcall.project={PROJECT}", "--volume", f"{PROJECT}-secrets:/run/secrets:ro"]
        return docker(*command, "--entrypoint", "cat", "rollcall-haproxy:3.0", path)


@pytest.fixture
def stack(tmp_path):
    yield Stack(tmp_path)
    docker("volume", "rm", f"{PROJECT}-secrets", check=False)


def test_without_a_key_there_is_none(stack):
    assert stack.play() == 0
    assert "API_KEY_FILE" not in stack.environment
    assert docker("volume", "ls", "--quiet", "--filter", f"name=^{PROJECT}-secrets$") == ""


def test_a_generated_key_is_made_once_and_shown_to_nobody(stack):
    assert stack.play(rollcall_api_key="generated") > 0
    kept = stack.directory / "api-key"
    key = kept.read_text()
    assert len(key) == 40 and kept.stat().st_mode & 0o777 == 0o600
    assert key not in stack.words and key not in json.dumps(stack.environment)
    assert stack.read(stack.environment["API_KEY_FILE"]) == key
    assert stack.play(rollcall_api_key="generated") == 0
    assert kept.read_text() == key


@pytest.mark.skipif(os.getuid() != 0, reason="root alone makes files that are another user's")
def test_one_that_root_makes_is_the_users_whose_stack_it_is(stack):
    """Otherwise that user's own playbooks could not read it, and nothing of theirs would run."""
    os.chown(stack.directory, 65534, 65534)
    stack.play(rollcall_api_key="generated")
    kept = (stack.directory / "api-key").stat()
    assert (kept.st_uid, kept.st_mode & 0o777) == (65534, 0o600)


def test_another_key_is_another_setting_and_the_one_before_stays_for_a_rollback(stack):
    """The spec of a slot is made of its environment, so a roll gives it to everybody."""
    given = stack.directory / "given"
    given.write_text("the-first-of-all-keys\n")
    assert stack.play(rollcall_api_key_file=str(given)) > 0
    first = stack.environment["API_KEY_FILE"]
    assert stack.play(rollcall_api_key_file=str(given)) == 0
    # The same from a vault is the same, and so is the same file by a path from here.
    assert stack.play(rollcall_api_key_file=os.path.relpath(given, ROOT)) == 0
    assert stack.play(rollcall_api_key="the-first-of-all-keys") == 0
    assert stack.environment["API_KEY_FILE"] == first
    given.write_text("then-another-one\n")
    assert stack.play(rollcall_api_key_file=str(given)) > 0
    second = stack.environment["API_KEY_FILE"]
    assert second != first
    assert (stack.read(first), stack.read(second)) == ("the-first-of-all-keys", "then-another-one")
    assert "then-another-one" not in stack.words


def test_settings_of_accounts_reach_the_server(stack):
    stack.play(rollcall_session_days=7, rollcall_rate_sign_ins=9, rollcall_cors_origins=["https://a.example", "http://b.example:81"])
    environment = stack.environment
    assert (environment["SESSION_DAYS"], environment["RATE_SIGN_INS"]) == ("7", "9")
    assert environment["CORS_ORIGINS"] == "https://a.example,http://b.example:81"
    stack.play()
    assert not {"CORS_ORIGINS", "HALL"} & set(stack.environment)
    stack.play(rollcall_hall=True)
    assert stack.environment["HALL"] == "true"
