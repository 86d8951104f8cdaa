# Apache-2.0
"""Where a roll talks to a slot that has no clients yet."""

import secrets

# The server empties such rooms after a minute of silence, and forgets them after another.
PREFIX = "rollcall-probe-"


def new_room():
    """A room that is made for this, and that no client can enter: nothing lists rooms, and nobody can guess its name."""
    return PREFIX + secrets.token_hex(16)
