"""Keys and subjects on the wire: how a name becomes a token, and where each kind of record and notice lies.

A token holds `a-z 0-9 -`; every other byte of a name's UTF-8 is `=XX`, so that `web-01.example.com` is
`web-01=2Eexample=2Ecom`: readable, reversible, and valid in subjects, keys and consumer names alike.
"""

from __future__ import annotations

import binascii
import hashlib
import re
import string
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, cast

from osapi.errors import InvalidKeyError, InvalidSubjectError
from osapi.rules.labels import all_prefixes
from osapi.rules.names import MAX_NAME_BYTES
from osapi.rules.records import ANY_SLOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from osapi.rules.records import Kind
    from osapi.rules.targets import Route


# All notices to groups, and all jobs for one of a group.
GROUP_NOTICES = "jobs.group.label.*.*"
ANY_GROUP_FILTER = "jobs.*.any-label.*.*"

# NATS stops names at 255 bytes (JSMaxNameLen); 128 bits of SHA-256 tell apart what is cut.
_MAX_CONSUMER_NAME = 255
_DIGEST = 32

# Every job's definition, and every record of a slot without what lies beside it.
DEFINITIONS = "jobs.*"
RECORDS = "*.*.*"

# The keys of the registry that say which sweeper acts, who conducts rollouts, and who tells of conditions; no hostname
# is encoded to such a key.
SWEEPER_KEY = "_sweeper"
CONDUCTOR_KEY = "_conductor"
ALERTER_KEY = "_alerter"
POSTS = frozenset({SWEEPER_KEY, CONDUCTOR_KEY, ALERTER_KEY})

# A fleet's hostnames are encoded over and over: 70 ns for a hit, 700 for a miss, 2.5 MB when full.
_CACHED = 16_384

_PLAIN = frozenset(f"{string.ascii_lowercase}{string.digits}-".encode())
_WIRE = [chr(byte) if byte in _PLAIN else f"={byte:02X}" for byte in range(256)]
_TOKEN = re.compile(r"(?:[a-z0-9-]|=[0-9A-F]{2})+")
_JOB_ID = re.compile(r"[0-9a-f-]{1,36}")
_NOTIFICATION = re.compile(r"jobs\.(query|modify)\.(?:(any|all)\._|(host|label|any-label)\.([^.]+))\.([0-9a-f-]{1,36})")

_NAME_FORM = f"write 1 to {MAX_NAME_BYTES} bytes of UTF-8"
_TOKEN_FORM = "write a-z, 0-9 and `-`, and every other byte as `=XX`"
_ID_FORM = "0-9, a-f and `-`, at most 36 of them"


@lru_cache(maxsize=_CACHED)
def encode_token(text: str) -> str:
    """Write a name as one token of a subject, key or consumer name; at most three bytes for each of its own.

    Raises:
        InvalidKeyError: it is empty, longer than 200 bytes, or holds a lone surrogate

    """
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise InvalidKeyError(text, "holds a lone surrogate", _NAME_FORM) from None
    if not 0 < len(raw) <= MAX_NAME_BYTES:
        raise InvalidKeyError(text, f"is {len(raw)} bytes long", _NAME_FORM)
    return "".join([_WIRE[byte] for byte in raw])


@lru_cache(maxsize=_CACHED)
def decode_token(token: str) -> str:
    """Read a token back into the name; `encode_token` of the answer is the token again.

    Raises:
        InvalidKeyError: `encode_token` could not have written it

    """
    if not _TOKEN.fullmatch(token):
        raise InvalidKeyError(token, "is not an encoded name", _TOKEN_FORM)
    try:
        # Quoted-printable escapes bytes in the same way.
        text = binascii.a2b_qp(token).decode()
    except UnicodeDecodeError:
        raise InvalidKeyError(token, "does not decode to UTF-8", _TOKEN_FORM) from None
    if encode_token(text) != token:
        raise InvalidKeyError(token, "escapes what needs no escape", _TOKEN_FORM)
    return text


# --- Keys of the buckets -----------------------------------------------------------------------------------


class ResponseKey(NamedTuple):
    """What a key of `job-responses` says: whose job, which job, and the slot (`_any` or a hostname)."""

    origin: str
    job_id: str
    slot: str


def job_key(job_id: str) -> str:
    """Name the key of `job-queue` that holds a job's definition.

    Raises:
        InvalidKeyError: the id is not 1 to 36 of `0-9 a-f -`; so says every function here that takes one

    """
    return f"jobs.{_checked_id(job_id)}"


def cancellation_key(job_id: str) -> str:
    """Name the key of `job-queue` that holds the orders to cancel a job."""
    return f"cancelled.{_checked_id(job_id)}"


