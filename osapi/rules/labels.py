"""Labels: what an agent says of itself, and how a job addresses it.

A label is `key:segment.segment`. It is matched by whole segments from the left: `group:web` and `group:web.dev`
match an agent that declares `group: web.dev.us-east`, and `group:web.de` does not. Labels are compared as they are
written, in upper and lower case; only hostnames are folded. `host` and `fact` are no keys of labels: selectors
ask for hosts and facts by them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import accumulate
from typing import TYPE_CHECKING

import msgspec

from osapi.errors import InvalidLabelError
from osapi.rules.names import MAX_NAME_BYTES, require_text

if TYPE_CHECKING:
    from typing import TypeGuard

MAX_LABELS = 64
MAX_SEGMENTS = 16

_KEY = r"(?!host:|fact:)[A-Za-z0-9-][A-Za-z0-9_-]*"
_SEGMENT = r"[A-Za-z0-9_-]+"
_LABEL = re.compile(rf"{_KEY}:{_SEGMENT}(?:\.{_SEGMENT}){{0,{MAX_SEGMENTS - 1}}}")
_KEY_STRANGER = re.compile(r"[^A-Za-z0-9_-]")
_VALUE_STRANGER = re.compile(r"[^A-Za-z0-9_.-]")

_FORM = "write key:segment.segment, such as group:web.dev, each part of letters, digits, `-` and `_`"
_MAPPING_FORM = "give keys and values as text, such as {'group': 'web.dev'}"


class Label(msgspec.Struct, frozen=True):
    """Address the agents that declare this label or one below it; made by `parse_label`, printed by `str`."""

    text: str

    @property
    def key(self) -> str:
        """The part before the colon."""
        return self.text.partition(":")[0]

    @property
    def segments(self) -> tuple[str, ...]:
        """The parts after the colon, the widest first."""
        return tuple(self.text.partition(":")[2].split("."))

    def prefixes(self) -> tuple[str, ...]:
        """Return the text of every label that matches an agent with this one, the widest first, itself last."""
        return label_prefixes(self.text)

    def __str__(self) -> str:
        return self.text


def label_prefixes(text: str) -> tuple[str, ...]:
    """Return `group:web`, `group:web.dev` for `group:web.dev`: a key holds no dot, so every dot ends a segment."""
    return tuple(accumulate(text.split("."), "{}.{}".format))


def all_prefixes(labels: Mapping[str, str]) -> list[str]:
    """Return the text of every label that matches an agent with these, in the order of their keys."""
    return [prefix for key, value in labels.items() for prefix in label_prefixes(f"{key}:{value}")]


def parse_label(text: str) -> Label:
    """Read a label: `key:segment.segment`, at most 16 segments and 200 bytes.

    The key holds letters, digits, `-` and `_` but does not start with `_`, and is neither `host` nor `fact`; a segment
    holds the same.

    Raises:
        InvalidLabelError

    """
    label = require_text(text, InvalidLabelError, _FORM)
    if len(label) > MAX_NAME_BYTES or not _LABEL.fullmatch(label):
        raise InvalidLabelError(label, _problem(label), f"{_FORM}, at most {MAX_NAME_BYTES} bytes")
    return Label(label)


def _problem(label: str) -> str:
    key, colon, value = label.partition(":")
    segments = value.split(".")
    stranger = _KEY_STRANGER.search(key) or _VALUE_STRANGER.search(value)
    problems = {
        "has no colon": not colon,
        "has no key before the colon": not key,
        "has no value after the colon": not value,
        "has a key that starts with `_`, which is reserved": key.startswith("_"),
        "has the key `host`, by which selectors ask for hostnames": key == "host",
        "has the key `fact`, by which selectors ask for facts": key == "fact",
        "has a key with a dot": "." in key,
        f"holds {stranger and stranger[0]!r}": stranger,
        "has an empty segment": "" in segments,
        f"has more than {MAX_SEGMENTS} segments": len(segments) > MAX_SEGMENTS,
    }
    return next((problem for problem, found in problems.items() if found), f"is {len(label)} characters long")


def normalise_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Check the labels that an agent declares, at most 64, and return them in the order of their keys.

    One label has one value. The order makes equal labels give equal consumers, however they were written down.

    Raises:
        InvalidLabelError: the first label that is wrong, or the whole if it is no mapping or too large

    """
    if not _is_mapping(labels):
        raise InvalidLabelError(labels, f"is of type {type(labels).__name__}, not a mapping", _MAPPING_FORM)
    if len(labels) > MAX_LABELS:
        raise InvalidLabelError(labels, f"holds {len(labels)} labels", f"at most {MAX_LABELS} are accepted")
    for key, value in labels.items():
        if ":" in require_text(key, InvalidLabelError, _MAPPING_FORM):
            raise InvalidLabelError(key, "is a key with a colon", _MAPPING_FORM)
        parse_label(f"{key}:{require_text(value, InvalidLabelError, _MAPPING_FORM)}")
    return dict(sorted(labels.items()))


def _is_mapping(value: object) -> TypeGuard[Mapping[str, str]]:
    # A guard rather than isinstance: the checkers believe the annotation, and labels come from people's YAML.
    return isinstance(value, Mapping)


def label_matches(wanted: Label, labels: Mapping[str, str]) -> bool:
    """Tell whether an agent with these labels is addressed: the meaning that `LabelIndex` is tested against."""
    key, _, value = wanted.text.partition(":")
    # The dot after both keeps `web.de` from matching `web.dev`.
    return f"{labels.get(key, '')}.".startswith(f"{value}.")
