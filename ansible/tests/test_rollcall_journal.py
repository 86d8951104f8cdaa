"""The callback plugins, in a real playbook run of toy phases."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, wait_until

PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars: {{show_phases: true}}
  tasks:
    - rollcall_lock: {{path: "{lock}", purpose: rolling to 1.1.0}}
    - set_fact: {{replica_release: 1.1.0}}
    - command: "true"
      vars: {{replica_phase: start}}
    - command: "{drain}"
      vars: {{replica_phase: drain}}
    - command: "true"
      vars: {{replica_phase: stop}}
"""


@pytest.fixture
def play(tmp_path):
    """Start the playbook with a command for its drain; what the plugin writes lies beside the lock."""

    def play(drain):
        playbook = tmp_path / "play.yml"
        playbook.write_text(PLAYBOOK.format(lock=tmp_path / "lock", drain=drain))
        command = [Path(sys.executable).with_name("ansible-playbook"), playbook]
        env = os.environ | {"ANSIBLE_NOCOLOR": "1"}
        return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    return play


def journal(tmp_path):
    return [json.loads(line) for line in (tmp_path / "deploys.jsonl").read_text().splitlines()]


def lines(tmp_path):
    """Those of what has ended."""
    return [line for line in journal(tmp_path) if line["outcome"] != "begun"]


def test_every_step_is_a_line_and_the_deploy_is_the_last(tmp_path, play):
    output, _ = play("true").communicate()
    steps = lines(tmp_path)
    assert [step["phase"] for step in steps] == ["start", "drain", "stop", "deploy"]
    for step in steps:
        assert step["deploy"] and "@" in step["who"] and step["release"] == "1.1.0" and step["time"] and step["seconds"] >= 0
    assert [step["outcome"] for step in steps] == ["ok", "ok", "ok", "done"]
    assert "replica    start  drain  stop" in output and "localhost  start" in output
    report = json.loads((tmp_path / "rolling-update.json").read_text())
    assert list(report["replicas"][0]["phases"]) == ["start", "drain", "stop"]


def test_every_step_has_a_line_when_it_begins_too(tmp_path, play):
    play("true").communicate()
    told = [(line["replica"], line["phase"], line["outcome"]) for line in journal(tmp_path)]
    steps = [("localhost", phase, outcome) for phase in ("start", "drain", "stop") for outcome in ("begun", "ok")]
    # Only the next phase says that one has ended: its beginning may be told first.
    assert sorted(told) == sorted([("", "deploy", "begun"), *steps, ("", "deploy", "done")])
    for step in ("start", "drain", "stop"):
        assert told.index(("localhost", step, "begun")) < told.index(("localhost", step, "ok"))
    assert told[0] == ("", "deploy", "begun") and told[-1] == ("", "deploy", "done")
    assert {line["deploy"] for line in journal(tmp_path)} == {journal(tmp_path)[0]["deploy"]} and all(
        line["what"] == "rolling to 1.1.0" for line in journal(tmp_path)
    )


def test_who_is_refused_the_lock_is_named_too(tmp_path, play):
    held = {"owner": "somebody", "host": "elsewhere", "time": "yesterday", "purpose": "rolling to 2", "pid": 1, "process": ""}
    (tmp_path / "lock").write_text(json.dumps(held))
    assert play("true").wait() != 0
    (refused,) = lines(tmp_path)
    assert refused["outcome"] == "refused" and "somebody@elsewhere" in refused["reason"]
    assert refused["who"] and not refused["who"].startswith("somebody")


def test_a_failure_is_written_with_its_reason(tmp_path, play):
    output, _ = play("false").communicate()
    step, deploy = lines(tmp_path)[-2:]
    assert (step["phase"], step["outcome"], deploy["outcome"]) == ("drain", "failed", "failed")
    assert "non-zero return code" in step["reason"] and "undone" in output


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_an_interrupt_is_written_and_says_what_to_do(tmp_path, play, how):
    slow, begun = tmp_path / "slow", tmp_path / "begun"
    slow.write_text(f"#!/bin/sh\ntouch {begun}\nexec sleep 30\n")
    slow.chmod(0o755)
    running = play(slow)
    wait_until(begun.exists, seconds=30)
    running.send_signal(how)
    output, _ = running.communicate()
    assert lines(tmp_path)[-1]["outcome"] == "interrupted"
    assert "Interrupted in localhost's drain. Run the same command again" in output


HANG = """
import threading
from ansible.plugins.callback import CallbackBase
from ansible.plugins.strategy import StrategyBase

class CallbackModule(CallbackBase):
    CALLBACK_NAME = "hang"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook):
        StrategyBase.cleanup = lambda self: threading.Event().wait()
"""


def test_an_interrupt_ends_the_playbook_though_ansible_waits_for_a_dead_worker(tmp_path, play, monkeypatch):
    """Found by the drill `interrupted`: a worker that was ended while it told its result still had the queue's lock."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "hang.py").write_text(HANG)
    monkeypatch.setenv("ANSIBLE_CALLBACK_PLUGINS", f"plugins/callback:{tmp_path}/plugins")
    monkeypatch.setenv("ANSIBLE_CALLBACKS_ENABLED", "rollcall_journal,hang")
    slow, begun = tmp_path / "slow", tmp_path / "begun"
    slow.write_text(f"#!/bin/sh\ntouch {begun}\nexec sleep 30\n")
    slow.chmod(0o755)
    running = play(slow)
    wait_until(begun.exists, seconds=30)
    running.send_signal(signal.SIGINT)
    try:
        output, _ = running.communicate(timeout=20)
    finally:
        running.kill()
    assert lines(tmp_path)[-1]["outcome"] == "interrupted"
    assert "Interrupted in localhost's drain" in output and running.returncode == 130


def test_a_refused_deploy_is_written_too(tmp_path, play):
    (tmp_path / "lock").write_text("{")
    output, _ = play("true").communicate()
    assert [step["outcome"] for step in lines(tmp_path)] == ["refused"] and "unlock.yml" in output
