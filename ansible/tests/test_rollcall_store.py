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
    def __init__(self, address, folder, more=()):
        self.address = address
        folder.mkdir(exist_ok=True)
        (folder / "redis.conf").touch()
        settings = ["--bind", address, "--port", str(PORT), "--save", "", "--appendonly", "yes", "--repl-diskless-sync-delay", "0"]
        announced = ["--replica-announce-ip", address, "--dir", str(folder)]
        self.file = folder / "redis.conf"
        self.process = subprocess.Popen([SERVER, str(self.file), *settings, *announced, *more], stdout=subprocess.DEVNULL)

    def open(self):
        return load("rollcall_store").Store(self.address, PORT)

    def ask(self, *words):
        with self.open() as store:
            return store.ask(*words)

    def answers(self):
        try:
            return self.ask("PING") == "PONG"
        except load("rollcall_store").LockedError:
            return True
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
    threading.Timer(2.0, asks.__exit__).start()
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


USERS = ["operator reset on >{} ~* &* +@all", "default reset off"]


def seen(run, **login):
    return run("rollcall_store", state="looked", addresses=[ONE], port=PORT, login=login)["stores"][ONE]


def test_o23_users_come_in_and_go_while_it_runs(stores, run):
    login = {"user": "operator", "password": "first"}
    lines = [line.format("first") for line in USERS]
    assert run("rollcall_store", state="users", address=ONE, users=lines, port=PORT, login=login)["changed"]
    assert not run("rollcall_store", state="users", address=ONE, users=lines, port=PORT, login=login)["changed"]
    assert seen(run, **login)["role"] == "primary"
    assert seen(run)["role"] == "locked" and "NOAUTH" in seen(run)["why"]
    assert seen(run, user="operator", password="wrong")["role"] == "locked"
    # The password that was good until now opens it, and is replaced by another.
    login = {"user": "operator", "password": "second", "before": "first"}
    lines = [line.format("second") for line in USERS]
    assert run("rollcall_store", state="users", address=ONE, users=lines, port=PORT, login=login)["changed"]
    assert seen(run, user="operator", password="first")["role"] == "locked"
    assert seen(run, user="operator", password="second")["role"] == "primary"


def test_one_that_asks_for_none_is_told_from_one_that_takes_the_password(stores, run):
    assert seen(run, user="operator", password="any")["role"] == "primary"
    assert seen(run, user="operator", password="any", must=True)["role"] == "locked"


def test_no_secret_is_in_what_it_tells(stores, run, capsys):
    login = {"user": "operator", "password": "seldom-heard"}
    told = run("rollcall_store", state="set", address=ONE, port=PORT, login=login, secrets={"masterauth": "never-heard"})
    assert told["set"] == ["masterauth"]
    assert "heard" not in str(told)
    assert stores[0].ask("CONFIG", "GET", "masterauth")[1] == "never-heard"


def test_a_certificate_that_nobody_believes_is_said_to_be_one(tmp_path, run):
    def make(name, *more):
        files = ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", *files, *more]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    make("own", "-addext", f"subjectAltName=IP:{ONE}")
    make("other")
    (tmp_path / "torn.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    tls = ["--port", "0", "--tls-port", str(PORT), "--tls-auth-clients", "no"]
    store = Store(ONE, tmp_path, [*tls, "--tls-cert-file", tmp_path / "own.pem", "--tls-key-file", tmp_path / "own.key"])
    try:
        wait_until(lambda: seen(run, tls=True, ca=str(tmp_path / "own.pem"))["role"] == "primary")
        assert "speaks no TLS that is believed" in seen(run, tls=True, ca=str(tmp_path / "other.pem"))["why"]
        assert "no file with a CA in PEM" in seen(run, tls=True, ca=str(tmp_path / "torn.pem"))["why"]
        assert seen(run)["role"] == "away"
    finally:
        store.end()
