#!/usr/bin/python
# Apache-2.0
"""Set the state of one HAProxy server and wait until HAProxy really sees it so."""

DOCUMENTATION = r"""
module: haproxy_server
short_description: State of one HAProxy server, observed and not only ordered
description:
  - Sets a server to ready, drain or maint over the runtime API and waits for the exact status that this means
    (C(UP), C(DRAIN), C(MAINT)). C(UP 1/2) or C(DRAIN 1/2), HAProxy's benefit of the doubt, is not enough,
    so a dead server never counts as a success.
  - A server that leaves maint for ready passes through drain, where it gets no traffic until a check has passed.
options:
  socket: {description: Path of the runtime socket., type: path, required: true}
  backend: {description: Backend of the server., type: str, default: replicas}
  server: {description: Name of the server. An unknown one is an error., type: str, required: true}
  state: {description: Wanted state., type: str, required: true, choices: [ready, drain, maint]}
  wait: {description: Wait for the exact status., type: bool, default: true}
  hold: {description: Seconds for which the status must then last without a flap; the third fails it., type: float, default: 0}
  timeout: {description: Seconds for all the waiting together., type: float, default: 20}
  state_file: {description: Where to keep all servers' state after a change., type: path}
author: [Rollcall]
attributes:
  check_mode: {support: full, description: Says what would change and waits for nothing.}
"""

EXAMPLES = r"""
- name: Take the new slot into service
  haproxy_server:
    socket: /path/haproxy.sock
    server: r1-green
    state: ready
    hold: 2
"""

RETURN = r"""
before: {description: State before., type: str, returned: always}
status: {description: HAProxy's status of the server at the end., type: str, returned: always}
connections: {description: HAProxy's connections to it at the end., type: int, returned: always}
seconds: {description: Time this took., type: float, returned: always}
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rollcall_haproxy import EXACT, HaproxyError, Runtime, Server


def run(module):
    params = module.params
    started = time.monotonic()
    runtime = Runtime(params["socket"])
    server = Server(runtime, params["backend"], params["server"], params["timeout"])
    before = server.row()["admin"]
    changed = before != params["state"]
    if not module.check_mode:
        server.converge(params["state"], params["wait"], params["hold"])
        if changed and params["state_file"]:
            runtime.save(params["state_file"])
    row = server.row()
    module.exit_json(
        changed=changed,
        before=before,
        status=row["status"],
        connections=int(row["scur"]),
        seconds=round(time.monotonic() - started, 3),
        diff={"before": before + "\n", "after": params["state"] + "\n"},
    )


def main():
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path", "required": True},
            "backend": {"type": "str", "default": "replicas"},
            "server": {"type": "str", "required": True},
            "state": {"type": "str", "required": True, "choices": list(EXACT)},
            "wait": {"type": "bool", "default": True},
            "hold": {"type": "float", "default": 0},
            "timeout": {"type": "float", "default": 20},
            "state_file": {"type": "path"},
        },
        supports_check_mode=True,
    )
    try:
        run(module)
    except HaproxyError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
