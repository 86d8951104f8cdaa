#!/usr/bin/python
# Apache-2.0
"""Move the floating address of a pair to the other machine, and everybody with it, before a connection ends."""

DOCUMENTATION = r"""
module: haproxy_switch
short_description: Move the floating address of a pair, and nobody is cut
description:
  - The other machine takes the address, and with it all new connections. What arrives there of older ones it sends on to
    the machine that has them (docker/pair; the kernel duplicates the packet to a next hop), which goes on answering.
  - Meanwhile the replicas ask everybody whose connection is older to move, and when the first machine has none left, or the
    time is over, the sending on ends.
options:
  keepalived: {description: "The container of keepalived, of the same name on both.", type: str, required: true}
  machines:
    description: The two, each with its C(name), its C(address), its C(docker_host) and its HAProxy's C(socket).
    type: list
    elements: dict
    required: true
  backend: {description: HAProxy's backend., type: str, default: replicas}
  frontend: {description: HAProxy's frontend., type: str, default: public}
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
      - {name: first, address: 10.0.0.1, docker_host: "", socket: /path/haproxy.sock}
      - {name: second, address: 10.0.0.2, docker_host: ssh://root@10.0.0.2, socket: "10.0.0.2:18900"}
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

import csv
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rollcall_docker import docker_command
from ansible.module_utils.rollcall_haproxy import HaproxyError, Runtime
from ansible.module_utils.rollcall_nudge import Nudge

POLL_SECONDS = 0.1
# keepalived asks once a second whether it is to go on; the other hears it at once.
TAKEN_WITHIN_SECONDS = 10
# Until every neighbour has heard where the address is.
HEARD_SECONDS = 0.3


class Machine:
    """One of the two."""

    def __init__(self, module, about):
        self.module = module
        self.name, self.address = about["name"], about["address"]
        self.docker_host = about["docker_host"]
        self.runtime = Runtime(about["socket"])

    def pair(self, *words, check=True):
        """Runs docker/pair there; whether it succeeded."""
        command = [*docker_command(self.module, self.docker_host), "exec", self.module.params["keepalived"], "pair", *words]
        code, _, error = self.module.run_command(command)
        if check and code != 0:
            raise HaproxyError(f"{self.address} does not {words[0]}: {error.strip()}")
        return code == 0

    def serves(self):
        rows = self.runtime.servers(self.module.params["backend"]).values()
        return any(row["status"].startswith("UP") for row in rows)

    def last_answers(self, are_last):
        """Whether each answer is the last of its connection: one that is used all the time would never end by itself."""
        self.runtime.ask(f"experimental-mode on; set var proc.leaving int({int(are_last)})")

    def connections(self):
        """Those of clients."""
        rows = csv.DictReader(self.runtime.ask("show stat").removeprefix("# ").splitlines())
        return sum(int(row["scur"]) for row in rows if (row["pxname"], row["svname"]) == (self.module.params["frontend"], "FRONTEND"))


class Switch:
    def __init__(self, module):
        self.params = module.params
        self.machines = [Machine(module, about) for about in module.params["machines"]]
        self.nudge = None
        self.left = 0
        self.untidy = []

    def look(self):
        """From which machine to which."""
        holders = [machine for machine in self.machines if machine.pair("holds", check=False)]
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
            time.sleep(HEARD_SECONDS)
            self.move_everybody()
        finally:
            self.tidy()

    def tidy(self):
        """Each step on both, whatever fails on the way: what stays would lead packets astray."""
        for machine in self.machines:
            for step in (lambda it: it.pair("tidy"), lambda it: it.last_answers(False)):
                try:
                    step(machine)
                except HaproxyError as error:
                    # A HAProxy that is away has forgotten what it was told.
                    self.untidy.append(str(error))

    def await_taken(self):
        until = time.monotonic() + TAKEN_WITHIN_SECONDS
        while not self.target.pair("holds", check=False):
            if time.monotonic() > until:
                raise HaproxyError(f"{self.target.address} does not take the address: docker logs of keepalived there says why")
            time.sleep(POLL_SECONDS)

    def move_everybody(self):
        self.nudge = Nudge(self.params["slots"], self.params["port"])
        # Younger ones are at the new machine. Not those alone that began before this: the first who moves would be asked
        # again by the replica that hears of it last.
        request = {"spread_ms": self.params["spread_ms"], "older_than_ms": int(1000 * HEARD_SECONDS), "reason": "HAProxy is elsewhere now"}
        self.source.last_answers(True)
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
            "frontend": {"type": "str", "default": "public"},
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
        module.fail_json(msg=str(error))
    module.exit_json(changed=True, to=switch.target.address, seconds=round(time.monotonic() - began, 3), **result)


if __name__ == "__main__":
    main()
