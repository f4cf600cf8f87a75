"""Measure what it costs to list and to get jobs, by how many are kept: in memory, on NATS, and through the API.

    python -m benchmarks.job_index [--jobs 1000 10000 100000] [--rounds 5]

The jobs are written as clients and agents write them, all of them ended, without either. Figures are medians over all
rounds; the rounds of the sizes take turns, so that whatever else the machine does meets all of them alike.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tracemalloc
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec
import trio

import osapi
import osapi_api
from osapi.flow.store import open_store
from osapi.ids import Ids
from osapi.rules.codec import DEFINITION, RECORD
from osapi.rules.job_index import JobTable
from osapi.rules.keys import job_key, response_key
from osapi.rules.outlines import JobOutline, RecordOutline
from osapi.rules.records import VERSION, Definition, Record, SlotStatus
from osapi_nats.server import ServerSettings, run_server

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from osapi.flow.store import Store

Question = tuple[str, "Callable[[], Awaitable[object]]"]

SETTINGS = osapi.Settings(max_bytes=2 << 30, job_ttl=24 * 3600.0)
KEY = "0123456789abcdef0123456789abcdef"
OPERATIONS = [f"bench.operation-{number}.get" for number in range(10)]
TARGETS = ["_any", "web-01", "web-02", "web-03", "web-04"]
ORIGIN = "c0ffee"
AT_ONCE = 200
REPEATS = 30


def definition(ids: Ids, number: int, now: float) -> Definition:
    """Return a job; the jobs lie 10 ms apart and the last is the newest."""
    target = TARGETS[number % len(TARGETS)]
    return Definition(
        v=VERSION,
        id=ids.job_id(now),
        operation=OPERATIONS[number % len(OPERATIONS)],
        kind="query",
        target=target,
        origin=ORIGIN,
        data=msgspec.Raw(b'{"name":"value","number":12345}'),
        created=now,
        finish_by=now + 300.0,
        expires=now + SETTINGS.job_ttl,
        expected=None if target == "_any" else (target,),
    )


def record(job: Definition, number: int) -> Record:
    """Return how it ended; a tenth failed."""
    return Record(
        v=VERSION,
        job=job.id,
        slot=job.target,
        host="web-01" if job.target == "_any" else job.target,
        status=SlotStatus.FAILED if number % 10 == 7 else SlotStatus.COMPLETED,
        attempt=1,
        lease="session.1",
        claimed=job.created + 0.01,
        updated=job.created + 0.02,
        result=msgspec.Raw(b'{"hostname":"web-01.example.com"}'),
    )


async def fill(store: Store, count: int) -> None:
    """Write so many jobs and their records, many at once."""
    ids, begin = Ids(), store.now() - count / 100.0
    pending = iter(range(count))

    async def write() -> None:
        for number in pending:
            job = definition(ids, number, begin + number / 100.0)
            told = record(job, number)
            await store.jobs.put(job_key(job.id), DEFINITION.encode(job))
            await store.responses.put(response_key(ORIGIN, job.id, told.slot), RECORD.encode(told))

    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(write)


def memory_of(count: int) -> float:
    """Return how many bytes the index takes for each job, strings included."""
    ids = Ids()
    tracemalloc.start()
    table = JobTable(SETTINGS.job_ttl)
    for number in range(count):
        now = 1000.0 + number / 100.0
        job = definition(ids, number, now)
        outline = msgspec.json.decode(DEFINITION.encode(job), type=JobOutline)
        table.take_job(outline.id, outline, 2 * number + 1, now, now)
        ended = msgspec.json.decode(RECORD.encode(record(job, number)), type=RecordOutline)
        table.take_record(outline.id, ORIGIN, job.target, ended, 2 * number + 2, now)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return used / count


class Place:
    """A number of kept jobs, and how to ask about them."""

    def __init__(self, count: int, client: osapi.Client, index: osapi.JobIndex, filling: float, app: Any) -> None:
        self.count = count
        self.filling = filling
        self._client = client
        self._index = index
        self._app = app
        self._token = osapi_api.Security(KEY).generate("bench", roles=["admin"])
        self._middle = index.find(offset=count // 2, limit=1).rows[0].id

    def questions(self) -> Sequence[Question]:
        """Return what is asked, by name."""
        index, half = self._index, self.count // 2
        return (
            ("counts", _later(index.counts)),
            ("find: a page", _later(partial(index.find, limit=10))),
            ("find: a page in the middle", _later(partial(index.find, limit=10, offset=half))),
            ("find: by status, operation", _later(partial(index.find, status="failed", operation=OPERATIONS[7]))),
            ("list: a page, through the index", partial(index.list, limit=10)),
            ("list: in the middle, through the index", partial(index.list, limit=10, offset=half)),
            ("list: a page, without it", partial(self._client.list, limit=10)),
            ("get", partial(self._client.get, self._middle)),
            ("GET /job", partial(self._ask, "/api/job")),
            ("GET /job?operation&target", partial(self._ask, f"/api/job?operation={OPERATIONS[0]}&target=_any")),
            ("GET /job/{id}", partial(self._ask, f"/api/job/{self._middle}")),
        )

    async def _ask(self, path: str) -> None:
        answer = await self._app.test_client().get(path, headers={"Authorization": f"Bearer {self._token}"})
        assert answer.status_code == 200, await answer.get_data()


def _later(call: Callable[[], object]) -> Callable[[], Awaitable[object]]:
    async def ask() -> object:
        return call()

    return ask


@asynccontextmanager
async def place(url: str, count: int) -> AsyncGenerator[Place]:
    """Write so many jobs, open an index and the API over them."""
    operations = osapi.Operations()
    async with AsyncExitStack() as stack:
        transport = await stack.enter_async_context(osapi.connect(url))
        await fill(await open_store(transport, SETTINGS), count)
        client = await stack.enter_async_context(osapi.Client(transport, operations, settings=SETTINGS))
        begin = perf_counter()
        index = await client.index()
        filling = perf_counter() - begin
        assert index.find().total == count
        security = osapi_api.Security(KEY)
        app = osapi_api.create_app(
            client, transport=transport, operations=operations, security=security, settings=SETTINGS
        )
        yield Place(count, client, index, filling, app)


async def measure(name: str, urls: dict[int, str], rounds: int) -> None:
    """Ask everything at every size, in turns, and print a table."""
    async with AsyncExitStack() as stack:
        places = [await stack.enter_async_context(place(url, count)) for count, url in urls.items()]
        times: dict[tuple[str, int], list[float]] = {}
        for _ in range(rounds):
            for asked in range(len(places[0].questions())):
                for each in places:
                    question, ask = each.questions()[asked]
                    for _ in range(REPEATS):
                        begin = perf_counter()
                        await ask()
                        times.setdefault((question, each.count), []).append(perf_counter() - begin)
        filled = "  ".join(f"{each.filling:6.3f} s" for each in places)
        print(f"\n{name}: {'jobs kept':<40}" + "".join(f"{count:>11,}" for count in urls) + "   largest : smallest")
        print(f"{'reading the index at first':<48}{filled}")
        for question, _ in places[0].questions():
            medians = [statistics.median(times[question, count]) for count in urls]
            shown = "".join(f"{seconds * 1e6:>8.1f} us" for seconds in medians)
            print(f"{question:<{len(name) + 42}}{shown}   {medians[-1] / medians[0]:.2f}")


async def main(sizes: Sequence[int], rounds: int) -> None:
    for count in sizes:
        print(f"memory of the index with {count:,} jobs: {memory_of(count):.0f} bytes a job")
    await measure("memory", dict.fromkeys(sizes, "memory://"), rounds)
    with TemporaryDirectory() as folder:
        settings = ServerSettings(port=0, store_dir=str(Path(folder) / "store"), max_file=32 << 30)
        async with run_server(settings) as server:
            await measure("NATS", {count: f"{server.url}/?namespace=kept-{count}" for count in sizes}, rounds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    sys.exit(trio.run(main, given.jobs, given.rounds))
