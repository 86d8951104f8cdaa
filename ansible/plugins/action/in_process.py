# Apache-2.0
"""Runs a module of ours in Ansible's own worker, where that is the machine it is for.

A module costs Ansible 0.5 to 0.9 s: it is packed, sent to a new Python and compiled there, even to this very machine.
A roll is made of some thirty of them, each of which clients may be waiting for. In the worker, which is a process of its
own already, the same module starts in a few milliseconds. Each name beside this file is a link to it.

A task that wants more than the worker is goes Ansible's own way: another host, another user (become), an environment of
its own, or a run in the background (async).
"""

import contextlib
import ctypes
import importlib.util
import io
import json
import multiprocessing
import os
import signal
from pathlib import Path

import ansible.module_utils
from ansible.module_utils.testing import patch_module_args
from ansible.plugins.action import ActionBase
from ansible.plugins.action.normal import ActionModule as Packed
from ansible.plugins.loader import module_utils_loader

ROOT = Path(__file__).resolve().parents[2]
# In the checkout, and in the collection that is built of it.
MODULES = next(path for path in (ROOT / "library", ROOT / "plugins" / "modules") if path.is_dir())
# Where modules look for them in the worker, and where Ansible does when it packs one.
ansible.module_utils.__path__.append(str(ROOT / "module_utils"))
module_utils_loader.add_directory(str(ROOT / "module_utils"))

PR_SET_PDEATHSIG = 1


def load(name):
    spec = importlib.util.spec_from_file_location(name, MODULES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(name, arguments):
    """What the module prints for Ansible. It ends in `sys.exit` like any module."""
    printed = io.StringIO()
    with patch_module_args(arguments), contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        load(name).main()
    return json.loads(printed.getvalue())


def die_with_playbook():
    """A playbook that was killed outright has lost its lock, and whoever has it now must find no module of ours still at work.

    A worker's children do not inherit this: a `docker stop` that has begun goes on to its end.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    playbook = multiprocessing.parent_process()
    if playbook and os.getppid() != playbook.pid:
        os.kill(os.getpid(), signal.SIGKILL)


class ActionModule(Packed):
    def run(self, tmp=None, task_vars=None):
        if not self.worker_will_do():
            return super().run(tmp, task_vars)
        result = ActionBase.run(self, tmp, task_vars)
        die_with_playbook()
        told = {"_ansible_check_mode": self._task.check_mode, "_ansible_no_log": bool(self._task.no_log)}
        return result | run(self._task.action.rpartition(".")[2], dict(self._task.args) | told)

    def worker_will_do(self):
        """Whether the worker is what the task is to run in."""
        is_here = self._connection.transport == "local" and not self._play_context.become
        return is_here and not self._task.async_val and not any(self._task.environment or [])
