"""Names that people choose: hostnames and operations; what is well formed, and what was probably meant."""

from __future__ import annotations

import difflib
import re
from itertools import islice
from typing import TYPE_CHECKING

from osapi.errors import InvalidInputError, InvalidNameError

if TYPE_CHECKING:
    from collections.abc import Iterable

# The longest name: escaped to three bytes a character, and beside an id, it still fits subjects.MAX_SUBJECT_BYTES.
MAX_NAME_BYTES = 200

# An agent's consumer is called after its host, each dot escaped to three bytes, and NATS stops names at 255 bytes
# (JSMaxNameLen): 6 for `agent-`, 200 for the name and 48 for its dots just fit.
MAX_HOSTNAME_PARTS = 25

# Comparing a whole fleet of 100,000 would stop the event loop for two seconds.
_COMPARED = 1_000

# Case is folded after the match, never by it: the Kelvin sign is a letter whose lower case is ASCII.
_PART = r"(?!-)[A-Za-z0-9-]+(?<!-)"
_HOSTNAME = re.compile(rf"{_PART}(?:\.{_PART}){{0,{MAX_HOSTNAME_PARTS - 1}}}")
_HOSTNAME_STRANGER = re.compile(r"[^A-Za-z0-9.-]")
_OPERATION = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+){1,5}")
_OPERATION_STRANGER = re.compile(r"[^a-z0-9.-]")

_HOSTNAME_FORM = f"write letters, digits and `-` in parts joined by single dots, at most {MAX_NAME_BYTES} bytes"
_OPERATION_FORM = "write 2 to 6 tokens of a-z, 0-9 and `-` joined by single dots, such as node.hostname.get"


def require_text(value: object, error: type[InvalidInputError], remedy: str) -> str:
    """Return the value if it is text, and refuse it with the given error if it is not.

    Raises:
        InvalidInputError: as the class passed in

    """
    if not isinstance(value, str):
        raise error(value, f"is of type {type(value).__name__}, not text", remedy)
    return value


def normalise_hostname(text: str) -> str:
    """Check a hostname and return it in lower case, the form in which hostnames are compared.

    The rule is RFC 1123's, but for lengths: a part may be longer than 63 bytes, the whole is at most 200 bytes in
    at most 25 parts.

    Raises:
        InvalidNameError

    """
    name = require_text(text, InvalidNameError, _HOSTNAME_FORM)
    if len(name) > MAX_NAME_BYTES or not _HOSTNAME.fullmatch(name):
        raise InvalidNameError(name, _hostname_problem(name), _HOSTNAME_FORM)
    return name.lower()


def _hostname_problem(name: str) -> str:
    if name.startswith("_"):
        return "starts with `_`, which is reserved"
    if problem := _problem(name, _HOSTNAME_STRANGER):
        return problem
    if name.count(".") >= MAX_HOSTNAME_PARTS:
        return f"has more than {MAX_HOSTNAME_PARTS} parts"
    return "has a part that starts or ends with `-`"


def check_operation_name(name: str) -> None:
    """Refuse what is not 2 to 6 dot-separated tokens of `a-z`, `0-9` and `-` within 200 bytes.

    Raises:
        InvalidNameError

    """
    text = require_text(name, InvalidNameError, _OPERATION_FORM)
    if len(text) > MAX_NAME_BYTES or not _OPERATION.fullmatch(text):
        tokens = text.count(".") + 1
        problem = _problem(text, _OPERATION_STRANGER) or f"has {tokens} token{'s' * (tokens > 1)}"
        raise InvalidNameError(text, problem, _OPERATION_FORM)


def _problem(name: str, stranger: re.Pattern[str]) -> str:
    if not name:
        return "is empty"
    if len(name) > MAX_NAME_BYTES:
        return f"is {len(name)} characters long"
    if found := stranger.search(name):
        return f"holds {found[0]!r}"
    if "" in name.split("."):
        return "starts or ends with a dot, or has two in a row"
    return ""


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return at most three of the known names that are most like this one, the likest first.

    It is a hint in an error's message: it looks at the first 1,000 known names, at about 20 us each.
    """
    return difflib.get_close_matches(name[:MAX_NAME_BYTES], islice(known, _COMPARED))
