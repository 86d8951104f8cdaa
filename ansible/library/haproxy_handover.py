#!/usr/bin/python
# Apache-2.0
"""Move everybody from what HAProxy was to what it is, and see the old one end."""

DOCUMENTATION = r"""
module: haproxy_handover
short_description: Hand clients over from HAProxy's old workers, or its old container, to the new one
description:
  - A reload leaves an old worker behind, which keeps its live sockets; so does a new container beside the old one. Both
    would do so until C(hard-stop-after), and then cut what is left. This has the replicas nudge exactly those connections
    that are older than the worker that serves, so that each client moves once, and waits until the old is gone.
  - With C(successor), and a container of that name, the old container is told to end with what it has (SIGUSR1), once the
    new one has its listening sockets; then the new one gets its name.
  - C(state=prepared) comes before the new container is started: it leaves C(handover) beside the sockets, which tells
    C(haproxy/start) where to take the listening sockets from, and keeps the old one's sockets under another name.
  - What there is to do is read from HAProxy and Docker, so an interrupted run is made good by the next. With nothing left
    behind it does nothing.
  - A client that does not move keeps its connection until C(hard-stop-after); that is told, and is no failure.
options:
  project: {description: Project whose replicas to nudge., type: str, required: true}
  master: {description: Path of the master process' socket., type: path, required: true}
  socket: {description: Path of the runtime socket., type: path, required: true}
  state: {description: "Prepare for a successor, wait until it serves, or hand over.", type: str, default: done, choices: [prepared, begun, done]}
  container: {description: Name of HAProxy's container., type: str, required: true}
  successor: {description: Name of the container that is to take over., type: str, required: true}
  slots: {description: Server in HAProxy -> address., type: dict, required: true}
  docker_hosts: {description: "Where replicas run, as in DOCKER_HOST; empty is this machine.", type: list, elements: str, default: [""]}
  port: {description: Port of the replicas' admin listeners., type: int, default: 8090}
  spread_ms: {description: The clients' moments are spread over this long., type: int, default: 2000}
  timeout: {description: "Seconds for the old one to end, after that.", type: float, default: 20}
author: [Rollcall]
attributes:
  check_mode: {support: full, description: Says whether there is something to hand over.}
"""

EXAMPLES = r"""
- name: Move everybody to the new worker
  haproxy_handover:
    project: rollcall
    master: /path/master.sock
    socket: /path/haproxy.sock
    container: rollcall-haproxy
    successor: rollcall-haproxy-next
    slots: {r1-blue: 172.30.90.11}
"""

RETURN = r"""
moved: {description: Connections that left by themselves., type: int, returned: always}
ignored: {description: "Connections that know no goaway, and were closed to come back.", type: int, returned: always}
left: {description: Connections that the old one still has., type: int, returned: always}
seconds: {description: Time this took., type: float, returned: always}
note: {description: What an operator should know., type: str, returned: when there is something}
"""

import os
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rollcall_docker import docker_command
from ansible.module_utils.rollcall_haproxy import HaproxyError, Master
from ansible.module_utils.rollcall_nudge import Nudge

POLL_SECONDS = 0.1
# HAProxy tells its start in whole seconds, and a connection of that second may be the old one's.
START_SECONDS = 1.2
# The container that was replaced, until it has ended.
OLD = "-old"
# What haproxy/start reads, and where it finds this directory.
TICKET = "handover"
INSIDE = "/run/rollcall"


class Containers:
    """HAProxy's container, the one that is to take over, and the one that ends."""

    def __init__(self, module):
        self.module = module
        self.name, self.next = module.params["container"], module.params["successor"]
        self.old = self.name + OLD

    def docker(self, *arguments, check=True, host=""):
        return self.module.run_command([*docker_command(self.module, host), *arguments], check_rc=check)

    def status(self, name):
        """`running`, `exited` and the like; empty where there is none."""
        code, text, _ = self.docker("container", "inspect", "--format", "{{.State.Status}}", name, check=False)
        return text.strip() if code == 0 else ""

    def replicas(self):
        """Servers whose container runs, on whichever machine."""
        prefix = self.module.params["project"] + "-"
        filters = ["--filter", f"label=rollcall.project={self.module.params['project']}", "--filter", "label=rollcall.slot"]
        # A machine that is away has no clients.
        told = [self.docker("ps", *filters, "--format", "{{.Names}}", check=not host, host=host)[1] for host in self.module.params["docker_hosts"]]
        return [name.removeprefix(prefix) for names in told for name in names.split()]

    def take_over(self):
        """The successor serves, so the old container is to end by itself, and the names change."""
        if self.status(self.name):
            if self.status(self.old):
                self.docker("rm", self.old)
            # Else Docker would start it again at its end.
            self.docker("update", "--restart=no", self.name)
            if self.status(self.name) == "running":
                self.docker("kill", "--signal", "USR1", self.name)
            self.docker("rename", self.name, self.old)
        self.docker("rename", self.next, self.name)

    def old_runs(self):
        return self.status(self.old) == "running"

    def tidy_up(self):
        if self.status(self.old) and not self.old_runs():
            self.docker("rm", self.old)


def aside(path):
    """Another name for a socket, which stays when a new one takes its place."""
    return Path(path).with_name("old-" + os.path.basename(path))


