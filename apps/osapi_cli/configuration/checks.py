"""What a value must be beyond its type, and what one key demands of another."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

from msgspec.structs import replace

from osapi.errors import InvalidInputError, shown
from osapi.rules.labels import normalise_labels
from osapi.rules.names import normalise_hostname
from osapi.rules.permissions import check_permission
from osapi.rules.records import Policy
from osapi.rules.retry import check_policy
from osapi_cli.configuration.durations import print_duration
from osapi_cli.problems import ProblemError, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from osapi_cli.configuration.broker import ServerAuth
    from osapi_cli.configuration.schema import Auth, Configuration

T = TypeVar("T")

MIN_KEY_BYTES: Final = 32
_SUBJECTS: Final = "jobs.>"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,200}")
_NAMESPACE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_COLLECTOR = re.compile(r"(https?://)?([^\s/?#:\[\]]+|\[[0-9a-fA-F:]+\]):\d{1,5}")
_URL = re.compile(r"https?://[^\s/?#]+[^\s?#]*")

_HOOK = re.compile(r"https?://[^\s/?#]+\S*")

_AUTH_NEEDS: Final = {
    "user_pass": ("username", "password"),
    "nkey": ("nkey_file",),
    "creds": ("creds_file",),
    "token": ("token",),
}
_SERVER_NEEDS: Final = {"user_pass": ("users",), "nkey": ("nkeys",), "token": ("token",)}

# A path, what is wrong there, and what would be right.
_Finding = tuple[str, str, str]


def check(configuration: Configuration, given: Mapping[str, str]) -> list[ProblemError]:
    """Return what is wrong; `given` says where each key stands."""
    found = (
        *_controller(configuration),
        *_agent(configuration),
        *_connections(configuration),
        *_tracing(configuration),
        *_names(configuration),
    )
    return [ProblemError(_where(path, given), path, problem, remedy) for path, problem, remedy in found]


def _where(path: str, given: Mapping[str, str]) -> str:
    """Return where a key stands, or what it is part of, or what stands beside it."""
    section = path.rpartition(".")[0]
    beside = (where for key, where in given.items() if key.startswith(f"{section}."))
    return given.get(path) or given.get(section) or next(beside, "default")


def _controller(configuration: Configuration) -> Iterator[_Finding]:
    security = configuration.controller.api.security
    size = len(security.signing_key.encode())
    if 0 < size < MIN_KEY_BYTES:
        problem = f"is {size} bytes long"
        yield "controller.api.security.signing_key", problem, f"use at least {MIN_KEY_BYTES}: openssl rand -hex 32"
    for name, role in security.roles.items():
        for permission in role.permissions:
            yield from _judged(f"controller.api.security.roles.{name}", check_permission, permission)
    url = configuration.controller.client.url
    if not _is_url(url, _URL):
        yield "controller.client.url", f"is {quoted(url)}", "write http://host:port, or https:// and so on"
    yield from _notifications(configuration)


def _notifications(configuration: Configuration) -> Iterator[_Finding]:
    path, notifications = "controller.notifications.url", configuration.controller.notifications
    if notifications.url and not _is_url(notifications.url, _HOOK):
        # Not quoted: it is a secret.
        yield path, "is no URL of a webhook", "write http://host/path or https://host/path"
    elif notifications.notifier == "webhook" and not notifications.url:
        yield path, "is not given, and the notifier is webhook", "give it, or the notifier log"


def _is_url(text: str, form: re.Pattern[str]) -> bool:
    """Tell whether this has the form of a URL, with a host and a port that somebody could have."""
    try:
        parts = urlsplit(text)
        host, _ = (parts.hostname or "").encode("idna"), parts.port
    except ValueError:
        return False
    return bool(host) and form.fullmatch(text) is not None


def _agent(configuration: Configuration) -> Iterator[_Finding]:
    agent = configuration.agent
    if agent.hostname:
        yield from _judged("agent.hostname", normalise_hostname, agent.hostname)
    yield from _judged("agent.labels", normalise_labels, agent.labels)
    yield from _judged("agent.consumer.back_off", _check_pauses, agent.consumer.back_off)
    least, told = 2 * agent.facts.interval, configuration.nats.facts.ttl
    if told < least:
        problem = f"is {print_duration(told)}, and agent.facts.interval is {print_duration(agent.facts.interval)}"
        yield "nats.facts.ttl", problem, f"use at least {print_duration(least)}, two intervals"


def _check_pauses(pauses: tuple[float, ...]) -> None:
    check_policy(Policy(pauses=pauses))


def _judged(path: str, judge: Callable[[T], object], value: T) -> Iterator[_Finding]:
    try:
        judge(value)
    except InvalidInputError as error:
        yield path, f"{shown(error.value)}: {error.problem}", error.remedy


def _connections(configuration: Configuration) -> Iterator[_Finding]:
    for path, connection in (
        ("controller.nats", configuration.controller.nats),
        ("agent.nats", configuration.agent.nats),
    ):
        yield from _auth(f"{path}.auth", connection.auth, _AUTH_NEEDS)
        yield from _namespace(path, connection.namespace)
    for path, pki in (("controller.pki", configuration.controller.pki), ("agent.pki", configuration.agent.pki)):
        if pki.enabled and not pki.key_dir:
            problem = f"is not given, and {path}.enabled is true"
            yield f"{path}.key_dir", problem, "name a folder of its own that the program may write to"
    server = configuration.nats.server
    yield from _auth("nats.server.auth", server.auth, _SERVER_NEEDS)
    yield from _namespace("nats.server", server.namespace)
    names = [user.username for user in server.auth.users]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield "nats.server.auth.users", f"has {quoted(name)} twice", "give each user once"


def _auth(path: str, auth: Auth | ServerAuth, needs: Mapping[str, tuple[str, ...]]) -> Iterator[_Finding]:
    for needed in needs.get(auth.type, ()):
        if not getattr(auth, needed):
            yield f"{path}.{needed}", f"is not given, and {path}.type is {auth.type}", "give it, or another type"


def _namespace(path: str, namespace: str) -> Iterator[_Finding]:
    if namespace and not _NAMESPACE.fullmatch(namespace):
        yield f"{path}.namespace", f"is {quoted(namespace)}", "write letters, digits, - and _, at most 64 of them"


def _tracing(configuration: Configuration) -> Iterator[_Finding]:
    tracing = configuration.telemetry.tracing
    if tracing.enabled and tracing.exporter == "otlp" and not _COLLECTOR.fullmatch(tracing.otlp_endpoint):
        problem = f"is {quoted(tracing.otlp_endpoint)}, and telemetry.tracing.exporter is otlp"
        yield "telemetry.tracing.otlp_endpoint", problem, "write host:port of the collector, or https:// before it"


def _names(configuration: Configuration) -> Iterator[_Finding]:
    nats = configuration.nats
    if nats.stream.subjects != _SUBJECTS:
        yield "nats.stream.subjects", f"is {quoted(nats.stream.subjects)}", f"write {_SUBJECTS}, or leave it out"
    buckets = {
        "nats.kv.bucket": nats.kv.bucket,
        "nats.kv.response_bucket": nats.kv.response_bucket,
        "nats.registry.bucket": nats.registry.bucket,
        "nats.facts.bucket": nats.facts.bucket,
        "nats.state.bucket": nats.state.bucket,
    }
    streams = {"nats.stream.name": nats.stream.name, "nats.audit.stream": nats.audit.stream}
    for names in (buckets, streams):
        first: dict[str, str] = {}
        for path, name in names.items():
            if not _NAME.fullmatch(name):
                yield path, f"is {quoted(name)}", "write letters, digits, - and _, at most 200 of them"
            elif first.setdefault(name, path) != path:
                yield path, f"is {quoted(name)} as {first[name]} is", "give each a name of its own"


def reconcile(configuration: Configuration, given: Mapping[str, str]) -> tuple[Configuration, list[str]]:
    """Give notifications and jobs one lifetime, the shorter, and say so if one was asked to live longer."""
    nats = configuration.nats
    shorter = min(nats.stream.max_age, nats.kv.ttl)
    warnings = [
        f"{given[path]}: {path} is {print_duration(value)}, but {other} ends a job after {print_duration(shorter)}; "
        f"{print_duration(shorter)} is used"
        for path, value, other in (
            ("nats.stream.max_age", nats.stream.max_age, "nats.kv.ttl"),
            ("nats.kv.ttl", nats.kv.ttl, "nats.stream.max_age"),
        )
        if path in given and value > shorter
    ]
    stream, kv = replace(nats.stream, max_age=shorter), replace(nats.kv, ttl=shorter)
    return replace(configuration, nats=replace(nats, stream=stream, kv=kv)), warnings
