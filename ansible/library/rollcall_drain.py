#!/usr/bin/python
# Apache-2.0
"""Take a slot out of service without anyone noticing, or take it back."""

DOCUMENTATION = r"""
module: rollcall_drain
short_description: Move a slot's clients off it and take it out of HAProxy, or undo that
description:
  - The replica sends its clients elsewhere, each at its own moment, HAProxy sends the slot nobody new, and when no
    client is left HAProxy forgets the slot (MAINT).
  - A replica that dies meanwhile has no clients to move any more; those it had count as forced. One that only does not
    answer is asked again, as long as HAProxy has connections to it, and is taken for dead some seconds after its
    deadline.
  - A replica that answers anything but 200 is alive and has its clients, so the drain fails, before HAProxy is told
    anything.
  - What only HAProxy still has after that, the far end of a client that vanished, it is told to close.
  - C(state=ready) ends a drain and sends clients to the slot again; clients that moved stay where they are.
options:
  socket: {description: Path of HAProxy's runtime socket., type: path, required: true}
  backend: {description: HAProxy's backend., type: str, default: replicas}
  server: {description: Name of the slot in HAProxy., type: str, required: true}
  address: {description: Address of the slot., type: str, required: true}
  port: {description: Port of its admin listener., type: int, default: 8090}
  state: {description: Wanted state., type: str, default: drained, choices: [drained, ready]}
  spread_ms: {description: The clients' moments are spread over this long., type: int, default: 3000}
  deadline_ms: {description: After this long the replica closes what is left., type: int, default: 20000}
  timeout: {description: Seconds to wait for HAProxy each time it is told something., type: float, default: 20}
  state_file: {description: Where to keep all servers' state after a change., type: path}
author: [Rollcall]
attributes:
  check_mode: {support: full, description: Only reads the state of the drain.}
"""

EXAMPLES = r"""
- name: Move every client to another replica
  rollcall_drain: {socket: /path/haproxy.sock, server: r1-blue, address: 172.30.90.11}
"""

