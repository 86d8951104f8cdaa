"""Where a slot is reached."""

import pytest
from conftest import load  # noqa: F401  (puts module_utils in place)

from ansible.module_utils.rollcall_admin import Admin, split


@pytest.mark.parametrize(("address", "public", "admin"), [("172.30.90.11", 0, 8090), ("10.77.0.2:18008", 18008, 18009)])
def test_the_admin_listener_of_another_machine_has_the_port_after_the_public_one(address, public, admin):
    machine, published = split(address)
    assert published == public and ":" not in machine
    reached = Admin(address)
    assert (reached.address, reached.port) == (machine, admin)
