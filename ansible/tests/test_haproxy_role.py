"""The role that puts HAProxy in place, as site.yml runs it, on a stack that has nothing else."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, free_port

PROJECT = "rollcall-pytest-role"
PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  roles: [haproxy]
"""


class Role:
    def __init__(self, directory):
        self.directory, self.port = directory, free_port()
        (directory / "playbook.yml").write_text(PLAYBOOK)
        (directory / "run").mkdir()

    def play(self, *settings):
        """What the operator saw; empty if all went well."""
        command = [Path(sys.executable).with_name("ansible-playbook"), self.directory / "playbook.yml"]
        own = [f"rollcall_project={PROJECT}", f"rollcall_port={self.port}", f"rollcall_run_dir={self.directory}/run"]
        # The slots are on loopback, where no replica answers.
        more = ["rollcall_network_prefix=127.0.90", f"rollcall_haproxy_source={ROOT.parent}/haproxy"]
        command += [f"-e{setting}" for setting in (*own, *more, *settings)]
        environment = os.environ | {"ANSIBLE_ROLES_PATH": str(ROOT / "roles"), "ANSIBLE_STDOUT_CALLBACK": "default"}
        command += ["-i", ROOT / "inventories" / "local"]
        played = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        return "" if played.returncode == 0 else played.stdout + played.stderr

    @property
    def config(self):
        return (self.directory / "run" / "haproxy" / "haproxy.cfg").read_text()

    def workers(self):
        """Which worker serves: another after each reload."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as master:
            master.connect(str(self.directory / "run" / "run" / "master.sock"))
            master.sendall(b"show proc\n")
            # Only after a reload it closes by itself.
            master.shutdown(socket.SHUT_WR)
            told = b"".join(iter(lambda: master.recv(65536), b"")).decode()
        lines = told.partition("# workers\n")[2].partition("# old workers")[0].splitlines()
        return [line.split()[0] for line in lines if line.strip()]


@pytest.fixture
def role(tmp_path):
    yield Role(tmp_path)
    subprocess.run(["docker", "rm", "--force", f"{PROJECT}-haproxy"], check=True, capture_output=True)


def test_o4_o5_a_configuration_takes_effect_or_the_run_fails(role):
    assert role.play() == ""
    before, workers = role.config, role.workers()

    # O4: what HAProxy would not take is not put in place, however often it is tried.
    for _ in range(2):
        assert "rollcall_haproxy_timeout_queue" not in before
        words = role.play("rollcall_haproxy_timeout_queue=soon")
        assert "failed to validate" in words and "timeout" in words
        assert role.config == before
    assert role.workers() == workers

    # O5: this one is valid, but the port is taken, which only the reload itself can tell.
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        assert "HAProxy refused the reload" in role.play(f"rollcall_port={taken}")
        # And the run after it does not take what lies there for what is in force.
        assert "HAProxy refused the reload" in role.play(f"rollcall_port={taken}")
    assert role.play(f"rollcall_port={taken}") == ""
    reloaded = role.workers()
    assert reloaded != workers
    with socket.create_connection(("127.0.0.1", taken), timeout=5):
        pass

    # And with nothing changed, nothing is done.
    assert role.play(f"rollcall_port={taken}") == "" and role.workers() == reloaded


def test_o27_more_open_files_than_the_daemon_may_give_are_refused_by_name(role):
    most = int(Path("/proc/sys/fs/nr_open").read_text())
    assert "rollcall_haproxy_nofile" in role.play(f"rollcall_haproxy_nofile={most + 1}")
