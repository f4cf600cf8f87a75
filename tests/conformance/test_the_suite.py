"""The suite itself: its records, its names, its runner, and how a check fails."""

from __future__ import annotations

import ast
import re
import sys
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import trio
from trio.testing import MockClock

import osapi.conformance
import osapi_memory
from osapi.conformance import CHECKS, Check, ConformanceError, run
from osapi.conformance.check import check, expect, expect_equal, refusal, told
from osapi.conformance.ground import collect, silence, until
from osapi.errors import ClosedError, ConflictError, InvalidSettingError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from osapi.transport import Transport

open_memory = partial(osapi_memory.open_transport, "memory://")
EXAMPLES = re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", osapi.conformance.__doc__ or "", re.MULTILINE)
ALLOWED = {"trio", "msgspec", "osapi", *sys.stdlib_module_names}


def open_mine(url: str) -> AbstractAsyncContextManager[Transport]:
    return open_memory()


MY_BACKEND = SimpleNamespace(open_transport=open_mine)


def failing(body: Callable[[Transport], Awaitable[None]]) -> Check:
    return check("T1")(body)


async def reason(body: Callable[[Transport], Awaitable[None]]) -> str:
    (outcome,) = await run(open_memory, checks=[failing(body)])
    assert outcome.error is not None
    return str(outcome.error)


