#!/usr/bin/python
# Apache-2.0
"""What runs where, read from Docker, HAProxy and the replicas themselves."""

DOCUMENTATION = r"""
module: rollcall_slots
short_description: Which slot of each replica serves, and how it is
description:
  - Reads reality instead of a file that could lie. Changes nothing.
options:
  project: {description: Project whose containers to look at., type: str, required: true}
  socket: {description: Path of HAProxy's runtime socket., type: path, required: true}
  backend: {description: HAProxy's backend., type: str, default: replicas}
  slots: {description: The slots of each replica with their addresses., type: dict, required: true}
  docker_hosts: {description: "Of the replicas that are on other machines, as in DOCKER_HOST.", type: dict, default: {}}
  known_only: {description: Leave out replicas that HAProxy does not know instead of failing., type: bool, default: false}
  want_up: {description: Look again for some seconds until so many replicas serve. One slow check is no outage., type: int, default: 0}
  patient: {description: The same while a slot that should serve runs and is silent. A moment is no hang., type: bool, default: false}
author: [Rollcall]
attributes:
  check_mode: {support: full, description: Reads only.}
"""

EXAMPLES = r"""
- name: See what runs
  rollcall_slots:
    project: rollcall
    socket: /path/haproxy.sock
    slots: {r1: {blue: 172.30.90.11, green: 172.30.90.111}}
"""

RETURN = r"""
up: {description: Number of replicas with a slot that serves., type: int, returned: success}
away: {description: "Docker that does not answer -> why; its replicas look stopped.", type: dict, returned: success}
strangers:
  description: Containers of slots that belong to no replica here, each as C(name), C(release) and C(running).
  type: list
  returned: success
replicas:
  description:
    - For each replica C(serving) (the slot that clients are sent to, or that would be the one), C(idle) (the other),
      C(up) (whether the first really serves), C(unproven) (whether the second holds something a roll had not finished
      with), C(needs_repair) (that, or the first runs and does not serve, or the second runs or gets clients), C(kept)
      (the release of the second), C(kept_before) (whether its container is older than the first's), of the first
      C(server), C(address), C(release), C(spec), C(deploy) and C(connections), and C(slots).
    - A slot has C(server), C(address), C(container), C(running), C(release), C(spec), C(deploy), C(aside) (the release
      set aside), C(created), C(started), C(admin), C(status), C(phase) and C(connections).
  type: dict
  returned: success
"""

import json
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rollcall_admin import Admin, AdminError, AdminRefusal
from ansible.module_utils.rollcall_docker import docker_command
from ansible.module_utils.rollcall_haproxy import HaproxyError, Runtime

# How long to look again for what was not there. Docker has started a HAProxy or a replica that died again by then.
PATIENCE_SECONDS = 10
PAUSE_SECONDS = 0.25
# What rollcall_container appends to the name of a container that makes way for another release.
ASIDE = "-aside"


class DockerError(Exception):
    """A Docker that does not answer."""


def containers(module, project, host=""):
    """Name -> `docker inspect` of each container of a slot that this Docker has."""

    def docker(*arguments):
        code, told, error = module.run_command([*docker_command(module, host), *arguments])
        if code != 0:
            raise DockerError(error.strip())
        return told

    ids = docker("ps", "--all", "--quiet", "--filter", f"label=rollcall.project={project}", "--filter", "label=rollcall.slot").split()
    found = json.loads(docker("inspect", *ids)) if ids else []
    return {container["Name"].lstrip("/"): container for container in found}


def stands(module, project):
    """Whether there is anything of the stack here. A HAProxy that is not even stopped does not come back by itself."""
    _, told, _ = module.run_command([*docker_command(module, ""), "ps", "--all", "--quiet", "--filter", f"label=rollcall.project={project}"])
    return told != ""


def everywhere(module):
    """The same of every Docker, and which of those on other machines do not answer."""
    found, away = containers(module, module.params["project"]), {}
    for host in sorted(set(module.params["docker_hosts"].values()) - {""}):
        try:
            found |= containers(module, module.params["project"], host)
        except DockerError as error:
            away[host] = str(error)
    return found, away


def describe(server, address, container, aside, row):
    """One slot, with the words of all three witnesses."""
    labels = container["Config"]["Labels"] if container else {}
    running = bool(container) and container["State"]["Running"]
    slot = {
        "server": server,
        "address": address,
        "container": container["Name"].lstrip("/") if container else "",
        "running": running,
        "release": labels.get("rollcall.release", ""),
        "spec": labels.get("rollcall.spec", ""),
        "deploy": labels.get("rollcall.deploy", ""),
        "aside": aside["Config"]["Labels"].get("rollcall.release", "") if aside else "",
        "created": container["Created"] if container else "",
        "started": container["State"]["StartedAt"] if running else "",
        "admin": row["admin"],
        "status": row["status"],
    }
    return slot | lifecycle(address, running)


