#!/usr/bin/python
# Apache-2.0
"""An image on the machine that is to run it."""

DOCUMENTATION = r"""
module: rollcall_image
short_description: Have an image on another machine, without a registry
description:
  - Copies the image from this machine's Docker to another, unless that one has it. By its ID, which is the same everywhere.
options:
  image: {description: "The image, by name or ID.", type: str, required: true}
  docker_host: {description: "The other Docker, as in DOCKER_HOST; with this machine's, which is empty, there is nothing to do.", type: str, default: ""}
author: [Rollcall]
attributes:
  check_mode: {support: full, description: Says whether it would be copied.}
"""

EXAMPLES = r"""
- name: Have the release there
  rollcall_image: {image: "rollcall-server:1.1.0", docker_host: ssh://root@10.0.0.2}
"""

RETURN = r"""
id: {description: The image's ID., type: str, returned: always}
seconds: {description: Time this took., type: float, returned: always}
"""

import subprocess
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rollcall_docker import HOST_OPTION, docker_command

# What Docker says where there is none; anything else is no answer.
NONE = "No such image"


def id_of(module, docker, image):
    """The image's ID as this Docker has it, or nothing."""
    code, found, error = module.run_command([*docker, "image", "inspect", "--format", "{{.Id}}", image])
    if code != 0 and NONE not in error:
        module.fail_json(msg=f"Docker does not tell about {image}: {error.strip()}")
    return found.strip() if code == 0 else ""


def copy(module, image, there):
    """From one Docker into the other, without a file between them."""
    with subprocess.Popen([*docker_command(module), "save", image], stdout=subprocess.PIPE) as saved:
        loaded = subprocess.run([*there, "load"], stdin=saved.stdout, check=False, capture_output=True, text=True)
    if saved.returncode != 0 or loaded.returncode != 0:
        module.fail_json(msg=f"{module.params['image']} could not be copied to {module.params['docker_host']}: {loaded.stderr.strip()}")


def main():
    module = AnsibleModule(argument_spec={"image": {"type": "str", "required": True}, **HOST_OPTION}, supports_check_mode=True)
    began, changed = time.monotonic(), False
    image, host = module.params["image"], module.params["docker_host"]
    found = id_of(module, docker_command(module), image)
    if not found:
        module.fail_json(msg=f"there is no image {image} on this machine. scripts/build makes it")
    if host:
        there = docker_command(module, host)
        changed = id_of(module, there, found) != found
        if changed and not module.check_mode:
            copy(module, found, there)
    module.exit_json(changed=changed, id=found, seconds=round(time.monotonic() - began, 3))


if __name__ == "__main__":
    main()
