"""What `osapi client job watch` does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from osapi.nursery import background
from osapi_cli import exits, output
from osapi_cli.client import progress, shapes
from osapi_cli.client.follow import follow
from osapi_cli.client.http import Request, connect, part, send
from osapi_cli.client.server import find_server
from osapi_cli.client.work.job import status_of

if TYPE_CHECKING:
    import httpx2

    from osapi_cli.client.server import Server
    from osapi_cli.client.sse import Event
    from osapi_cli.group import Flags

_END: Final = "end"


def watch(flags: Flags, job_id: str, *, written: bool) -> int:
    """Show what happens to a job, or what it writes, until it has ended."""
    server = find_server(flags.configuration())
    return exits.run(partial(_watch, server, job_id, flags.json, written))


async def _watch(server: Server, job_id: str, as_json: bool, written: bool) -> int:  # noqa: FBT001 - of `partial`
    path = f"/job/{part(job_id)}"
    async with connect(server) as http:
        answer = await send(http, server, Request(method="GET", path=path))
        job = answer.read(shapes.Job)
        watched = _Written(job, as_json=as_json) if written else _Happened(job, as_json=as_json)
        return await watched.follow(http, server, f"{path}/{'output' if written else 'events'}")


class _Watched(ABC):
    """A job that is followed; the line that tells how far it is gives way to what is printed."""

    def __init__(self, job: shapes.Job, *, as_json: bool) -> None:
        self.job = job
        self.as_json = as_json
        self.line = progress.Line()
        self.ended: set[str] = set()
        self.status = job.status

    async def follow(self, http: httpx2.AsyncClient, server: Server, path: str) -> int:
        """Follow it to its end, and return the exit status."""
        async with background() as nursery:
            if progress.can_be_seen():
                nursery.start_soon(progress.keep_showing, self.line, self._text)
            await follow(http, server, path, self._take, tell=self.line.tell)
        return status_of(self.status)

    def _text(self) -> str:
        if self.job.expected is None:
            return f"{self.job.operation.type} on {self.job.target}"
        return f"{self.job.operation.type} on {self.job.target}: {len(self.ended)} of {len(self.job.expected)} hosts"

    def _take(self, event: Event) -> bool:
        self.line.clear()
        if event.event == _END:
            end = msgspec.json.decode(event.data, type=shapes.JobEnd)
            self.status = end.status
            self.finish(end, event.data)
            return True
        self.show(event)
        return False

    @abstractmethod
    def show(self, event: Event) -> None:
        """Print an event."""

    @abstractmethod
    def finish(self, end: shapes.JobEnd, data: str) -> None:
        """Print the end."""


class _Happened(_Watched):
    """What happens to it, a line an event."""

    def show(self, event: Event) -> None:
        """Print an event of its timeline."""
        told = msgspec.json.decode(event.data, type=shapes.TimelineEvent)
        if told.event in shapes.ENDS:
            self.ended.add(told.hostname)
        if self.as_json:
            output.show_json_line(msgspec.Raw(event.data))
            return
        share = "" if told.progress is None else f"{told.progress:.0%}"
        said = " ".join(word for word in (share, told.error or told.message) if word)
        output.show_line([(told.timestamp, 24), (told.event, 12), (told.hostname, 16), (said, 0)])

    def finish(self, end: shapes.JobEnd, data: str) -> None:
        """Print how it has ended."""
        if self.as_json:
            output.show_json_line(msgspec.Raw(data))
        else:
            output.show([output.Paragraph(_said(end))])


class _Written(_Watched):
    """What it writes, as it is; of several hosts line by line, each after `[host] `."""

    def __init__(self, job: shapes.Job, *, as_json: bool) -> None:
        super().__init__(job, as_json=as_json)
        self._several = job.expected is not None and len(job.expected) > 1
        self._begun: dict[tuple[str, str], str] = {}

    def show(self, event: Event) -> None:
        """Print a piece of what a host has written."""
        if self.as_json:
            output.show_json_line(msgspec.Raw(event.data))
            return
        told = msgspec.json.decode(event.data, type=shapes.JobOutput)
        if told.dropped:
            exits.tell(f"{told.hostname}: {told.dropped} bytes of its {told.stream} were dropped")
        if self._several:
            source = (told.hostname, told.stream)
            *lines, self._begun[source] = (self._begun.get(source, "") + told.text).split("\n")
            self._write(told.stream, "".join(f"[{told.hostname}] {line}\n" for line in lines))
        else:
            self._write(told.stream, told.text)

    def finish(self, end: shapes.JobEnd, data: str) -> None:
        """Print what was begun; how the job has ended is for stderr."""
        if self.as_json:
            output.show_json_line(msgspec.Raw(data))
            return
        for (host, stream), rest in sorted(self._begun.items()):
            if rest:
                self._write(stream, f"[{host}] {rest}\n")
        if status_of(end.status) != exits.OK:
            exits.tell(_said(end))

    def _write(self, stream: str, text: str) -> None:
        output.write_raw(*((text, "") if stream == "stdout" else ("", text)))


def _said(end: shapes.JobEnd) -> str:
    # Of one host, the summary is the status, with what there is to say about it.
    return (
        f"Job {end.job_id} is {end.summary if end.summary.startswith(end.status) else f'{end.status}: {end.summary}'}"
    )
