# Apache-2.0
"""Talks to one Redis, or Valkey, without a library: commands go out as arrays, and answers come back as Python's values."""

import socket


class StoreError(Exception):
    """It does not answer, or the answer is an error."""


class Store:
    """One connection. `user` and `password` are for the ACL; without a password nothing is said about who this is."""

    def __init__(self, address, port=6379, user="default", password="", timeout=5.0):
        self.name = f"{address}:{port}"
        try:
            self.socket = socket.create_connection((address, port), timeout)
        except OSError as error:
            raise StoreError(f"{self.name} does not answer: {error}") from error
        self.file = self.socket.makefile("rb")
        if password:
            self.ask("AUTH", user, password)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

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
            raise StoreError(f"{self.name} says {rest}")
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
