"""HAProxy's certificate: looked at before anything is written."""

import datetime
import os
import shutil
import socket
import ssl
import subprocess

import pytest
from conftest import free_port, load, wait_until

CONFIG = """
global
    stats socket /run/rollcall/haproxy.sock mode 666 level admin
defaults
    mode http
    timeout connect 1s
    timeout client 20s
    timeout server 20s
frontend public
    bind 127.0.0.1:{port} ssl crt /etc/rollcall/tls/rollcall.pem alpn h2,http/1.1 ssl-min-ver TLSv1.2
    http-request return status 200
"""


@pytest.fixture
def made(tmp_path):
    """Makes a certificate and its key in files of their own, as a CA hands them out."""
    module = load("haproxy_certificate")

    def make(name, lasts=None):
        if lasts:
            module.LASTS = lasts
        content = module.self_signed(["chat.example"]).decode()
        cut = content.index("-----BEGIN CERTIFICATE")
        key, certificate = tmp_path / f"{name}.key", tmp_path / f"{name}.pem"
        key.write_text(content[:cut])
        certificate.write_text(content[cut:])
        return {"certificate": str(certificate), "key": str(key)}

    return make


@pytest.fixture
def place(run, tmp_path):
    def place(check=False, **arguments):
        fixed = {"target": str(tmp_path / "tls" / "rollcall.pem"), "owner": 0, "socket": str(tmp_path / "run" / "haproxy.sock")}
        return run("haproxy_certificate", check=check, **fixed, **arguments)

    return place


def test_what_does_not_belong_together_is_refused_before_anything_is_written(place, made, tmp_path):
    one, other = made("one"), made("other")
    over = made("over", datetime.timedelta(minutes=-1))
    for files, fault in [
        ({"certificate": one["certificate"]}, "rollcall_tls_key is not set"),
        ({"certificate": one["certificate"], "key": str(tmp_path / "none")}, "rollcall_tls_key cannot be read"),
        ({"certificate": one["certificate"], "key": other["key"]}, "is not the key of"),
        ({"certificate": one["key"], "key": one["key"]}, "has no certificate in PEM"),
        ({"certificate": one["certificate"], "key": one["certificate"]}, "has no key in PEM"),
        (over, "renew it first"),
    ]:
        for check in (True, False):
            words = place(check=check, source="files", **files)["msg"]
            assert fault in words and "\n" not in words
    assert not (tmp_path / "tls").exists()


def test_a_self_signed_one_is_made_once_and_again_for_other_names(place, tmp_path):
    assert place(source="self-signed")["changed"]
    target = tmp_path / "tls" / "rollcall.pem"
    before = target.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o400
    assert not place(source="self-signed")["changed"] and target.read_bytes() == before
    assert place(source="self-signed", names=["chat.example"])["changed"] and target.read_bytes() != before


def test_haproxy_gets_to_it_whatever_the_umask_is(place, tmp_path):
    before = os.umask(0o077)
    try:
        assert place(source="self-signed")["changed"]
    finally:
        os.umask(before)
    assert [it.stat().st_mode & 0o777 for it in (tmp_path / "tls", tmp_path / "tls" / "rollcall.pem")] == [0o755, 0o400]


class Tls:
    """A HAProxy with a certificate, and what it shows."""

    def __init__(self, directory):
        self.port = free_port()
        (directory / "run").mkdir(exist_ok=True)
        (directory / "run").chmod(0o777)
        (directory / "haproxy.cfg").write_text(CONFIG.format(port=self.port))
        command = ["docker", "run", "--detach", "--rm", "--network", "host", "--user", "0", "--label", "rollcall.project=rollcall-pytest"]
        command += ["--volume", f"{directory}:/etc/rollcall:ro", "--volume", f"{directory}/run:/run/rollcall"]
        command += ["rollcall-haproxy:3.0", "-f", "/etc/rollcall/haproxy.cfg"]
        self.container = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        wait_until(lambda: self.shown() is not None)

    def shown(self):
        try:
            return ssl.get_server_certificate(("127.0.0.1", self.port), timeout=5)
        except OSError:
            return None

    def connect(self):
        context = ssl._create_unverified_context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout=5))

    def remove(self):
        subprocess.run(["docker", "rm", "--force", self.container], check=True, capture_output=True)


def test_a_haproxy_that_was_killed_is_one_without_a_certificate(place, made, tmp_path):
    """Its socket is still there, and nobody at it: site.yml did not start it again, and teardown.yml did not take it down."""
    (tmp_path / "run").mkdir()
    left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    left.bind(str(tmp_path / "run" / "haproxy.sock"))
    left.close()
    told = place(source="files", **made("one"))
    assert told["changed"] and (tmp_path / "tls" / "rollcall.pem").exists()


def test_a_new_certificate_comes_into_force_without_a_reload(place, made, tmp_path):
    assert place(source="files", **made("one"))["changed"]
    tls = Tls(tmp_path)
    try:
        first = tls.shown()
        with tls.connect() as kept:
            assert kept.selected_alpn_protocol() == "h2" and kept.version() in ("TLSv1.2", "TLSv1.3")
            assert not place(source="files", **{name: str(tmp_path / f"one.{end}") for name, end in (("certificate", "pem"), ("key", "key"))})["changed"]
            other = made("other")
            assert place(check=True, source="files", **other)["changed"] and tls.shown() == first
            assert place(source="files", **other)["changed"]
            assert tls.shown() != first and tls.shown().split() == (tmp_path / "other.pem").read_text().split()
            # And who was connected still is.
            kept.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
            assert kept.recv(9)
        # What is shown is what counts, not what a run that failed has written.
        shutil.copy(tmp_path / "tls" / "rollcall.pem", tmp_path / "kept.pem")
        assert not place(source="files", **other)["changed"]
    finally:
        tls.remove()
