"""Selectors: whom a job is for when one label does not say it.

    selector    = requirement *("," requirement)          all of them must hold
    requirement = ["!"] (label | "host:" glob | "fact." name ":" value)

`!` turns a requirement around. A label matches by whole segments, as everywhere. In a glob, `*` stands for any
characters and `?` for one; it is matched on the hostname in lower case. A fact has exactly the value, or is a list
that holds it. A value cannot hold a comma, since that ends the requirement.
"""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from osapi.errors import InvalidLabelError, InvalidTargetError, shown
from osapi.rules.labels import Label, label_matches, parse_label
from osapi.rules.names import MAX_NAME_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from osapi.rules.facts import FlatFacts

MAX_SELECTOR_BYTES = 1024
MAX_REQUIREMENTS = 32

_HOST = "host"
_FACT = "fact."
_WILD = re.compile(r"[*?]")
_GLOB_STRANGER = re.compile(r"[^a-z0-9.*?-]")
_FACT_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

_FORM = "join requirements such as group:web.dev, !host:db-* or fact.arch:arm64 by commas"


class LabelIs(Struct, frozen=True):
    """Require a label, or one below it."""

    label: Label
    negated: bool = False

    def __str__(self) -> str:
        return f"{'!' * self.negated}{self.label}"


class HostLike(Struct, frozen=True):
    """Require a hostname that looks like this, in lower case: `*` for any characters, `?` for one."""

    glob: str
    negated: bool = False

    @property
    def exact(self) -> bool:
        """Tell whether only one host can match."""
        return not _WILD.search(self.glob)

    @property
    def prefix(self) -> str:
        """What every matching name starts with."""
        return _WILD.split(self.glob, maxsplit=1)[0]

    @property
    def suffix(self) -> str:
        """What every matching name ends with."""
        return _WILD.split(self.glob)[-1]

    @property
    def pattern(self) -> re.Pattern[str]:
        """The glob, compiled once; its time is bounded however many wildcards it holds."""
        return _compiled(self.glob)

    def __str__(self) -> str:
        return f"{'!' * self.negated}{_HOST}:{self.glob}"


class FactIs(Struct, frozen=True):
    """Require a fact to have a value, or to be a list that holds it; both are text."""

    name: str
    value: str
    negated: bool = False

    def __str__(self) -> str:
        return f"{'!' * self.negated}{_FACT}{self.name}:{self.value}"


Requirement: TypeAlias = LabelIs | HostLike | FactIs


class Selector(Struct, frozen=True):
    """Require several things at once; made by `parse_selector`, printed in its normal form by `str`."""

    requirements: tuple[Requirement, ...]

    @property
    def uses_facts(self) -> bool:
        """Tell whether it can be matched only by who knows the agents' facts."""
        return any(isinstance(requirement, FactIs) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


@lru_cache(maxsize=1024)
def _compiled(glob: str) -> re.Pattern[str]:
    # fnmatch writes a pattern that never goes back over what an earlier `*` has matched.
    return re.compile(translate(glob))


def is_selector(text: str) -> bool:
    """Tell whether a target's text is meant as a selector; a label by itself is none."""
    key, colon, _ = text.lstrip("!").partition(":")
    return "," in text or text.startswith("!") or bool(colon and (key == _HOST or key.startswith(_FACT)))


def parse_selector(text: str) -> Selector:
    """Read a selector of at most 1024 bytes and 32 requirements; hostnames are put in lower case.

    Requirements that contradict each other are accepted: they match nobody.

    Raises:
        InvalidTargetError: it names the requirement that is wrong

    """
    size = len(text.encode(errors="surrogatepass"))
    if size > MAX_SELECTOR_BYTES:
        raise InvalidTargetError(text, f"is {size} bytes long", f"a selector has at most {MAX_SELECTOR_BYTES}")
    parts = text.split(",")
    if len(parts) > MAX_REQUIREMENTS:
        raise InvalidTargetError(text, f"has {len(parts)} requirements", f"a selector has at most {MAX_REQUIREMENTS}")
    return Selector(tuple([_parse_requirement(part, text) for part in parts]))


def _parse_requirement(text: str, whole: str) -> Requirement:
    positive = text.removeprefix("!")
    negated = positive != text
    key, colon, value = positive.partition(":")
    if problem := _problem(text, positive, key, colon):
        raise InvalidTargetError(whole, problem, _FORM)
    if key == _HOST:
        return HostLike(_glob(value, whole), negated)
    if key.startswith(_FACT):
        return FactIs(*_fact(key.removeprefix(_FACT), value, whole), negated)
    try:
        return LabelIs(parse_label(positive), negated)
    except InvalidLabelError as error:
        raise InvalidTargetError(whole, f"{shown(positive)} {error.problem}", _FORM) from None


def _problem(text: str, positive: str, key: str, colon: str) -> str:
    if not text:
        return "has an empty requirement"
    if not positive:
        return "has a `!` with nothing after it"
    if positive.startswith("!"):
        return "has a requirement with more than one `!`"
    if not colon and not key.startswith(_FACT):
        return f"{shown(positive)} has no colon, a hostname is written host:NAME"
    return ""


def _glob(value: str, whole: str) -> str:
    glob = value.lower() if value.isascii() else value
    stranger = _GLOB_STRANGER.search(glob)
    problems = {
        "has no hostname after `host:`": not glob,
        f"holds {stranger and stranger[0]!r} in a hostname": stranger,
        f"has a hostname of {len(glob)} characters": len(glob) > MAX_NAME_BYTES,
    }
    _refuse(whole, problems, "write host: and letters, digits, `-` and dots, `*` and `?` for what may differ")
    return glob


def _fact(name: str, value: str, whole: str) -> tuple[str, str]:
    stranger = _CONTROL.search(value)
    problems = {
        "has no name after `fact.`": not name,
        f"{shown(name)} is no name of a fact": not _FACT_NAME.fullmatch(name),
        f"has no value for the fact {shown(name)}": not value,
        f"holds {stranger and stranger[0]!r} in the value of a fact": stranger,
    }
    _refuse(whole, problems, "write fact.NAME:VALUE, such as fact.interface.primary:eth0")
    return name, value


def _refuse(whole: str, problems: Mapping[str, object], remedy: str) -> None:
    for problem, found in problems.items():
        if found:
            raise InvalidTargetError(whole, problem, remedy)


def selector_matches(selector: Selector, host: str, labels: Mapping[str, str], facts: FlatFacts) -> bool:
    """Tell whether an agent is addressed: the meaning that `FleetIndex` is tested against."""
    return all(
        _holds(requirement, host, labels, facts) is not requirement.negated for requirement in selector.requirements
    )


def _holds(requirement: Requirement, host: str, labels: Mapping[str, str], facts: FlatFacts) -> bool:
    if isinstance(requirement, LabelIs):
        return label_matches(requirement.label, labels)
    if isinstance(requirement, HostLike):
        return requirement.pattern.match(host) is not None
    found = facts.get(requirement.name, ())
    return requirement.value == found if isinstance(found, str) else requirement.value in found
