#!/usr/bin/python
# Apache-2.0
"""Which image a release is, and whether it may be rolled out."""

DOCUMENTATION = r"""
module: rollcall_release
short_description: Pin a release to its image, mark it bad, or forgive it
description:
  - C(found) pins the release to the image's ID, so that a tag that somebody moves during the roll changes nothing.
    It refuses a release that was never built, one whose image a canary found bad, and any while nobody can tell which
    those are.
  - C(forgiven) takes the marks of a release away, whatever image it had when it was marked.
  - C(bad) marks the image. Built again, the release has another image, and a clean slate.
options:
  image: {description: Name of the image, without its tag., type: str}
  release: {description: The release, which is the tag., type: str, required: true}
  settings: {description: What else makes a container another one., type: dict, default: {}}
  marks: {description: File with the bad images of this control machine., type: path, required: true}
  force: {description: Roll out a bad release all the same., type: bool, default: false}
  state: {description: "Find the release, mark it, or take its marks away.", type: str, default: found, choices: [found, bad, forgiven]}
  id: {description: The image's ID, to mark., type: str}
  reason: {description: Why it is bad., type: str}
author: [Rollcall]
attributes:
  check_mode: {support: full, description: Marks nothing.}
"""

EXAMPLES = r"""
- name: Find the release
  rollcall_release: {image: rollcall-server, release: 1.1.0, marks: /path/bad-releases.json}
"""

RETURN = r"""
ansible_facts:
  description:
    - C(replica_release), its C(replica_image) by ID, and C(replica_spec), image and settings together; a slot that
      has the same spec needs no roll.
  type: dict
  returned: when found
forgiven: {description: The marks that were taken away., type: list, returned: when forgiven}
others: {description: Releases that are still marked., type: list, returned: when forgiven}
"""

import datetime
import hashlib
import json
import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rollcall_files import put


def read(path):
    """Image ID -> why it is bad."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def mark(path, image, release, reason):
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    write(path, read(path) | {image: {"release": release, "time": now, "reason": reason}})


def write(path, marks):
    put(path, json.dumps(marks, indent=2))


def forgive(module, params):
    marks = read(params["marks"])
    forgiven = [mark for mark in marks.values() if mark["release"] == params["release"]]
    if forgiven and not module.check_mode:
        write(params["marks"], {image: mark for image, mark in marks.items() if mark["release"] != params["release"]})
    others = sorted({mark["release"] for mark in marks.values()} - {params["release"]})
    module.exit_json(changed=bool(forgiven), forgiven=forgiven, others=others)


def find(module, params):
    name = f"{params['image']}:{params['release']}"
    docker = module.get_bin_path("docker", required=True)
    code, found, error = module.run_command([docker, "image", "inspect", "--format", "{{.Id}}", name])
    if code != 0 and "No such image" in error:
        module.fail_json(
            msg=f"there is no image {name} on this machine. "
            "Build it with scripts/build, or name one that exists with -e release=…"
        )
    if code != 0:
        module.fail_json(msg=f"Docker does not tell about {name}: {error.strip()}")
    return found.strip()


def run(module, params):
    if params["state"] == "bad":
        if not module.check_mode:
            mark(params["marks"], params["id"], params["release"], params["reason"])
        module.exit_json(changed=True)
    if params["state"] == "forgiven":
        forgive(module, params)
    image = find(module, params)
    bad = read(params["marks"]).get(image)
    if bad and not params["force"]:
        module.fail_json(
            msg=f"release {params['release']} is marked bad since {bad['time']}: {bad['reason']}. "
            "Roll it out all the same with -e force=true, or take the mark away: playbooks/forgive.yml"
        )
    spec = hashlib.sha1((image + json.dumps(params["settings"], sort_keys=True)).encode()).hexdigest()
    facts = {"replica_image": image, "replica_release": params["release"], "replica_spec": spec}
    module.exit_json(changed=False, ansible_facts=facts)


def main():
    module = AnsibleModule(
        argument_spec={
            "image": {"type": "str"},
            "release": {"type": "str", "required": True},
            "settings": {"type": "dict", "default": {}},
            "marks": {"type": "path", "required": True},
            "force": {"type": "bool", "default": False},
            "state": {"type": "str", "default": "found", "choices": ["found", "bad", "forgiven"]},
            "id": {"type": "str"},
            "reason": {"type": "str"},
        },
        required_if=[("state", "found", ["image"]), ("state", "bad", ["id", "reason"])],
        supports_check_mode=True,
    )
    try:
        run(module, module.params)
    except (OSError, ValueError) as error:
        # What it does not name any more is not forgiven, and a mark in a new one would look as if it were.
        module.fail_json(msg=f"the bad releases are not known, {module.params['marks']} is unusable: {error}. Mend or remove it")


if __name__ == "__main__":
    main()
