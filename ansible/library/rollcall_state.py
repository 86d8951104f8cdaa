#!/usr/bin/python
# Apache-2.0
"""One place for the state of a stack."""

DOCUMENTATION = r"""
module: rollcall_state
short_description: Refuse a second place for a stack's state, or one that cannot be used
description:
  - In the directory lie HAProxy's configuration and sockets, the lock and the journal. With two of them two deploys would run at
    once, and HAProxy would be made anew under its users. So it is the one that the stack's own containers name.
  - It belongs to one user. Root may use it as well; for anybody else HAProxy's sockets are shut.
options:
  project: {description: Name of the stack., type: str, required: true}
  directory: {description: Where its state is to be., type: path, required: true}
author: [Rollcall]
attributes:
  check_mode: {support: full, description: Reads only.}
"""

EXAMPLES = r"""
- name: Make sure that there is one place for the state
  rollcall_state: {project: rollcall, directory: /var/lib/rollcall/rollcall}
"""

RETURN = r"""
hint: {description: Why it is not where all users look., type: str, returned: when it is made in another place}
ansible_facts: {description: "The C(rollcall_run_dir), which stays what it is for the whole deploy.", type: dict, returned: success}
"""

import getpass
import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rollcall_state import HOW_TO_SHARE, SHARED, DockerError, in_force, may_make, owner

# Of a unix socket's path, without the zero at its end.
MOST_BYTES = 107
SOCKET = "run/haproxy.sock"


class PlaceError(Exception):
    """No place for this stack's state."""


def check(project, directory, standing):
    """`standing` is where the stack has it, if there is a stack."""
    if standing and os.path.realpath(standing) != os.path.realpath(directory):
        raise PlaceError(
            f"the stack {project} has its state in {standing}, and rollcall_run_dir says {directory}: leave that out, or take the "
            "stack down where it is"
        )
    path = os.path.join(directory, SOCKET)
    if len(os.fsencode(path)) > MOST_BYTES:
        raise PlaceError(f"{path} is no path of a unix socket, which has at most {MOST_BYTES} characters: give a shorter rollcall_run_dir")
    if not may_use(directory):
        raise PlaceError(f"the state of {project} is in {directory}, which is {owner(directory)}'s: run this as that user, or as root")


def may_use(directory):
    """Whether it is this user's, or can be made. One that cannot be seen is of whoever has closed the way to it."""
    try:
        return os.geteuid() in (0, os.stat(directory).st_uid)
    except PermissionError:
        return False
    except FileNotFoundError:
        if may_make(directory):
            return True
        raise PlaceError(f"{getpass.getuser()} may not make {directory}: {HOW_TO_SHARE}") from None


def main():
    module = AnsibleModule(
        argument_spec={"project": {"type": "str", "required": True}, "directory": {"type": "path", "required": True}},
        supports_check_mode=True,
    )
    project, directory = module.params["project"], module.params["directory"]
    try:
        check(project, directory, in_force(project))
    except (PlaceError, DockerError) as error:
        module.fail_json(msg=str(error))
    told = {}
    if not os.path.lexists(directory) and not may_make(os.path.join(SHARED, project)):
        told["hint"] = f"the state of {project} goes to {directory}, as {getpass.getuser()} may not write in {SHARED}: {HOW_TO_SHARE}"
    module.exit_json(changed=False, ansible_facts={"rollcall_run_dir": directory}, **told)


if __name__ == "__main__":
    main()
