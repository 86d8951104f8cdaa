# Apache-2.0
"""Where a stack has its state."""

DOCUMENTATION = r"""
name: rollcall_state
author: Rollcall
short_description: The directory of a stack's state on this machine
description:
  - The one that the stack's own containers name. Where there is no stack it is C(/var/lib/rollcall/PROJECT) if that exists or this
    user may make it, and C(~/.rollcall/PROJECT) otherwise, or where an earlier release has left one.
  - Where Docker does not answer there is no stack.
options:
  _terms: {description: Names of projects., required: true}
"""

EXAMPLES = r"""
- name: Tell where it is
  ansible.builtin.debug: {msg: "{{ lookup('rollcall_state', 'rollcall') }}"}
"""

RETURN = r"""
_raw: {description: A directory for each of them., type: list, elements: path}
"""

import os
from pathlib import Path

import ansible.module_utils
from ansible.plugins.lookup import LookupBase

ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.rollcall_state import DockerError, in_force, place  # noqa: E402


def known(project):
    """The playbook's own check says what is wrong with Docker."""
    try:
        return in_force(project)
    except DockerError:
        return None


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        return [place(str(project), os.environ.get("HOME", "/"), found=known) for project in terms]
