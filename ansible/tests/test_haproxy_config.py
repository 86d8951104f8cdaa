"""The one haproxy.cfg, rendered by Ansible and run in our image, with toy replicas behind it."""

import contextlib
import http.client
import json
import re
import select
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible.module_utils.rollcall_haproxy import Runtime
from conftest import ROOT, Toy, free_port, wait_until

# As a browser asks for an event stream.
EVENT_SOURCE = {"Accept": "text/event-stream"}
SLOTS = ["r1-blue", "r1-green", "r2-blue", "r2-green", "r3-blue", "r3-green"]


def render(directory, *settings):
    """As the haproxy role does it, with settings of an operator's, each as `-e` takes it."""
    shutil.copytree(ROOT.parent / "haproxy" / "errors", directory / "errors")
    (directory / "servers.state").write_text("1\n")
    arguments = f"src={ROOT.parent}/haproxy/haproxy.cfg.j2 dest={directory}/haproxy.cfg"
    ansible = Path(sys.executable).with_name("ansible")
    command = [ansible, "localhost", "-m", "ansible.builtin.template", "-a", arguments]
    command += [f"-e{setting}" for setting in settings]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return (directory / "haproxy.cfg").read_text()


def docker(directory, *arguments):
    command = ["docker", "run", "--rm", "--network", "host", "--user", "0", "--label", "rollcall.project=rollcall-pytest"]
    command += ["--volume", f"{directory}:/etc/rollcall", "--volume", f"{directory}:/run/rollcall", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_is_valid_and_without_a_warning(tmp_path):
    config = render(tmp_path)
    assert [slot for slot in SLOTS if f"server {slot} " in config] == SLOTS
    assert config.count(" disabled\n") == 3
    check = docker(tmp_path, "rollcall-haproxy:3.0", "-c", "-dW", "-f", "/etc/rollcall/haproxy.cfg")
    assert check.returncode == 0, check.stderr


def test_an_event_stream_may_be_silent_for_two_and_a_half_heartbeats(tmp_path):
    assert "set-timeout server 5000ms if { path_end /events }" in render(tmp_path, "rollcall_heartbeat_ms=2000")


class Stack:
    """HAProxy with the real configuration, but for addresses: the toys are on loopback."""

    def __init__(self, directory):
        self.directory, self.port = directory, free_port()
        config = render(directory, f"rollcall_port={self.port}")
        self.toys = {name: Toy(free_port()) for name in SLOTS if name.endswith("blue")}
        for number, toy in enumerate(self.toys.values(), 11):
            config = config.replace(f"172.30.90.{number}:8080", f"127.0.0.1:{toy.port}")
            toy.start()
        config = config.replace("set-timeout server 12500ms", "set-timeout server 500ms")
        (directory / "haproxy.cfg").write_text(config)
        self.container = docker(directory, "--detach", "rollcall-haproxy:3.0", "-f", "/etc/rollcall/haproxy.cfg").stdout.strip()
        wait_until(lambda: self.request("GET", "/")[0] == 200)

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()

    def asked(self, path):
        return {name: sum(asked == path for _, asked in toy.asked) for name, toy in self.toys.items()}

    def remove(self):
        for toy in self.toys.values():
            toy.stop()
        subprocess.run(["docker", "rm", "--force", self.container], check=True, capture_output=True)


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("haproxy"))
    yield stack
    stack.remove()


ADMIN = (ROOT.parent / "app/server/src/http/admin.rs").read_text()
# The API is on both listeners.
PATHS = [path for path in re.findall(r'\.route\("(/[^"]*)"', ADMIN) if not path.startswith("/api/")]
OPERATORS = [*PATHS, "/DRAIN", "/dra%69n", "/metrics?x=1"]


@pytest.mark.parametrize("path", OPERATORS)
def test_what_is_for_operators_is_not_passed_on(stack, path):
    assert stack.request("GET", path)[0] == 404
    assert stack.request("POST", path)[0] == 404
    # HAProxy's own checks ask for /readyz.
    assert path == "/readyz" or not any(stack.asked(path).values())


def test_a_client_cannot_say_where_it_comes_from(stack):
    forged = {"X-Forwarded-For": "203.0.113.9", "x-forwarded-for": "203.0.113.10"}
    assert stack.request("GET", "/who", headers=forged)[0] == 200
    assert [toy.headers["/who"].get_all("X-Forwarded-For") for toy in stack.toys.values() if "/who" in toy.headers] == [
        ["127.0.0.1"]
    ]