def lifecycle(address, running):
    if not running:
        return {"phase": "stopped", "connections": 0}
    try:
        state = Admin(address, timeout=2).get("/drain")
    except AdminRefusal:
        # It lives, so starting it anew would cut clients for nothing.
        return {"phase": "refuses", "connections": 0}
    except AdminError:
        # Running, but no answer: a fact about the slot, not a failure to find out.
        return {"phase": "silent", "connections": 0}
    return {"phase": state["phase"], "connections": state["connections"]}


def serves(slot):
    return slot["running"] and slot["status"] == "UP" and slot["phase"] == "ready"


def replica(slots):
    """Tell the two slots apart. Of two that serve, a roll was trying the newer one; it drains the older when it trusts it."""

    def claim(slot):
        return serves(slot), slot["running"], slot["admin"] == "ready"

    # `max` keeps the first of equals: the older of two that run, the first slot if there is nothing at all.
    oldest_first = sorted(slots, key=lambda name: slots[name]["started"])
    serving = max(oldest_first, key=lambda name: claim(slots[name]))
    idle = next(name for name in slots if name != serving)
    up = serves(slots[serving])
    asleep = slots[serving]["running"] and not up
    stray = slots[idle]["running"] or slots[idle]["admin"] != "maint"
    unproven = slots[idle]["aside"] != ""
    return {
        "serving": serving,
        "idle": idle,
        "up": up,
        "unproven": unproven,
        "needs_repair": asleep or stray or unproven,
        "kept": slots[idle]["release"],
        "kept_before": slots[idle]["created"] < slots[serving]["created"],
        **{fact: slots[serving][fact] for fact in ("server", "address", "release", "spec", "deploy", "connections")},
        "slots": slots,
    }


def strangers(found, params):
    """What is left of replicas that were taken out of the inventory."""
    known = {f"{params['project']}-{name}-{slot}" for name, slots in params["slots"].items() for slot in slots}
    return [
        {
            "name": name,
            "release": container["Config"]["Labels"].get("rollcall.release", ""),
            "running": container["State"]["Running"],
        }
        for name, container in sorted(found.items())
        if name.removesuffix(ASIDE) not in known
    ]


def look(params, found):
    """Replica -> what its slots say together."""
    rows = Runtime(params["socket"]).servers(params["backend"])

    def witnesses(server, address):
        container = f"{params['project']}-{server}"
        return describe(server, address, found.get(container), found.get(container + ASIDE), rows[server])

    return {
        name: replica({slot: witnesses(f"{name}-{slot}", address) for slot, address in slots.items()})
        for name, slots in params["slots"].items()
        if not params["known_only"] or all(f"{name}-{slot}" in rows for slot in slots)
    }


def settled(replicas, params):
    """Whether a moment more would mend nothing."""
    silent = any(it["slots"][it["serving"]]["phase"] == "silent" for it in replicas.values())
    return sum(it["up"] for it in replicas.values()) >= params["want_up"] and not (params["patient"] and silent)


def main():
    module = AnsibleModule(
        argument_spec={
            "project": {"type": "str", "required": True},
            "socket": {"type": "path", "required": True},
            "backend": {"type": "str", "default": "replicas"},
            "slots": {"type": "dict", "required": True},
            "docker_hosts": {"type": "dict", "default": {}},
            "known_only": {"type": "bool", "default": False},
            "want_up": {"type": "int", "default": 0},
            "patient": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    params = module.params
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        late = time.monotonic() > until
        try:
            found, away = everywhere(module)
            replicas = look(params, found)
            if late or settled(replicas, params):
                up = sum(it["up"] for it in replicas.values())
                module.exit_json(changed=False, replicas=replicas, up=up, away=away, strangers=strangers(found, params))
        except DockerError as error:
            module.fail_json(msg=f"Docker does not answer: {error}")
        except HaproxyError as error:
            if late or not stands(module, params["project"]):
                module.fail_json(msg=f"{error}. Is the stack up? playbooks/site.yml starts it.")
        except KeyError as error:
            module.fail_json(msg=f"HAProxy does not know {error.args[0]}. playbooks/site.yml brings it up to date.")
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