def test_names_are_unique() -> None:
    names = [check.name for check in CHECKS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_a_check_says_in_a_sentence_what_it_proves(check: Check) -> None:
    assert check.promise
    assert check.promise[0].isupper() or check.promise[0] == "`"
    assert check.promise.endswith(".")
    assert "\n" not in check.promise
    assert str(check) == f"{check.guarantee}-{check.name}"


def test_no_check_is_left_out() -> None:
    folder = Path(osapi.conformance.__file__).parent
    written = sum(path.read_text().count("\n@check(") for path in folder.glob("*.py"))
    assert written == len(CHECKS)


def test_the_suite_needs_no_test_framework() -> None:
    folder = Path(osapi.conformance.__file__).parent
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names.append(node.module or "")
            assert {name.partition(".")[0] for name in names} <= ALLOWED, path
            assert not isinstance(node, ast.Assert), f"{path}: -O would remove it"


async def test_the_example_with_pytest_works(autojump_clock: MockClock) -> None:
    scope: dict[str, Any] = {"my_backend": MY_BACKEND}
    exec(dedent(EXAMPLES[0]), scope)  # noqa: S102 - our own documentation
    await scope["test_conformance"](CHECKS[0])


def test_the_example_without_pytest_works(capsys: pytest.CaptureFixture[str]) -> None:
    in_no_time = SimpleNamespace(run=partial(trio.run, clock=MockClock(autojump_threshold=0)))
    exec(dedent(EXAMPLES[1]), {"my_backend": MY_BACKEND, "trio": in_no_time, "partial": partial, "osapi": osapi})  # noqa: S102
    printed = capsys.readouterr().out.splitlines()
    assert printed == [f"passed {check}" for check in CHECKS]


async def test_one_after_another_it_takes_less_than_two_minutes(autojump_clock: MockClock) -> None:
    outcomes = await run(open_memory)
    # A broker with a real clock needs a second more for each of the checks that wait for a TTL.
    assert sum(outcome.seconds for outcome in outcomes) < 90
    assert max(outcome.seconds for outcome in outcomes) < 6


async def test_checks_run_concurrently_on_a_shared_broker(autojump_clock: MockClock) -> None:
    async with osapi_memory.open_transport("memory://shared"):
        started = trio.current_time()
        outcomes = await run(partial(osapi_memory.open_transport, "memory://shared"), concurrency=20)
        assert trio.current_time() - started < 20
    assert [outcome.check for outcome in outcomes] == list(CHECKS)
    assert [str(outcome) for outcome in outcomes if not outcome.passed] == []


async def test_no_more_checks_run_at_once_than_allowed(autojump_clock: MockClock) -> None:
    most = now = 0

    async def body(transport: Transport) -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await trio.sleep(1)
        now -= 1

    await run(open_memory, checks=[failing(body)] * 10, concurrency=3)
    assert most == 3


async def test_nothing_is_left_behind(autojump_clock: MockClock) -> None:
    made: list[tuple[str, str]] = []

    class Noting:
        def __init__(self, inner: Transport) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> object:
            method = getattr(self.inner, name)
            if name not in ("bucket", "stream"):
                return method

            async def create(config: object) -> object:
                made.append((name, str(getattr(config, "name", ""))))
                return await method(config)

            return create

    async with osapi_memory.open_transport("memory://kept") as kept:

        @asynccontextmanager
        async def open_noting() -> AsyncGenerator[Transport]:
            async with osapi_memory.open_transport("memory://kept") as transport:
                yield Noting(transport)  # type: ignore[misc]  # pyright: ignore[reportReturnType]

        await run(open_noting)
        assert len(made) > len(CHECKS) / 2
        for noun, name in made:
            assert not await (kept.delete_bucket if noun == "bucket" else kept.delete_stream)(name), (noun, name)


async def test_a_failure_names_the_check_and_keeps_its_cause(autojump_clock: MockClock) -> None:
    async def body(transport: Transport) -> None:
        """Fail."""
        async with trio.open_nursery():
            raise ValueError("seen")

    (outcome,) = await run(open_memory, checks=[failing(body)])
    assert not outcome.passed
    assert isinstance(outcome.error, ConformanceError)
    assert isinstance(outcome.error.__cause__, ExceptionGroup)
    assert str(outcome) == "FAILED T1-body: ValueError('seen')"


async def test_a_transport_that_breaks_fails_the_check_and_not_the_run() -> None:
    async def body(transport: Transport) -> None:
        """Pass."""

    @asynccontextmanager
    async def open_fragile() -> AsyncGenerator[Transport]:
        async with open_memory() as transport:
            yield transport
        raise KeyError("lost")

    (outcome,) = await run(open_fragile, checks=[failing(body)])
    assert str(outcome) == "FAILED T1-body: the transport failed as a whole: KeyError('lost')"
    assert isinstance(outcome.error and outcome.error.__cause__, KeyError)
    with pytest.raises(ExceptionGroup) as caught:
        await run(partial(osapi_memory.open_transport, "nonsense"), checks=[failing(body)])
    assert caught.group_contains(InvalidSettingError)


async def test_a_check_that_passes_says_so() -> None:
    async def body(transport: Transport) -> None:
        """Pass."""

    (outcome,) = await run(open_memory, checks=[failing(body)])
    assert outcome.passed
    assert str(outcome) == "passed T1-body"


async def test_a_check_that_never_ends_fails(autojump_clock: MockClock) -> None:
    async def body(transport: Transport) -> None:
        await trio.sleep_forever()

    assert await reason(body) == "T1-body: did not come to an end within 60 s"


async def test_waits_end_and_say_what_for(autojump_clock: MockClock) -> None:
    class Numbers:
        async def receive(self) -> list[int]:
            await trio.sleep(1)
            return [1, 2]

    class Nothing:
        async def receive(self) -> list[int]:
            await trio.sleep_forever()

    class Empty:
        async def receive(self) -> list[int]:
            return []

    async def one() -> int:
        return 1

    async def never(transport: Transport) -> None:
        await until(one, lambda seen: seen == 2, "a two")

    async def too_few(transport: Transport) -> None:
        await collect(Nothing(), 1, "numbers")

    async def too_many(transport: Transport) -> None:
        await collect(Numbers(), 3, "numbers")

    async def empty(transport: Transport) -> None:
        await collect(Empty(), 3, "numbers")

    async def loud(transport: Transport) -> None:
        await silence(Numbers(), "peace", 2.0)

    assert await reason(never) == "T1-never: a two: not within 10 s, but 1"
    assert await reason(too_few) == "T1-too_few: numbers: waiting for 1: not within 10 s"
    assert await reason(too_many) == "T1-too_many: numbers: expected 3, saw [1, 2, 1, 2]"
    assert await reason(empty) == "T1-empty: numbers: receive returned nothing"
    assert await reason(loud) == "T1-loud: peace: nothing should come, but [1, 2] did"
    await silence(Numbers(), "peace", 0.5)


async def test_refusals_are_told_apart() -> None:
    async def refuse() -> None:
        raise ClosedError("it is over")

    async def take() -> int:
        return 7

    async def other(transport: Transport) -> None:
        await refusal(ConflictError, refuse(), "a write")

    async def none(transport: Transport) -> None:
        await refusal(ConflictError, take(), "a write")

    assert (await refusal(ClosedError, refuse(), "a write")).args == ("it is over",)
    assert await reason(other) == "T1-other: a write: expected ConflictError, saw ClosedError('it is over')"
    assert await reason(none) == "T1-none: a write: expected ConflictError, but it was taken, with 7"


def test_expectations_say_what_was_seen() -> None:
    expect(True, "nothing")
    with pytest.raises(ConformanceError, match="a colour: expected 'red', saw 'blue'"):
        expect_equal("blue", "red", "a colour")
    assert told("x" * 1000) == f"'{'x' * 399}... (1002 characters)"
