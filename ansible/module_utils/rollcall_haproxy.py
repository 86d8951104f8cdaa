# Apache-2.0
"""HAProxy's runtime API, as much of it as a roll needs."""

import csv
import os
import socket
import tempfile
import time

# Bits of `srv_admin_state` in `show servers state`. The bit for "disabled in the configuration" is not among
# them: it stays set after the server was made ready.
MAINT_BITS = 0x01 | 0x02 | 0x20
DRAIN_BITS = 0x08 | 0x10

PATIENCE_SECONDS = 2


class HaproxyError(Exception):
    """HAProxy cannot be reached, or did not do what it was told."""


class Runtime:
    """One HAProxy, through its runtime socket; a connection per command, as the socket closes after each."""

    def __init__(self, path, timeout=5):
        self.path = path
        self.timeout = timeout

    def ask(self, command):
        """The reply to one command."""
        try:
            with self._connect() as connection:
                connection.sendall(command.encode() + b"\n")
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        except OSError as error:
            raise HaproxyError(f"HAProxy does not answer at {self.path}: {error}") from error

    def _connect(self):
        # A HAProxy that starts or reloads has no socket for a moment.
        patience = time.monotonic() + PATIENCE_SECONDS
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(self.timeout)
            try:
                connection.connect(self.path)
                return connection
            except (ConnectionRefusedError, FileNotFoundError):
                connection.close()
                if time.monotonic() > patience:
                    raise
                time.sleep(0.05)

    def servers(self, backend):
        """Name -> row of `show stat`, with the administrative state (ready, drain, maint) as `admin`."""
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

    def save(self, path):
        """Keep all servers' state for HAProxy's next start; in one step, so that it never reads half a file."""
        state = self.ask("show servers state")
        with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(path), delete=False) as file:
            file.write(state)
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)

    def _admin_states(self, backend):
        # The first line is a version, the second the header.
        lines = self.ask("show servers state").splitlines()[1:]
        rows = csv.DictReader((line.removeprefix("# ") for line in lines if line), delimiter=" ")
        return {row["srv_name"]: _admin(int(row["srv_admin_state"])) for row in rows if row["be_name"] == backend}


def _admin(bits):
    if bits & MAINT_BITS:
        return "maint"
    return "drain" if bits & DRAIN_BITS else "ready"
