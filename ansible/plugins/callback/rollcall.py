# Apache-2.0
"""A roll that an audience can follow."""

DOCUMENTATION = r"""
name: rollcall
type: stdout
short_description: Phases and seconds of each replica as they happen
description:
  - For a play with C(show_phases) it prints one line for the replicas whose turn it is, which grows as the phases pass,
    and what went wrong. A task belongs to the phase that its variable C(replica_phase) names, or its play's C(show_as).
    What a module returns as C(note) gets a line of its own.
  - Everything else, and everything with C(-v), is Ansible's default output.
extends_documentation_fragment: [default_callback, result_format_callback]
"""

import time

from ansible import context
from ansible.errors import AnsibleError
from ansible.plugins.callback.default import CallbackModule as Default
from ansible.release import __version__

# What results, and modules in Ansible's own worker, are written for. Of older ones everything fails, each with a traceback.
OLDEST = (2, 19)
INCLUDES = ("include_tasks", "include_role")


class CallbackModule(Default):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "rollcall"

    def __init__(self):
        if tuple(map(int, __version__.split(".")[:2])) < OLDEST:
            raise AnsibleError(f"Rollcall takes ansible-core 2.19 or later, and this is {__version__}: scripts/setup makes a .venv that has it")
        super().__init__()
        self.began = time.monotonic()
        self.phased = False
        self.show_as = None
        self.release = ""
        self.rolled = set()
        self.told = set()
        self.notes = []
        self._new_line()

    def _new_line(self):
        # The line that grows: whose turn it is, how many phases it names, the present one, since when, and who moved in it.
        self.hosts, self.phases, self.phase, self.named, self.moved = [], 0, None, False, None
        self.marked = time.monotonic()

    # --- what Ansible tells us ---

    def v2_playbook_on_play_start(self, play):
        self._end_line()
        variables = play.get_vars()
        self.phased = bool(variables.get("show_phases")) and self._display.verbosity == 0
        self.show_as = variables.get("show_as")
        if not self.phased:
            super().v2_playbook_on_play_start(play)

    def v2_runner_on_start(self, host, task):
        phase = task.get_vars().get("replica_phase")
        if not self.phased or not phase or task.action.endswith(INCLUDES):
            return
        phase, name = self.show_as or phase, host.get_name()
        if name not in self.hosts:
            self._write(f" {name}" if self.hosts else name)
            self.hosts.append(name)
        if phase != self.phase:
            self._begin_phase(phase)

    def v2_runner_on_ok(self, result):
        values, host = result.result, result.host.get_name()
        self._name_phase()
        self.release = values.get("ansible_facts", {}).get("replica_release", self.release)
        if values.get("ansible_facts", {}).get("roll_turn"):
            self.rolled.add(host)
        if "moved" in values:
            self.moved = (self.moved or 0) + values["moved"]
        if not self.phased:
            super().v2_runner_on_ok(result)
        elif result.task.action.endswith("debug"):
            self._end_line()
            self._line(values["msg"])
        elif note := values.get("note") or self._complaint(result):
            self._tell(f"{host}  {note}" if self.hosts else note)

    @staticmethod
    def _complaint(result):
        """What a command said that failed where that is no failure of the play."""
        values = result.result
        return f"{' '.join(values['cmd'])}: {values['stderr']}" if values.get("rc") and values.get("cmd") else None

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._end_line()
        if not self.phased:
            super().v2_runner_on_failed(result, ignore_errors)
            return
        message = str(result.result.get("msg")).removeprefix("Task failed: ")
        message = (result.result.get("stderr") or message).strip()
        # A failure of all hosts at once is one failure to a reader, and so is one that is told again at the end.
        if not any(message in told or told in message for told in self.told):
            name = "" if result.task.action.endswith("fail") else f"{result.task.get_name().split(' : ')[-1]}: "
            self._line(f"{result.host.get_name()}  {name}{message}", "yellow" if ignore_errors else "red")
        self.told.add(message)

    def v2_playbook_on_stats(self, stats):
        self._end_line()
        if not self.phased:
            super().v2_playbook_on_stats(stats)
        elif self.release:
            changed = sum(stats.summarize(host)["changed"] for host in stats.processed)
            failed = sum(stats.summarize(host)["failures"] for host in stats.processed)
            self._line(self._summary(changed, failed), "red" if failed else "green")

    # --- what a default line would bury ---

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._quiet("v2_playbook_on_task_start", task, is_conditional)

    def v2_playbook_on_include(self, included_file):
        self._quiet("v2_playbook_on_include", included_file)

    def v2_runner_on_skipped(self, result):
        self._quiet("v2_runner_on_skipped", result)

    def v2_runner_item_on_ok(self, result):
        self._quiet("v2_runner_item_on_ok", result)

    def v2_runner_item_on_skipped(self, result):
        self._quiet("v2_runner_item_on_skipped", result)

    def _quiet(self, event, *arguments):
        if not self.phased:
            getattr(super(), event)(*arguments)

    # --- the growing line ---

    def _begin_phase(self, phase):
        if self.phase:
            self._name_phase()
            self._write(self._spent())
            self.marked = time.monotonic()
        self.phase, self.named, self.moved = phase, False, None
        # Of the first phase it is not known yet how many replicas take part.
        if self.phases:
            self._name_phase()

    def _name_phase(self):
        if self.phase and not self.named:
            self._write(f" · {self.phase}" if self.phases else f"  {self.phase}")
            self.named = True
            self.phases += 1

    def _spent(self):
        moved = "" if self.moved is None else f" ({self.moved} moved)"
        return f" {time.monotonic() - self.marked:.1f} s{moved}"

    def _end_line(self):
        if self.phase:
            self._name_phase()
            self._write(self._spent() + "\n")
        self._new_line()
        for note in self.notes:
            self._line(note, "yellow")
        self.notes = []

    def _tell(self, note):
        self.notes.append(note)
        if not self.phase:
            self._end_line()

    def _write(self, text):
        self._display.display(text, newline=False)

    def _line(self, text, color=None):
        self._display.display(str(text).rstrip(), color=color)

    # --- the end ---

    def _summary(self, changed, failed):
        seconds = time.monotonic() - self.began
        if context.CLIARGS.get("check"):
            return f"check: {changed} would be rolled to {self.release} · {seconds:.1f} s"
        what = "failed" if failed else f"done: {len(self.rolled)} rolled to {self.release}"
        return f"{what} · changed={changed} · {seconds:.1f} s"
