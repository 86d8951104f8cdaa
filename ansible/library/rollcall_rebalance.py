#!/usr/bin/python
# Apache-2.0
"""Even out the connections of the replicas."""

DOCUMENTATION = r"""
module: rollcall_rebalance
short_description: Nudge the fullest replicas until all have about the same
description:
  - A replica that has more than the mean asks as many connections as it has too many to move, each at its own moment, and
    HAProxy sends them to the emptiest. So as few clients move as can, each of them once.
  - A difference of a tenth of the mean is none.
options:
  replicas: {description: "Name -> C(address) and C(connections), of those that serve.", type: dict, required: true}
  port: {description: Port of their admin listeners., type: int, default: 8090}
  spread_ms: {description: The clients' moments are spread over this long., type: int, default: 2000}
  timeout: {description: "Seconds for the last to move, after that.", type: float, default: 20}
author: [Rollcall]
attributes:
  check_mode: {support: full, description: Says how many would be asked.}
"""

EXAMPLES = r"""
- name: Even it out
  rollcall_rebalance: {replicas: {r1: {address: 172.30.90.11, connections: 300}, r2: {address: 172.30.90.12, connections: 0}}}
"""

RETURN = r"""
asked: {description: Replica -> connections that are to move., type: dict, returned: success}
moved: {description: Connections that moved., type: int, returned: success}
ignored: {description: "Connections that know no goaway, and were closed to come back.", type: int, returned: success}
left: {description: Connections that were asked and have not moved., type: int, returned: success}
seconds: {description: Time this took., type: float, returned: success}
note: {description: What an operator should know., type: str, returned: when there is something}
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rollcall_nudge import Nudge

POLL_SECONDS = 0.1
# Of the mean. Clients come and go, so a perfect balance would not last.
TOLERANCE = 0.1


def surplus(connections):
    """Replica -> how many too many it has, for those that have."""
    mean = sum(connections.values()) / max(len(connections), 1)
    if max(connections.values(), default=0) - mean <= max(1, TOLERANCE * mean):
        return {}
    # Rounded down: a last one that is too many stays where it is.
    return {name: int(count - mean) for name, count in connections.items() if int(count - mean) > 0}


def even_out(params, asked):
    nudge = Nudge({name: params["replicas"][name]["address"] for name in asked}, params["port"])
    request = {"spread_ms": params["spread_ms"], "reason": "the load is to be even"}
    nudge.begin({name: request | {"connections": count} for name, count in asked.items()})
    spread = params["spread_ms"] / 1000
    began = time.monotonic()
    until = began + spread + params["timeout"]
    # All are told at once, but a replica that has told none yet has none left either.
    while time.monotonic() < until and (time.monotonic() - began < spread or nudge.total("left") > 0):
        time.sleep(POLL_SECONDS)
        nudge.look()
    return nudge


def main():
    module = AnsibleModule(
        argument_spec={
            "replicas": {"type": "dict", "required": True},
            "port": {"type": "int", "default": 8090},
            "spread_ms": {"type": "int", "default": 2000},
            "timeout": {"type": "float", "default": 20},
        },
        supports_check_mode=True,
    )
    params, began = module.params, time.monotonic()
    asked = surplus({name: int(replica["connections"]) for name, replica in params["replicas"].items()})
    result = {"moved": 0, "ignored": 0, "left": 0}
    if asked and not module.check_mode:
        nudge = even_out(params, asked)
        result = {what: nudge.total(what) for what in result}
        if nudge.notes:
            result["note"] = ". ".join(nudge.notes)
    module.exit_json(changed=bool(asked), asked=asked, seconds=round(time.monotonic() - began, 3), **result)


if __name__ == "__main__":
    main()
