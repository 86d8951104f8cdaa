# Apache-2.0
"""So many replicas on this machine, and nothing to write down for each."""

DOCUMENTATION = r"""
name: rollcall_replicas
plugin_type: inventory
short_description: Replicas r1 to rN on this machine
description:
  - Makes the group C(replicas) of hosts C(r1), C(r2) and so on, each with its C(rollcall_number).
  - How many there are playbooks/scale.yml keeps in the stack's own directory; before the first time it is C(replicas).
  - With C(-e replicas=) there are as many as that, or as there have been if those were more, since what is to go has to
    be known to be drained.
options:
  plugin: {description: The name of this plugin., type: str, required: true, choices: [rollcall_replicas, rollcall.stack.rollcall_replicas]}
  replicas: {description: How many there are in a new stack., type: int, default: 3}
"""

import sys
from pathlib import Path

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.plugins.loader import lookup_loader
from ansible.utils.vars import load_extra_vars

# Two addresses of the network for each; group_vars/all.yml says which.
MOST = 99


def kept(directory, otherwise):
    """How many the stack has."""
    try:
        return int((directory / "replicas").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return otherwise


class InventoryModule(BaseInventoryPlugin):
    NAME = "rollcall_replicas"

    def verify_file(self, path):
        return super().verify_file(path) and path.endswith("replicas.yml")

    def parse(self, inventory, loader, path, cache=True):
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        told = load_extra_vars(loader)
        # As group_vars/all.yml has it.
        place = lookup_loader.get("rollcall_state", loader=loader)
        directory = told.get("rollcall_run_dir") or place.run([told.get("rollcall_project", "rollcall")])[0]
        try:
            has = kept(Path(directory), self.get_option("replicas"))
            wanted = int(told.get("replicas", has))
        except ValueError as error:
            raise AnsibleParserError(f"the number of replicas is a number: {error}") from error
        if not 1 <= wanted <= MOST:
            raise AnsibleParserError(f"a stack has from 1 to {MOST} replicas, and not {wanted}")
        inventory.add_group("replicas")
        inventory.set_variable("all", "ansible_connection", "local")
        inventory.set_variable("all", "ansible_python_interpreter", sys.executable)
        for number in range(1, max(has, wanted) + 1):
            inventory.add_host(f"r{number}", group="replicas")
            inventory.set_variable(f"r{number}", "rollcall_number", number)
        inventory.set_variable("all", "rollcall_replicas_had", has)
