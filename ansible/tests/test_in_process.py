"""Our modules run in Ansible's worker."""

import getpass
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, wait_until

PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - haproxy_server: {{socket: "{socket}", server: r1-green, state: ready, timeout: 60}}
"""


def children(pid):
    """Processes that this one has started."""
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def is_at_work(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def test_a_killed_playbook_leaves_nobody_at_work(haproxy, tmp_path):
    """The next deploy takes its lock over at once, and would work on the same replica."""
    haproxy.serves("r1-blue")
    (tmp_path / "playbook.yml").write_text(PLAYBOOK.format(socket=haproxy.socket))
    ansible = Path(sys.executable).with_name("ansible-playbook")
    playbook = subprocess.Popen([ansible, tmp_path / "playbook.yml"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    workers = []
    try:
        # In it, a module waits for a server that does not come up.
        wait_until(lambda: haproxy.status("r1-green") in ("DOWN", "DRAIN"), 30)
        workers = children(playbook.pid)
        assert workers
        playbook.kill()
        playbook.wait()
        wait_until(lambda: not any(map(is_at_work, workers)), 3)
    finally:
        playbook.kill()
        for worker in filter(is_at_work, workers):
            os.kill(worker, signal.SIGKILL)


# A user that may not come in where the tests have their Python.
AS_NOBODY = "become_method: ansible.builtin.su, become_flags: -s /bin/sh, vars: {ansible_python_interpreter: /usr/bin/python3}"
LOCK = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - rollcall_lock: {{path: "{path}", purpose: trying}}
      {keywords}
"""


@pytest.mark.parametrize(
    ("keywords", "owner"),
    [
        ("environment: {LOGNAME: alice}", "alice"),
        (f"{{become: true, become_user: nobody, {AS_NOBODY}}}", "nobody"),
        ("{async: 30, poll: 1, environment: {LOGNAME: bob}}", "bob"),
        ("{async: 30, poll: 1}", None),
        ("name: As it is", None),
    ],
)
def test_o12_what_a_task_asks_for_is_done(keywords, owner):
    """They were ignored, without a word. The lock names the user who took it."""
    with tempfile.TemporaryDirectory(prefix="rollcall-") as directory:
        Path(directory).chmod(0o777)
        path = Path(directory) / "lock"
        playbook = Path(directory) / "playbook.yml"
        # A mapping in one line stands for several keywords.
        lines = "\n      ".join(f"{key}: {json.dumps(value)}" for key, value in yaml.safe_load(keywords).items())
        playbook.write_text(LOCK.format(path=path, keywords=lines))
        ansible = Path(sys.executable).with_name("ansible-playbook")
        environment = os.environ | {"ANSIBLE_STDOUT_CALLBACK": "default"}
        played = subprocess.run([ansible, playbook], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert played.returncode == 0, played.stdout
        assert json.loads(path.read_text())["owner"] == (owner or getpass.getuser())
