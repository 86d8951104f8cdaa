"""What stands before HAProxy, and how clients reach it: TLS, redirects, proxies that are trusted, its own metrics (O11)."""

import gzip
import http.client
import socket
import ssl
import subprocess

import pytest
from ansible.module_utils.rollcall_haproxy import Runtime
from conftest import Toy, free_port, load, wait_until
from test_haproxy_config import docker, render

NOBODY = "203.0.113.7"


class Front:
    """The real configuration with one toy behind it."""

    def __init__(self, directory, *settings, tls=""):
        self.port, self.more = free_port(), free_port()
        own = [f"rollcall_port={self.port}", f"rollcall_tls={tls or 'off'}", "rollcall_network_prefix=127.0.90"]
        config = render(directory, *own, *(setting.replace("{port}", str(self.more)) for setting in settings))
        self.toy = Toy(free_port())
        config = config.replace("127.0.90.11:8080", f"127.0.0.1:{self.toy.port}")
        (directory / "haproxy.cfg").write_text(config)
        if tls:
            (directory / "tls").mkdir()
            (directory / "tls" / "rollcall.pem").write_bytes(load("haproxy_certificate").self_signed(["localhost"]))
        check = docker(directory, "--entrypoint", "haproxy", "rollcall-haproxy:3.0", "-c", "-dW", "-f", "/etc/rollcall/haproxy.cfg")
        assert check.returncode == 0, check.stderr
        # Before HAProxy: a first check that finds nobody takes the toy's server down for a second.
        self.toy.start()
        self.container = docker(directory, "--detach", "rollcall-haproxy:3.0", "-f", "/etc/rollcall/haproxy.cfg").stdout.strip()
        self.tls = tls
        self.runtime = Runtime(str(directory / "haproxy.sock"))
        wait_until(self.serves)

    def serves(self):
        """Whether HAProxy has asked the toy, and counts it as up."""
        asked = ("GET", "/readyz") in self.toy.asked
        return asked and self.runtime.server("replicas", "r1-blue")["status"] == "UP"

    def connect(self):
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        if not self.tls:
            return raw
        context = ssl._create_unverified_context()
        return context.wrap_socket(raw)

    def ask(self, path="/", headers=None, first=b""):
        """The answer's status, headers and body; `first` is sent before the request."""
        with self.connect() as connection:
            lines = [f"GET {path} HTTP/1.1", "Host: chat.example", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
            connection.sendall(first + "\r\n".join([*lines, "", ""]).encode())
            response = http.client.HTTPResponse(connection)
            response.begin()
            return response.status, response.headers, response.read()

    def remove(self):
        self.toy.stop()
        subprocess.run(["docker", "rm", "--force", self.container], check=True, capture_output=True)


@pytest.fixture
def front(tmp_path):
    made = []

    def front(*settings, tls=""):
        made.append(Front(tmp_path, *settings, tls=tls))
        return made[-1]

    yield front
    for it in made:
        it.remove()


def seen(front, path, name):
    """A header, as the replica has it."""
    return front.toy.headers[path].get_all(name)


@pytest.mark.parametrize(("trusted", "address"), [("127.0.0.0/8", NOBODY), ("10.0.0.0/24", "127.0.0.1")])
def test_o11_a_trusted_proxy_says_where_its_client_is_and_nobody_else_does(front, trusted, address):
    it = front(f'{{"rollcall_trusted_proxies": ["{trusted}", "::1"]}}')
    forged = {"X-Forwarded-For": f"198.51.100.1, {NOBODY}", "X-Forwarded-Proto": "https"}
    assert it.ask("/who", forged)[0] == 200
    assert seen(it, "/who", "X-Forwarded-For") == [address]
    assert seen(it, "/who", "X-Forwarded-Proto") == ["https" if address == NOBODY else "http"]
    it.ask("/none")
    assert seen(it, "/none", "X-Forwarded-For") == ["127.0.0.1"] and seen(it, "/none", "X-Forwarded-Proto") == ["http"]


def test_o11_the_proxy_protocol_tells_the_clients_address(front):
    it = front('{"rollcall_accept_proxy": true}')
    assert it.ask("/who", first=f"PROXY TCP4 {NOBODY} 127.0.0.1 4711 80\r\n".encode())[0] == 200
    assert seen(it, "/who", "X-Forwarded-For") == [NOBODY]


@pytest.mark.parametrize(("tls", "lasts"), [("self-signed", None), ("files", "max-age=31536000")])
def test_tls_tells_browsers_to_stay_with_it_unless_it_is_self_signed(front, tls, lasts):
    it = front("rollcall_redirect_port={port}", tls=tls)
    status, headers, _ = it.ask("/x")
    assert status == 200 and headers["Strict-Transport-Security"] == lasts
    assert seen(it, "/x", "X-Forwarded-Proto") == ["https"]
    old = ssl._create_unverified_context()
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", it.port), timeout=5) as raw, pytest.raises(ssl.SSLError):
        old.wrap_socket(raw)
    plain = http.client.HTTPConnection("127.0.0.1", it.more, timeout=5)
    plain.request("GET", "/a?b=c", headers={"Host": f"chat.example:{it.more}"})
    answer = plain.getresponse()
    assert (answer.status, answer.headers["Location"]) == (308, f"https://chat.example:{it.port}/a?b=c")
    plain.close()


def test_haproxys_own_metrics_are_on_loopback_and_nowhere_else(front):
    it = front("rollcall_haproxy_metrics_port={port}")
    connection = http.client.HTTPConnection("127.0.0.1", it.more, timeout=5)
    connection.request("GET", "/metrics")
    assert b"haproxy_server_current_sessions" in connection.getresponse().read()
    connection.close()
    assert it.ask("/metrics")[0] == 404
    assert it.ask("/nudge")[0] == 404


def test_files_are_compressed_for_those_who_can_read_that(front):
    it = front()
    text = "<p>" + "roll call " * 500
    it.toy.answers["GET", "/page"] = lambda: text
    it.toy.protocol = "HTTP/1.1"
    it.toy.types["/page"] = "text/html; charset=utf-8"
    _, headers, body = it.ask("/page", {"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip" and len(body) < 500 and text in gzip.decompress(body).decode()
    assert it.ask("/page")[1]["Content-Encoding"] is None
