"""Registering operations: a handler's annotations are its schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import osapi

if TYPE_CHECKING:
    from decimal import Decimal


class One(msgspec.Struct):
    n: int


class Other(msgspec.Struct):
    n: int


def refuse(handler: Any, message: str, name: str = "my.job") -> None:
    with pytest.raises(osapi.InvalidInputError, match=message):
        osapi.Operations().query(name)(handler)


def test_what_cannot_be_a_handler_is_refused() -> None:
    def plain(job: osapi.Job) -> int:
        return 1

    async def none() -> int:
        return 1

    async def many(job: osapi.Job, data: int, more: int) -> int:
        return 1

    async def keyword(job: osapi.Job, *, data: int) -> int:
        return 1

    async def untyped(job: osapi.Job, data) -> int:  # type: ignore[no-untyped-def]  # noqa: ANN001  # pyright: ignore[reportMissingParameterType, reportUnknownParameterType]
        return 1

    async def silent(job: osapi.Job):  # type: ignore[no-untyped-def]  # noqa: ANN202
        return 1

    async def hidden(job: osapi.Job, data: Decimal) -> int:
        return 1

    async def strange(job: osapi.Job) -> One | Other:
        return One(1)

    refuse(plain, "it is not an async function; write `async def`")
    for handler in (none, many, keyword):
        refuse(handler, "is not the signature of a handler")
    refuse(untyped, "has no annotation for 'data'")
    refuse(silent, "has no annotation for 'return'")
    refuse(hidden, "cannot be read at run time .*; import those types outside")
    refuse(strange, "cannot be a type of my.job")


@pytest.mark.parametrize("name", ["", "job", "My.job", "my..job", "my.job.", "a.b.c.d.e.f.g", "my job"])
def test_names(name: str) -> None:
    async def handler(job: osapi.Job) -> int:
        return 1

    refuse(handler, "operation|name", name)


def test_permissions_follow_the_name_unless_they_are_given() -> None:
    operations = osapi.Operations()

    @operations.query("node.a")
    @operations.modify("node.b")
    @operations.query("node.c", permission="own:look")
    async def handler(job: osapi.Job) -> int:
        return 1

    assert [operations[f"node.{x}"].permission for x in "abc"] == ["node:read", "node:write", "own:look"]
    assert operations.kinds() == {"node.c": "query", "node.b": "modify", "node.a": "query"}
    assert sorted(operations) == ["node.a", "node.b", "node.c"]
    assert len(operations) == 3
    assert "node.a" in operations
    with pytest.raises(osapi.InvalidNameError, match="write resource:verb"):
        operations.query("node.d", permission="everything")
    with pytest.raises(osapi.InvalidSettingError, match="attempts"):
        operations.query("node.d", policy=osapi.Policy(attempts=0))


def test_names_are_taken_once() -> None:
    one, other = osapi.Operations(), osapi.Operations()

    async def handler(job: osapi.Job) -> int:
        return 1

    one.query("my.a")(handler)
    other.query("my.b")(handler)
    with pytest.raises(osapi.InvalidNameError, match="'my.a': is registered already"):
        one.query("my.a")
    one.include(other)
    assert sorted(one) == ["my.a", "my.b"]
    with pytest.raises(osapi.InvalidNameError, match="'my.b': is registered already"):
        one.include(other)


def test_unknown_names_suggest_what_was_meant() -> None:
    operations = osapi.Operations()

    async def handler(job: osapi.Job) -> int:
        return 1

    with pytest.raises(osapi.UnknownOperationError, match="no operation is known"):
        operations["node.get"]
    operations.query("node.get")(handler)
    with pytest.raises(osapi.UnknownOperationError, match="did you mean node.get"):
        operations["node.gte"]
    with pytest.raises(osapi.UnknownOperationError, match="known are node.get"):
        operations["zzz.qqq"]
    assert operations.get("zzz.qqq") is None


def test_results_of_another_version_are_told() -> None:
    operations = osapi.Operations()

    @operations.query("my.a")
    async def handler(job: osapi.Job) -> int:
        return 1

    operation = operations["my.a"]
    assert operation.decode_result(operation.encode_result(5)) == 5
    with pytest.raises(osapi.InvalidPayloadError, match="expected int"):
        operation.decode_result(msgspec.Raw(b'"five"'))
