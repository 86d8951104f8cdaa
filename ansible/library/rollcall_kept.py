#!/usr/bin/python
# Apache-2.0
"""Where a rollback goes."""

DOCUMENTATION = r"""
module: rollcall_kept
short_description: Decide which of the kept containers to go back to
description:
  - A container is what it was made of, its spec; the name of a release says little, since a roll of settings or of an
    image that was built again keeps it. So the way back leads to the one spec that each of these replicas serves or has
    kept.
  - Without C(release) it must be older than what serves where it is kept, or going back twice would be going forward.
    With C(release) it may be younger, as long as that name fits one spec only.
  - After an interrupted deploy (C(resumed)) the kept containers may be older than what one wants to go back to, so it
    has to be named.
  - Refuses to guess.
options:
  replicas: {description: What rollcall_slots found., type: dict, required: true}
  hosts: {description: The replicas that are to go back., type: list, elements: str, required: true}
  release: {description: Name of the release to go back to., type: str, default: ''}
  resumed: {description: Whether an interrupted deploy came before this one., type: bool, default: false}
author: [Rollcall]
attributes:
  check_mode: {support: full, description: Decides only.}
"""

EXAMPLES = r"""
- name: Decide where to go back to
  rollcall_kept: {replicas: "{{ replica_look.replicas }}", hosts: "{{ ansible_play_hosts_all }}"}
"""

RETURN = r"""
ansible_facts: {description: The C(replica_release) and the C(replica_spec) to go back to., type: dict, returned: success}
"""

from ansible.module_utils.basic import AnsibleModule


class UnclearError(Exception):
    """There is nothing to go back to, or more than one."""


def slots(replica):
    """The slot that serves, and the one that is kept."""
    return replica["slots"][replica["serving"]], replica["slots"][replica["idle"]]


def offers(replica):
    """Spec -> release of what a replica serves or has kept."""
    return {slot["spec"]: slot["release"] for slot in slots(replica) if slot["spec"]}


def is_back(replica, spec):
    """Whether the way to a spec leads back: it serves already, or is older than what does."""
    return replica["spec"] == spec or replica["kept_before"]


def decide(replicas, release, resumed):
    """The spec to go back to, and its release."""
    if resumed and not release:
        raise UnclearError("")
    names = {spec: name for replica in replicas.values() for spec, name in offers(replica).items()}
    common = [spec for spec in names if all(spec in offers(replica) for replica in replicas.values())]
    named = [spec for spec in common if release in ("", names[spec])]
    back = [spec for spec in named if all(is_back(replica, spec) for replica in replicas.values())]
    # Where nobody would move is no way back, unless it was asked for by name.
    moving = [spec for spec in back if any(replica["spec"] != spec for replica in replicas.values())]
    for candidates in (moving, named if release else []):
        if len(candidates) == 1:
            return candidates[0], names[candidates[0]]
    raise UnclearError(release if release and not named else "")


def told(replicas):
    """What there is, for the operator to choose from."""
    lines = []
    for name, replica in replicas.items():
        later = ", which came later" if replica["kept"] and not replica["kept_before"] else ""
        lines.append(f"{name} serves {replica['release'] or 'nothing'} and has kept {replica['kept'] or 'nothing'}{later}.")
    return " ".join(lines)


def refusal(replicas, missing):
    if not missing:
        return f"It is not clear which release to go back to; name it with -e release=… . {told(replicas)}"
    without = [name for name, replica in replicas.items() if missing not in offers(replica).values()]
    whose = f"{', '.join(without)} did not keep a container of {missing}" if without else f"not every replica has the same container of {missing}"
    return f"{whose}. playbooks/rolling-update.yml -e release={missing} gets there if the image still exists."


def main():
    module = AnsibleModule(
        argument_spec={
            "replicas": {"type": "dict", "required": True},
            "hosts": {"type": "list", "elements": "str", "required": True},
            "release": {"type": "str", "default": ""},
            "resumed": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    params = module.params
    replicas = {name: params["replicas"][name] for name in params["hosts"]}
    try:
        spec, release = decide(replicas, params["release"], params["resumed"])
    except UnclearError as error:
        module.fail_json(msg=refusal(replicas, str(error)))
    module.exit_json(changed=False, ansible_facts={"replica_release": release, "replica_spec": spec})


if __name__ == "__main__":
    main()
