"""O3, O7: HAProxy changes, and everybody moves to what is new: a new worker, or a new container."""

import http.client
import json
import socket
import subprocess
import threading
import time

import pytest
from ansible.module_utils.rollcall_haproxy import HaproxyError, Master
from conftest import ROOT, Toy, free_port, load, wait_until

PROJECT = "rollcall-pytest-hand"
NAME, NEXT = f"{PROJECT}-haproxy", f"{PROJECT}-haproxy-next"
CONFIG = """
global
    stats socket /run/rollcall/haproxy.sock mode 666 level admin expose-fd listeners
    hard-stop-after 10m
defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 1s
frontend public
    bind 127.0.0.1:{front}
    default_backend replicas
backend replicas
    server r1-blue 127.0.0.1:{blue}
"""


class Probe(threading.Thread):
    """New connections, a hundred a second, each with one request; and how many of them failed."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.ended = port, threading.Event()
        self.answers, self.failures = 0, []

    def run(self):
        while not self.ended.wait(0.01):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", "/")
                connection.getresponse().read()
                self.answers += 1
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
            finally:
                connection.close()

    def end(self):
        self.ended.set()
        self.join()
        return self.failures


class Stack:
    """HAProxy as the role runs it, one toy behind it, and a client whose request does not end until its replica is nudged."""

    def __init__(self, directory):
        self.directory, self.port = directory, free_port()
        self.toy = Toy(free_port()).start()
        self.counts = {"nudges": 0, "told": 7, "moved": 5, "ignored": 0, "left": 0}
        self.clients = []
        self.toy.answers = {("GET", "/nudge"): lambda: dict(self.counts), ("POST", "/nudge"): self.nudged}
        (directory / "run").mkdir()
        (directory / "run").chmod(0o777)
        (directory / "haproxy.cfg").write_text(CONFIG.format(front=self.port, blue=self.toy.port))
        # So that the module takes the toy for a replica that runs.
        self.start(f"{PROJECT}-r1-blue", "--label", "rollcall.slot=blue", entry="sleep", command=["600"])
        self.start(NAME)
        self.master = Master(str(directory / "run" / "master.sock"))
        wait_until(self.serves)

    def start(self, name, *options, entry="/start", command=("-S", "/run/rollcall/master.sock", "-f", "/etc/rollcall/haproxy.cfg")):
        start = ["docker", "run", "--detach", "--name", name, "--network", "host", "--user", "0", "--label", f"rollcall.project={PROJECT}"]
        start += ["--volume", f"{self.directory}:/etc/rollcall:ro", "--volume", f"{self.directory}/run:/run/rollcall"]
        start += ["--volume", f"{ROOT.parent}/haproxy/start:/start:ro", "--restart", "unless-stopped", *options]
        subprocess.run([*start, "--entrypoint", entry, "rollcall-haproxy:3.0", *command], check=True, capture_output=True)

    def serves(self):
        try:
            return self.master.workers()[0] is not None and socket.create_connection(("127.0.0.1", self.port), timeout=5).close() is None
        except (HaproxyError, OSError):
            return False

    def nudged(self):
        """What a replica does: its clients move, which is to say that their connections end."""
        # What is asked later of the same path has no body.
        self.asked, self.asked_at = json.loads(self.toy.bodies["/nudge"]), time.monotonic()
        self.counts = self.counts | {"nudges": 1, "told": 7 + len(self.clients), "moved": 5 + len(self.clients)}
        for client in self.clients:
            client.close()
        self.toy.hold.set()
        return self.counts

    def hold(self):
        client = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        asked = len(self.clients)
        wait_until(lambda: self.toy.asked.count(("GET", "/slow")) > asked)
        self.clients.append(client)

    def reload(self):
        assert "Success=1" in load("haproxy_reload").reload(str(self.directory / "run" / "master.sock"), 10)

    def hand_over(self, run, **more):
        return run(
            "haproxy_handover", project=PROJECT, master=str(self.directory / "run" / "master.sock"),
            socket=str(self.directory / "run" / "haproxy.sock"), container=NAME, successor=NEXT,
            slots={"r1-blue": "127.0.0.1", "r1-green": "127.0.0.2"}, port=self.toy.port, spread_ms=100, **more,
        )

    def names(self):
        command = ["docker", "ps", "--all", "--filter", f"label=rollcall.project={PROJECT}", "--format", "{{.Names}}"]
        return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())

    def remove(self):
        self.toy.stop()
        for name in self.names():
            subprocess.run(["docker", "rm", "--force", name], check=True, capture_output=True)


@pytest.fixture
def stack(tmp_path):
    stack = Stack(tmp_path)
    yield stack
    stack.remove()


def test_o3_after_a_reload_everybody_moves_and_the_old_worker_is_gone_in_seconds(stack, run):
    stack.hold()
    assert not stack.hand_over(run)["changed"]
    stack.reload()
    assert len(stack.master.workers()[1]) == 1
    assert stack.hand_over(run, check=True)["changed"] and not stack.counts["nudges"]
    result = stack.hand_over(run)
    assert (result["changed"], result["moved"], result["ignored"], result["left"]) == (True, 1, 0, 0)
    assert result["seconds"] < 8 and "note" not in result
    assert not stack.master.workers()[1] and not stack.hand_over(run)["changed"]


def test_o3_clients_of_the_new_worker_are_not_asked_to_move(stack, run):
    stack.hold()
    before = time.monotonic()
    stack.reload()
    after = time.monotonic()
    stack.hand_over(run)
    asked = stack.asked_at
    # HAProxy tells its start in whole seconds, and those of that second may be the old one's.
    oldest_ms, youngest_ms = 1000 * (asked - before), 1000 * (asked - after - 2.5)
    assert max(0, youngest_ms) <= stack.asked["older_than_ms"] <= oldest_ms
    assert stack.asked["spread_ms"] == 100


def test_a_reboot_in_the_middle_of_a_handover_keeps_haproxy_from_nothing(stack):
    """A ticket that nobody has used: there is no HAProxy any more to take sockets from."""
    ticket = stack.directory / "run" / "handover"
    ticket.write_text("/run/rollcall/old-haproxy.sock\n")
    subprocess.run(["docker", "restart", NAME], check=True, capture_output=True)
    wait_until(stack.serves)
    assert not ticket.exists()


def test_o3_a_client_that_does_not_move_is_told_of(stack, run):
    stack.hold()
    stack.toy.answers["POST", "/nudge"] = lambda: stack.counts
    stack.reload()
    result = stack.hand_over(run, timeout=0.5)
    assert result["left"] == 1 and "rollcall_haproxy_hard_stop_after" in result["note"]


@pytest.mark.parametrize("status", [404, 409])
def test_a_replica_that_knows_no_nudge_is_told_of(stack, run, status):
    stack.hold()
    stack.toy.statuses["GET", "/nudge"] = status
    stack.reload()
    result = stack.hand_over(run, timeout=0.5)
    assert "failed" not in result and f"status {status}" in result["note"] and "r1-blue" in result["note"]


def test_o7_a_new_container_takes_over_and_not_one_connection_fails(stack, run):
    """The 100 connections a second that come meanwhile, and one that has been there for long."""
    stack.hold()
    probe = Probe(stack.port)
    probe.start()
    assert "failed" not in stack.hand_over(run, state="prepared")
    stack.start(NEXT)
    assert "failed" not in stack.hand_over(run, state="begun")
    result = stack.hand_over(run)
    # On a machine with other work fewer come meanwhile, and it goes on asking.
    wait_until(lambda: probe.answers > 50)
    assert probe.end() == []
    assert (result["moved"], result["left"]) == (1, 0), result
    assert stack.names() == {NAME, f"{PROJECT}-r1-blue"}
    assert not (stack.directory / "run" / "handover").exists()
    assert not stack.hand_over(run)["changed"]


def test_o7_a_successor_that_does_not_start_leaves_the_old_one_in_service(stack, run):
    stack.hand_over(run, state="prepared")
    stack.start(NEXT, command=("-S", "/run/rollcall/master.sock", "-f", "/none"))
    result = stack.hand_over(run, state="begun", timeout=1)
    assert result["failed"] and "does not start" in result["msg"]
    assert len(stack.master.workers()[1]) == 0 and stack.master.workers()[0]
    with socket.create_connection(("127.0.0.1", stack.port), timeout=5):
        pass


def test_o7_a_handover_that_was_interrupted_goes_on(stack, run):
    """Between the two renames; and the name is free, so nothing else would find HAProxy."""
    stack.hand_over(run, state="prepared")
    stack.start(NEXT)
    stack.hand_over(run, state="begun")
    subprocess.run(["docker", "rename", NAME, NAME + "-old"], check=True)
    assert stack.hand_over(run, timeout=1)["changed"]
    assert NAME in stack.names() and NEXT not in stack.names()