def serving(master, timeout):
    """The worker that serves, once there is one."""
    until = time.monotonic() + timeout
    while True:
        try:
            worker, _ = master.workers()
            if worker and worker.info("Start_time_sec"):
                return worker
        except HaproxyError:
            if time.monotonic() > until:
                raise
        if time.monotonic() > until:
            raise HaproxyError("HAProxy has no worker that serves: docker logs says why")
        time.sleep(POLL_SECONDS)


class Handover:
    def __init__(self, module):
        self.params = module.params
        self.containers = Containers(module)
        self.master = Master(module.params["master"])
        self.nudge = None

    def is_due(self):
        return bool(self.old_workers()) or self.containers.old_runs() or bool(self.containers.status(self.containers.next))

    def old_workers(self):
        return self.master.workers()[1]

    def is_over(self):
        return not self.old_workers() and not self.containers.old_runs()

    def prepare(self):
        if self.containers.old_runs():
            raise HaproxyError("the HAProxy before this one still has clients that have not moved: try again when it has ended")
        for path in (self.params["master"], self.params["socket"]):
            new = aside(path).with_suffix(".new")
            new.unlink(missing_ok=True)
            os.link(path, new)
            os.replace(new, aside(path))
        ticket = Path(self.params["master"]).with_name(TICKET)
        ticket.write_text(f"{INSIDE}/{aside(self.params['socket']).name}\n", encoding="utf-8")
        ticket.chmod(0o644)

    def await_successor(self):
        """Until it has bound a master socket of its own; then its worker has the old one's listening sockets."""
        master, until = self.params["master"], time.monotonic() + self.params["timeout"]
        while os.path.samefile(master, aside(master)) or self.containers.status(self.containers.next) != "running":
            if time.monotonic() > until:
                raise HaproxyError(f"{self.containers.next} does not start within {self.params['timeout']:g} s")
            time.sleep(POLL_SECONDS)
        serving(self.master, self.params["timeout"])

    def run(self):
        """Everybody moves, and the old one ends; or the time is over."""
        replaces = bool(self.containers.status(self.containers.next))
        if replaces:
            self.await_successor()
        worker = serving(self.master, self.params["timeout"])
        if replaces:
            Path(self.params["master"]).with_name(TICKET).unlink(missing_ok=True)
            self.containers.take_over()
        new_since = worker.info("Start_time_sec") + START_SECONDS
        time.sleep(max(0.0, new_since - time.time()))
        running = self.containers.replicas()
        self.nudge = Nudge({name: address for name, address in self.params["slots"].items() if name in running}, self.params["port"])
        age_ms = int(1000 * (time.time() - new_since))
        request = {"spread_ms": self.params["spread_ms"], "older_than_ms": age_ms, "reason": "HAProxy has changed"}
        self.nudge.begin({name: request for name in running})
        until = time.monotonic() + self.params["spread_ms"] / 1000 + self.params["timeout"]
        while not self.is_over() and time.monotonic() < until:
            time.sleep(POLL_SECONDS)
        self.nudge.look()
        self.containers.tidy_up()

    def left(self):
        """Connections of the old workers. What an old container still has only its replicas know."""
        workers = [worker.info("CurrConns") for worker in self.old_workers()]
        return sum(filter(None, workers)) or (self.nudge.total("left") if self.containers.old_runs() else 0)

    def result(self):
        counts = {what: self.nudge.total(what) for what in ("moved", "ignored")} | {"left": self.left()}
        notes = self.nudge.notes
        if not self.is_over():
            notes.append(
                f"HAProxy's old {'container' if self.containers.old_runs() else 'worker'} still has {counts['left']} connections, which "
                "have not moved. It ends with them, and closes what is left after rollcall_haproxy_hard_stop_after"
            )
        return counts | ({"note": ". ".join(notes)} if notes else {})


def main():
    module = AnsibleModule(
        argument_spec={
            "project": {"type": "str", "required": True},
            "master": {"type": "path", "required": True},
            "socket": {"type": "path", "required": True},
            "state": {"type": "str", "default": "done", "choices": ["prepared", "begun", "done"]},
            "container": {"type": "str", "required": True},
            "successor": {"type": "str", "required": True},
            "slots": {"type": "dict", "required": True},
            "docker_hosts": {"type": "list", "elements": "str", "default": [""]},
            "port": {"type": "int", "default": 8090},
            "spread_ms": {"type": "int", "default": 2000},
            "timeout": {"type": "float", "default": 20},
        },
        supports_check_mode=True,
    )
    began = time.monotonic()
    handover = Handover(module)
    result = {"moved": 0, "ignored": 0, "left": 0}
    if module.check_mode and (module.params["state"] == "prepared" or not os.path.exists(module.params["master"])):
        module.exit_json(changed=module.params["state"] == "prepared", seconds=0, **result)
    try:
        if module.params["state"] == "prepared":
            handover.prepare()
            module.exit_json(changed=True, seconds=0, **result)
        if module.params["state"] == "begun":
            handover.await_successor()
            module.exit_json(changed=False, seconds=0, **result)
        due = handover.is_due()
        if due and not module.check_mode:
            handover.run()
            result = handover.result()
        elif not module.check_mode:
            handover.containers.tidy_up()
    except (HaproxyError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=due, seconds=round(time.monotonic() - began, 3), **result)


if __name__ == "__main__":
    main()
