# Apache-2.0
"""Talks to one Redis, or Valkey, without a library: commands go out as arrays, and answers come back as Python's values."""

import socket
import ssl

# What a caller may know of how one gets in. `before` is the password that was good until now; `must` refuses a Redis that
# asks for none; `ca` is the file, in PEM, of the CA of its certificate, if that is not one that everybody trusts.
LOGIN = {
    "user": {"type": "str", "default": "default"},
    "password": {"type": "str", "default": "", "no_log": True},
    "before": {"type": "str", "default": "", "no_log": True},
    "must": {"type": "bool", "default": False},
    "tls": {"type": "bool", "default": False},
    "ca": {"type": "str", "default": ""},
}


class StoreError(Exception):
    """It does not answer, or the answer is an error."""


class LockedError(StoreError):
    """It answers, and asks for another password."""


class Store:
    """One connection. `login` is as `LOGIN` says; None where the door is open."""

    def __init__(self, address, port=6379, login=None, timeout=5.0):
        self.name = f"{address}:{port}"
        login = {name: option["default"] for name, option in LOGIN.items()} | (login or {})
        try:
            self.socket = socket.create_connection((address, port), timeout)
        except OSError as error:
            raise StoreError(f"{self.name} does not answer: {error}") from error
        if login["tls"]:
            self.socket = encrypted(self.socket, address, login["ca"], self.name)
        self.file = self.socket.makefile("rb")
        try:
            self.log_in(login)
        except StoreError:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def log_in(self, login):
        passwords = [password for password in dict.fromkeys((login["password"], login["before"])) if password]
        for number, password in enumerate(passwords, start=1):
            try:
                self.ask("AUTH", login["user"], password)
                return
            except LockedError:
                if number == len(passwords) and login["must"]:
                    raise
        # With none of them: there may be no lock yet.
        self.ask("PING")

    def ask(self, *words):
        parts = [str(word).encode() for word in words]
        request = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        try:
            self.socket.sendall(request)
            return self.answer()
        except (OSError, ValueError) as error:
            raise StoreError(f"{self.name} broke off: {error}") from error

    def answer(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise StoreError(f"{self.name} closed the connection")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"-":
            locked = rest.startswith(("NOAUTH", "WRONGPASS"))
            raise (LockedError if locked else StoreError)(f"{self.name} says {rest}")
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == "-1" else self.file.read(int(rest) + 2)[:-2].decode(errors="replace")
        if kind == b"*":
            return None if rest == "-1" else [self.answer() for _ in range(int(rest))]
        return rest

    def info(self, section):
        lines = (line.split(":", 1) for line in self.ask("INFO", section).splitlines() if ":" in line)
        return dict(lines)

    def settings(self, pattern):
        flat = self.ask("CONFIG", "GET", pattern)
        return dict(zip(flat[::2], flat[1::2], strict=True))


def encrypted(plain, address, ca, name):
    try:
        trusted = ssl.create_default_context(cafile=ca or None)
    except (OSError, ValueError) as error:
        plain.close()
        raise StoreError(f"{ca} is no file with a CA in PEM: {error}") from error
    try:
        return trusted.wrap_socket(plain, server_hostname=address)
    except OSError as error:
        plain.close()
        raise StoreError(f"{name} speaks no TLS that is believed: {error}") from error
