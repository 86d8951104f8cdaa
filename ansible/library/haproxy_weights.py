#!/usr/bin/python
# Apache-2.0
"""Have those who move in a roll land where they need not move again."""

DOCUMENTATION = r"""
module: haproxy_weights
short_description: Prefer some servers of a backend to the others
description:
  - Gives the servers in C(prefer) HAProxy's highest weight, 256. With C(level) all others get the lowest, 1; without,
    they keep theirs. All at 1 is how a stack rests, so C(level) and nothing to prefer ends every deploy.
  - A client that moves should land on a slot that is not rolled any more, or it moves again. C(leastconn) sends a
    newcomer to the server with the least key, which is 0 without connections, and otherwise (connections + 1) * 256 /
    weight. So a slot that is not rolled yet, of weight 1, counts each connection 256 times, and one that is rolled
    already, of weight 256, once.
  - That alone is not enough, since a slot with no or few connections has a small key whatever its weight. Therefore the
    roll takes the replicas in ascending order of their connections. When the replica with c connections has its turn,
    those rolled before it had at most c each, so the emptiest rolled slot has at most c, and every one that is still to
    be rolled at least c. If c is 0, nobody moves. Else the key of the first is at most c + 1, and of the second at
    least 256 * (c + 1). It takes 255 times as many newcomers as clients to turn that round.
  - The last to be rolled had the most, and its new slot begins empty, so in the end all have the same number.
  - A weight of 0 would do the first without the second, and leave nobody to go to if all rolled slots died.
options:
  socket: {description: Path of HAProxy's runtime socket., type: path, required: true}
  backend: {description: HAProxy's backend., type: str, default: replicas}
  prefer: {description: Servers that get the highest weight., type: list, elements: str, default: []}
  level: {description: Whether all the others get the lowest., type: bool, default: false}
  state_file: {description: Where to keep all servers' state after a change., type: path}
author: [Rollcall]
attributes:
  check_mode: {support: full, description: Says what would change.}
"""

EXAMPLES = r"""
- name: Prefer the new slot
  haproxy_weights: {socket: /path/haproxy.sock, prefer: [r1-green]}

- name: End the deploy
  haproxy_weights: {socket: /path/haproxy.sock, level: true}
"""

RETURN = r"""
weights: {description: Server -> weight., type: dict, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rollcall_haproxy import HaproxyError, Runtime

HIGHEST = 256
LOWEST = 1


def wanted(weights, prefer, level):
    """Server -> weight, as it should be."""
    unknown = sorted(set(prefer) - set(weights))
    if unknown:
        raise HaproxyError(f"HAProxy has no server {', '.join(unknown)}; it knows {', '.join(sorted(weights)) or 'none'}")
    return {name: HIGHEST if name in prefer else LOWEST if level else weight for name, weight in weights.items()}


def run(module):
    params = module.params
    runtime = Runtime(params["socket"])
    before = runtime.weights(params["backend"])
    after = wanted(before, params["prefer"], params["level"])
    changes = {name: weight for name, weight in after.items() if weight != before[name]}
    if not module.check_mode:
        for name, weight in changes.items():
            runtime.set_weight(params["backend"], name, weight)
        if changes and params["state_file"]:
            runtime.save(params["state_file"])
    module.exit_json(changed=bool(changes), weights=after)


def main():
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path", "required": True},
            "backend": {"type": "str", "default": "replicas"},
            "prefer": {"type": "list", "elements": "str", "default": []},
            "level": {"type": "bool", "default": False},
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
