#!/usr/bin/python
# Apache-2.0
"""Move the floating address of a pair to the other machine, and everybody with it, before a connection ends."""

DOCUMENTATION = r"""
module: haproxy_switch
short_description: Move the floating address of a pair, and nobody is cut
description:
  - The other machine takes the address, and with it all new connections. What arrives there of older ones it sends on to
    the machine that has them (docker/pair; the kernel duplicates the packet to a next hop), which goes on answering.
  - Meanwhile HAProxy is reloaded there, so that no connection gets another request, as after any change of it; the replicas
    ask everybody whose connection is older to move; and when none is left, or the time is over, the sending on ends.
options:
  keepalived: {description: "The container of keepalived, of the same name on both.", type: str, required: true}
  machines:
    description: The two, each with its C(address), its C(docker_host), and its HAProxy's C(container) and C(socket).
    type: list
    elements: dict
    required: true
  backend: {description: HAProxy's backend., type: str, default: replicas}
  slots: {description: Address of each replica's slot that runs., type: dict, required: true}
  port: {description: Port of the replicas' admin listeners., type: int, default: 8090}
  spread_ms: {description: The clients' moments are spread over this long., type: int, default: 2000}
  timeout: {description: "Seconds for the last connections to end, after that.", type: float, default: 20}
author: [Rollcall]
attributes:
  check_mode: {support: full, description: Says where the address would go.}
"""

EXAMPLES = r"""
- name: Move the address
  haproxy_switch:
    keepalived: rollcall-keepalived
    machines:
      - {address: 10.0.0.1, docker_host: "", container: rollcall-haproxy, socket: /path/haproxy.sock}
      - {address: 10.0.0.2, docker_host: ssh://root@10.0.0.2, container: rollcall-haproxy-second, socket: "10.0.0.2:18900"}
    slots: {r1-blue: 10.0.0.1:18004}
"""

