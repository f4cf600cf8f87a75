"""Asks hosts something and waits for them; on a terminal, a line tells how many have answered."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import msgspec
import trio

from osapi.nursery import background
from osapi_cli import exits, output
from osapi_cli.client import progress, shapes
from osapi_cli.client.follow import follow
from osapi_cli.client.http import Answer, Request, ask, connect, part, send
from osapi_cli.client.server import find_server
from osapi_cli.problems import RefusedError, UnavailableError

if TYPE_CHECKING:
    import httpx2

    from osapi_cli.client.server import Server
    from osapi_cli.client.sse import Event
    from osapi_cli.group import Flags

# Seconds. The server waits for hosts as long as it is told to: an hour is the most.
FOR_HOSTS: Final = 3660.0

_NOBODYS: Final = "00000000-0000-7000-8000-000000000000"


def ask_hosts(flags: Flags, method: str, path: str, *, body: Any = None, of: str) -> Answer:
    """Let the server ask hosts, and return what they answered; `of` names them for the line on the terminal.

    Raises:
        ConfigurationError, UnavailableError, RefusedError, SignalledError

    """
    server = find_server(flags.configuration())
    key = {"Idempotency-Key": f'"{uuid4()}"'}
    request = Request(method=method, path=path, body=body, headers=key, patience=FOR_HOSTS)
    return exits.run(partial(_ask, server, request, of))


def submit(flags: Flags, method: str, path: str, body: Any) -> int:
    """Let the server ask hosts, show which job that is, and wait for nobody.

    Raises:
        ConfigurationError, UnavailableError, RefusedError, SignalledError

    """
    answer = ask(flags, method, path, body=body, headers={"Prefer": "respond-async"})
    created = answer.read(shapes.JobCreated)
    output.present(
        {"job_id": created.job_id}, [output.Paragraph(f"Job {created.job_id} is submitted.")], as_json=flags.json
    )
    return exits.OK


async def _ask(server: Server, request: Request, of: str) -> Answer:
    async with connect(server) as http:
        if not progress.can_be_seen():
            return await send(http, server, request)
        asked = _Asked(of)
        try:
            async with background() as nursery:
                nursery.start_soon(progress.show_soon, asked.text)
                nursery.start_soon(asked.look, http, server, request)
                return await send(http, server, request)
        except trio.Cancelled:
            asked.goes_on()
            raise


class _Asked:
    """What is known of a job that hosts are asked by, while its answers are waited for."""

    def __init__(self, of: str) -> None:
        self._of = of
        self._job_id = ""
        self._hosts: int | None = None
        self._ended: set[str] = set()

    def text(self) -> str:
        """Return how far it is."""
        if self._hosts is None:
            return f"waiting for {self._of}"
        return f"waiting for {self._of}: {len(self._ended)} of {self._hosts} hosts"

    def goes_on(self) -> None:
        """Say what becomes of the job when nobody waits for it any more."""
        if self._job_id:
            follow, end = (f"`osapi client job {verb} --job-id {self._job_id}`" for verb in ("watch", "cancel"))
            exits.tell(f"job {self._job_id} goes on; {follow} follows it, {end} ends it")

    async def look(self, http: httpx2.AsyncClient, server: Server, request: Request) -> None:
        """Find out which job it is and follow it. What stands in the way of that is not told: it is but a line."""
        await trio.sleep(progress.SOON)
        try:
            if await self._can_follow(http, server):
                await self._follow(http, server, request)
        except (RefusedError, UnavailableError):
            return

    async def _can_follow(self, http: httpx2.AsyncClient, server: Server) -> bool:
        # The same request is about to be sent once more, under its key. Another kind of server might run the command
        # twice; one that knows these words takes keys.
        try:
            await send(http, server, Request(method="GET", path=f"/job/{_NOBODYS}/events"))
        except RefusedError as error:
            return error.kind.endswith(":unknown-job")
        return False

    async def _follow(self, http: httpx2.AsyncClient, server: Server, request: Request) -> None:
        headers = {**request.headers, "Prefer": "respond-async"}
        accepted = await send(http, server, msgspec.structs.replace(request, headers=headers))
        self._job_id = accepted.read(shapes.JobCreated).job_id
        job = await send(http, server, Request(method="GET", path=f"/job/{part(self._job_id)}"))
        expected = job.read(shapes.Job).expected
        self._hosts = 1 if expected is None else len(expected)
        await follow(http, server, f"/job/{part(self._job_id)}/events", self._take, tell=lambda _: None)

    def _take(self, event: Event) -> bool:
        if event.event in shapes.ENDS:
            self._ended.add(msgspec.json.decode(event.data, type=shapes.TimelineEvent).hostname)
        return event.event == "end"
