"""What a check is: one promise of `osapi.transport`, put to a backend, with an answer of yes or why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

import trio
from msgspec import Struct

from osapi.errors import OsapiError
from osapi.transport import Delivery

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from osapi.transport import Transport

    Body = Callable[[Transport], Awaitable[None]]

T = TypeVar("T")
E = TypeVar("E", bound=OsapiError)

# Every wait inside a check has a bound of its own; this one catches a backend that never answers at all.
LONGEST = 60.0
_LONGEST_TEXT = 400


class ConformanceError(AssertionError):
    """A backend broke a guarantee: the message names it, the check, and what was seen."""


class Check(Struct, frozen=True):
    """One question to a backend, under the number of the guarantee that it proves."""

    name: str
    guarantee: str
    body: Body

    def __str__(self) -> str:
        return f"{self.guarantee}-{self.name}"

    @property
    def promise(self) -> str:
        """Return what the check proves, in a sentence."""
        return (self.body.__doc__ or "").strip()

    async def run(self, transport: Transport) -> None:
        """Put the question to a backend; what the check creates there has its own names, and is deleted.

        Raises:
            ConformanceError: the guarantee does not hold; whatever else went wrong is its cause.

        """
        try:
            with trio.fail_after(LONGEST):
                await self.body(transport)
        except Exception as error:
            raise ConformanceError(f"{self}: {reason(error)}") from error


def check(guarantee: str) -> Callable[[Body], Check]:
    """Make a check of an async function that takes a transport, proving the guarantee of that number."""

    def registered(body: Body) -> Check:
        return Check(name=body.__name__, guarantee=guarantee, body=body)

    return registered


def expect(condition: bool, seen: str) -> None:  # noqa: FBT001 - it reads like assert, which -O would remove
    """Fail the check, saying what was seen, unless the condition holds."""
    if not condition:
        raise ConformanceError(seen)


def expect_equal(seen: T, wanted: T, what: str) -> None:
    """Fail the check unless both are equal."""
    expect(seen == wanted, f"{what}: expected {told(wanted)}, saw {told(seen)}")


async def refusal(error: type[E], call: Awaitable[object], what: str) -> E:
    """Return the error that refuses a call; fail the check if none does, or one of another kind."""
    try:
        answer = await call
    except error as refused:
        return refused
    except OsapiError as other:
        raise ConformanceError(f"{what}: expected {error.__name__}, saw {other!r}") from other
    raise ConformanceError(f"{what}: expected {error.__name__}, but it was taken, with {told(answer)}")


def told(value: object) -> str:
    """Return a value as a failure shows it: in full unless it is very long, deliveries by what matters."""
    if isinstance(value, list):
        items = cast("list[object]", value)
        return _cut(f"[{', '.join(told(item) for item in items)}]")
    if isinstance(value, Delivery):
        return f"<{value.payload!r} on {value.subject}, delivery {value.deliveries}>"
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}... ({len(text)} characters)"


def reason(error: BaseException) -> str:
    """Name the first thing that went wrong, wherever a nursery has wrapped it."""
    if isinstance(error, BaseExceptionGroup):
        return reason(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    if isinstance(error, ConformanceError):
        return str(error)
    if isinstance(error, trio.TooSlowError):
        return f"did not come to an end within {LONGEST:g} s"
    return repr(error)
