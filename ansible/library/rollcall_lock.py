#!/usr/bin/python
# Apache-2.0
"""One deploy at a time."""

DOCUMENTATION = r"""
module: rollcall_lock
short_description: A lock that names its owner, and knows when that owner is gone
description:
  - The lock names who holds it, where, since when, what for, and the C(ansible-playbook) process it belongs to.
  - If that process ran on this host and is gone, the deploy was interrupted. The lock is then taken over, and said so.
    Whether a process of another host lives cannot be known here, nor one of another PID namespace, as of a container
    that has this host's name, so such a lock stays.
options:
  path: {description: The lock file., type: path, required: true}
  state:
    description: Take it; give it back; or, with C(unheld), fail if somebody holds it, and take nothing.
    type: str
    default: held
    choices: [held, free, unheld]
  purpose: {description: What for., type: str, default: a roll}
  deploy:
    description: With C(state=free) give back the lock of this deploy only. Without it anybody's, but not one whose process lives.
    type: str
  force: {description: With C(state=free) also the lock of a process that lives., type: bool, default: false}
author: [Rollcall]
attributes:
  check_mode: {support: full, description: Fails on a held lock too but takes none.}
"""

EXAMPLES = r"""
- name: Take the lock
  rollcall_lock: {path: /path/lock, purpose: rolling to 1.1.0}
"""

RETURN = r"""
owner: {description: Who holds or held it., type: dict, returned: when there is or was one}
note: {description: Whose lock was taken over., type: str, returned: when one was}
ansible_facts:
  description:
    - C(deploy_id) names this deploy. If one with the same purpose was interrupted, it is that one's, so that what it had begun
      still counts as one deploy, also when others came in between and did not end either (a mistyped release).
      C(deploy_resumed) says whether an interrupted deploy came before it.
  type: dict
  returned: when held
"""

import contextlib
import datetime
import fcntl
import getpass
import json
import os
import secrets
import socket

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rollcall_files import put

UNREADABLE = {"owner": "someone", "host": "unknown host", "time": "unknown time", "purpose": "an unreadable lock"}


@contextlib.contextmanager
def guarded(path):
    """Nobody else reads or writes the lock meanwhile; the kernel ends this with the process, whatever happens to it."""
    # To read: it may be root's, in the directory of a user whose stack it is.
    guard = os.open(path + ".guard", os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield
    finally:
        os.close(guard)


def read(path):
    """The owner, or nothing where there is no lock."""
    try:
        with open(path, encoding="utf-8") as file:
            return UNREADABLE | json.load(file)
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError):
        return UNREADABLE


def take(path, purpose, interrupted):
    """Write the lock; whoever reads it sees all of it or none. `interrupted` has the deploys to be continued, by purpose."""
    pid = playbook_process()
    now = datetime.datetime.now(datetime.timezone.utc)
    owner = {
        "owner": getpass.getuser(),
        "host": socket.gethostname(),
        "time": now.isoformat(timespec="seconds"),
        "purpose": purpose,
        "deploy": interrupted.get(purpose) or f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(2)}",
        "interrupted": interrupted,
        "pid": pid,
        "process": identity(pid),
        "namespace": namespace(),
    }
    put(path, json.dumps(owner))
    return owner


def abandoned(held):
    """Whether the process that took the lock ran here and is gone."""
    return ran_here(held) and identity(held["pid"]) != held["process"]


def at_work(held):
    """Whether the process that took the lock runs here."""
    return ran_here(held) and identity(held["pid"]) == held["process"]


def ran_here(held):
    """Whether this process would see that one, if it lived."""
    if held["host"] != socket.gethostname() or not held.get("process"):
        return False
    boot = held["process"].partition(" ")[0]
    return boot != boot_id() or held.get("namespace") == namespace()


def namespace():
    """The PID namespace of this process: in another one its numbers mean other processes."""
    return os.readlink("/proc/self/ns/pid")


def boot_id():
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
        return file.read().strip()


def identity(pid):
    """What tells a process from a later one with its number; nothing if there is no such process."""
    try:
        return f"{boot_id()} {_status(pid)[19]}"
    except (OSError, TypeError):
        return ""


def playbook_process():
    """The ansible-playbook that this module runs for. It forks, so the topmost of that name counts."""
    pid = found = os.getppid()
    with contextlib.suppress(OSError):
        while pid > 1:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                program = [os.path.basename(part) for part in file.read().split(b"\0")[:2]]
            found = pid if b"ansible-playbook" in program else found
            pid = int(_status(pid)[1])
    return found


def _status(pid):
    # The fields after the program's name, which may hold anything. The second is the parent, the 20th the start time.
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(") ")[2].split()


def refuse(module, held):
    if held and not abandoned(held):
        module.fail_json(
            msg="{owner}@{host} has held the lock since {time}: {purpose}. "
            "If nobody is at it any more: ansible-playbook playbooks/unlock.yml".format(**held),
        )


def hold(module, path, purpose):
    held, note, interrupted = read(path), {}, {}
    refuse(module, held)
    if held:
        note = {"note": "took over the lock of {owner}@{host}, {time}, {purpose}: its process {pid} is gone".format(**held)}
        interrupted = held.get("interrupted", {}) | {held["purpose"]: held.get("deploy")}
    owner = {"deploy": "check"} if module.check_mode else take(path, purpose, interrupted)
    # Not a change: it is gone when the play ends, and a roll that has nothing to do must report changed=0.
    facts = {"deploy_id": owner["deploy"], "deploy_resumed": bool(held)}
    module.exit_json(changed=False, owner=owner, ansible_facts=facts, **note)


def free(module, path, deploy, force):
    held = read(path)
    ours = bool(held) and deploy in (None, held.get("deploy"))
    if ours and deploy is None and at_work(held) and not force:
        module.fail_json(
            msg="process {pid} is still at it: {purpose}, since {time}. End it first (Ctrl-C), or take the lock away "
            "all the same with -e force=true".format(**held)
        )
    if ours and not module.check_mode:
        os.unlink(path)
    module.exit_json(changed=ours, owner=held)


def main():
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "default": "held", "choices": ["held", "free", "unheld"]},
            "purpose": {"type": "str", "default": "a roll"},
            "deploy": {"type": "str"},
            "force": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        with guarded(params["path"]):
            if params["state"] == "free":
                free(module, params["path"], params["deploy"], params["force"])
            if params["state"] == "unheld":
                refuse(module, read(params["path"]))
                module.exit_json(changed=False)
            hold(module, params["path"], params["purpose"])
    except FileNotFoundError:
        directory = os.path.dirname(params["path"])
        if params["state"] == "free":
            module.exit_json(changed=False, owner={})
        module.fail_json(msg=f"there is no {directory}: the stack is not there. playbooks/site.yml starts it.")
    except OSError as error:
        module.fail_json(msg=f"cannot use the lock: {error}")


if __name__ == "__main__":
    main()
