"""What the description of the API cannot say, for schemathesis: strings that only examples describe, and which parameters
go together. `scripts/schemathesis` loads it.
"""

import unicodedata

import schemathesis
from hypothesis import strategies as st

TEXT_BYTES = 4096
# Letters, digits and what else is seen.
VISIBLE = st.characters(categories=("L", "N", "P", "S"))
# Those of them that nobody sees (`protocol/fixtures/names.json`).
HIDDEN = "\u115f\u1160\u2800\u3164\uffa0"


def is_plain(text):
    """Nothing that is hidden, and the same after normalising: such a name is allowed for sure."""
    return unicodedata.normalize("NFC", text) == text and not any(character in HIDDEN for character in text)


def names(longest):
    return st.text(VISIBLE, min_size=1, max_size=longest).filter(is_plain).filter(lambda it: it not in (".", ".."))


# A room is part of a path, where a slash would end it.
schemathesis.openapi.format("room", names(64).filter(lambda it: "/" not in it))
schemathesis.openapi.format("display-name", names(32))
schemathesis.openapi.format("topic", names(200) | st.just(""))
schemathesis.openapi.format("password", names(64).filter(lambda it: 8 <= len(it.encode()) <= 256))
schemathesis.openapi.format("text", names(200).filter(lambda it: len(it.encode()) <= TEXT_BYTES))


@schemathesis.hook
def filter_case(context, case):
    """A string that only ignores a format of ours, such as `room`, may keep to it by chance: it is no bad request for sure."""
    mutations = case.meta.phase.data.mutations if case.meta else ()
    return not any("format" in mutation.keywords for mutation in mutations)


@schemathesis.hook
def before_call(context, case, **_):
    """What goes together, where all is to be valid; and nobody waits for long."""
    if case.meta and case.meta.generation.mode.is_positive:
        case.query = page_of(dict(case.query or {}))
        if isinstance(case.body, dict) and "client" in case.body:
            case.body = message_of(case.body)
    if isinstance(case.query, dict) and str(case.query.get("wait")) in map(str, range(31)):
        case.query["wait"] = 0


def page_of(query):
    """`after`, `before` and `around` exclude each other, and `wait` goes with `after` alone."""
    kept = next((name for name in ("after", "before", "around") if name in query), None)
    left_out = {"after", "before", "around"} - {kept} | (set() if kept == "after" else {"wait"})
    return {name: value for name, value in query.items() if name not in left_out}


def message_of(body):
    """A message is said, or edits one, or removes one: then it has no text. Only with a token it needs no name."""
    body = {**body, "name": body.get("name") or "Guest"}
    if body.get("remove") is not None:
        return {name: value for name, value in body.items() if name not in ("text", "edit")}
    return {"text": "hello", **body}
