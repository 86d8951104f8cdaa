"""What the description of the API cannot say, for schemathesis: strings that only examples describe, and which parameters
go together. `scripts/schemathesis` loads it.
"""

import unicodedata

import schemathesis
from hypothesis import strategies as st

TEXT_BYTES = 4096
# Two decimal numbers below 2^64.
NUMBERS = st.integers(min_value=0, max_value=2**64 - 1)

# Letters, digits and what else is seen.
VISIBLE = st.characters(categories=("L", "N", "P", "S"))
# Those of them that nobody sees (`protocol/fixtures/names.json`).
HIDDEN = "\u115f\u1160\u2800\u3164\uffa0"


def is_plain(text):
    """Nothing that is hidden, and the same after normalising: such a name is allowed for sure."""
    return unicodedata.normalize("NFC", text) == text and not any(character in HIDDEN for character in text)


def names(longest):
    return st.text(VISIBLE, min_size=1, max_size=longest).filter(is_plain).filter(lambda it: it not in (".", ".."))


schemathesis.openapi.format("entry-id", st.tuples(NUMBERS, NUMBERS).map(lambda it: f"{it[0]}-{it[1]}"))
# A room is part of a path, where a slash would end it.
schemathesis.openapi.format("room", names(64).filter(lambda it: "/" not in it))
schemathesis.openapi.format("display-name", names(32))
schemathesis.openapi.format("text", names(200).filter(lambda it: len(it.encode()) <= TEXT_BYTES))


@schemathesis.hook
def map_body(context, body):
    """A message is said, or it edits one, or it removes one: then it has no text."""
    if isinstance(body, dict) and "remove" in body:
        body = {name: value for name, value in body.items() if name not in ("text", "edit")}
    elif isinstance(body, dict) and "client" in body:
        body.setdefault("text", "hello")
    return body


@schemathesis.hook
def map_query(context, query):
    """`after`, `before` and `around` exclude each other, `wait` goes with `after` alone, and this suite does not wait."""
    if not isinstance(query, dict):
        return query
    for kept in ("after", "before", "around"):
        if kept in query:
            query = {name: value for name, value in query.items() if name not in {"after", "before", "around"} - {kept}}
            break
    if "after" not in query:
        query.pop("wait", None)
    if isinstance(query.get("wait"), int) and 0 < query["wait"] <= 30:
        query["wait"] = 0
    return query
