"""O27: a network or a port that is somebody else's is refused, and the setting named."""

import ipaddress
import socket
import struct
import subprocess

import pytest
from conftest import free_port, load

HEADER = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
# A prefix of a documentation network, to which no machine has a route.
FREE = "198.51.100"


def route(device, network):
    network = ipaddress.ip_network(network)
    destination, mask = (f"{struct.unpack('=L', part.packed)[0]:08X}" for part in (network.network_address, network.netmask))
    return f"{device}\t{destination}\t00000000\t0001\t0\t0\t0\t{mask}\t0\t0\t0\n"


def refused(known_routes="", networks=None, project="rollcall", prefix="172.30.90"):
    module = load("rollcall_place")
    networks = {name: [ipaddress.ip_network(subnet)] for name, subnet in (networks or {}).items()}
    try:
        module.check_network(project, module.network_of(prefix), networks, module.routes(HEADER + known_routes))
    except module.TakenError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("network", ["172.30.90.0/24", "172.30.0.0/16", "172.16.0.0/12", "172.30.90.128/25"])
def test_o27_a_network_that_the_machine_knows_is_refused(network):
    words = refused(route("eth0", network))
    assert network in words and "eth0" in words and "rollcall_network_prefix" in words


def test_o27_other_routes_and_the_default_are_no_clash():
    assert not refused(route("eth0", "0.0.0.0/0") + route("eth0", "172.31.0.0/16") + route("eth1", "10.0.0.0/8"))


def test_a_vpn_that_leads_everything_is_no_clash():
    """OpenVPN with `redirect-gateway def1` has two halves in place of the default route, and every prefix was refused."""
    halves = route("tun0", "0.0.0.0/1") + route("tun0", "128.0.0.0/1")
    assert not refused(halves) and not refused(halves, prefix="10.1.2")
    assert "172.30.0.0/16" in refused(halves + route("tun0", "172.30.0.0/16"))


def test_o27_a_network_of_dockers_is_refused_by_its_name():
    assert "Docker's network blog" in refused(networks={"blog": "172.30.0.0/16"})


def test_o27_the_stacks_own_network_stays_the_one_it_is():
    own = route("br-1", "172.30.90.0/24")
    assert not refused(own, {"rollcall": "172.30.90.0/24"})
    words = refused(own, {"rollcall": "172.30.90.0/24"}, prefix="172.30.91")
    assert "172.30.90.0/24" in words and "teardown.yml" in words


@pytest.mark.parametrize("prefix", ["172.30", "172.30.900", "172.30.90.0", "lan"])
def test_o27_what_is_no_prefix_is_refused(prefix):
    module = load("rollcall_place")
    with pytest.raises(module.TakenError, match="rollcall_network_prefix"):
        module.network_of(prefix)


def place(run, **changes):
    return run("rollcall_place", **{"project": "rollcall-pytest", "network_prefix": FREE, "address": "127.0.0.1"} | changes)


def test_o27_a_port_that_only_root_may_bind_is_refused(run):
    """HAProxy is not root, and in the host's network it has no privilege there."""
    words = place(run, port=80)["msg"]
    assert "rollcall_port 80" in words and "ip_unprivileged_port_start" in words
    assert "rollcall_port" in place(run, port=65536)["msg"]


def test_o27_a_port_that_is_taken_is_refused(run):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert "rollcall_port" in place(run, port=other.getsockname()[1])["msg"]
    assert "rollcall_address" in place(run, port=free_port(), address="203.0.113.7")["msg"]
    assert "failed" not in place(run, port=free_port())


def test_o27_a_stack_that_runs_has_its_own_port(run):
    port = free_port()
    name = "rollcall-pytest-haproxy"
    command = ["docker", "run", "--detach", "--rm", "--name", name, "--label", "rollcall.project=rollcall-pytest", "--network", "host"]
    subprocess.run([*command, "--entrypoint", "sleep", "rollcall-haproxy:3.0", "60"], check=True, capture_output=True)
    try:
        with socket.socket() as own:
            own.bind(("127.0.0.1", port))
            own.listen()
            assert "failed" not in place(run, port=port)
    finally:
        subprocess.run(["docker", "rm", "--force", name], check=True, capture_output=True)
