"""The role that puts HAProxy in place, as site.yml runs it, on a stack that has nothing else."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, free_port
from test_haproxy_handover import Probe

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

    def container(self):
        """ID of the container that has HAProxy's name, while it runs."""
        command = ["docker", "ps", "--quiet", "--no-trunc", "--filter", f"name=^{PROJECT}-haproxy$"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

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
    names = [f"{PROJECT}-haproxy{suffix}" for suffix in ("", "-next", "-old")]
    subprocess.run(["docker", "rm", "--force", *names], check=False, capture_output=True)


@pytest.fixture
def image():
    """Makes an image of another, with an ID of its own."""
    name = f"{PROJECT}-image:next"

    def make(of):
        made = subprocess.run(["docker", "create", of], check=True, capture_output=True, text=True).stdout.strip()
        subprocess.run(["docker", "commit", made, name], check=True, capture_output=True)
        subprocess.run(["docker", "rm", made], check=True, capture_output=True)
        return name

    yield make
    subprocess.run(["docker", "rmi", "--force", name], check=False, capture_output=True)


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


def test_o7_another_limit_is_refused_under_users_and_changed_by_a_handover(role):
    """site.yml shut the door for 6.2 s, and said "changed"."""
    assert role.play() == ""
    workers, before = role.workers(), role.container()
    words = " ".join(role.play("rollcall_haproxy_nofile=15000", "rollcall_haproxy_timeout_queue=4s").split())
    assert "HAProxy runs with another ulimits than the settings say" in words and "playbooks/proxy.yml" in words
    assert role.container() == before and role.workers() == workers and "timeout queue 4s" not in role.config

    probe = Probe(role.port)
    probe.start()
    assert role.play("rollcall_haproxy_nofile=15000", "rollcall_haproxy_timeout_queue=4s", "haproxy_replace=true") == ""
    assert probe.end() == [] and probe.answers
    assert role.container() != before and "timeout queue 4s" in role.config
    changed = role.container()

    # One that cannot start leaves the old one where it is, and the next run makes it good.
    words = role.play("rollcall_haproxy_image=rollcall-redis:8.0", "haproxy_replace=true")
    assert "failed to validate" in words and role.container() == changed
    with socket.create_connection(("127.0.0.1", role.port), timeout=5):
        pass


def test_o7_another_image_that_differs_in_nothing_else_comes_by_a_handover(role, image):
    assert role.play() == ""
    first = role.container()
    # As after a build with the updates of the day, and as the way back from one.
    other = image("rollcall-haproxy:3.0")
    words = " ".join(role.play(f"rollcall_haproxy_image={other}").split())
    assert "HAProxy runs with another image than the settings say" in words and role.container() == first

    probe = Probe(role.port)
    probe.start()
    assert role.play(f"rollcall_haproxy_image={other}", "haproxy_replace=true") == ""
    assert probe.end() == [] and probe.answers
    assert role.container() not in ("", first)


def test_o14_haproxy_is_not_made_less_patient_than_replicas_are_silent(role):
    name = f"{PROJECT}-r1-blue"
    labels = ["--label", f"rollcall.project={PROJECT}", "--label", "rollcall.slot=blue"]
    command = ["docker", "run", "--detach", "--rm", "--name", name, *labels, "--env", "HEARTBEAT_MS=5000"]
    subprocess.run([*command, "--entrypoint", "sleep", "rollcall-haproxy:3.0", "300"], check=True, capture_output=True)
    try:
        words = " ".join(role.play("rollcall_heartbeat_ms=2000").split())
        assert "may be silent for 12500 ms" in words and "playbooks/rolling-update.yml" in words
        assert not (role.directory / "run" / "haproxy").exists()
    finally:
        subprocess.run(["docker", "rm", "--force", name], check=True, capture_output=True)
