#!/usr/bin/python
# Apache-2.0
"""One roll at a time."""

DOCUMENTATION = r"""
module: rollcall_lock
short_description: A lock that names its owner
options:
  path: {description: The lock file., type: path, required: true}
  state: {description: Take it or give it back., type: str, default: held, choices: [held, free]}
  purpose: {description: What for., type: str, default: a roll}
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
"""

import contextlib
import datetime
import getpass
import json
import os
import socket

from ansible.module_utils.basic import AnsibleModule


def read(path):
    """The owner, or nothing where there is no lock."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}
    except ValueError:
        return {"owner": "someone", "host": "unknown host", "time": "unknown time", "purpose": "an unreadable lock"}


def take(path, purpose):
    """Hold the lock, or say that someone else does: O_EXCL lets exactly one of two succeed."""
    owner = {
        "owner": getpass.getuser(),
        "host": socket.gethostname(),
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "purpose": purpose,
    }
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644), "w") as file:
        json.dump(owner, file)
    return owner


def main():
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "default": "held", "choices": ["held", "free"]},
            "purpose": {"type": "str", "default": "a roll"},
        },
        supports_check_mode=True,
    )
    path, held = module.params["path"], read(module.params["path"])
    if module.params["state"] == "free":
        if held and not module.check_mode:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        module.exit_json(changed=bool(held), owner=held)
    try:
        if held:
            raise FileExistsError
        owner = {} if module.check_mode else take(path, module.params["purpose"])
    except FileExistsError:
        held = held or read(path)
        module.fail_json(
            msg="{owner}@{host} has held the lock since {time}: {purpose}. "
            "If nobody is at it any more: ansible-playbook playbooks/unlock.yml".format(**held),
        )
    except OSError as error:
        module.fail_json(msg=f"cannot take the lock: {error}. Is the stack up? playbooks/site.yml starts it.")
    # Not a change: it is gone when the play ends, and a roll that has nothing to do must report changed=0.
    module.exit_json(changed=False, owner=owner)


if __name__ == "__main__":
    main()
