#!/usr/bin/python
# Apache-2.0
"""Take servers out of a HAProxy that runs, without a reload."""

DOCUMENTATION = r"""
module: haproxy_forget
short_description: Remove servers from HAProxy while it runs
description:
  - Removes servers that are in MAINT and have no connections, by the runtime API. So nobody has to move for it, as after a
    reload. The configuration on disk is to say the same.
  - A server that HAProxy does not know is forgotten already.
options:
  socket: {description: Path of the runtime socket., type: path, required: true}
  backend: {description: HAProxy's backend., type: str, default: replicas}
  servers: {description: Names of the servers., type: list, elements: str, required: true}
  timeout: {description: Seconds that the last connection to one may take to end., type: int, default: 10}
  state_file: {description: Where to keep all servers' state after a change., type: path}
author: [Rollcall]
attributes:
  check_mode: {support: full, description: Says what it would remove.}
"""

EXAMPLES = r"""
- name: Forget a replica
  haproxy_forget: {socket: /path/haproxy.sock, servers: [r5-blue, r5-green]}
"""

RETURN = r"""
forgotten: {description: Servers that were removed., type: list, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rollcall_haproxy import HaproxyError, Runtime

DONE = "Server deleted"


def forget(runtime, backend, server, timeout):
    runtime.set_state(backend, server, "maint")
    answer = runtime.tell(f"wait {timeout}s srv-removable {backend}/{server}; del server {backend}/{server}")
    if DONE not in answer:
        raise HaproxyError(f"HAProxy does not forget {backend}/{server}: {answer.strip() or 'no answer'}")


def main():
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path", "required": True},
            "backend": {"type": "str", "default": "replicas"},
            "servers": {"type": "list", "elements": "str", "required": True},
            "timeout": {"type": "int", "default": 10},
            "state_file": {"type": "path"},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        runtime = Runtime(params["socket"], params["timeout"] + 5)
        known = runtime.weights(params["backend"])
        servers = [server for server in params["servers"] if server in known]
        if not module.check_mode:
            for server in servers:
                forget(runtime, params["backend"], server, params["timeout"])
            if servers and params["state_file"]:
                runtime.save(params["state_file"])
    except HaproxyError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(servers), forgotten=servers)


if __name__ == "__main__":
    main()
