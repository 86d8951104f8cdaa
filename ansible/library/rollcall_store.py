#!/usr/bin/python
# Apache-2.0
"""What Redis is and does, and how the part of the primary is handed over."""

DOCUMENTATION = r"""
module: rollcall_store
short_description: Look at the stores, set one, say who may get in, have one follow or lead, tell watchers
description:
  - C(looked) says of each of the addresses what it is. C(set) changes settings of one that runs, without a restart.
  - C(users) gives one that runs its users, by lines as C(ACL SETUSER) takes them. Connections that are open stay. A line that
    takes its own rights from the one that asks comes last.
  - C(following) makes the address a replica of C(other), and waits until it has everything.
  - C(leading) hands the part of the primary over to the address from C(other), with C(FAILOVER). Redis holds writes back
    for that moment and then has refused them, so that they are tried at the new primary, and none is lost. It then waits
    until nobody asks the old one any more, so that it may go.
  - What a store became is written into its own configuration, so that it is the same after a restart.
  - C(watched) tells those Sentinels among the addresses that run which primary to watch, and C(unwatched) to watch none.
options:
  address: {description: The store., type: str}
  other: {description: The store that it follows or takes over from., type: str}
  addresses: {description: The stores to look at., type: list, elements: str, default: []}
  state: {description: What to do., type: str, required: true, choices: [looked, set, users, following, leading, watched, unwatched]}
  settings: {description: What to set., type: dict, default: {}}
  secrets: {description: What to set and never to show., type: dict, default: {}}
  users: {description: "A line for each user, a name and rules.", type: list, elements: str, default: []}
  port: {description: The port of each store., type: int, default: 6379}
  login:
    description: How one gets in.
    type: dict
    default: {}
    suboptions:
      user: {description: Who asks., type: str, default: default}
      password: {description: The password., type: str, default: ''}
      before: {description: The one that was good until now., type: str, default: ''}
      must: {description: Take a store that asks for none for a wrong one., type: bool, default: false}
      tls: {description: Whether it speaks TLS., type: bool, default: false}
      ca: {description: "File with the CA of its certificate, in PEM.", type: str, default: ''}
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
stores:
  description:
    - For each address C(role), C(primary), C(replica), C(locked) or C(away); of the last two C(why), of the others
      C(linked), C(used), C(version), C(kept), whether it writes an append-only file, C(policy), C(rewriting) and C(keeps_users).
  type: dict
  returned: when looked
held_ms: {description: How long writes were held back., type: int, returned: when handed over}
moved_ms: {description: From then until nobody asked the old primary., type: int, returned: when handed over}
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rollcall_redis import LOGIN, LockedError, Store, StoreError

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
        host, _, port = address.partition(":")
        return Store(host, int(port or self.params["port"]), self.params["login"])

    def look(self, address):
        try:
            with self.open(address) as store:
                replication, memory = store.info("replication"), store.info("memory")
                server, persistence = store.info("server"), store.info("persistence")
                keeps_users = keeps(store)
                if "role" not in replication:
                    raise StoreError(f"what answers at {address} is no Redis")
        except StoreError as error:
            return {"role": "locked" if isinstance(error, LockedError) else "away", "why": str(error)}
        return {
            "role": "primary" if replication["role"] == "master" else "replica",
            "follows": replication.get("master_host", ""),
            "linked": replication.get("master_link_status") == "up",
            "replicas": int(replication.get("connected_slaves", 0)),
            "used": int(memory["used_memory"]),
            "version": server.get("valkey_version") or server["redis_version"],
            "kept": persistence["aof_enabled"] == "1",
            "rewriting": "1" in (persistence["aof_rewrite_in_progress"], persistence["aof_rewrite_scheduled"]),
            "policy": memory["maxmemory_policy"],
            "keeps_users": keeps_users,
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


def keeps(store):
    """Whether it has a file for its users; one that may not be asked is not ours."""
    try:
        return bool(store.settings("aclfile")["aclfile"])
    except StoreError:
        return False


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
        wanted = {name: as_bytes(value) for name, value in params["settings"].items()} | params["secrets"]
        new = {name: value for name, value in wanted.items() if now.get(name) != value}
        for name, value in {} if check else new.items():
            store.ask("CONFIG", "SET", name, value)
    return {"changed": bool(new), "set": sorted(new)}


def change_users(stores, params, check):
    """The rules are Redis' to read, so that what has changed is what it tells of them."""
    lines = [line.split() for line in params["users"]]
    with stores.open(params["address"]) as store:
        before = store.ask("ACL", "LIST")
        if check:
            known = " ".join(before)
            return {"changed": not all(word in known for words in lines for word in words if word.startswith("#"))}
        for words in lines:
            store.ask("ACL", "SETUSER", *words)
    # The user that asked may have lost the right to.
    with stores.open(params["address"]) as store:
        return {"changed": store.ask("ACL", "LIST") != before}


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


# What Sentinels call the primary.
WATCHED = "rollcall"


def tell_watchers(stores, params, check):
    told = []
    for address in params["addresses"]:
        try:
            watcher = stores.open(address)
        except LockedError:
            raise
        except StoreError:
            # There is none.
            continue
        with watcher:
            told.append(address)
            if not check:
                tell_watcher(watcher, params)
    return {"changed": bool(told), "told": told}


def tell_watcher(watcher, params):
    try:
        watcher.ask("SENTINEL", "REMOVE", WATCHED)
    except StoreError as error:
        if "No such" not in str(error):
            raise
    if params["state"] == "watched":
        watcher.ask("SENTINEL", "MONITOR", WATCHED, params["other"], 6379, 2)
        for name, value in (params["settings"] | params["secrets"]).items():
            watcher.ask("SENTINEL", "SET", WATCHED, name, value)


STATES = {
    "looked": looked,
    "set": change_settings,
    "users": change_users,
    "following": following,
    "leading": leading,
    "watched": tell_watchers,
    "unwatched": tell_watchers,
}


def main():
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str"},
            "other": {"type": "str"},
            "addresses": {"type": "list", "elements": "str", "default": []},
            "state": {"type": "str", "required": True, "choices": list(STATES)},
            "settings": {"type": "dict", "default": {}},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "users": {"type": "list", "elements": "str", "default": [], "no_log": True},
            "port": {"type": "int", "default": 6379},
            "login": {"type": "dict", "default": {}, "options": LOGIN},
            "timeout": {"type": "float", "default": 60},
        },
        required_if=[
            ("state", "set", ["address"]),
            ("state", "users", ["address"]),
            ("state", "watched", ["other"]),
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
