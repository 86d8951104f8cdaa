#!/usr/bin/python
# Apache-2.0
"""Drain a replica, or take it back."""

DOCUMENTATION = r"""
module: rollcall_drain
short_description: Drain a replica until its last connection has moved
description:
  - Asks a replica to send its clients elsewhere, each at its own moment, and waits until none is left.
  - C(state=ready) ends a drain; who moved stays moved.
options:
  address: {description: Address of the slot., type: str, required: true}
  port: {description: Port of its admin listener., type: int, default: 8090}
  state: {description: Wanted state., type: str, default: drained, choices: [drained, ready]}
  spread_ms: {description: The clients' moments are spread over so long., type: int, default: 3000}
  deadline_ms: {description: After so long the replica closes what is left., type: int, default: 20000}
author: [Rollcall]
attributes:
  check_mode: {support: full, description: Only reads the state of the drain.}
"""

EXAMPLES = r"""
- name: Move every client to another replica
  rollcall_drain: {address: 172.31.90.11}
"""

RETURN = r"""
moved: {description: Clients that moved by themselves., type: int, returned: always}
forced: {description: Connections that the replica had to close., type: int, returned: always}
connections: {description: Connections left., type: int, returned: always}
progress: {description: Connections left as time went by, list of pairs (seconds and connections)., type: list, returned: always}
seconds: {description: Time this took., type: float, returned: always}
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rollcall_admin import Admin, AdminError

POLL_SECONDS = 0.05
# The replica closes what is left at its deadline; the rest of the closing may take this long.
GRACE_SECONDS = 5


def drain(admin, spread_ms, deadline_ms):
    """Start the drain and wait for its end. Returns the last state and how the connections went."""
    started = time.monotonic()
    state = admin.call("POST", "/drain", {"spread_ms": spread_ms, "deadline_ms": deadline_ms})
    progress = [(0.0, state["connections"])]
    while state["connections"] > 0:
        seconds = time.monotonic() - started
        if seconds > deadline_ms / 1000 + GRACE_SECONDS:
            raise AdminError(f"{admin.address} still has {state['connections']} connections after {seconds:.0f} s")
        time.sleep(POLL_SECONDS)
        state = admin.get("/drain")
        if state["connections"] != progress[-1][1]:
            progress.append((round(time.monotonic() - started, 2), state["connections"]))
    return state, progress


def run(module):
    params = module.params
    started = time.monotonic()
    admin = Admin(params["address"], params["port"])
    state, progress = admin.get("/drain"), []
    drained = state["phase"] == "draining" and state["connections"] == 0
    changed = not drained if params["state"] == "drained" else state["phase"] == "draining"
    if changed and not module.check_mode:
        if params["state"] == "drained":
            state, progress = drain(admin, params["spread_ms"], params["deadline_ms"])
        else:
            state = admin.call("DELETE", "/drain")
    module.exit_json(
        changed=changed,
        moved=state["moved"],
        forced=state["forced"],
        connections=state["connections"],
        progress=progress,
        seconds=round(time.monotonic() - started, 3),
    )


def main():
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "required": True},
            "port": {"type": "int", "default": 8090},
            "state": {"type": "str", "default": "drained", "choices": ["drained", "ready"]},
            "spread_ms": {"type": "int", "default": 3000},
            "deadline_ms": {"type": "int", "default": 20000},
        },
        supports_check_mode=True,
    )
    try:
        run(module)
    except AdminError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
