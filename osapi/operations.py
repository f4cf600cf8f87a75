"""Operations: typed functions that agents offer by name."""

from __future__ import annotations

import inspect
import typing
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import trio

from osapi.errors import (
    InvalidNameError,
    InvalidPayloadError,
    InvalidSettingError,
    TransientError,
    UnknownOperationError,
    shown,
)
from osapi.rules.names import check_operation_name, nearest
from osapi.rules.permissions import check_permission
from osapi.rules.reports import Recorder, Reporter, Stream, checked_output, checked_progress
from osapi.rules.retry import check_policy
from osapi.rules.secrets import check_secrets, redact, scrub, secrets_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator

    from osapi.rules.records import Kind, Policy

Handler = TypeVar("Handler", bound="Callable[..., Awaitable[Any]]")

MAX_CLEANUP = 30.0

_NOTHING = msgspec.Raw(b"null")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler is told about the job it runs, times in Unix seconds, and what it can say meanwhile.

    In a handler's own tests, make one yourself; with `reporter=osapi.Recorder()` you can look at what was reported.
    """

    id: str
    operation: str
    target: str
    host: str
    attempt: int
    created: float
    finish_by: float
    reporter: Reporter = msgspec.field(default_factory=Recorder)

    def progress(self, fraction: float | None, message: str = "") -> None:
        """Report how far the work has come, from 0 to 1 or None if nobody knows, and what it does now.

        Does not wait: of what is reported within a fifth of a second, the last is stored. What is reported after the
        handler has ended is not. Of a message 200 characters are kept. From a thread, call it by
        `trio.from_thread.run_sync`.

        Raises:
            InvalidReportError

        """
        self.reporter.take_progress(*checked_progress(fraction, message))

    def output(self, data: str | bytes | bytearray, *, stream: Stream = "stdout") -> None:
        """Write output, which clients can read while the job runs; text is UTF-8.

        Does not wait: what is written within a fifth of a second is stored together. Beyond `Settings.max_output`
        for all attempts it is dropped. Otherwise as `progress`.

        Raises:
            InvalidReportError

        """
        self.reporter.take_output(*checked_output(data, stream))

    def cleanup(self, seconds: float = 5.0) -> trio.CancelScope:
        """Shield what a handler does last when it is cancelled, for so many seconds, at most 30.

        As `with job.cleanup(): ...` in a `finally` block; the lease is renewed meanwhile.

        Raises:
            InvalidSettingError

        """
        if not 0.0 < seconds <= MAX_CLEANUP:
            raise InvalidSettingError(
                seconds, "is no time for a clean-up", f"use more than 0, at most {MAX_CLEANUP:g} seconds"
            )
        return trio.CancelScope(shield=True, deadline=trio.current_time() + seconds)


class Operation:
    """One operation: its handler with the schema that the handler's annotations are, and its rules.

    Without a `policy` of its own, that of the agent's settings holds.
    """

    def __init__(
        self,
        name: str,
        kind: Kind,
        handler: Callable[..., Awaitable[Any]],
        *,
        permission: str,
        policy: Policy | None,
        transient: tuple[type[Exception], ...],
        secrets: tuple[str, ...],
    ) -> None:
        self.name = name
        self.kind: Kind = kind
        self.handler = handler
        self.permission = permission
        self.policy = policy
        self.transient: tuple[type[Exception], ...] = (TransientError, *transient)
        self.secrets = secrets
        data_type, result_type = _schema(name, handler)
        self.takes_data = data_type is not None
        self.data_type: Any = data_type
        self.result_type: Any = result_type
        self._encode = msgspec.json.Encoder().encode
        self._data = _decoder(name, data_type if self.takes_data else None)
        self._result = _decoder(name, result_type)

    def encode_data(self, data: object) -> msgspec.Raw:
        """Check a payload against the handler's schema and return it as JSON.

        Raises:
            InvalidPayloadError: it does not fit, or is not JSON.

        """
        try:
            raw = _NOTHING if data is None and not self.takes_data else msgspec.Raw(self._encode(data))
            self._data.decode(raw)
        except (msgspec.MsgspecError, TypeError, UnicodeEncodeError, RecursionError, OverflowError) as error:
            raise self._misfit(error) from error
        return raw

    def decode_data(self, raw: msgspec.Raw) -> Any:
        """Read a stored payload as the type that the handler takes.

        Raises:
            InvalidPayloadError: it does not fit.

        """
        try:
            return self._data.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise self._misfit(error) from error

    def encode_result(self, result: object) -> msgspec.Raw:
        """Check what the handler returned against its annotation and return it as JSON.

        It is encoded and read back, since a Struct does not check its fields when it is made.

        Raises:
            InvalidPayloadError: it is not what the annotation promises.

        """
        try:
            raw = msgspec.Raw(self._encode(result))
            self._result.decode(raw)
        except (msgspec.MsgspecError, TypeError, UnicodeEncodeError, RecursionError, OverflowError) as error:
            raise InvalidPayloadError(
                self.name, f"the handler's result does not fit ({error})", f"it promises {_type_name(self.result_type)}"
            ) from error
        return raw

    def decode_result(self, raw: msgspec.Raw) -> Any:
        """Read a stored result as the type that the handler returns.

        Raises:
            InvalidPayloadError: it does not fit, as when the agent runs another version of the operation.

        """
        try:
            return self._result.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InvalidPayloadError(
                self.name, f"the agent's result does not fit here ({error})", f"expected {_type_name(self.result_type)}"
            ) from error

    def _misfit(self, error: Exception) -> InvalidPayloadError:
        # The payload itself is not quoted: it may hold secrets, and this sentence is stored with the job.
        wanted = _type_name(self.data_type) if self.takes_data else "no data"
        return InvalidPayloadError(self.name, f"does not fit the operation ({error})", f"it takes {wanted}")

    def shown(self, raw: msgspec.Raw) -> Any:
        """Return stored data or a stored result of this operation as it may be shown: with `***` for its secrets."""
        return redact(msgspec.json.decode(raw), self.secrets) if self.secrets and raw else raw

    def secrets_of(self, data: msgspec.Raw) -> frozenset[str] | None:
        """Return the secrets of a job's data, None if they cannot be told."""
        if not self.secrets or not data:
            return frozenset()
        try:
            return secrets_of(msgspec.json.decode(data), self.secrets)
        except RecursionError:
            return None

    def scrubbed(self, text: str, data: msgspec.Raw) -> str:
        """Return a sentence about a job with `***` in the place of the secrets of its data that it repeats."""
        return scrub(text, self.secrets_of(data)) if self.secrets and data else text