def retried_key(job_id: str) -> str:
    """Name the key of `job-queue` that holds the id of the job which retries this one."""
    return f"retried.{_checked_id(job_id)}"


def parse_job_key(key: str) -> str:
    """Return the id of the job whose definition lies under this key.

    Raises:
        InvalidKeyError

    """
    head, _, job_id = key.partition(".")
    if head != "jobs":
        raise InvalidKeyError(key, "is not the key of a job", "write jobs.<id>")
    return _checked_id(job_id)


def response_key(origin: str, job_id: str, slot: str) -> str:
    """Name the key of `job-responses` that holds the record of one slot: `_any`, or a hostname.

    Raises:
        InvalidKeyError: the origin is not a token already, or the slot is another name with `_` in front

    """
    return f"{_checked_token(origin)}.{_checked_id(job_id)}.{_slot_token(slot)}"


def parse_response_key(key: str) -> ResponseKey:
    """Take a key of `job-responses` apart; `response_key` of the parts is the key again.

    Raises:
        InvalidKeyError

    """
    parts = key.split(".")
    if len(parts) != 3:
        raise InvalidKeyError(key, f"has {len(parts)} token{'s' * (len(parts) > 1)}", "write <origin>.<job id>.<slot>")
    origin, job_id, token = parts
    slot = token if token == ANY_SLOT else decode_token(token)
    if _slot_token(slot) != token:
        raise InvalidKeyError(key, "hides `_any` behind an escape", f"write {ANY_SLOT} as it is")
    return ResponseKey(_checked_token(origin), _checked_id(job_id), slot)


def response_pattern(origin: str) -> str:
    """Match every record of every job of one client, without what lies beside the records."""
    return f"{_checked_token(origin)}.*.*"


def slots_pattern(origin: str, job_id: str) -> str:
    """Match the records of one job."""
    return f"{_checked_token(origin)}.{_checked_id(job_id)}.*"


def output_key(record_key: str, attempt: int, number: int) -> str:
    """Name the key of `job-responses` that holds a chunk of what an attempt wrote, beside its record."""
    return f"{record_key}.out.{attempt}.{number:06d}"


def part_key(record_key: str, attempt: int, number: int) -> str:
    """Name the key of `job-responses` that holds a part of an attempt's result, beside its record."""
    return f"{record_key}.part.{attempt}.{number:06d}"


def job_response_pattern(job_id: str) -> str:
    """Match every record of one job, whoever submitted it, and what lies beside the records."""
    return f"*.{_checked_id(job_id)}.>"


def agent_key(hostname: str) -> str:
    """Name the key that holds what an agent says of itself."""
    return encode_token(hostname)


def known_key(hostname: str) -> str:
    """Name the key of `agent-state` that holds what is remembered of an agent."""
    return f"known.{encode_token(hostname)}"


def alerts_key(hostname: str) -> str:
    """Name the key of `agent-state` that holds what somebody was told of an agent."""
    return f"alerts.{encode_token(hostname)}"


def timeline_key(hostname: str) -> str:
    """Name the key of `agent-state` that holds the timeline of an agent."""
    return f"timeline.{encode_token(hostname)}"


def drain_key(hostname: str) -> str:
    """Name the key of `agent-state` that says that an agent shall take no jobs."""
    return f"drain.{encode_token(hostname)}"


# Every rollout.
ROLLOUT_PATTERN = "rollouts.*"


def rollout_key(rollout_id: str) -> str:
    """Name the key of `job-rollouts` that holds a rollout."""
    return f"rollouts.{_checked_id(rollout_id, 'rollout', 'start')}"


def join_key(hostname: str, fingerprint: str) -> str:
    """Name the key of `agent-state` under which an agent asks to be accepted with one of its keys."""
    return f"join.{encode_token(hostname)}.{_checked_token(fingerprint)}"


def join_pattern(hostname: str | None = None) -> str:
    """Match the requests of all agents, or those under one hostname."""
    return f"join.{'*' if hostname is None else encode_token(hostname)}.*"


def enrolment_key(hostname: str) -> str:
    """Name the key of `agent-state` that says which key of an agent is accepted."""
    return f"enrolment.{encode_token(hostname)}"


def succession_key(fingerprint: str) -> str:
    """Name the key of `agent-state` that says which key follows this one."""
    return f"succession.{_checked_token(fingerprint)}"


def waiting_key(hostname: str, job_id: str) -> str:
    """Name the key of `job-queue` that says that a job waits for an agent which is away."""
    return f"waiting.{encode_token(hostname)}.{_checked_id(job_id)}"


def waiting_pattern(hostname: str) -> str:
    """Match the jobs that wait for one agent."""
    return f"waiting.{encode_token(hostname)}.*"


# --- Subjects of the notifications -------------------------------------------------------------------------


