#!/usr/bin/python
# Apache-2.0
"""Talk to one slot as a client would, before anyone else does."""

DOCUMENTATION = r"""
module: rollcall_smoke
short_description: Connect, send and resume on one slot, past HAProxy
description:
  - Checks the slot's release, sends a few messages as a new client, then comes back on a second connection
    with an older cursor and expects exactly the messages after it, in an unbroken chain.
  - It talks in a room made for it, which no client can enter and the server soon forgets. While memory is short no room
    can be made; then it has only connected, and says so.
options:
  address: {description: Address of the slot., type: str, required: true}
  port: {description: Its public port., type: int, default: 8080}
  admin_port: {description: Port of its admin listener., type: int, default: 8090}
  release: {description: The release it must report., type: str, required: true}
  timeout: {description: Seconds to wait for any one answer., type: float, default: 5}
author: [Rollcall]
attributes:
  check_mode: {support: full, description: Does nothing.}
"""

EXAMPLES = r"""
- name: Try the new slot
  rollcall_smoke: {address: 172.30.90.111, release: 1.1.0}
"""

RETURN = r"""
messages: {description: IDs of the messages sent., type: list, returned: success}
note: {description: Why none was sent., type: str, returned: when none was}
seconds: {description: Time this took., type: float, returned: always}
"""

import contextlib
import json
import secrets
import time
import traceback

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.rollcall_admin import Admin, AdminError, split
from ansible.module_utils.rollcall_probe import new_room

try:
    from websockets.exceptions import WebSocketException
    from websockets.sync.client import connect
except ImportError:
    connect, IMPORT_ERROR = None, traceback.format_exc()
else:
    IMPORT_ERROR = None

MESSAGES = 3
# How the server says that there is no memory for another room.
NO_NEW_ROOMS = "no new rooms for now"


class SmokeError(Exception):
    """The slot did not behave as a replica must."""


class NoRoomError(Exception):
    """It behaves, but there is no memory for a room to talk in."""


class Client:
    """One connection of the smoke client."""

    def __init__(self, socket, room, params):
        self.socket = socket
        self.timeout = params["timeout"]
        self.room = room

    def send(self, kind, **fields):
        self.socket.send(json.dumps({"type": kind} | fields))

    def collect(self, done):
        """The frames up to the one that is `done`."""
        frames, deadline = [], time.monotonic() + self.timeout
        while not frames or not done(frames[-1]):
            frames.append(json.loads(self.socket.recv(timeout=max(0, deadline - time.monotonic()))))
            if frames[-1].get("detail", "").startswith(NO_NEW_ROOMS):
                raise NoRoomError(frames[-1]["detail"])
            if frames[-1]["type"] in ("error", "reject", "gap"):
                raise SmokeError(f"unexpected answer {frames[-1]}")
        return frames

    def until_live(self):
        return self.collect(lambda frame: frame["type"] == "live")


@contextlib.contextmanager
def connected(params, room, key, why, after=None):
    """A client that has said hello."""
    machine, published = split(params["address"])
    url = f"ws://{machine}:{published or params['port']}/api/v1/ws"
    with connect(url, open_timeout=params["timeout"], proxy=None) as socket:
        client = Client(socket, room, params)
        enters = {"room": room} | ({"after": after} if after else {})
        client.send("hello", v=1, client=key, name="smoke", why=why, rooms=[enters])
        yield client


def messages(frames):
    return [frame for frame in frames if frame["type"] == "message"]


def talk(client):
    """Send messages and see each one acknowledged and delivered. Returns them as delivered."""
    joined = next(frame for frame in client.until_live() if frame["type"] == "joined")
    delivered, acked = [], set()

    def complete(frame):
        if frame["type"] == "message":
            delivered.append(frame)
        elif frame["type"] == "ack":
            acked.add(frame["id"])
        return len(acked) == MESSAGES and acked <= {message["id"] for message in delivered}

    for n in range(1, MESSAGES + 1):
        client.send("send", room=client.room, n=n, text=f"smoke {n}")
    client.collect(complete)
    expect_chain(delivered, joined["head"])
    return delivered


def expect_chain(delivered, cursor):
    for message in delivered:
        if message["prev"] != cursor:
            raise SmokeError(f"broken chain: {message['id']} follows {message['prev']}, the cursor was {cursor}")
        cursor = message["id"]


def smoke(params):
    room, key = new_room(), secrets.token_hex(16)
    found = Admin(params["address"], params["admin_port"], params["timeout"]).get("/livez").get("release")
    if found != params["release"]:
        raise SmokeError(f"serves release {found}, not {params['release']}")
    with connected(params, room, key, "fresh") as client:
        sent = talk(client)
    with connected(params, room, key, "resume", after=sent[0]["id"]) as client:
        resumed = messages(client.until_live())
        client.send("bye")
    if [message["id"] for message in resumed] != [message["id"] for message in sent[1:]]:
        raise SmokeError(f"resume after {sent[0]['id']} brought {[message['id'] for message in resumed]}")
    return [message["id"] for message in sent]


def main():
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "required": True},
            "port": {"type": "int", "default": 8080},
            "admin_port": {"type": "int", "default": 8090},
            "release": {"type": "str", "required": True},
            "timeout": {"type": "float", "default": 5},
        },
        supports_check_mode=True,
    )
    if IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("websockets"), exception=IMPORT_ERROR)
    if module.check_mode:
        module.exit_json(changed=False, messages=[], seconds=0)
    started = time.monotonic()
    told = {}
    try:
        sent = smoke(module.params)
    except NoRoomError as error:
        sent, told = [], {"note": f"smoke of {module.params['address']}: it answers, but {error}, so nobody has talked to it"}
    except (SmokeError, AdminError, WebSocketException, OSError) as error:
        module.fail_json(msg=f"smoke of {module.params['address']}: {str(error) or type(error).__name__}")
    # It talked, but left nothing that a play would call a change.
    module.exit_json(changed=False, messages=sent, seconds=round(time.monotonic() - started, 3), **told)


if __name__ == "__main__":
    main()
