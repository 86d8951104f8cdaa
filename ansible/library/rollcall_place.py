#!/usr/bin/python
# Apache-2.0
"""Whether the place where a stack is to stand is free."""

DOCUMENTATION = r"""
module: rollcall_place
short_description: Refuse a network or a port that is somebody else's, before anything is created
description:
  - The project's network must not overlap any network that this machine has a route to, nor one of Docker's that has
    none at the moment: the kernel would send that network's packets to the stack. A network that the stack has already
    must be the one that is asked for, since changing it would cut everybody.
  - HAProxy binds its port itself, in the host's network and as an unprivileged user, so the port must be one that any
    user may bind, and, unless the stack's own HAProxy runs, nobody else may have it.
options:
  project: {description: Name of the stack., type: str, required: true}
  network_prefix: {description: First three numbers of the network., type: str, required: true}
  address: {description: Address that HAProxy binds., type: str, required: true}
  port: {description: Port that HAProxy binds., type: int, required: true}
author: [Rollcall]
attributes:
  check_mode: {support: full, description: Reads only.}
"""

EXAMPLES = r"""
- name: Make sure that the place is free
  rollcall_place: {project: rollcall, network_prefix: 172.30.90, address: 127.0.0.1, port: 8080}
"""

RETURN = r""" # """

import errno
import ipaddress
import json
import socket
import struct
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

ROUTES = "/proc/net/route"
FIRST_FREE_PORT = "/proc/sys/net/ipv4/ip_unprivileged_port_start"


class TakenError(Exception):
    """The place is taken, or no place."""


def network_of(prefix):
    try:
        return ipaddress.ip_network(f"{prefix}.0/24")
    except ValueError as error:
        raise TakenError(f"rollcall_network_prefix is the first three numbers of a network, such as 172.30.90, and not {prefix}") from error


def routes(text):
    """(network, where it leads) of the machine's routes, as the kernel tells them; the default route leads anywhere, and so do
    the two halves that a VPN puts in its place."""
    found = []
    for line in text.splitlines()[1:]:
        device, destination, _, _, _, _, _, mask = line.split()[:8]
        address, bits = (socket.inet_ntoa(struct.pack("=L", int(number, 16))) for number in (destination, mask))
        network = ipaddress.ip_network(f"{address}/{bits}")
        if network.prefixlen > 1:
            found.append((network, f"the route to {network} by {device}"))
    return found


def docker_networks(docker):
    """Name -> subnets of all networks that Docker has."""
    _, ids, _ = docker("network", "ls", "--quiet")
    _, inspected, _ = docker("network", "inspect", *ids.split())
    return {
        network["Name"]: [
            ipaddress.ip_network(config["Subnet"]) for config in network["IPAM"]["Config"] or [] if ":" not in config.get("Subnet", ":")
        ]
        for network in json.loads(inspected)
    }


def check_network(project, wanted, networks, known_routes):
    if project in networks:
        if networks[project] != [wanted]:
            has = ", ".join(map(str, networks[project])) or "none"
            raise TakenError(
                f"the network of {project} is {has}, and rollcall_network_prefix says {wanted}. Give the one it has "
                "with -e rollcall_network_prefix=…, or take the stack down first: playbooks/teardown.yml"
            )
        return
    others = [(subnet, f"Docker's network {name}") for name, subnets in networks.items() for subnet in subnets]
    # What Docker says of a network is clearer than its route.
    for network, what in others + known_routes:
        if network.overlaps(wanted):
            raise TakenError(f"{wanted} is taken on this machine by {what}: choose another rollcall_network_prefix")


def check_port(address, port, first_free):
    if port < first_free:
        raise TakenError(
            f"HAProxy runs as an unprivileged user, which may not bind rollcall_port {port} here: choose {first_free} or above, "
            "or let users bind lower ones with sysctl net.ipv4.ip_unprivileged_port_start"
        )
    if port > 65535:
        raise TakenError(f"rollcall_port is at most 65535, and not {port}")


def check_free(address, port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("" if address == "*" else address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise TakenError(f"{address}:{port} is taken by another program: end it, or choose another rollcall_port") from error
            raise TakenError(f"rollcall_address {address} cannot be bound on this machine: {error.strerror}") from error


def main():
    module = AnsibleModule(
        argument_spec={
            "project": {"type": "str", "required": True},
            "network_prefix": {"type": "str", "required": True},
            "address": {"type": "str", "required": True},
            "port": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    program = module.get_bin_path("docker", required=True)

    def docker(*arguments):
        return module.run_command([program, *arguments], check_rc=True)

    try:
        wanted = network_of(params["network_prefix"])
        check_network(params["project"], wanted, docker_networks(docker), routes(Path(ROUTES).read_text(encoding="ascii")))
        check_port(params["address"], params["port"], int(Path(FIRST_FREE_PORT).read_text(encoding="ascii")))
        own = docker("ps", "--quiet", "--filter", f"name=^{params['project']}-haproxy$", "--filter", "status=running")[1]
        if not own.strip():
            check_free(params["address"], params["port"])
    except TakenError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