RETURN = r"""
to: {description: Address of the machine that has it now., type: str, returned: always}
moved: {description: Connections that left by themselves., type: int, returned: always}
ignored: {description: "Connections that know no goaway, and were closed to come back.", type: int, returned: always}
left: {description: Connections that the other still had at the end., type: int, returned: always}
seconds: {description: Time this took., type: float, returned: always}
note: {description: What an operator should know., type: str, returned: when there is something}
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rollcall_docker import docker_command
from ansible.module_utils.rollcall_haproxy import HaproxyError, Runtime
from ansible.module_utils.rollcall_nudge import Nudge

POLL_SECONDS = 0.1
# keepalived asks again and again whether it is to go on; the other hears it at once.
TAKEN_WITHIN_SECONDS = 10
# Until every neighbour has heard where the address is.
HEARD_SECONDS = 0.3


class Machine:
    """One of the two."""

    def __init__(self, module, about):
        self.module = module
        self.address, self.docker_host, self.container = about["address"], about["docker_host"], about["container"]
        self.runtime = Runtime(about["socket"])

    def docker(self, *arguments):
        """What it printed; none where it failed, and why in `error`."""
        code, text, self.error = self.module.run_command([*docker_command(self.module, self.docker_host), *arguments])
        return text if code == 0 else None

    def pair(self, *words):
        """Runs docker/pair there. Returns what it printed."""
        text = self.docker("exec", self.module.params["keepalived"], "pair", *words)
        if text is None:
            raise HaproxyError(f"{self.address} does not {words[0]}: {self.error.strip()}")
        return text

    def holds(self):
        return self.docker("exec", self.module.params["keepalived"], "pair", "holds") is not None

    def serves(self):
        rows = self.runtime.servers(self.module.params["backend"]).values()
        return any(row["status"].startswith("UP") for row in rows)

    def reload(self):
        """The worker that has connections takes no more requests on them, and ends with the last."""
        if self.docker("kill", "--signal", "USR2", self.container) is None:
            raise HaproxyError(f"HAProxy at {self.address} is not reloaded: {self.error.strip()}")

    def connections(self):
        """Those of clients by the floating address, of whichever worker."""
        return int(self.pair("count"))


class Switch:
    def __init__(self, module):
        self.params = module.params
        self.machines = [Machine(module, about) for about in module.params["machines"]]
        self.nudge = None
        self.left = 0
        self.untidy = []

    def look(self):
        """From which machine to which."""
        holders = [machine for machine in self.machines if machine.holds()]
        if len(holders) != 1:
            has = " and ".join(machine.address for machine in holders) or "neither"
            raise HaproxyError(f"{has} of the two has the floating address: is keepalived up on both? playbooks/site.yml starts it")
        self.source = holders[0]
        self.target = next(machine for machine in self.machines if machine is not self.source)
        if not self.target.serves():
            raise HaproxyError(f"HAProxy at {self.target.address} reaches no replica, so the address stays at {self.source.address}")

    def run(self):
        try:
            self.tidy()
            self.target.pair("catch", self.source.address)
            self.source.pair("keep")
            self.source.pair("leave")
            self.await_taken()
            self.source.pair("hush")
            self.target.pair("announce")
            announced = time.monotonic()
            time.sleep(HEARD_SECONDS)
            self.source.reload()
            self.move_everybody(announced)
        finally:
            self.tidy()

    def tidy(self):
        """Both, whichever fails: what stays would lead packets astray."""
        for machine in self.machines:
            try:
                machine.pair("tidy")
            except HaproxyError as error:
                self.untidy.append(str(error))

    def await_taken(self):
        until = time.monotonic() + TAKEN_WITHIN_SECONDS
        while not self.target.holds():
            if time.monotonic() > until:
                raise HaproxyError(f"{self.target.address} does not take the address: docker logs of keepalived there says why")
            time.sleep(POLL_SECONDS)

    def move_everybody(self, announced):
        self.nudge = Nudge(self.params["slots"], self.params["port"])
        # Younger connections are at the new machine, among them those of the first who move: no replica asks them again.
        age_ms = int(1000 * (time.monotonic() - announced))
        request = {"spread_ms": self.params["spread_ms"], "older_than_ms": age_ms, "reason": "HAProxy is elsewhere now"}
        self.nudge.begin({name: request for name in self.params["slots"]})
        until = time.monotonic() + self.params["spread_ms"] / 1000 + self.params["timeout"]
        while (left := self.source.connections()) > 0 and time.monotonic() < until:
            time.sleep(POLL_SECONDS)
        self.left = left
        self.nudge.look()

    def result(self):
        counts = {what: self.nudge.total(what) for what in ("moved", "ignored")} | {"left": self.left}
        notes = self.nudge.notes + self.untidy
        if self.left:
            notes.append(f"{self.left} connections had not moved, and were cut when {self.source.address} was left alone")
        return counts | ({"note": ". ".join(notes)} if notes else {})


def main():
    module = AnsibleModule(
        argument_spec={
            "keepalived": {"type": "str", "required": True},
            "machines": {"type": "list", "elements": "dict", "required": True},
            "backend": {"type": "str", "default": "replicas"},
            "slots": {"type": "dict", "required": True},
            "port": {"type": "int", "default": 8090},
            "spread_ms": {"type": "int", "default": 2000},
            "timeout": {"type": "float", "default": 20},
        },
        supports_check_mode=True,
    )
    began = time.monotonic()
    switch = Switch(module)
    result = {"moved": 0, "ignored": 0, "left": 0}
    try:
        switch.look()
        if not module.check_mode:
            switch.run()
            result = switch.result()
    except HaproxyError as error:
        module.fail_json(msg=". ".join([str(error), *switch.untidy]))
    module.exit_json(changed=True, to=switch.target.address, seconds=round(time.monotonic() - began, 3), **result)


if __name__ == "__main__":
    main()
