#!/usr/bin/python
# Apache-2.0
"""What Redis is and does, and how the part of the primary is handed over."""

DOCUMENTATION = r"""
module: rollcall_store
short_description: Look at the stores, set one, have one follow another, or hand the part of the primary over
description:
  - C(looked) says of each of the addresses what it is. C(set) changes settings of one that runs, without a restart.
  - C(following) makes the address a replica of C(other), and waits until it has everything.
  - C(leading) hands the part of the primary over to the address from C(other), with C(FAILOVER). Redis holds writes back
    for that moment and then has refused them, so that they are tried at the new primary, and none is lost. It then waits
    until nobody asks the old one any more, so that it may go.
  - What a store became is written into its own configuration, so that it is the same after a restart.
options:
  address: {description: The store., type: str}
  other: {description: The store that it follows or takes over from., type: str}
  addresses: {description: The stores to look at., type: list, elements: str, default: []}
  state: {description: What to do., type: str, required: true, choices: [looked, set, following, leading]}
  settings: {description: What to set., type: dict, default: {}}
  port: {description: The port of each store., type: int, default: 6379}
  user: {description: Who asks., type: str, default: default}
  password: {description: What opens the door; nothing where it is open., type: str, default: ''}
  timeout: {description: The longest time for one of these, in seconds., type: float, default: 60}
author: [Rollcall]
attributes:
  check_mode: {support: full, description: Only looks.}
"""

EXAMPLES = r"""
- name: Hand over
  rollcall_store: {address: 172.30.90.3, other: 172.30.90.2, state: leading}
"""

RETURN = r"""
stores: {description: For each address C(role), and of one that answers C(linked), C(used), C(version)., type: dict, returned: when looked}
held_ms: {description: How long writes were held back., type: int, returned: when handed over}
moved_ms: {description: From then until nobody asked the old primary., type: int, returned: when handed over}
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rollcall_redis import Store, StoreError

# While writes are held back, users wait.
HAND_OVER_MS = 3000


class StuckError(Exception):
    """It did not come to its end in time."""


def wait_until(what, condition, timeout, pause=0.02):
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise StuckError(what)
        time.sleep(pause)


class Stores:
    def __init__(self, params):
        self.params = params

    def open(self, address):
        params = self.params
        return Store(address, params["port"], params["user"], params["password"])

    def look(self, address):
        try:
            with self.open(address) as store:
                replication, memory = store.info("replication"), store.info("memory")
                server = store.info("server")
        except StoreError as error:
            return {"role": "away", "why": str(error)}
        return {
            "role": "primary" if replication["role"] == "master" else "replica",
            "follows": replication.get("master_host", ""),
            "linked": replication.get("master_link_status") == "up",
            "replicas": int(replication.get("connected_slaves", 0)),
            "used": int(memory["used_memory"]),
            "version": server.get("valkey_version") or server["redis_version"],
        }

    def is_in_sync(self, address, other):
        """Whether it has the link, and the primary counts it in."""
        seen = self.look(address)
        if seen["role"] != "replica" or not seen["linked"] or seen["follows"] != other:
            return False
        with self.open(other) as primary:
            says = primary.info("replication")
        its = [value for key, value in says.items() if key.startswith("slave") and f"ip={address}," in f"{value},"]
        return any("state=online" in value for value in its)


def keep(store):
    """So that it is the same after a restart; one without a file of its own has nothing to keep it in."""
    try:
        store.ask("CONFIG", "REWRITE")
    except StoreError as error:
        if "without a config file" not in str(error):
            raise


def looked(stores, params, _check):
    return {"changed": False, "stores": {address: stores.look(address) for address in params["addresses"]}}


def as_bytes(value):
    """Redis takes 256mb and tells 268435456."""
    text = str(value).lower()
    units = {"kb": 2**10, "mb": 2**20, "gb": 2**30, "k": 10**3, "m": 10**6, "g": 10**9, "b": 1}
    for unit, factor in units.items():
        if text.endswith(unit) and text[: -len(unit)].isdigit():
            return str(int(text[: -len(unit)]) * factor)
    return text


def change_settings(stores, params, check):
    with stores.open(params["address"]) as store:
        now = store.settings("*")
        wanted = {name: as_bytes(value) for name, value in params["settings"].items()}
        new = {name: value for name, value in wanted.items() if now.get(name) != value}
        for name, value in {} if check else new.items():
            store.ask("CONFIG", "SET", name, value)
    return {"changed": bool(new), "set": sorted(new)}


def following(stores, params, check):
    address, other = params["address"], params["other"]
    seen = stores.look(address)
    changed = seen["role"] != "replica" or seen["follows"] != other
    if check:
        return {"changed": changed}
    with stores.open(address) as store:
        if changed:
            store.ask("REPLICAOF", other, params["port"])
        keep(store)
    began = time.monotonic()
    what = f"{address} did not get everything from {other} within {params['timeout']:g} s; its log says why"
    wait_until(what, lambda: stores.is_in_sync(address, other), params["timeout"])
    return {"changed": changed, "seconds": round(time.monotonic() - began, 3)}


def clients(store):
    """Connections of replicas of the server: not this one, nor those of other stores or of their watchers."""
    lines = store.ask("CLIENT", "LIST", "TYPE", "normal").splitlines()
    return [line for line in lines if " cmd=client" not in line and " name=sentinel-" not in line]


def hand_over(stores, params):
    address, other = params["address"], params["other"]
    with stores.open(other) as old, stores.open(address) as new:
        began = time.monotonic()
        old.ask("FAILOVER", "TO", address, params["port"], "TIMEOUT", HAND_OVER_MS)
        what = f"{other} did not hand over to {address} within {HAND_OVER_MS} ms, and goes on as the primary"
        wait_until(what, lambda: new.ask("ROLE")[0] == "master", 2 * HAND_OVER_MS / 1000, 0.002)
        held = time.monotonic() - began
        keep(new)
        wait_until(f"{other} does not follow {address}", lambda: old.ask("ROLE")[0] == "slave", 5)
        keep(old)
        wait_until(f"{other} is still asked", lambda: not clients(old), params["timeout"])
        moved = time.monotonic() - began
    return {"changed": True, "held_ms": round(held * 1000), "moved_ms": round(moved * 1000)}


def leading(stores, params, check):
    address, other = params["address"], params["other"]
    if stores.look(address)["role"] == "primary":
        return {"changed": False}
    if check:
        return {"changed": True}
    if not stores.is_in_sync(address, other):
        raise StuckError(f"{address} is no replica of {other} that has everything, so it cannot take over")
    return hand_over(stores, params)


STATES = {"looked": looked, "set": change_settings, "following": following, "leading": leading}


def main():
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str"},
            "other": {"type": "str"},
            "addresses": {"type": "list", "elements": "str", "default": []},
            "state": {"type": "str", "required": True, "choices": list(STATES)},
            "settings": {"type": "dict", "default": {}},
            "port": {"type": "int", "default": 6379},
            "user": {"type": "str", "default": "default"},
            "password": {"type": "str", "default": "", "no_log": True},
            "timeout": {"type": "float", "default": 60},
        },
        required_if=[
            ("state", "set", ["address"]),
            ("state", "following", ["address", "other"]),
            ("state", "leading", ["address", "other"]),
        ],
        supports_check_mode=True,
    )
    params = module.params
    try:
        module.exit_json(**STATES[params["state"]](Stores(params), params, module.check_mode))
    except (StoreError, StuckError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
