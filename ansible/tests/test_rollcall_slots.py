"""What an interrupted roll can leave, and which slot is then taken for the serving one."""

import pytest
from conftest import load

ABSENT = {"running": False, "release": "", "admin": "maint", "status": "MAINT", "phase": "stopped", "started": ""}
KEPT = ABSENT | {"release": "1.0.0"}
SERVES = {
    "running": True,
    "release": "1.0.0",
    "admin": "ready",
    "status": "UP",
    "phase": "ready",
    "started": "2026-01-01T10:00:00Z",
}
NEWER = SERVES | {"release": "1.1.0", "started": "2026-01-01T11:00:00Z"}
IN_DRAIN = {"admin": "drain", "status": "DRAIN"}
DRAINING = {"admin": "drain", "status": "DOWN", "phase": "draining"}
IN_MAINT = {"admin": "maint", "status": "MAINT"}


@pytest.mark.parametrize(
    ("blue", "green", "serving", "up", "stray"),
    [
        pytest.param(ABSENT, ABSENT, "blue", False, False, id="nothing yet"),
        pytest.param(SERVES, KEPT, "blue", True, False, id="at rest"),
        pytest.param(KEPT, NEWER, "green", True, False, id="at rest after a roll"),
        pytest.param(SERVES, NEWER | IN_MAINT, "blue", True, True, id="new slot started"),
        pytest.param(SERVES, NEWER | IN_DRAIN, "blue", True, True, id="new slot passes its check"),
        pytest.param(SERVES, NEWER, "green", True, True, id="both serve"),
        pytest.param(SERVES | IN_DRAIN, NEWER, "green", True, True, id="old slot gets no more clients"),
        pytest.param(SERVES | DRAINING, NEWER, "green", True, True, id="old slot drains"),
        pytest.param(SERVES | IN_MAINT, NEWER, "green", True, True, id="old slot empty"),
        pytest.param(SERVES | DRAINING, KEPT, "blue", False, False, id="rescue interrupted"),
        pytest.param(ABSENT | {"admin": "ready", "status": "DOWN"}, KEPT, "blue", False, False, id="serving slot died"),
        pytest.param(KEPT, ABSENT | {"admin": "ready", "status": "DOWN"}, "green", False, False, id="died after a roll"),
    ],
)
def test_which_slot_serves(blue, green, serving, up, stray):
    replica = load("rollcall_slots").replica({"blue": blue, "green": green})
    assert (replica["serving"], replica["up"], replica["stray"]) == (serving, up, stray)
