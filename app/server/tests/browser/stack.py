"""What the page talks to: a server of our own, a wire that can be cut, and the HTTP API."""

import json
import os
import random
import secrets
import socket
import socketserver
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import websocket

REPOSITORY = Path(__file__).resolve().parents[4]
BINARY = os.environ.get("ROLLCALL_SERVER", str(REPOSITORY / "target/debug/rollcall-server"))


# Nobody listens on one before its server does, so it could be drawn again.
given = set()


def free_port():
    """Below those of outgoing connections: one of them could take it before its server does, or while that is restarted."""
    while True:
        port = random.choice([it for it in range(20_000, 32_768) if it not in given])
        given.add(port)
        with suppress(OSError), closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", port))
            return port


def lan_address():
    """This machine's own, as a phone in its network would name it. Nothing is sent."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.connect(("198.51.100.1", 9))
        return probe.getsockname()[0]


class Server:
    """A replica: on the in-memory log, unless it has a Redis. `settings`: more of its environment."""

    def __init__(self, log_path, redis=None, name="solo", **settings):
        self.log_path = log_path
        self.own = {"REPLICA": name} | ({"REDIS_URL": redis.url} if redis else {}) | settings
        self.port = free_port()
        self.admin_port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self, release="1.0.0"):
        environment = {
            **{k: v for k, v in os.environ.items() if k != "REDIS_URL"},
            "PORT": str(self.port),
            "ADMIN_PORT": str(self.admin_port),
            "RELEASE": release,
            **self.own,
        }
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([BINARY], env=environment, stdout=log, stderr=log)
        self._until_ready()
        return self

    def _until_ready(self):
        ready = threading.Event()
        while self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=5):
                    return
            except OSError:
                ready.wait(0.05)
        raise RuntimeError(f"the server ended with {self.process.returncode}: see {self.log_path}")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.kill()


class Wire:
    """A TCP relay in front of the server. Cutting it ends what is open without a close frame. It may be one of those proxies
    that know no upgrades, or that keep a stream back until it ends."""

    def __init__(self, port, upgrades=True, streams=True, address="127.0.0.1"):
        wire = self
        # Where new connections lead: what is open stays.
        self.port = port

        class Relay(socketserver.BaseRequestHandler):
            def handle(self):
                with socket.create_connection(("127.0.0.1", wire.port)) as upstream:
                    wire.open |= {self.request, upstream}
                    keep = None if streams else b"text/event-stream"
                    back = threading.Thread(target=_pump, args=(upstream, self.request), kwargs={"keep": keep})
                    back.start()
                    _pump(self.request, upstream, refuse=None if upgrades else b"upgrade: websocket")
                    back.join()
                    wire.open -= {self.request, upstream}

        self.open = set()
        self.relay = socketserver.ThreadingTCPServer((address, 0), Relay)
        self.relay.daemon_threads = True
        self.thread = threading.Thread(target=self.relay.serve_forever)
        self.thread.start()
        self.url = f"http://{address}:{self.relay.server_address[1]}"

    def cut(self):
        for end in list(self.open):
            _shut(end)

    def close(self):
        self.relay.shutdown()
        self.cut()
        self.relay.server_close()
        self.thread.join()


def _pump(source, sink, refuse=None, keep=None):
    """Until the end of it, or until it says what is refused; from what is to be kept on it is held back to the end."""
    kept = b""
    try:
        while chunk := source.recv(65536):
            if refuse and refuse in chunk.lower():
                break
            if kept or (keep and keep in chunk.lower()):
                kept += chunk
            else:
                sink.sendall(chunk)
        sink.sendall(kept)
    except OSError:
        pass
    _shut(sink)
    if refuse:
        _shut(source)


def _shut(end):
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # The other side was first.


# Of a server that has an operator.
OPERATOR = "0123456789abcdef" * 2


class Room:
    """A room by way of the HTTP API."""

    def __init__(self, url, room):
        self.address = f"{url}/api/v1/rooms/{urllib.parse.quote(room)}/messages"

    def post(self, key, name, n, text, **about):
        """The status of one try to send; `about`: the message that it edits or removes."""
        said = {} if "remove" in about else {"text": text}
        body = json.dumps({"client": key, "name": name, "n": n, **said, **about}).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self.address, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as refusal:
            return refusal.code

    def say(self, key, name, n, text, **about):
        """Send as soon as the room's rate allows."""
        while (status := self.post(key, name, n, text, **about)) == 429:
            time.sleep(0.02)
        assert status == 200, status

    def set_topic(self, topic):
        """As the operator."""
        headers = {"content-type": "application/json", "x-api-key": OPERATOR}
        body = json.dumps({"topic": topic}).encode()
        request = urllib.request.Request(self.address.removesuffix("/messages"), body, headers, method="PATCH")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200

    def history(self):
        """Everything in the room log, oldest first."""
        messages, before = [], ""
        while True:
            query = f"?limit=200{before}"
            with urllib.request.urlopen(self.address + query, timeout=10) as answer:
                page = json.load(answer)["messages"]
            if not page:
                return messages
            messages = page + messages
            before = f"&before={page[0]['id']}"


class Account:
    """A person who has registered, and does things by way of the HTTP API."""

    def __init__(self, url, name, password="four long words here"):
        self.base, self.token = f"{url}/api/v1/", None
        self.member = self.call("POST", "accounts", {"name": name, "password": password})["member"]
        self.token = self.call("POST", "sessions", {"name": name, "password": password})["token"]

    def call(self, method, path, body=None):
        """What is answered; an error of `urllib` if it is refused."""
        headers = {"content-type": "application/json"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        sent = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, sent, headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            told = answer.read()
        return json.loads(told)["data"] if told else None

    @contextmanager
    def being_in(self, room):
        """Others see them there, for as long as it is entered."""
        hello = {"type": "hello", "v": 1, "client": secrets.token_hex(16), "name": "somebody", "why": "fresh", "moves": False}
        hello |= {"token": self.token, "rooms": [{"room": room}]}
        address = self.base.replace("http", "ws") + "ws"
        socket = websocket.WebSocketApp(address, on_open=lambda it: it.send(json.dumps(hello)))
        thread = threading.Thread(target=socket.run_forever, kwargs={"ping_interval": 2})
        thread.start()
        try:
            yield
        finally:
            socket.close()
            thread.join()