class Notification(NamedTuple):
    """What the subject of a notification says; the address is a host, a label's text, or empty."""

    kind: Kind
    route: Route
    address: str
    job_id: str


def notification_subject(kind: Kind, route: Route, address: str, job_id: str) -> str:
    """Name the subject, of always five tokens, that tells agents of a job; the address is `Target.address`."""
    return f"jobs.{kind}.{route}.{encode_token(address) if address else '_'}.{_checked_id(job_id)}"


def parse_notification_subject(subject: str) -> Notification:
    """Take the subject of a notification apart; `notification_subject` of the parts is the subject again.

    Raises:
        InvalidSubjectError: it is another subject
        InvalidKeyError: its address is not an encoded name

    """
    found = _NOTIFICATION.fullmatch(subject)
    if found is None:
        raise InvalidSubjectError(subject, "is not a notification's", "write jobs.<kind>.<route>.<address or _>.<id>")
    kind, everyone, some, token, job_id = found.groups()
    address = decode_token(token) if token else ""
    return Notification(cast("Kind", kind), cast("Route", everyone or some), address, job_id)


def job_subjects(job_id: str) -> str:
    """Match a job's notification whatever its kind and route, so that it can be purged by the id alone."""
    return f"jobs.*.*.*.{_checked_id(job_id)}"


def schedule_subject(job_id: str, slot: str) -> str:
    """Name the subject that holds a delayed notification until it is due.

    It has four tokens, so that no consumer of notifications, whose filters have five, takes it early.
    """
    return f"jobs.later.{_checked_id(job_id)}.{_slot_token(slot)}"


def schedule_subjects(job_id: str) -> str:
    """Match all delayed notifications of a job."""
    return f"jobs.later.{_checked_id(job_id)}.*"


# --- What the consumers listen to --------------------------------------------------------------------------


def any_filter() -> str:
    """Match the jobs that are for one agent, whichever: the filter of the consumer that all agents share."""
    return "jobs.*.any._.*"


def group_filter(label: str) -> str:
    """Match the jobs that are for one of those with a label: the filter of the consumer that they share."""
    return f"jobs.*.any-label.{encode_token(label)}.*"


def group_consumer_name(label: str) -> str:
    """Name the consumer that the agents with a label share; of a long name, the end gives way to a digest.

    No token holds `==`, so no two labels share a name.
    """
    name = f"any-{encode_token(label)}"
    if len(name) <= _MAX_CONSUMER_NAME:
        return name
    digest = hashlib.sha256(label.encode()).hexdigest()[:_DIGEST]
    return f"{name[: _MAX_CONSUMER_NAME - _DIGEST - 2]}=={digest}"


def group_notice_subject(label: str) -> str:
    """Name the subject that tells the agents with a label that jobs for one of them are to come.

    It reaches them as a job for all of them would, through the consumer that each has of its own.
    """
    return f"jobs.group.label.{encode_token(label)}._"


def agent_filters(hostname: str, labels: Mapping[str, str]) -> tuple[str, ...]:
    """Match the jobs that are for this agent besides: for all, for its host, for each prefix of its labels.

    Takes labels as `normalise_labels` returns them. No two of the filters overlap, as the server demands, and equal
    labels give equal filters in equal order.
    """
    by_label = [f"jobs.*.label.{encode_token(prefix)}.*" for prefix in all_prefixes(labels)]
    return ("jobs.*.all._.*", f"jobs.*.host.{encode_token(hostname)}.*", *by_label)


def consumer_name(hostname: str) -> str:
    """Name the consumer that belongs to one agent: at most 255 bytes for any hostname, and without dots."""
    return f"agent-{encode_token(hostname)}"


def consumer_host(name: str) -> str:
    """Return whose consumer it is, empty if it is a shared one."""
    head, _, token = name.partition("-")
    return decode_token(token) if head == "agent" and _TOKEN.fullmatch(token) else ""


def _checked_id(given: str, kind: str = "job", source: str = "submit") -> str:
    # An id may come from a URL: a `*` or a dot in it must never reach the broker as a pattern.
    if not _JOB_ID.fullmatch(given):
        raise InvalidKeyError(given, f"is not the id of a {kind}", f"give the id that {source} returned: {_ID_FORM}")
    return given


@lru_cache(maxsize=_CACHED)
def _checked_token(token: str) -> str:
    if not _TOKEN.fullmatch(token):
        raise InvalidKeyError(token, "is not a token", _TOKEN_FORM)
    return token


def _slot_token(slot: str) -> str:
    if slot == ANY_SLOT:
        return slot
    if slot.startswith("_"):
        raise InvalidKeyError(slot, "is not a slot", f"write {ANY_SLOT} or a hostname")
    return encode_token(slot)
