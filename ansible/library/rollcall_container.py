#!/usr/bin/python
# Apache-2.0
"""The container of a slot: stopped and kept, started again or anew, or set aside while another release tries the slot."""

DOCUMENTATION = r"""
module: rollcall_container
short_description: Keep a slot's container, start it again, or set it aside
description:
  - The stopped container of a slot is the way back to its release, so a roll that needs the slot sets it aside
    instead of removing it. Only when the whole roll has succeeded is it dropped; after a failure it comes back.
  - C(stopped) stops the container and keeps it. C(started) starts it. C(restarted) does both, also to one that is
    frozen.
  - C(aside) makes the slot empty. What a roll that was interrupted left there is removed, if one is aside already.
  - C(back) removes what the roll put into the slot, with its last log lines saved, and puts back what was set aside.
    With nothing set aside it removes only what C(deploy) put there, for what the slot had before is the way back.
  - C(dropped) removes what is set aside for the C(replicas) of C(project).
options:
  name: {description: Name of the slot's container., type: str}
  project: {description: Project whose containers to drop., type: str}
  replicas: {description: Replicas whose containers to drop., type: list, elements: str, default: []}
  state: {description: Wanted state., type: str, required: true, choices: [stopped, started, restarted, aside, back, dropped]}
  deploy: {description: The deploy that is undone., type: str}
  timeout: {description: Seconds from SIGTERM to SIGKILL., type: int, default: 10}
  logs: {description: Directory for the last log lines of a container that is removed., type: path}
  docker_host: {description: "The Docker that has it, as in DOCKER_HOST; empty is this machine's.", type: str, default: ""}
author: [Rollcall]
"""

EXAMPLES = r"""
- name: Make room for the new release
  rollcall_container: {name: rollcall-r1-blue, state: aside}
"""

RETURN = r"""
note: {description: What an operator should know., type: str, returned: when there is something}
seconds: {description: Time this took., type: float, returned: always}
"""

import json
import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rollcall_docker import HOST_OPTION, docker_command
from ansible.module_utils.rollcall_state import give_to_owner

ASIDE = "-aside"
LOG_LINES = "200"
KILLED = 128 + 9


class Docker:
    """The few commands this takes; community.docker has no rename, and takes twice as long for a stop."""

    def __init__(self, module):
        self.module = module
        self.command = docker_command(module, module.params["docker_host"])

    def __call__(self, *arguments, check=True):
        return self.module.run_command([*self.command, *arguments], check_rc=check)

    def state(self, name):
        """The container's state, or nothing if there is none of that name."""
        code, text, _ = self("container", "inspect", "--format", "{{json .State}}", name, check=False)
        return json.loads(text) if code == 0 else None

    def deploy(self, name):
        """The deploy that put the container there."""
        return self("container", "inspect", "--format", '{{index .Config.Labels "rollcall.deploy"}}', name)[1].strip()


def stopped(docker, params):
    name, state = params["name"], docker.state(params["name"])
    if not state or not (state["Running"] or state["Restarting"]):
        return False, ""
    docker("stop", "--time", str(params["timeout"]), name)
    if docker.state(name)["ExitCode"] != KILLED:
        return True, ""
    return True, f"{name} did not end within {params['timeout']} s of SIGTERM and was killed"


def started(docker, params):
    state = docker.state(params["name"])
    if not state:
        docker.module.fail_json(msg=f"there is no container {params['name']} to start")
    if state["Running"]:
        return False, ""
    docker("start", params["name"])
    return True, ""


def restarted(docker, params):
    # Docker wakes what is paused, so that it hears the signal.
    _, note = stopped(docker, params)
    docker("start", params["name"])
    return True, note


def aside(docker, params):
    name = params["name"]
    if not docker.state(name):
        return False, ""
    if docker.state(name + ASIDE):
        docker("rm", "--force", "--volumes", name)
    else:
        docker("rename", name, name + ASIDE)
    return True, ""


def back(docker, params):
    name, note = params["name"], ""
    kept = docker.state(name + ASIDE)
    tried = docker.state(name) and (kept or docker.deploy(name) == params["deploy"])
    if tried:
        note = save_log(docker, name, params["logs"])
        docker("rm", "--force", "--volumes", name)
    if kept:
        docker("rename", name + ASIDE, name)
    return bool(tried or kept), note


def save_log(docker, name, directory):
    """Its log would go with the container, and it may say why it had to go."""
    if not directory:
        return ""
    _, out, err = docker("logs", "--tail", LOG_LINES, name, check=False)
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, f"{name}.log")
    with open(path, "w", encoding="utf-8") as file:
        file.write(out + err)
    for made in (directory, path):
        give_to_owner(made)
    return f"{name} is removed; its last log lines: {path}"


def dropped(docker, params):
    label = f"label=rollcall.project={params['project']}"
    _, names, _ = docker("ps", "--all", "--filter", label, "--format", "{{.Names}}")
    of_these = tuple(f"{params['project']}-{replica}-" for replica in params["replicas"])
    unwanted = [name for name in names.split() if name.endswith(ASIDE) and name.startswith(of_these)]
    if unwanted:
        docker("rm", "--force", "--volumes", *unwanted)
    return bool(unwanted), ""


STATES = {"stopped": stopped, "started": started, "restarted": restarted, "aside": aside, "back": back, "dropped": dropped}


def main():
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str"},
            "project": {"type": "str"},
            "replicas": {"type": "list", "elements": "str", "default": []},
            "state": {"type": "str", "required": True, "choices": list(STATES)},
            "deploy": {"type": "str"},
            "timeout": {"type": "int", "default": 10},
            "logs": {"type": "path"},
            **HOST_OPTION,
        },
        required_if=[("state", state, ["project" if state == "dropped" else "name"]) for state in STATES],
    )
    began = time.monotonic()
    changed, note = STATES[module.params["state"]](Docker(module), module.params)
    spent = round(time.monotonic() - began, 3)
    module.exit_json(changed=changed, seconds=spent, **({"note": note} if note else {}))


if __name__ == "__main__":
    main()