class Operations:
    """The operations that a program offers or calls; one registry serves agents, clients, API and CLI."""

    def __init__(self) -> None:
        self._known: dict[str, Operation] = {}

    def query(
        self,
        name: str,
        *,
        permission: str | None = None,
        policy: Policy | None = None,
        transient: tuple[type[Exception], ...] = (),
        secrets: Collection[str] = (),
    ) -> Callable[[Handler], Handler]:
        """Register a handler that only reads.

        It is `async def handler(job: Job) -> Result` or `handler(job: Job, data: Data) -> Result`; the
        annotations of `data` and of the return value are its schema. `permission` defaults to `<first token of
        the name>:read`, `policy` to that of the agent's settings. `transient` lists the errors after which the policy
        allows another attempt, besides `osapi.TransientError`. `secrets` names the fields, of the data and of the
        result, however deep, that nobody is shown who looks at jobs; those of the data are struck out of the handler's
        errors, progress and output.

        Raises:
            InvalidNameError, InvalidSettingError: when the handler is registered.

        """
        return self._register(name, "query", permission, policy, transient, secrets)

    def modify(
        self,
        name: str,
        *,
        permission: str | None = None,
        policy: Policy | None = None,
        transient: tuple[type[Exception], ...] = (),
        secrets: Collection[str] = (),
    ) -> Callable[[Handler], Handler]:
        """Register a handler that changes something; as `query`, with `:write` as the default permission.

        A result with a field `changed` says whether it did; any other result counts as a change.
        """
        return self._register(name, "modify", permission, policy, transient, secrets)

    def include(self, others: Operations) -> None:
        """Add all operations of another registry.

        Raises:
            InvalidNameError: a name is already taken; then none is added.

        """
        for name in others:
            self._check_free(name)
        self._known.update(others._known)

    def __getitem__(self, name: str) -> Operation:
        try:
            return self._known[name]
        except KeyError:
            raise unknown_operation(name, self._known) from None

    def get(self, name: str) -> Operation | None:
        """Return an operation, None if there is none of that name."""
        return self._known.get(name)

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def kinds(self) -> dict[str, Kind]:
        """Return each name with its kind, as agents publish them."""
        return {name: operation.kind for name, operation in self._known.items()}

    def _register(
        self,
        name: str,
        kind: Kind,
        permission: str | None,
        policy: Policy | None,
        transient: tuple[type[Exception], ...],
        secrets: Collection[str],
    ) -> Callable[[Handler], Handler]:
        check_operation_name(name)
        hidden = check_secrets(secrets)
        self._check_free(name)
        verb = "read" if kind == "query" else "write"
        permission = permission or f"{name.partition('.')[0]}:{verb}"
        check_permission(permission)
        if policy is not None:
            check_policy(policy)

        def register(handler: Handler) -> Handler:
            self._known[name] = Operation(
                name, kind, handler, permission=permission, policy=policy, transient=transient, secrets=hidden
            )
            return handler

        return register

    def _check_free(self, name: str) -> None:
        if name in self._known:
            raise InvalidNameError(name, "is registered already", "give each operation a name of its own")


