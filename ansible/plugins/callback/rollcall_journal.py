# Apache-2.0
"""What every deploy leaves behind: a line a step in deploys.jsonl, a report, and a table."""

DOCUMENTATION = r"""
name: rollcall_journal
type: aggregate
short_description: Who deployed what and when, step by step
description:
  - A deploy is a playbook run that takes the lock with C(rollcall_lock). Each phase of each replica's turn is a step, each
    step a JSON object on a line of C(deploys.jsonl) beside the lock, and the deploy as a whole is the last one.
  - A step has a line when it begins, too, with the outcome C(begun), and so has the deploy. The line at its end is the one
    that counts.
  - At the end it prints a table, and writes C(rolling-update.json) beside the journal, for whoever judges the roll.
  - A deploy that is interrupted gets its last line too, and its operator is told what to do next.
"""

import atexit
import datetime
import getpass
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import ansible.module_utils
from ansible import context
from ansible.plugins.callback import CallbackBase

ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.rollcall_state import give_to_owner  # noqa: E402

ORDER = ("start", "smoke", "ready", "canary", "drain", "stop", "undo", "put back")
# How long Ansible may take to end once it was interrupted; it usually does within a second.
PATIENCE_SECONDS = 5
BEGUN = {"seconds": 0.0, "moved": 0, "forced": 0, "outcome": "begun", "reason": ""}
INCLUDES = ("include_tasks", "include_role")


def utc():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")


