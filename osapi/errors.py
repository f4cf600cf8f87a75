"""Every error osapi raises on purpose: one tree, each docstring says what to do about it."""

from __future__ import annotations

from typing import ClassVar

_SHOWN = 80


def shown(value: object) -> str:
    """Quote a value for an error message, cut to a readable length."""
    text = repr(value)
    if len(text) <= _SHOWN:
        return text
    return f"{text[:_SHOWN]}... ({len(text) - 2} characters)"


class OsapiError(Exception):
    """Catch this to catch everything osapi raises on purpose."""


# --- What the caller wrote ---------------------------------------------------------------------------------


class InvalidInputError(OsapiError, ValueError):
    """Correct the value: the message quotes it, says what is wrong with it and what would be right."""

    noun: ClassVar[str] = "value"

    def __init__(self, value: object, problem: str, remedy: str) -> None:
        self.value = value
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{self.noun} {shown(value)}: {problem}; {remedy}")


class InvalidNameError(InvalidInputError):
    """Correct a hostname, a label key or an operation name."""

    noun = "name"


class InvalidLabelError(InvalidInputError):
    """Correct a label: `key:segment.segment`, each part letters, digits, `-` and `_`."""

    noun = "label"


class InvalidTargetError(InvalidInputError):
    """Correct a target: `_any`, `_all`, a hostname, `key:value`, `_any@key:value` or a selector."""

    noun = "target"


class InvalidKeyError(InvalidInputError):
    """Correct a key or a key pattern of a bucket."""

    noun = "key"


class InvalidSubjectError(InvalidInputError):
    """Correct a subject or a subject filter of a stream."""

    noun = "subject"


class InvalidPayloadError(InvalidInputError):
    """Correct the payload: it does not fit the operation's schema, or is not JSON."""

    noun = "payload of"


class InvalidSettingError(InvalidInputError):
    """Correct a setting, or the configuration of a stream, bucket or consumer."""

    noun = "setting"


class InvalidReportError(InvalidInputError):
    """Correct what a handler reports: progress from 0 to 1 or None, a message of text, output of text or bytes."""

    noun = "report"


class PayloadTooLargeError(InvalidInputError):
    """Send less, or raise the limit at the broker: the message names both sizes."""

    noun = "payload"

    def __init__(self, what: str, size: int, limit: int) -> None:
        self.size = size
        self.limit = limit
        super().__init__(what, f"is {size} bytes", f"at most {limit} bytes are accepted")


# --- What is not there -------------------------------------------------------------------------------------


class NotFoundError(OsapiError, LookupError):
    """Look for something that exists: the message names what was asked for and, where it can, what is near."""


class UnknownOperationError(NotFoundError):
    """Register the operation, or use one of the names the message suggests."""


class UnknownJobError(NotFoundError):
    """The job never existed, was deleted, or has outlived its lifetime."""


class UnknownRolloutError(NotFoundError):
    """The rollout never existed, or was over and has outlived its lifetime."""


class UnknownLetterError(NotFoundError):
    """There is no such dead letter, or nothing is left of its job: look at those that there are."""


class UnknownScheduleError(NotFoundError):
    """There is no schedule of that name: make it, or use one of the names the message suggests."""


class UnknownHostError(NotFoundError):
    """No agent of that name is registered: start it, or use one of the names the message suggests."""


class NoAgentsError(NotFoundError):
    """No registered agent matches the target: start one, or look at what the message says is there."""


# --- What collides -----------------------------------------------------------------------------------------


class HostnameTakenError(OsapiError):
    """Give the second agent another hostname, or stop the first: two agents may not answer to one name."""


class KeyReusedError(OsapiError):
    """An idempotency key stands for one submission: send another payload under another key."""


class IllegalTransitionError(OsapiError):
    """A job's slot, or a rollout, cannot go from its state that way; nothing was changed."""


class RecordError(OsapiError):
    """A stored record cannot be read: it is damaged, or a newer osapi wrote it (then upgrade this one)."""


# --- Who wrote it ------------------------------------------------------------------------------------------


class UntrustedError(RecordError):
    """What is stored is not signed by a key that may write it: the message says what is wrong with it.

    Somebody without a key wrote to the broker, or the one who wrote it is not accepted, or not any more: compare
    fingerprints, and accept its key if it is the right one. `value` is what it says, which nothing vouches for.
    """

    def __init__(self, message: str, value: bytes = b"") -> None:
        super().__init__(message)
        self.value = value


class KeyFileError(OsapiError):
    """A key cannot be read or made: the message names the file and what is wrong with it, or the extra to install."""


class EnrolmentError(OsapiError):
    """Look at who is pending now: several keys ask under that hostname, or somebody else has decided meanwhile."""


# --- What became of a job ----------------------------------------------------------------------------------


class JobFailedError(OsapiError):
    """The job did not complete: the message names each host, its state and its error."""


class UntrustedAnswerError(JobFailedError):
    """The answer is not signed by the agent it claims to be from, so there is no data: see `UntrustedError`."""


class TransientError(OsapiError):
    """Raise this in a handler when trying again may help: the operation's retry policy decides when."""


class Retry(TransientError):  # noqa: N818 - reads as the order that it is: raise osapi.Retry(after=30)
    """Raise this in a handler to ask for another attempt `after` seconds from now."""

    def __init__(self, reason: str = "the handler asked for another attempt", *, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


class Skip(OsapiError):  # noqa: N818 - an order, like Retry
    """Raise this in a handler when the operation is not supported on this host; give the reason."""


# --- The transport -----------------------------------------------------------------------------------------


class TransportError(OsapiError):
    """The broker, or the way to it, refused or failed."""


class ConflictError(TransportError):
    """Somebody else wrote first: read again, then decide. Nothing was changed."""

    def __init__(self, key: str, expected: int, actual: int) -> None:
        self.key = key
        self.expected = expected
        self.actual = actual
        super().__init__(f"key {shown(key)}: expected revision {expected}, the newest is {actual}")


class MismatchError(TransportError):
    """A stream, bucket or consumer of that name exists with other settings: the message lists them."""


class MissingError(TransportError, LookupError):
    """The stream, bucket or consumer was deleted, or never was there."""


class LimitReachedError(TransportError):
    """A stream, bucket or server is full: the message names the limit. Nothing was stored."""


class DisconnectedError(TransportError):
    """There is no connection, and nothing was sent: try again once it is back."""


class UncertainError(TransportError):
    """The connection broke before the answer: it may have been stored or not. Repeat it with the same id."""


class AccessRefusedError(TransportError):
    """Correct the credentials, or what the broker lets this user do: the message says what it refused."""


class UnsupportedBrokerError(TransportError):
    """Upgrade or reconfigure the broker: the message says what it lacks."""


class TlsError(TransportError):
    """Correct tls_ca, tls_cert, tls_key or the host's name: no trusted, encrypted connection could be made."""


class ClosedError(TransportError):
    """The transport, watch or pull was closed, by its own block's end: do not use it after."""
