# Apache-2.0
"""A replica's admin listener."""

import http.client
import json


class AdminError(Exception):
    """The admin listener cannot be reached, or did not answer as it should."""


class AdminSilence(AdminError):
    """No answer came in time: of one that is starved or frozen, and also of an address where nobody is any more."""


class AdminRefusal(AdminError):
    """An answer, but not the one that was asked for: what answers is alive."""


class Admin:
    """The admin listener of one slot.

    `address` is the slot's own, and `port` then that of the listener there; or it is what another machine publishes for the slot,
    as in 10.0.0.2:18008: the public port, and the listener at the next one.
    """

    def __init__(self, address, port=8090, timeout=5):
        self.address, published = split(address)
        self.port = published + 1 if published else port
        self.timeout = timeout

    def get(self, path):
        """The JSON answer to a GET."""
        return self.call("GET", path)

    def call(self, method, path, body=None):
        """The JSON answer to a request."""
        where, content = self._ask(method, path, body)
        return _parse(where, content)

    def text(self, path):
        """The answer to a GET as it is."""
        return self._ask("GET", path)[1].decode(errors="replace")

    def _ask(self, method, path, body=None):
        # No proxy of the environment ever stands between us and a container.
        where = f"{method} http://{self.address}:{self.port}{path}"
        connection = http.client.HTTPConnection(self.address, self.port, timeout=self.timeout)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": "application/json"} if payload else {})
            response = connection.getresponse()
            content = response.read()
        except TimeoutError as error:
            raise AdminSilence(f"{where}: {error}") from error
        except (OSError, http.client.HTTPException) as error:
            raise AdminError(f"{where}: {error}") from error
        finally:
            connection.close()
        if response.status != 200:
            raise AdminRefusal(f"{where}: status {response.status}")
        return where, content


def split(address):
    """The machine and, where one is published, the public port of a slot; else 0."""
    machine, _, port = address.partition(":")
    return machine, int(port or 0)


def _parse(where, content):
    try:
        return json.loads(content or b"{}")
    except ValueError as error:
        raise AdminRefusal(f"{where}: not JSON: {content[:80]!r}") from error