RETURN = r"""
moved: {description: Clients that moved by themselves., type: int, returned: always}
forced: {description: Connections that were closed under their clients., type: int, returned: always}
connections: {description: Connections left., type: int, returned: always}
progress: {description: Connections left as time went by, list of pairs (seconds and connections)., type: list, returned: always}
seconds: {description: Time this took., type: float, returned: always}
note: {description: What an operator should know., type: str, returned: when there is something}
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rollcall_admin import Admin, AdminError, AdminRefusal, AdminSilence
from ansible.module_utils.rollcall_haproxy import HaproxyError, Runtime, Server

POLL_SECONDS = 0.05
# The replica closes what is left at its deadline; the rest of the closing may take this long.
GRACE_SECONDS = 5
# Requests that were on their way when the drain began. What HAProxy has longer than that, with a replica that has
# nobody left, is half of a connection: its client, or the network to the replica, went without a word, and only a
# timeout of minutes would end it.
REQUESTS_SECONDS = 3
GONE = {"phase": "gone", "connections": 0, "moved": 0, "forced": 0}
SILENT = GONE | {"phase": "silent"}


class Drain:
    """One drain: its last state, and how the connections went."""

    def __init__(self, admin, server):
        self.admin = admin
        self.server = server
        self.began = time.monotonic()
        self.state = look(admin, server)
        self.progress = []
        self.note = ""
        self.begun, self.body = False, None

    def begin(self, spread_ms, deadline_ms):
        """Start it. No answer at all is for `empty` to deal with; one that is not 200 is an error."""
        self.body = {"spread_ms": spread_ms, "deadline_ms": deadline_ms}
        try:
            self._saw(self.admin.call("POST", "/drain", self.body))
            self.begun = True
        except AdminRefusal:
            raise
        except AdminError as error:
            self.note = f"{self.admin.address}: {error}"

    def empty(self):
        """Wait for its end, and start it first if nobody has answered yet."""
        last, limit = self.state, self.body["deadline_ms"] / 1000 + GRACE_SECONDS
        self.note = ""
        try:
            if not self.begun:
                self._ask(time.monotonic() + limit, "POST", self.body)
            # Its deadline counts from when it hears of it.
            until = time.monotonic() + limit
            while self.state["connections"] > 0:
                last = self.state
                if time.monotonic() > until:
                    raise StuckError(f"{self.admin.address} still has {last['connections']} connections after {limit:.0f} s")
                time.sleep(POLL_SECONDS)
                self._ask(until, "GET")
        except AdminRefusal:
            raise
        except AdminError as error:
            # Not a failure of the drain: nobody can be left on a replica that is no more.
            self.state = GONE | {"moved": last["moved"], "forced": last["forced"] + last["connections"]}
            self.note = f"{self.admin.address} went away in its drain, with {last['connections']} connections: {error}"

    def _ask(self, until, method, body=None):
        """Again while no answer comes: a replica that is starved or frozen for some seconds still has its clients."""
        while True:
            try:
                self._saw(self.admin.call(method, "/drain", body))
                return
            except AdminSilence:
                # An address where nobody is any more is silent as well, but then HAProxy has no connections to it.
                if time.monotonic() > until or self.server.connections() == 0:
                    raise

    def _saw(self, state):
        self.state = state
        if not self.progress or state["connections"] != self.progress[-1][1]:
            self.progress.append((round(time.monotonic() - self.began, 2), state["connections"]))


class StuckError(Exception):
    """A replica that keeps its connections past its own deadline."""


def look(admin, server):
    """The drain as the replica tells it."""
    try:
        return admin.get("/drain")
    except AdminRefusal:
        raise
    except AdminSilence:
        return SILENT if server.connections() > 0 else GONE
    except AdminError:
        return GONE


def take_out(drain, server, params):
    """The replica first, since it may refuse. A client whose moment is now finds the slot in HAProxy for a few milliseconds more, but
    not the emptiest there; and should it come straight back, the replica answers 503, and HAProxy tries another."""
    going = drain.state["phase"] != "gone"
    if going:
        drain.begin(params["spread_ms"], params["deadline_ms"])
    server.converge("drain", False, 0)
    try:
        if going:
            drain.empty()
    except AdminRefusal:
        # It was silent when it was asked first, and refuses now: its clients stay, and so does the slot.
        server.converge("ready", False, 0)
        raise
    server.converge("maint", True, 0)
    if server.wait_until_empty(REQUESTS_SECONDS):
        return
    left = server.connections()
    server.shut_sessions()
    if drain.state["phase"] == "gone":
        drain.state = drain.state | {"forced": max(drain.state["forced"], left)}
    drain.note = drain.note or f"HAProxy still had {left} connections to {params['server']}, which had none: closed"
    if not server.wait_until_empty(REQUESTS_SECONDS):
        raise HaproxyError(f"HAProxy does not close its connections to {params['server']}")


def take_back(drain, server, params):
    # Nobody is kept waiting by a replica that takes its time.
    drain.state = Admin(params["address"], params["port"], params["timeout"]).call("DELETE", "/drain")
    server.converge("ready", True, 0)


def reached(wanted, admin, state):
    """Whether there is nothing to do: HAProxy's word and the replica's must both say so."""
    if wanted == "ready":
        return admin == "ready" and state["phase"] == "ready"
    return admin == "maint" and state["phase"] in ("draining", "gone") and state["connections"] == 0


def run(module):
    params = module.params
    runtime = Runtime(params["socket"])
    server = Server(runtime, params["backend"], params["server"], params["timeout"])
    before = server.row()["admin"]
    drain = Drain(Admin(params["address"], params["port"]), server)
    changed = not reached(params["state"], before, drain.state)
    if not module.check_mode:
        if params["state"] == "drained":
            take_out(drain, server, params)
        else:
            take_back(drain, server, params)
        if changed and params["state_file"]:
            runtime.save(params["state_file"])
    module.exit_json(
        changed=changed,
        moved=drain.state["moved"],
        forced=drain.state["forced"],
        connections=drain.state["connections"],
        progress=drain.progress,
        seconds=round(time.monotonic() - drain.began, 3),
        **({"note": drain.note} if drain.note else {}),
    )


def main():
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path", "required": True},
            "backend": {"type": "str", "default": "replicas"},
            "server": {"type": "str", "required": True},
            "address": {"type": "str", "required": True},
            "port": {"type": "int", "default": 8090},
            "state": {"type": "str", "default": "drained", "choices": ["drained", "ready"]},
            "spread_ms": {"type": "int", "default": 3000},
            "deadline_ms": {"type": "int", "default": 20000},
            "timeout": {"type": "float", "default": 20},
            "state_file": {"type": "path"},
        },
        supports_check_mode=True,
    )
    try:
        run(module)
    except (AdminError, HaproxyError, StuckError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