def test_a_client_cannot_say_that_it_came_by_tls(stack):
    """Whether a session's cookie is a secure one depends on it."""
    assert stack.request("GET", "/how", headers={"X-Forwarded-Proto": "https", "x-forwarded-proto": "https"})[0] == 200
    assert [toy.headers["/how"].get_all("X-Forwarded-Proto") for toy in stack.toys.values() if "/how" in toy.headers] == [["http"]]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_replica_that_drains_is_not_noticed(stack, method):
    """Its 503 comes before HAProxy's check has seen anything; the request goes to another, body and all."""
    draining = stack.toys["r1-blue"]
    draining.refuse.add("/api")
    body = b"x" * 5000 if method == "POST" else None
    answers = [stack.request(method, "/api", body) for _ in range(9)]
    draining.refuse.clear()
    assert {status for status, _ in answers} == {200}
    assert stack.asked("/api")["r1-blue"] > 0
    assert all(toy.bodies.get("/api", body or b"") == (body or b"") for toy in stack.toys.values())


def test_an_upgrade_is_retried_too(stack):
    stack.toys["r2-blue"].refuse.add("/ws")
    stack.toys["r3-blue"].refuse.add("/ws")
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    upgrade["Sec-WebSocket-Key"] = "AAAAAAAAAAAAAAAAAAAAAA=="
    statuses = [stack.request("GET", "/ws", headers=upgrade)[0] for _ in range(6)]
    for toy in stack.toys.values():
        toy.refuse.clear()
    assert statuses == [200] * 6


def test_a_replica_that_died_is_not_noticed(stack):
    stack.toys["r1-blue"].stop()
    statuses = {stack.request("POST", "/after", b"hello")[0] for _ in range(9)}
    stack.toys["r1-blue"].start()
    assert statuses == {200}


def test_with_no_replica_there_is_a_page_that_says_so(stack):
    for toy in stack.toys.values():
        toy.stop()
    wait_until(lambda: stack.request("GET", "/")[0] == 503)
    status, page = stack.request("GET", "/")
    assert status == 503 and b"One moment" in page
    with socket.create_connection(("127.0.0.1", stack.port), timeout=5) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head.lower()
    # Fault H: programs got that page, too, and an EventSource an answer that ended it for good.
    status, told = stack.request("GET", "/api/v1/rooms/x/messages")
    assert (status, json.loads(told)["error"]["code"]) == (503, "unavailable")
    status, told = stack.request("GET", "/api/v1/rooms/x/events", headers=EVENT_SOURCE)
    assert (status, told.splitlines()[0]) == (200, b"retry: 2000")
    for toy in stack.toys.values():
        toy.start()
    wait_until(lambda: stack.request("GET", "/")[0] == 200)


def test_an_event_source_that_nobody_takes_is_told_when_to_come_back(stack):
    """Fault H: one 503 ended it for good."""
    for toy in stack.toys.values():
        toy.refuse.add("/events")
    answers = [stack.request("GET", "/events", headers=headers) for headers in (EVENT_SOURCE, {"Accept": "*/*"})]
    for toy in stack.toys.values():
        toy.refuse.clear()
    (status, told), (plain, _) = answers
    assert (status, told.splitlines()[0], plain) == (200, b"retry: 2000", 503)


def test_a_connection_that_says_nothing_is_told_nothing(stack):
    """Fault H: it got a 408 that nobody had asked for."""
    with socket.create_connection(("127.0.0.1", stack.port), timeout=30) as raw:
        assert raw.recv(1) == b""


