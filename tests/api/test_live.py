"""Streams of events over real sockets: told once, resumed, bounded, ended, and freed."""

from __future__ import annotations

import gc
import socket
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest
import trio

import osapi_api
from osapi_api import streams
from osapi_api.app import EXTENSION
from osapi_api.endpoints import Api, ServerSentEvent
from osapi_memory.watch import MemoryWatch
from tests.api.conftest import SECURITY, fleet, token_of
from tests.api.serving import Server, served

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

ABSENT = "01890a5d-ac96-774b-bcce-b302099a8057"


class Event(NamedTuple):
    """An event as a browser understands it: with the last id that was told, and its data decoded."""

    name: str
    data: Any
    id: str


@asynccontextmanager
async def reading(
    server: Server, path: str, last: str = "", token: str | None = None
) -> AsyncGenerator[AsyncGenerator[Event]]:
    """Ask for a stream, and read its events; one without a name is a comment, or only an id."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {token or token_of('admin')}",
        *([f"Last-Event-ID: {last}"] if last else []),
    ]
    stream = await trio.open_tcp_stream(*server.address)
    async with stream:
        await stream.send_all("\r\n".join([*lines, "", ""]).encode())
        async with aclosing(received(stream)) as parts:
            head = (await anext(parts)).lower()
            assert head.startswith(b"http/1.1 200"), head
            assert b"\r\ncontent-type: text/event-stream" in head
            assert b"\r\ncache-control: no-store" in head
            async with aclosing(parsed(parts, last)) as events:
                yield events


async def received(stream: trio.SocketStream) -> AsyncGenerator[bytes]:
    """Yield the head of an answer, then the parts of its body as they were sent; nothing more where it breaks."""
    data, end, size = b"", b"\r\n\r\n", 0
    while True:
        while end not in data[size:]:
            more = await stream.receive_some()
            if not more:
                return
            data += more
        part, _, data = data[size:].partition(end) if not size else (data[:size], b"", data[size + 2 :])
        if size or end != b"\r\n":
            yield part
            size = 0
        else:
            size = int(part, 16)
            if not size:
                return
        end = b"\r\n"


async def parsed(parts: AsyncGenerator[bytes], last: str) -> AsyncGenerator[Event]:
    text = ""
    async for part in parts:
        text += part.decode()
        while "\n\n" in text:
            block, _, text = text.partition("\n\n")
            fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            last = fields.get("id", last)
            data = msgspec.json.decode(fields["data"]) if "data" in fields else None
            yield Event(fields.get("event", ""), data, last)


async def whole(server: Server, path: str, last: str = "") -> Sequence[Event]:
    async with reading(server, path, last) as events:
        return [event async for event in events if event.name]


def shared(server: Server) -> Api:
    (api,) = server.api.app.extensions[EXTENSION]
    assert isinstance(api, Api)
    return api


async def until_nobody_reads(server: Server) -> None:
    while shared(server).readers:
        await trio.sleep(0.01)


def in_time(events: Sequence[Event]) -> list[Any]:
    """Return what events tell, in the order of their times."""
    return sorted((event.data for event in events), key=lambda data: sorted(map(str, data.items())))


async def test_the_events_of_a_job_from_its_beginning_to_its_end() -> None:
    async with served() as server:
        handle = await server.api.client.submit("test.sleep", 0.3, target="_all")
        told = await whole(server, f"/api/job/{handle.id}/events")
        names = [event.name for event in told]
        assert names == ["submitted", "started", "started", "completed", "completed", "end"]
        assert {event.data["job_id"] for event in told} == {handle.id}
        assert [event.data["event"] for event in told[:-1]] == names[:-1]
        assert {event.data["hostname"] for event in told[1:-1]} == {"web-01", "db-01"}
        assert told[1].data.keys() == {"job_id", "timestamp", "event", "hostname", "message", "error"}
        assert told[-1].data == {"job_id": handle.id, "status": "completed", "summary": "completed (2/2 hosts)"}
        # The same again, of what has ended; live, what two hosts do at once comes in the order in which it is heard.
        assert in_time(await whole(server, f"/api/job/{handle.id}/events")) == in_time(told)
        await until_nobody_reads(server)


async def test_reading_goes_on_after_each_event_there_is() -> None:
    async with served() as server:
        handle = await server.api.client.submit("test.progress", 3, target="_all")
        told = await whole(server, f"/api/job/{handle.id}/events")
        assert {event.data["progress"] for event in told if event.name == "progress"} >= {1.0}
        lasting = [event for event in told if event.name != "progress"]
        for number, event in enumerate(told[:-1]):
            rest = await whole(server, f"/api/job/{handle.id}/events", event.id)
            kept = [again for again in rest if again.name != "progress"]
            assert in_time(kept) == in_time([after for after in lasting if after not in told[: number + 1]])
            before = {
                (was.data["hostname"], was.data["timestamp"]) for was in told[: number + 1] if was.name == "progress"
            }
            assert not before & {(e.data["hostname"], e.data["timestamp"]) for e in rest if e.name == "progress"}


def steps_of(told: Sequence[Event]) -> set[tuple[str, str]]:
    """Return the progress that was told, by host and time."""
    return {(event.data["hostname"], event.data["timestamp"]) for event in told if event.name == "progress"}


async def test_a_connection_that_breaks_again_and_again_misses_and_repeats_nothing() -> None:
    async with served() as server:
        handle = await server.api.client.submit("test.lines", 30, target="_all")
        for path in ("events", "output"):
            told: list[Event] = []
            last = ""
            while not told or told[-1].name != "end":
                async with reading(server, f"/api/job/{handle.id}/{path}", last) as events:
                    async for event in events:
                        if event.name:
                            told.append(event)
                            last = event.id
                            break
            await handle.result()
            if path == "events":
                steps = [(e.name, e.data["hostname"]) for e in told if e.name not in {"progress", "end", "submitted"}]
                assert sorted(steps) == [
                    (name, host) for name in ("completed", "started") for host in ("db-01", "web-01")
                ]
                continue
            for host in ("web-01", "db-01"):
                text = "".join(e.data["text"] for e in told if e.name == "output" and e.data["hostname"] == host)
                assert text == "".join(f"line {number} of {host}\n" for number in range(30))
        await until_nobody_reads(server)


async def test_output_as_it_is_written() -> None:
    async with served() as server:
        handle = await server.api.client.submit("test.lines", 3, target="web-01")
        told = await whole(server, f"/api/job/{handle.id}/output")
        assert told[-1].name == "end"
        assert {event.name for event in told[:-1]} == {"output"}
        first = told[0].data
        assert first.keys() == {"job_id", "hostname", "attempt", "stream", "text", "dropped"}
        assert (first["hostname"], first["attempt"], first["stream"], first["dropped"]) == ("web-01", 1, "stdout", 0)
        assert await whole(server, f"/api/job/{handle.id}/output", told[-2].id) == [told[-1]]


async def test_all_jobs_and_agents() -> None:
    async with served() as server, reading(server, "/api/events") as events:
        assert (await anext(events)).id == ""
        begun = await anext(events)
        assert (begun.name, bool(begun.id)) == ("", True)
        handle = await server.api.client.submit("test.echo", 1, target="web-01")
        told = [await anext(events) for _ in range(3)]
        assert [(event.name, event.data["status"]) for event in told] == [
            ("job", "submitted"),
            ("job", "processing"),
            ("job", "completed"),
        ]
        data = told[-1].data
        assert data.keys() == {"job_id", "status", "operation", "target", "timestamp"}
        assert (data["job_id"], data["operation"], data["target"]) == (handle.id, "test.echo", "web-01")
        for number, event in enumerate([begun, *told]):
            async with reading(server, "/api/events", event.id) as rest:
                for _ in range(2):
                    await anext(rest)
                assert [await anext(rest) for _ in range(3 - number)] == told[number:]
        await server.api.client.fleet.drain("db-01")
        changed = await anext(events)
        assert (changed.name, changed.data["hostname"], changed.data["status"]) == ("agent", "db-01", "Ready")
        assert changed.data["state"] in {"Draining", "Cordoned"}


async def test_a_rollout_is_told_whenever_it_changes_until_it_is_over() -> None:
    async with served() as server:
        rollouts = server.api.client.rollouts
        started = await rollouts.start("node.hostname.get")
        async with reading(server, f"/api/rollout/{started.id}/events") as events:
            told = [await anext(events), await anext(events)]
            for order in (rollouts.pause, rollouts.resume, rollouts.abort):
                await order(started.id, by="ann")
                told.append(await anext(events))
            assert [event async for event in events] == []
        assert [event.name for event in told] == ["", *["rollout"] * 4]
        assert [event.data["status"] for event in told[1:]] == ["running", "paused", "running", "aborted"]
        assert told[-1].data == (await server.client.get(f"/api/rollout/{started.id}")).json()
        await until_nobody_reads(server)


async def test_agents_are_told_of_to_who_may_see_them() -> None:
    async with served() as server:
        token = token_of(permissions=["job:read"])
        async with reading(server, "/api/events", token=token) as events:
            await anext(events)
            await anext(events)
            await server.api.client.fleet.drain("db-01")
            while server.api.client.fleet.registration("db-01").state == "Ready":
                await trio.sleep(0.05)
            await server.api.client.submit("test.echo", 1, target="web-01")
            assert (await anext(events)).name == "job"


async def test_who_may_read_what() -> None:
    async with fleet() as api:
        handle = await api.client.submit("command.exec.run", {"command": "ls"}, target="web-01")
        await handle.result()
        for path in ("/events", f"/job/{handle.id}/events", f"/job/{handle.id}/output"):
            assert (await api("GET", path, token="")).status == 401
            assert (await api("GET", path, token=token_of(permissions=["job:write"]))).status == 403
            assert (await api("HEAD", path)).status == 200
        refused = await api("GET", f"/job/{handle.id}/output", token=token_of("read"))
        assert (refused.status, "command:execute" in refused.body["error"]) == (403, True)


async def test_what_cannot_be_followed() -> None:
    async with fleet() as api:
        handle = await api.client.submit("test.echo", 1, target="web-01")
        for kind in ("events", "output"):
            assert (await api("GET", f"/job/{ABSENT}/{kind}")).status == 404
            assert (await api("GET", f"/job/*/{kind}")).status == 400
            for last in ("x", "AAAA", "%00", "eAFjYMAPAAAgAAE"):
                assert (await api("GET", f"/job/{handle.id}/{kind}", Last_Event_ID=last)).status == 400
        assert (await api("GET", "/events", Last_Event_ID="x")).status == 400


async def test_there_is_a_bound_to_the_readers() -> None:
    async with served(api_options=osapi_api.Options(max_readers=2)) as server:
        async with reading(server, "/api/events") as one, reading(server, "/api/events") as two:
            await anext(one)
            await anext(two)
            refused = await server.client.get("/api/events")
            assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
        await until_nobody_reads(server)
        async with reading(server, "/api/events") as one:
            await anext(one)


def watches() -> int:
    gc.collect()
    return sum(isinstance(found, MemoryWatch) for found in gc.get_objects())


async def test_who_leaves_frees_everything() -> None:
    async with served() as server:
        handle = await server.api.client.submit("test.sleep", 1000.0, target="web-01", within=2000.0)
        before = watches()
        for _ in range(3):
            async with reading(server, f"/api/job/{handle.id}/events") as events:
                while (await anext(events)).name != "started":
                    pass
                assert watches() == before + 1
            await until_nobody_reads(server)
            assert watches() == before


async def test_who_stops_reading_is_cut_off() -> None:
    async with served(stall=1.0) as server:
        handle = await server.api.client.submit("test.flood", 8_000_000, target="web-01")
        await handle.result()
        token = token_of("admin")
        with socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(server.address)
            reader.sendall(
                f"GET /api/job/{handle.id}/output HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
            )
            while not shared(server).readers:
                await trio.sleep(0.01)
            # Others are served meanwhile.
            assert len(await whole(server, f"/api/job/{handle.id}/events")) == 4
            await until_nobody_reads(server)


async def test_stopping_ends_streams_at_once_with_a_last_event() -> None:
    async with served(grace=100.0) as server:
        handle = await server.api.client.submit("test.sleep", 1000.0, target="web-01", within=2000.0)
        lasts: list[str] = []

        async def read(path: str, task_status: trio.TaskStatus[None]) -> None:
            async with reading(server, path) as events:
                await anext(events)
                task_status.started()
                lasts.append([event.name async for event in events][-1])

        async with trio.open_nursery() as nursery:
            for path in ("/api/events", f"/api/job/{handle.id}/events", f"/api/job/{handle.id}/output"):
                await nursery.start(read, path)
            with trio.fail_after(20):
                server.shutdown.set()
                await server.stopped.wait()
        assert lasts == ["stopping"] * 3
        assert shared(server).readers == 0


async def test_a_stream_ends_with_its_token() -> None:
    async with served() as server:
        token = SECURITY.generate("tester", roles=["admin"], lifetime=1.5)
        async with reading(server, "/api/events", token=token) as events:
            assert [event.name async for event in events] == ["", ""]


async def test_a_deleted_job_ends_its_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osapi.following._LOOK", 0.1)
    async with served() as server:
        handle = await server.api.client.submit("test.sleep", 1000.0, target="web-01", within=2000.0)
        async with reading(server, f"/api/job/{handle.id}/events") as events:
            while (await anext(events)).name != "started":
                pass
            await server.client.delete(f"/api/job/{handle.id}")
            (end,) = [event async for event in events]
        assert end.name == "end"
        assert "deleted" in end.data["summary"]


async def test_silence_is_broken_by_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "ALIVE", 0.05)
    async with served() as server, reading(server, "/api/events") as events:
        told = [await anext(events) for _ in range(5)]
        assert told[2:] == [Event("", None, told[1].id)] * 3


@pytest.mark.parametrize(
    ("event", "sent"),
    [
        (ServerSentEvent("a", {"b": "c\nd"}, "1"), b'id: 1\nevent: a\ndata: {"b":"c\\nd"}\n\n'),
        (ServerSentEvent("a", 1), b"event: a\ndata: 1\n\n"),
        (ServerSentEvent(id="1"), b"id: 1\n\n"),
    ],
)
def test_events_as_they_are_sent(event: ServerSentEvent, sent: bytes) -> None:
    assert streams.encoded(event) == sent


async def test_the_description_tells_of_events(api: Any) -> None:
    found = (await api("GET", "/openapi.json")).body
    described = found["paths"]["/job/{job_id}/events"]["get"]
    assert [parameter["name"] for parameter in described["parameters"]] == ["job_id", "Last-Event-ID"]
    schema = described["responses"]["200"]["content"]["text/event-stream"]["schema"]
    ends = [kind["properties"]["data"]["contentSchema"] for kind in schema["anyOf"] if "event" in kind["properties"]]
    assert ends == [{"$ref": "#/components/schemas/JobEnd"}, {"type": "object"}]
