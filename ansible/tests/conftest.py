"""Modules run in this process, against a HAProxy of their own and toy replicas on loopback."""

import contextlib
import http.server
import importlib.util
import json
import random
import socket
import subprocess
import threading
import time
from pathlib import Path

import ansible.module_utils
import pytest
from ansible.module_utils.testing import patch_module_args

ROOT = Path(__file__).parents[1]
ansible.module_utils.__path__.append(str(ROOT / "module_utils"))

HAPROXY_CONFIG = """
global
    stats socket /run/rollcall/haproxy.sock mode 666 level admin
    server-state-file /run/rollcall/servers.state
defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 10s
    timeout check 2s
    load-server-state-from-file global
frontend public
    bind 127.0.0.1:{front}
    default_backend replicas
backend replicas
    option httpchk GET /readyz
    default-server check inter 100ms fall 2 rise 1
    server r1-blue 127.0.0.1:{blue}
    server r1-green 127.0.0.1:{green} disabled
"""


def pytest_configure(config):
    config.addinivalue_line("markers", "nightly: takes a minute or more, and only the nightly run has it")


def load(name):
    """A module of ours, by file: Ansible's library is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "library" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(capsys):
    """Run a module with arguments; returns what it printed for Ansible."""

    def run(name, /, check=False, **arguments):
        with patch_module_args(arguments | {"_ansible_check_mode": check}), pytest.raises(SystemExit):
            load(name).main()
        return json.loads(capsys.readouterr().out)

    return run


# Nobody listens on one before its server does, so it could be drawn again.
given = set()


def free_port():
    """Below those of outgoing connections: one of them could take it before its server does, or while that is restarted."""
    while True:
        port = random.choice([it for it in range(20_000, 32_768) if it not in given])
        given.add(port)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def wait_until(true, seconds=10):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


class Toy:
    """A replica that does what a test tells it."""

    def __init__(self, port):
        self.port = port
        self.ready = True
        self.answers = {}
        self.asked = []
        self.headers = {}
        self.bodies = {}
        # Paths that it answers with 503, as a draining replica does.
        self.refuse = set()
        # Paths at which it ends the connection without an answer, as one that dies does.
        self.dead = set()
        # (method, path) -> the status that it answers instead of 200.
        self.statuses = {}
        # Paths whose answer, announced as longer, stops in the middle.
        self.endless = set()
        # Path -> the Content-Type of its answer.
        self.types = {}
        self.protocol = "HTTP/1.0"
        self.hold = threading.Event()
        self.server = None

    def start(self):
        toy = self
        self.hold.clear()

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                toy.asked.append((self.command, self.path))
                toy.headers[self.path] = self.headers
                toy.bodies[self.path] = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.path in toy.dead:
                    self.close_connection = True
                    return
                if self.path == "/slow":
                    toy.hold.wait(10)
                refused = self.path in toy.refuse or (self.path == "/readyz" and not toy.ready)
                status = 503 if refused else toy.statuses.get((self.command, self.path), 200)
                body = json.dumps(toy.answers.get((self.command, self.path), lambda: {})()).encode()
                self.protocol_version = toy.protocol
                self.send_response(status)
                self.send_header("Content-Length", str(len(body) + (self.path in toy.endless)))
                kind = "text/event-stream" if self.path == "/events" else toy.types.get(self.path)
                if kind:
                    self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(body)
                if self.path in toy.endless:
                    self.wfile.flush()
                    toy.hold.wait(20)

            do_GET = do_POST = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,)).start()
        return self

    def stop(self):
        self.hold.set()
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


@pytest.fixture
def toy():
    toy = Toy(free_port()).start()
    yield toy
    toy.stop()


class Haproxy:
    """A container of our image on the host's network, and the toys behind it."""

    def __init__(self, directory):
        self.front, self.blue, self.green = free_port(), Toy(free_port()), Toy(free_port())
        self.socket = str(directory / "haproxy.sock")
        self.state_file = directory / "servers.state"
        self.state_file.write_text("1\n")
        config = HAPROXY_CONFIG.format(front=self.front, blue=self.blue.port, green=self.green.port)
        (directory / "haproxy.cfg").write_text(config)
        command = ["docker", "run", "--detach", "--rm", "--network", "host", "--user", "0"]
        command += ["--label", "rollcall.project=rollcall-pytest", "--volume", f"{directory}:/run/rollcall"]
        command += ["rollcall-haproxy:3.0", "-f", "/run/rollcall/haproxy.cfg"]
        self.container = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def status(self, server):
        from ansible.module_utils.rollcall_haproxy import Runtime

        return Runtime(self.socket).server("replicas", server)["status"]

    def serves(self, server):
        """Wait until it does, without a doubt."""
        wait_until(lambda: self.status(server) == "UP")

    def remove(self):
        self.blue.stop()
        self.green.stop()
        subprocess.run(["docker", "rm", "--force", self.container], check=True, capture_output=True)


@pytest.fixture
def haproxy(tmp_path):
    haproxy = Haproxy(tmp_path)
    haproxy.blue.start()
    yield haproxy
    haproxy.remove()