class Turn:
    """One replica's turn: its steps in order, and the time of each."""

    def __init__(self, replica, began):
        self.replica = replica
        self.began = self.marked = began
        self.steps = {}
        # Our modules say how long they worked or waited; the rest is what Ansible itself costs.
        self.waited = 0.0

    def add(self, phase, values, failed):
        """A task of a phase has ended: the time since the last end is the phase's."""
        step = self.steps.setdefault(phase, {"seconds": 0.0, "moved": 0, "forced": 0, "outcome": "ok", "reason": ""})
        now = time.monotonic()
        step["seconds"] += now - self.marked
        step["time"] = utc()
        self.marked = now
        self.waited += values.get("seconds", 0)
        step["moved"] += values.get("moved", 0)
        step["forced"] += values.get("forced", 0)
        if values.get("note"):
            step["reason"] = values["note"]
        if failed:
            step["outcome"], step["reason"] = "failed", str(values.get("msg"))

    @property
    def outcome(self):
        for step, done in (("put back", "put back"), ("undo", "undone")):
            if step in self.steps:
                return done if self.steps[step]["outcome"] == "ok" else "broken"
        if any(step["outcome"] == "failed" for step in self.steps.values()):
            return "undone"
        return "rolled" if "stop" in self.steps else "unfinished"

    def total(self, what):
        return sum(step[what] for step in self.steps.values())

    def report(self):
        seconds = self.marked - self.began
        return {
            "replica": self.replica,
            "seconds": round(seconds, 2),
            "ansible_seconds": round(seconds - self.waited, 2),
            "phases": {phase: round(step["seconds"], 2) for phase, step in self.steps.items()},
            "moved": self.total("moved"),
            "forced": self.total("forced"),
        }


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "rollcall_journal"

    def __init__(self):
        super().__init__()
        self.process = os.getpid()
        self.began = self.batch_began = time.monotonic()
        self.show_as = None
        # Of this deploy: what every line says, the turns of the present batch by replica, and all turns.
        self.deploy, self.path = None, None
        self.batch, self.turns = {}, []
        # The phase that each replica has begun last.
        self.begun = {}
        self.outcome, self.reason = "done", ""
        # Where an interrupt would find it.
        self.where = "before the first drain"
        atexit.register(self._interrupted)

    # --- what Ansible tells us ---

    def v2_playbook_on_play_start(self, play):
        self._end_batch()
        self.show_as = play.get_vars().get("show_as")

    def v2_runner_on_start(self, host, task):
        phase = task.get_vars().get("replica_phase")
        if phase:
            self.where = f"in {host.get_name()}'s {self.show_as or phase}"
            self._begins(host.get_name(), self.show_as or phase, task)

    def v2_runner_on_ok(self, result):
        values = result.result
        if self._action(result) == "rollcall_lock" and "deploy_id" in values.get("ansible_facts", {}):
            self._begin(values, result.task)
            if self.deploy:
                self._line(replica="", phase="deploy", **BEGUN)
        if self.deploy:
            facts = values.get("ansible_facts", {})
            self.deploy["release"] = facts.get("replica_release", self.deploy["release"])
        self._add(result, failed=False)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        if self._action(result) == "rollcall_lock" and not self.deploy:
            self._begin(result.result, result.task)
        if not ignore_errors and self.outcome == "done":
            phase = result.task.get_vars().get("replica_phase")
            self.outcome = "failed" if phase or self.turns else "refused"
            self.reason = str(result.result.get("stderr") or result.result.get("msg")).strip()
        self._add(result, failed=not ignore_errors)

    def v2_playbook_on_stats(self, stats):
        self._end_batch()
        if self.deploy:
            if self.turns:
                self._display.display(self._table())
                self._write_report()
            self._end(self.outcome, self.reason)

    # --- the steps ---

    @staticmethod
    def _action(result):
        return result.task.action.rpartition(".")[2]

    def _begin(self, values, task):
        arguments = values["invocation"]["module_args"]
        # A teardown holds the lock too, and takes the journal away.
        if arguments["state"] != "held" or not task.get_vars().get("journal", True):
            return
        self.deploy = {
            "deploy": values.get("owner", {}).get("deploy", ""),
            "who": f"{getpass.getuser()}@{socket.gethostname()}",  # also of one who is refused the lock
            "what": arguments["purpose"],
            "release": "",
        }
        self._watch_interrupts()
        if not context.CLIARGS.get("check"):
            self.path = Path(arguments["path"]).parent / "deploys.jsonl"

    def _watch_interrupts(self):
        # A terminal that goes, or a service manager, interrupts no less than Ctrl-C does; Ansible knows only that.
        for other in (signal.SIGHUP, signal.SIGTERM):
            signal.signal(other, lambda *_: signal.raise_signal(signal.SIGINT))
        ansible = signal.getsignal(signal.SIGINT)

        def interrupted(number, frame):
            # It ends its workers, and waits for ever if one of them was just telling its result.
            end = threading.Timer(PATIENCE_SECONDS, self._give_up)
            end.daemon = True
            end.start()
            ansible(number, frame)

        signal.signal(signal.SIGINT, interrupted)

    def _begins(self, replica, phase, task):
        """A task starts: the first of a phase is the phase's beginning."""
        if not self.deploy or task.action.rpartition(".")[2] in INCLUDES or self.begun.get(replica) == phase:
            return
        self.begun[replica] = phase
        self._line(replica=replica, phase=phase, **BEGUN)

    def _add(self, result, failed):
        phase = result.task.get_vars().get("replica_phase")
        if not self.deploy or not phase or self._action(result) in INCLUDES:
            return
        phase, replica = self.show_as or phase, result.host.get_name()
        if replica not in self.batch:
            self.batch[replica] = Turn(replica, self.batch_began)
            self.turns.append(self.batch[replica])
        turn = self.batch[replica]
        if turn.steps and phase not in turn.steps:
            self._step(turn)
        turn.add(phase, result.result, failed)

    def _step(self, turn):
        phase, step = list(turn.steps.items())[-1]
        self._line(replica=turn.replica, phase=phase, **step | {"seconds": round(step["seconds"], 2)})

    def _end_batch(self):
        for turn in self.batch.values():
            self._step(turn)
        self.batch, self.batch_began, self.begun = {}, time.monotonic(), {}

    def _end(self, outcome, reason):
        self._line(
            replica="",
            phase="deploy",
            seconds=round(time.monotonic() - self.began, 2),
            moved=sum(turn.total("moved") for turn in self.turns),
            forced=sum(turn.total("forced") for turn in self.turns),
            outcome=outcome,
            reason=reason,
        )
        self.path = None

    def _line(self, **facts):
        if self.path and self.path.parent.is_dir():
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"time": utc()} | self.deploy | facts, ensure_ascii=False) + "\n")
            give_to_owner(self.path)

    # --- the end ---

    def _interrupted(self):
        """At exit: whatever ended without its statistics was interrupted. Ansible's workers are not the playbook."""
        if os.getpid() != self.process or not self.path:
            return
        self._end_batch()
        self._end("interrupted", self.where)
        self._display.display(
            f"\nInterrupted {self.where}. Run the same command again: it takes over the lock, repairs what this left, and goes on.\n"
            "Or go back: ansible-playbook playbooks/rollback.yml -e release=… with the one before. "
            "playbooks/status.yml shows what serves.",
            color="yellow",
        )

    def _give_up(self):
        self._interrupted()
        sys.stdout.flush()
        os._exit(128 + signal.SIGINT)

    def _table(self):
        phases = [phase for phase in ORDER if any(phase in turn.steps for turn in self.turns)]
        rows = [["replica", *phases, "seconds", "moved", "forced", "outcome"]]
        for turn in sorted(self.turns, key=lambda turn: (turn.began, turn.replica)):
            spent = [f"{turn.steps[phase]['seconds']:.1f}" if phase in turn.steps else "" for phase in phases]
            whole = f"{turn.marked - turn.began:.1f}"
            rows.append([turn.replica, *spent, whole, str(turn.total("moved")), str(turn.total("forced")), turn.outcome])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        # Names to the left, numbers to the right.
        left = (0, len(widths) - 1)
        pad = [str.ljust if column in left else str.rjust for column in range(len(widths))]
        return "\n" + "\n".join(
            "  ".join(pad[column](cell, widths[column]) for column, cell in enumerate(row)).rstrip() for row in rows
        )

    def _write_report(self):
        if not self.path or not self.path.parent.is_dir():
            return
        report = {"release": self.deploy["release"], "replicas": [turn.report() for turn in self.turns]}
        path = self.path.with_name("rolling-update.json")
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        give_to_owner(path)
