"""S18: with a real HAProxy, each client moves at most once, wherever the load was before."""

import asyncio
import subprocess

import pytest
from ansible.module_utils.rollcall_haproxy import Runtime
from conftest import free_port, load

REPLICAS = ("r1", "r2", "r3")
SLOTS = [f"{replica}-{slot}" for replica in REPLICAS for slot in ("blue", "green")]
# As in haproxy/haproxy.cfg.j2, as far as it matters here: leastconn, and servers of weight 1.
CONFIG = """
global
    stats socket /run/rollcall/haproxy.sock mode 666 level admin
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout tunnel 60s
frontend public
    bind 127.0.0.1:{front}
    default_backend replicas
backend replicas
    balance leastconn
"""
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: toy\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: toy\r\nServer-Name: %s\r\n\r\n"


class Client:
    """A connection that lasts, and the slot that it is on."""

    def __init__(self, port):
        self.port = port
        self.moves, self.slot, self.writer = -1, None, None

    async def move(self):
        """Make before break."""
        before = self.writer
        reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(UPGRADE)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"101" in head, head
        self.slot = head.lower().split(b"server-name: ")[1].split(b"\r\n")[0].decode()
        self.moves += 1
        if before:
            before.close()


class House:
    """HAProxy, six slots, and their clients."""

    def __init__(self, directory):
        self.port, self.ports = free_port(), {slot: free_port() for slot in SLOTS}
        servers = "".join(f"    server {slot} 127.0.0.1:{port}\n" for slot, port in self.ports.items())
        (directory / "haproxy.cfg").write_text(CONFIG.format(front=self.port) + servers)
        command = ["docker", "run", "--detach", "--rm", "--network", "host", "--user", "0", "--label", "rollcall.project=rollcall-pytest"]
        command += ["--volume", f"{directory}:/run/rollcall", "rollcall-haproxy:3.0", "-f", "/run/rollcall/haproxy.cfg"]
        self.container = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        self.runtime = Runtime(str(directory / "haproxy.sock"))
        self.clients = []

    async def open(self):
        for slot, port in self.ports.items():
            await asyncio.start_server(self.slot(slot), "127.0.0.1", port)

    @staticmethod
    def slot(name):
        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(SWITCHED % name.encode())
            await reader.read()
            writer.close()

        return serve

    def only(self, *serving):
        """HAProxy sends clients to these alone."""
        for slot in SLOTS:
            self.runtime.set_state("replicas", slot, "ready" if slot in serving else "maint")

    async def fill(self, counts):
        for replica, count in zip(REPLICAS, counts, strict=True):
            self.only(f"{replica}-blue")
            for _ in range(count):
                self.clients.append(Client(self.port))
                await self.clients[-1].move()
        self.only(*(f"{replica}-blue" for replica in REPLICAS))

    def on(self, slot):
        return [client for client in self.clients if client.slot == slot]

    def weigh(self, run, **arguments):
        return run("haproxy_weights", socket=self.runtime.path, **arguments)

    async def turn(self, replica, prefer):
        """What roll/tasks/turn.yml does, as HAProxy and the clients see it."""
        old, new = f"{replica}-blue", f"{replica}-green"
        self.runtime.set_state("replicas", new, "ready")
        prefer(new)
        self.runtime.set_state("replicas", old, "drain")
        for client in self.on(old):
            await client.move()
        self.runtime.set_state("replicas", old, "maint")

    async def settle(self):
        """HAProxy has seen the end of every connection that was closed."""
        while sum(int(row["scur"]) for row in self.runtime.servers("replicas").values()) > len(self.clients):
            await asyncio.sleep(0.02)


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    yield house
    subprocess.run(["docker", "rm", "--force", house.container], check=True, capture_output=True)


def ascending(counts):
    """The order of turns, which preflight makes of the same figures."""
    return [replica for _, replica in sorted(zip(counts, REPLICAS, strict=True))]


@pytest.mark.parametrize("counts", [(0, 150, 150), (300, 0, 0), (10, 40, 250), (100, 100, 100), (250, 40, 10)])
def test_s18_each_client_moves_at_most_once_and_the_load_is_even_afterwards(house, run, counts):
    async def roll():
        await house.open()
        await house.fill(counts)
        house.weigh(run, level=True)
        for replica in ascending(counts):
            await house.settle()
            await house.turn(replica, lambda new: house.weigh(run, prefer=[new]))
        for client in house.clients:
            client.writer.close()

    asyncio.run(roll())
    assert max(client.moves for client in house.clients) <= 1
    loads = [len(house.on(f"{replica}-green")) for replica in REPLICAS]
    assert sum(loads) == sum(counts) and max(loads) <= 1.2 * min(loads), loads


def test_s18_newcomers_find_an_unrolled_slot_when_no_rolled_one_lives(house, run):
    async def look():
        await house.open()
        house.only("r1-green", "r2-blue")
        house.weigh(run, level=True, prefer=["r1-green"])
        house.runtime.set_state("replicas", "r1-green", "maint")
        newcomer = Client(house.port)
        await newcomer.move()
        newcomer.writer.close()
        return newcomer.slot

    assert asyncio.run(look()) == "r2-blue"


def test_the_end_of_a_deploy_prefers_nobody(house, run):
    assert house.weigh(run, prefer=["r1-green"])["weights"]["r1-green"] == 256
    assert not house.weigh(run, prefer=["r1-green"])["changed"]
    assert house.weigh(run, check=True, level=True)["changed"]
    assert set(house.weigh(run, level=True)["weights"].values()) == {1}
    assert set(house.runtime.weights("replicas").values()) == {1}


def test_an_unknown_server_cannot_be_preferred():
    module = load("haproxy_weights")
    with pytest.raises(module.HaproxyError, match="no server r9-blue; it knows r1-blue"):
        module.wanted({"r1-blue": 1}, ["r9-blue"], False)