@pytest.mark.parametrize(("path", "last"), [("/events", True), ("/", False)])
def test_an_event_stream_is_the_last_of_its_connection(stack, path, last):
    """It may outlive a reload and then a roll, of which the old worker knows nothing: what followed would meet nobody there."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=5)
    connection.request("GET", path)
    response = connection.getresponse()
    assert response.read() and response.will_close == last
    connection.close()


@pytest.mark.parametrize(("path", "error"), [("/api/events", http.client.IncompleteRead), ("/api/page", TimeoutError)])
def test_an_event_stream_that_fell_silent_is_ended(stack, path, error):
    """Its replica is frozen or cut off: nobody else would tell the browser."""
    for toy in stack.toys.values():
        toy.endless.add(path)
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=2)
    connection.request("GET", path)
    response = connection.getresponse()
    with pytest.raises(error):
        response.read()
    connection.close()


def test_o6_a_failed_request_is_logged_as_json_and_no_other(stack):
    for toy in stack.toys.values():
        toy.refuse.add('/fails"?')
    assert stack.request("GET", "/is-fine")[0] == 200
    assert stack.request("GET", '/fails"?')[0] == 503

    def lines():
        logs = subprocess.run(["docker", "logs", stack.container], check=True, capture_output=True, text=True).stdout
        return [json.loads(line) for line in logs.splitlines() if line.startswith("{")]

    wait_until(lambda: any("fails" in line["uri"] for line in lines()))
    for toy in stack.toys.values():
        toy.refuse.clear()
    failed = next(line for line in lines() if "fails" in line["uri"])
    assert (failed["method"], failed["status"], failed["client"]) == ("GET", 503, "127.0.0.1")
    assert failed["server"] in SLOTS and failed["retries"] and failed["time"] and "total_ms" in failed
    assert not any("is-fine" in line["uri"] for line in lines())


def test_no_secret_of_a_request_is_logged(stack):
    """A failed request is, and so is its address; its headers and its body are not."""
    for toy in stack.toys.values():
        toy.refuse.add("/fails-with-secrets")
    secrets = {"X-API-Key": "the-key-of-operators", "Authorization": "Bearer the-token", "Cookie": "rollcall=the-session"}
    assert stack.request("POST", "/fails-with-secrets", b"the-password", secrets)[0] == 503

    def log():
        logs = subprocess.run(["docker", "logs", stack.container], check=True, capture_output=True, text=True)
        return logs.stdout + logs.stderr

    wait_until(lambda: "fails-with-secrets" in log())
    for toy in stack.toys.values():
        toy.refuse.clear()
    assert [secret for secret in ("the-key-of-operators", "the-token", "the-session", "the-password") if secret in log()] == []


@pytest.mark.parametrize("head", ["GET / HTTP/1.1\r\nHost: a\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n"], ids=["head", "body"])
def test_requests_that_dribble_are_cut_and_others_are_served(stack, head):
    """Each sends a byte now and then, so none is ever idle; and none of them ever reaches a replica."""
    before = sum(stack.asked("/").values())
    slow = [socket.create_connection(("127.0.0.1", stack.port)) for _ in range(50)]
    began = time.monotonic()
    for connection in slow:
        connection.sendall(head.encode())
    open_ones, told = set(slow), []
    while open_ones and time.monotonic() - began < 20:
        for connection in select.select(open_ones, [], [], 0.5)[0]:
            told.append(received(connection))
            open_ones.discard(connection)
        for connection in open_ones:
            # It may be cut just now, which is read next.
            with contextlib.suppress(OSError):
                connection.sendall(b"x")
        assert stack.request("GET", "/served")[0] == 200
    assert not open_ones, "all were cut"
    assert time.monotonic() - began < 10, "in the time that a request may take, and a bit"
    assert {line for line in told if line} <= {b"HTTP/1.1 408 Request Time-out"}
    assert sum(stack.asked("/").values()) == before


def received(connection):
    """The first line of what is there."""
    try:
        return connection.recv(4096).split(b"\r\n")[0]
    except ConnectionResetError:
        return b""
    finally:
        connection.close()


class Deaf:
    """A replica whose kernel drops what it has no room for: it listens, with a backlog of one, and accepts nothing until told to."""

    def __init__(self, port):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(0)
        # Fills the backlog, so that the next first packet is dropped.
        self.first = socket.create_connection(("127.0.0.1", port))

    def close(self):
        self.first.close()
        self.listener.close()


def test_s17_one_lost_packet_takes_no_healthy_replica_down(stack):
    """A full backlog drops a connect's first packet, and TCP sends it again after a second: that is not a dead replica."""
    toy, runtime = stack.toys["r1-blue"], Runtime(str(stack.directory / "haproxy.sock"))
    wait_until(lambda: runtime.server("replicas", "r1-blue")["status"] == "UP")
    before = runtime.server("replicas", "r1-blue")["chkdown"]
    for other in ("r2-blue", "r3-blue"):
        runtime.set_state("replicas", other, "drain")
    toy.stop()
    deaf = Deaf(toy.port)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(stack.request, "GET", "/late")
        wait_until(lambda: runtime.server("replicas", "r1-blue")["scur"] != "0")
        deaf.close()
        toy.start()
        answer = asked.result()
    for other in ("r2-blue", "r3-blue"):
        runtime.set_state("replicas", other, "ready")
    row = runtime.server("replicas", "r1-blue")
    assert answer[0] == 200 and row["chkdown"] == before, row


def test_a_reload_closes_no_idle_connection_under_a_request(stack):
    """A client cannot know that the worker at the other end is an old one by now."""

    def is_told():
        logs = subprocess.run(["docker", "logs", stack.container], check=True, capture_output=True, text=True)
        return "Proxy public stopped" in logs.stdout + logs.stderr

    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=5)
    connection.request("GET", "/")
    assert connection.getresponse().read()
    kept = connection.sock
    subprocess.run(["docker", "kill", "--signal", "USR2", stack.container], check=True, capture_output=True)
    wait_until(is_told)
    connection.request("GET", "/")
    assert kept and connection.sock is kept
    assert connection.getresponse().status == 200
    connection.close()
