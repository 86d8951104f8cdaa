"""Our modules run in Ansible's worker."""

import os
import signal
import subprocess
import sys
from pathlib import Path

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