def unknown_operation(name: str, known: typing.Iterable[str]) -> UnknownOperationError:
    """Return the error for a name that nobody offers, with the nearest names."""
    names = sorted(known)
    near = nearest(name, names)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    elif names:
        hint = f"known are {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"
    else:
        hint = "no operation is known: start an agent, or give the client its operations"
    return UnknownOperationError(f"operation {shown(name)} is not offered by anyone; {hint}")


def _schema(name: str, handler: Callable[..., Awaitable[Any]]) -> tuple[Any, Any]:
    if not inspect.iscoroutinefunction(handler):
        raise InvalidSettingError(handler, f"cannot handle {name}: it is not an async function", "write `async def`")
    parameters = list(inspect.signature(handler).parameters.values())
    if not 1 <= len(parameters) <= 2 or any(
        p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters
    ):
        raise InvalidSettingError(
            str(inspect.signature(handler)),
            f"is not the signature of a handler ({name})",
            "write handler(job: Job) or handler(job: Job, data: Data)",
        )
    try:
        hints = typing.get_type_hints(handler, include_extras=True)
    except NameError as error:
        raise InvalidSettingError(
            handler,
            f"has annotations for {name} that cannot be read at run time ({error})",
            "import those types outside `if TYPE_CHECKING:`",
        ) from error
    wanted = [p.name for p in parameters[1:]] + ["return"]
    for missing in (key for key in wanted if key not in hints):
        raise InvalidSettingError(
            handler, f"has no annotation for {missing!r} ({name})", "annotate it: it is the schema"
        )
    data_type = hints[parameters[1].name] if len(parameters) == 2 else None
    return data_type, hints["return"]


def _decoder(name: str, kind: Any) -> msgspec.json.Decoder[Any]:
    try:
        return msgspec.json.Decoder(kind)
    except TypeError as error:
        raise InvalidSettingError(
            _type_name(kind), f"cannot be a type of {name} ({error})", "use a msgspec.Struct, or JSON's own types"
        ) from error


def _type_name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)
