# Apache-2.0
"""A roll that an audience can follow, and its report."""

DOCUMENTATION = r"""
name: rollcall
type: stdout
short_description: Phases and seconds of each replica as they happen
description:
  - For a play with C(show_phases) it prints one line a replica that grows as the phases pass, and what went wrong.
    A task belongs to the phase that its variable C(replica_phase) names.
  - After a roll it writes a report with the seconds of each phase.
  - Everything else, and everything with C(-v), is Ansible's default output.
extends_documentation_fragment: [default_callback, result_format_callback]
"""

import json
import time
from pathlib import Path

from ansible import context
from ansible.plugins.callback.default import CallbackModule as Default

REPORT = Path(__file__).parents[3] / "reports" / "rolling-update.json"


class Replica:
    """What one replica's turn took."""

    def __init__(self, name, began):
        self.name = name
        self.began = self.marked = began
        self.phases = {}
        self.waited = 0.0
        self.drained = {}

    def add(self, phase, result):
        """A task of a phase has ended: the time since the last end is the phase's."""
        now = time.monotonic()
        self.phases[phase] = self.phases.get(phase, 0.0) + now - self.marked
        self.marked = now
        # Our modules say how long they worked or waited; the rest is what Ansible itself costs.
        self.waited += result.get("seconds", 0)
        if "moved" in result:
            self.drained = {key: result[key] for key in ("moved", "forced")}

    def report(self):
        seconds = self.marked - self.began
        return {
            "replica": self.name,
            "seconds": round(seconds, 2),
            "ansible_seconds": round(seconds - self.waited, 2),
            "phases": {phase: round(spent, 2) for phase, spent in self.phases.items()},
            "moved": self.drained.get("moved", 0),
            "forced": self.drained.get("forced", 0),
        }


class CallbackModule(Default):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "rollcall"

    def __init__(self):
        super().__init__()
        # Of the whole run, and of the present batch of hosts, which `serial` makes one replica.
        self.began = self.batch_began = time.monotonic()
        self.phased = False
        self.release = ""
        self.replicas = []
        self.phase = None
        self.told = set()

    # --- what Ansible tells us ---

    def v2_playbook_on_play_start(self, play):
        self._end_line()
        self.batch_began = time.monotonic()
        self.phased = bool(play.get_vars().get("show_phases")) and self._display.verbosity == 0
        if not self.phased:
            super().v2_playbook_on_play_start(play)

    def v2_runner_on_start(self, host, task):
        phase = task.get_vars().get("replica_phase")
        if phase and phase != self.phase:
            self._begin_phase(host.get_name(), phase)

    def v2_runner_on_ok(self, result):
        values = result.result
        self.release = values.get("ansible_facts", {}).get("replica_release", self.release)
        if self.phase:
            self.replicas[-1].add(self.phase, values)
        if not self.phased:
            super().v2_runner_on_ok(result)
        elif result.task.action.endswith("debug"):
            self._line(values["msg"])

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._end_line()
        if not self.phased:
            super().v2_runner_on_failed(result, ignore_errors)
        # A failure of all hosts at once is one failure to a reader.
        elif (message := str(result.result.get("msg"))) not in self.told:
            self.told.add(message)
            name = f"{result.host.get_name()}  {result.task.get_name()}: "
            self._line(("" if result.task.action.endswith("fail") else name) + message, "red")

    def v2_playbook_on_stats(self, stats):
        self._end_line()
        if not self.phased:
            super().v2_playbook_on_stats(stats)
        elif self.release:
            changed = sum(stats.summarize(host)["changed"] for host in stats.processed)
            failed = sum(stats.summarize(host)["failures"] for host in stats.processed)
            self._line(self._summary(changed, failed), "red" if failed else "green")
        if self.release and not context.CLIARGS.get("check"):
            self._write_report()

    # --- what a default line would bury ---

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._quiet("v2_playbook_on_task_start", task, is_conditional)

    def v2_playbook_on_include(self, included_file):
        self._quiet("v2_playbook_on_include", included_file)

    def v2_runner_on_skipped(self, result):
        self._quiet("v2_runner_on_skipped", result)

    def _quiet(self, event, *arguments):
        if not self.phased:
            getattr(super(), event)(*arguments)

    # --- the growing line ---

    def _begin_phase(self, host, phase):
        if not self.replicas or self.replicas[-1].name != host:
            self._end_line()
            self.replicas.append(Replica(host, self.batch_began))
            self._write(f"{host}  {phase}")
        else:
            self._write(f"{self._spent()} · {phase}")
        self.phase = phase

    def _spent(self):
        replica = self.replicas[-1]
        spent = f" {replica.phases.get(self.phase, 0):.1f} s"
        return spent + (f" ({replica.drained['moved']} moved)" if self.phase == "drain" and replica.drained else "")

    def _end_line(self):
        if self.phase:
            self._write(self._spent() + "\n")
        self.phase = None

    def _write(self, text):
        if self.phased:
            self._display.display(text, newline=False)

    def _line(self, text, color=None):
        self._display.display(str(text).rstrip(), color=color)

    # --- the end ---

    def _summary(self, changed, failed):
        rolled = [replica for replica in self.replicas if "stop" in replica.phases]
        seconds = time.monotonic() - self.began
        what = "failed" if failed else "would be" if context.CLIARGS.get("check") else "done"
        return f"{what}: {len(rolled)} rolled to {self.release} · changed={changed} · {seconds:.1f} s"

    def _write_report(self):
        REPORT.parent.mkdir(exist_ok=True)
        report = {"release": self.release, "replicas": [replica.report() for replica in self.replicas]}
        REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
