# Apache-2.0
"""HAProxy's runtime API, as much of it as a roll needs."""

import csv
import os
import socket
import time

from ansible.module_utils.rollcall_files import put

# Bits of `srv_admin_state` in `show servers state`. The bit for "disabled in the configuration" is not among
# them: it stays set after the server was made ready.
MAINT_BITS = 0x01 | 0x02 | 0x20
DRAIN_BITS = 0x08 | 0x10

# The status that HAProxy shows for a state that it has reached. `UP 1/2` or `DRAIN 1/2`, its benefit of the doubt, is
# not it.
EXACT = {"ready": "UP", "drain": "DRAIN", "maint": "MAINT"}

PATIENCE_SECONDS = 2
POLL_SECONDS = 0.05
# For the end of a check that is under way.
CHECK_LOOKS = 10
# How long the other of a pair may take to be reached.
AWAY_SECONDS = 1
# A machine that is busy or a Redis that restarts takes a server down once; one that goes again and again crashes and is
# restarted.
FLAPS = 3


class HaproxyError(Exception):
    """HAProxy cannot be reached, or did not do what it was told."""


class HaproxyAway(HaproxyError):
    """No HAProxy runs: its socket is not there, or was left by one that was killed."""


class Runtime:
    """One HAProxy, through its runtime socket; a connection per command, as the socket closes after each. Of a pair the
    other follows the first, and what is seen is what both see; one that does not answer is no reason to stop."""

    def __init__(self, path, timeout=5):
        """`path` of a Unix socket, or ADDRESS:PORT; after commas those of others."""
        self.path, *others = path.split(",")
        self.timeout = timeout
        self.connect_seconds, self.patience = timeout, PATIENCE_SECONDS
        self.others = [Runtime(other, timeout) for other in others]
        for other in self.others:
            other.connect_seconds, other.patience = AWAY_SECONDS, 0

    def ask(self, command):
        """The reply to one command."""
        try:
            with self._connect() as connection:
                connection.sendall(command.encode() + b"\n")
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise HaproxyAway(f"no HAProxy runs at {self.path}") from error
        except OSError as error:
            raise HaproxyError(f"HAProxy does not answer at {self.path}: {error}") from error

    def _connect(self):
        # A HAProxy that starts or reloads has no socket for a moment.
        patience = time.monotonic() + self.patience
        host, _, port = self.path.rpartition(":")
        while True:
            connection = socket.socket(socket.AF_INET if host else socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(self.connect_seconds)
            try:
                connection.connect((host, int(port)) if host else self.path)
                connection.settimeout(self.timeout)
                return connection
            except (ConnectionRefusedError, FileNotFoundError):
                connection.close()
                if time.monotonic() > patience:
                    raise
                time.sleep(0.05)

    def tell(self, order):
        """Give an order, also to the others. Returns the reply of the first."""
        reply = self.ask(order)
        self._each_other(lambda other: other.ask(order))
        return reply

    def _lead(self, backend):
        """Bring the others to what the first has: the order just given, and whatever they missed while they were away."""
        if self.others:
            states = self._states(backend)
            self._each_other(lambda other: other._follow(backend, states))

    def _follow(self, backend, states):
        own = {row["srv_name"]: row for row in self._states(backend)}
        for row in states:
            name, admin, weight = row["srv_name"], _admin(int(row["srv_admin_state"])), int(row["srv_uweight"])
            if name in own and _admin(int(own[name]["srv_admin_state"])) != admin:
                self.set_state(backend, name, admin)
            if name in own and int(own[name]["srv_uweight"]) != weight:
                self.set_weight(backend, name, weight)

    def _each_other(self, do):
        """What `do` returns of each of the others; those that do not answer are asked no more."""
        told = []
        for other in list(self.others):
            try:
                told.append(do(other))
            except HaproxyError:
                self.others.remove(other)
        return told

    def servers(self, backend):
        """Name -> row of `show stat`, with the administrative state (ready, drain, maint) as `admin`."""
        servers = self._own_servers(backend)
        for seen in self._each_other(lambda other: other.servers(backend)):
            for name in servers.keys() & seen.keys():
                _merge(servers[name], seen[name])
        return servers

    def _own_servers(self, backend):
        admin = self._admin_states(backend)
        rows = csv.DictReader(self.ask("show stat").removeprefix("# ").splitlines())
        servers = {row["svname"]: row for row in rows if row["pxname"] == backend and row["svname"] in admin}
        for name, row in servers.items():
            row["admin"] = admin[name]
        return servers

    def server(self, backend, name):
        """One row of `servers`; an unknown server is an error, not an empty answer."""
        servers = self.servers(backend)
        if name not in servers:
            known = ", ".join(sorted(servers)) or "none"
            raise HaproxyError(f"HAProxy has no server {backend}/{name}; it knows {known}")
        return servers[name]

    def set_state(self, backend, name, state):
        """Tell a server to be ready, drain or maint. HAProxy answers a success with silence."""
        reply = self.ask(f"set server {backend}/{name} state {state}").strip()
        if reply:
            raise HaproxyError(f"HAProxy refused {state} for {backend}/{name}: {reply}")
        self._lead(backend)

    def weights(self, backend):
        """Name -> weight of each server, as it was told; 1 unless somebody said otherwise."""
        return {row["srv_name"]: int(row["srv_uweight"]) for row in self._states(backend)}

    def set_weight(self, backend, name, weight):
        """How much a server is preferred, from 0 to 256."""
        reply = self.ask(f"set server {backend}/{name} weight {weight}").strip()
        if reply:
            raise HaproxyError(f"HAProxy refused weight {weight} for {backend}/{name}: {reply}")
        self._lead(backend)

    def save(self, path):
        """Keep all servers' state for HAProxy's next start; in one step, so that it never reads half a file."""
        # Somebody else may save it at the same moment.
        put(path, self.ask("show servers state"), 0o644, suffix=f".{os.getpid()}.new")

    def _admin_states(self, backend):
        return {row["srv_name"]: _admin(int(row["srv_admin_state"])) for row in self._states(backend)}

    def _states(self, backend):
        # The first line is a version, the second the header.
        lines = self.ask("show servers state").splitlines()[1:]
        rows = csv.DictReader((line.removeprefix("# ") for line in lines if line), delimiter=" ")
        return [row for row in rows if row["be_name"] == backend]


class Worker:
    """One worker process, as its master names it."""

    def __init__(self, master, pid):
        self.master = master
        self.pid = pid

    def info(self, what):
        """A number of `show info`; none if the worker is gone meanwhile."""
        for line in self.master.ask(f"@!{self.pid} show info").splitlines():
            name, _, value = line.partition(": ")
            if name == what:
                return int(value)
        return None


class Master:
    """HAProxy's master process, which knows its workers. What is asked at the runtime socket may go to an old one while two
    containers share it."""

    def __init__(self, path, timeout=5):
        self.path = path
        self.timeout = timeout

    def ask(self, command):
        """The reply to one command. An answer ends with its connection only if we have ended ours."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(self.timeout)
                connection.connect(self.path)
                connection.sendall(command.encode() + b"\n")
                connection.shutdown(socket.SHUT_WR)
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode(errors="replace")
        except OSError as error:
            raise HaproxyError(f"HAProxy's master process does not answer at {self.path}: {error}") from error

    def workers(self):
        """The worker that serves, or nothing, and those that a reload has left behind."""
        told = self.ask("show proc")
        current, _, old = told.partition("# old workers")
        current = current.partition("# workers")[2]
        found = [self._workers(section.partition("# programs")[0]) for section in (current, old)]
        return (found[0][0] if found[0] else None), found[1]

    def _workers(self, section):
        rows = [line.split() for line in section.splitlines()]
        return [Worker(self, int(row[0])) for row in rows if row[1:2] == ["worker"]]


class Server:
    """One server, and how long it may take to be seen as wanted."""

    def __init__(self, runtime, backend, name, timeout):
        self.runtime = runtime
        self.backend = backend
        self.name = name
        self.timeout = timeout

    def row(self):
        return self.runtime.server(self.backend, self.name)

    def connections(self):
        return int(self.row()["scur"])

    def converge(self, state, wait, hold):
        """Order the state, then wait for it."""
        # From here, not from the module's start: what it did before, a drain say, may have lasted longer than this.
        deadline = time.monotonic() + self.timeout
        before = self.row()["admin"]
        if before == "maint" and state == "ready":
            self.runtime.set_state(self.backend, self.name, "drain")
            self.wait_for("drain", 0, deadline)
        if before != state:
            self.runtime.set_state(self.backend, self.name, state)
        if wait:
            self.wait_for(state, hold, deadline)

    def wait_for(self, state, hold, deadline):
        """Until the status is exact for `hold` seconds on end; a flap starts them anew, and a server that goes on flapping is given up."""
        since, downs, before = None, None, None
        while True:
            row = self.row()
            steady = row["status"] == EXACT[state] and row["chkdown"] == downs
            downs = row["chkdown"]
            before = before or downs
            if hold and int(downs) - int(before) >= FLAPS:
                raise HaproxyError(f"{self.backend}/{self.name} was not {EXACT[state]} for {hold:g} s: it went DOWN {FLAPS} times")
            since = (since or time.monotonic()) if steady else None
            if steady and time.monotonic() - since >= hold:
                return
            if time.monotonic() > deadline:
                raise HaproxyError(self._late(row, state, hold))
            time.sleep(POLL_SECONDS)

    def wait_until_empty(self, seconds):
        """Whether HAProxy has no connection to it any more, after so long at most."""
        until = time.monotonic() + seconds
        while self.connections() > 0:
            if time.monotonic() > until:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def shut_sessions(self):
        """Close whatever HAProxy still has with it."""
        self.runtime.tell(f"shutdown sessions server {self.backend}/{self.name}")

    def _checked(self, row):
        """The server once no check is under way: until that ends HAProxy tells nothing of the one before."""
        for _ in range(CHECK_LOOKS):
            if not row["check_status"].startswith("*"):
                break
            time.sleep(POLL_SECONDS)
            row = self.row()
        return row

    def _late(self, row, state, hold):
        wanted = EXACT[state] + (f" for {hold:g} s" if hold else "")
        row = self._checked(row)
        check = " ".join(filter(None, [row["check_status"], row["check_code"], row["last_chk"]])) or "none yet"
        return (
            f"{self.backend}/{self.name} was not {wanted} within {self.timeout:g} s: "
            f"status {row['status']}, {row['scur']} connections, last check {check}"
        )


def _merge(row, other):
    """A server as both see it: all its connections, and the status of the one that is not as far as the other."""
    row["scur"] = str(int(row["scur"]) + int(other["scur"]))
    # One that was away or started anew may have another state; the next order brings it to the same.
    if row["admin"] == other["admin"] and row["status"] == EXACT[row["admin"]]:
        row["status"] = other["status"]


def _admin(bits):
    if bits & MAINT_BITS:
        return "maint"
    return "drain" if bits & DRAIN_BITS else "ready"
