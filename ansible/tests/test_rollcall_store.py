"""Hand-overs between two real Redis, on loopback addresses of their own."""

import shutil
import subprocess
import threading

import pytest
from conftest import load, wait_until

SERVER = shutil.which("redis-server")
PORT = 16379
ONE, TWO = "127.0.16.1", "127.0.16.2"


class Store:
    def __init__(self, address, folder):
        self.address = address
        folder.mkdir()
        (folder / "redis.conf").touch()
        settings = ["--bind", address, "--port", str(PORT), "--save", "", "--appendonly", "yes", "--repl-diskless-sync-delay", "0"]
        announced = ["--replica-announce-ip", address, "--dir", str(folder)]
        self.file = folder / "redis.conf"
        self.process = subprocess.Popen([SERVER, str(self.file), *settings, *announced], stdout=subprocess.DEVNULL)

    def open(self):
        return load("rollcall_store").Store(self.address, PORT)

    def ask(self, *words):
        with self.open() as store:
            return store.ask(*words)

    def answers(self):
        try:
            return self.ask("PING") == "PONG"
        except load("rollcall_store").StoreError:
            return False

    def end(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def stores(tmp_path):
    both = [Store(address, tmp_path / address) for address in (ONE, TWO)]
    try:
        for store in both:
            wait_until(store.answers)
        yield both
    finally:
        for store in both:
            store.end()


def roles(run):
    found = run("rollcall_store", state="looked", addresses=[ONE, TWO], port=PORT)["stores"]
    return [found[address]["role"] for address in (ONE, TWO)]


def test_hands_over_and_back_and_keeps_it_over_a_restart(stores, run):
    one, two = stores
    one.ask("SET", "said", "before")
    assert run("rollcall_store", state="following", address=TWO, other=ONE, port=PORT)["changed"]
    assert not run("rollcall_store", state="following", address=TWO, other=ONE, port=PORT)["changed"]
    over = run("rollcall_store", state="leading", address=TWO, other=ONE, port=PORT)
    assert over["changed"] and over["held_ms"] < 2000
    assert roles(run) == ["replica", "primary"]
    assert f"replicaof {TWO} {PORT}" in one.file.read_text()
    assert not run("rollcall_store", state="leading", address=TWO, other=ONE, port=PORT)["changed"]
    assert two.ask("GET", "said") == "before"
    run("rollcall_store", state="following", address=ONE, other=TWO, port=PORT)
    run("rollcall_store", state="leading", address=ONE, other=TWO, port=PORT)
    assert roles(run) == ["primary", "replica"]
    assert "replicaof" not in one.file.read_text()


def test_waits_until_nobody_asks_the_old_primary(stores, run):
    one, _two = stores
    run("rollcall_store", state="following", address=TWO, other=ONE, port=PORT)
    asks = one.open()
    asks.ask("PING")
    threading.Timer(0.5, asks.__exit__).start()
    over = run("rollcall_store", state="leading", address=TWO, other=ONE, port=PORT)
    assert over["moved_ms"] >= 400


def test_refuses_to_hand_over_to_one_that_has_not_everything(stores, run):
    refused = run("rollcall_store", state="leading", address=TWO, other=ONE, port=PORT)
    # It is no replica, but says that it is the primary: of nothing.
    assert refused["changed"] is False
    stores[1].ask("REPLICAOF", "127.0.16.9", PORT)
    refused = run("rollcall_store", state="leading", address=TWO, other=ONE, port=PORT, timeout=1)
    assert "cannot take over" in refused["msg"] and roles(run) == ["primary", "replica"]


def test_sets_what_is_not_set_yet(stores, run):
    wanted = {"maxmemory": "64mb", "maxmemory-policy": "noeviction"}
    assert run("rollcall_store", state="set", address=ONE, settings=wanted, port=PORT)["set"] == ["maxmemory"]
    assert not run("rollcall_store", state="set", address=ONE, settings=wanted, port=PORT)["changed"]
    assert stores[0].ask("CONFIG", "GET", "maxmemory")[1] == str(64 * 2**20)


def test_one_that_is_away_is_said_to_be(run):
    found = run("rollcall_store", state="looked", addresses=["127.0.16.7"], port=PORT)["stores"]["127.0.16.7"]
    assert found["role"] == "away" and "127.0.16.7:16379 does not answer" in found["why"]
