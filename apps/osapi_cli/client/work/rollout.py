"""What `osapi client rollout` does."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from osapi.nursery import background
from osapi_cli import exits, output
from osapi_cli.client import progress, shapes
from osapi_cli.client.follow import follow
from osapi_cli.client.given import read_data
from osapi_cli.client.http import Request, ask, connect, part, send
from osapi_cli.client.server import find_server
from osapi_cli.configuration.durations import parse_duration
from osapi_cli.output import Heading, Paragraph, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from osapi_cli.client.server import Server
    from osapi_cli.client.sse import Event
    from osapi_cli.group import Flags
    from osapi_cli.output import Block

_OVER: Final = frozenset({"completed", "aborted", "halted"})


def start(
    flags: Flags,
    operation: str,
    target: str,
    data: str | None,
    plan: Mapping[str, str],
    *,
    max_failures: int,
    watching: bool,
) -> int:
    """Start a rollout."""
    body: dict[str, Any] = {"operation": operation, "target": target, "max_failures": max_failures}
    body["batch"], body["canary"] = _count("--batch", plan["batch"]), _count("--canary", plan["canary"])
    body["pause"] = parse_duration(plan["pause"])
    if body["pause"] is None:
        raise click.BadParameter(f"{plan['pause']!r} is no duration, such as 30s or 5m", param_hint="--pause")
    if data is not None:
        body["data"] = read_data(data)
    answer = ask(flags, "POST", "/rollout", body=body)
    started = answer.read(shapes.Rollout)
    if watching:
        return watch(flags, started.id)
    output.present(
        answer.body,
        [Paragraph(f"Rollout {started.id} is started, on {started.hosts} host{'' if started.hosts == 1 else 's'}.")],
        as_json=flags.json,
    )
    return exits.OK


def _count(flag: str, given: str) -> int | str:
    if given.endswith("%"):
        return given
    try:
        return int(given)
    except ValueError:
        raise click.BadParameter(f"{given!r} is no number of hosts, such as 3 or 10%", param_hint=flag) from None


def list_rollouts(flags: Flags, limit: int) -> int:
    """Show the newest rollouts."""
    answer = ask(flags, "GET", "/rollout", query={"limit": limit})
    found = answer.read(shapes.RolloutList)
    told = _list(found) if found.items else Paragraph("There are no rollouts.")
    output.present(answer.body, [told], as_json=flags.json)
    return exits.OK


def _list(found: shapes.RolloutList) -> Table:
    return Table(
        columns=("ROLLOUT ID", "STATUS", "CREATED", "TARGET", "OPERATION", "HOSTS", "FAILED"),
        whole=frozenset({"ROLLOUT ID"}),
        times=frozenset({"CREATED"}),
        right=frozenset({"HOSTS", "FAILED"}),
        rows=[
            (r.id, r.status, r.created, r.target, r.operation, f"{r.hosts - len(r.waiting)}/{r.hosts}", str(r.failed))
            for r in found.items
        ],
    )


def get(flags: Flags, rollout_id: str) -> int:
    """Show one rollout."""
    answer = ask(flags, "GET", f"/rollout/{part(rollout_id)}")
    found = answer.read(shapes.Rollout)
    output.present(answer.body, _detail(found), as_json=flags.json)
    return exits.OK


def _detail(rollout: shapes.Rollout) -> Iterator[Block]:
    yield Heading(f"Rollout {rollout.id}")
    rows = [
        ("Status", rollout.status),
        ("Reason", rollout.reason),
        ("By", rollout.by),
        ("Operation", rollout.operation),
        ("Target", rollout.target),
        ("Created", rollout.created),
        ("Updated", rollout.updated),
        ("Hosts", f"{rollout.hosts}, {len(rollout.waiting)} of them waiting"),
        ("Plan", _plan(rollout)),
    ]
    yield Table(rows=[(name, value) for name, value in rows if value])
    if rollout.batches:
        yield Heading("Batches")
        yield Table(
            columns=("BATCH", "JOB ID", "STARTED", "HOSTS", "OUTCOME"),
            whole=frozenset({"JOB ID"}),
            right=frozenset({"BATCH"}),
            rows=[
                (str(number), batch.job_id, batch.started, ", ".join(batch.hosts), _outcome(batch))
                for number, batch in enumerate(rollout.batches, 1)
            ],
        )
    if rollout.failures:
        yield Heading("Failed")
        yield Table(
            columns=("HOSTNAME", "BATCH", "STATUS", "ERROR"),
            right=frozenset({"BATCH"}),
            rows=[(end.hostname, str(end.batch + 1), end.status, end.error) for end in rollout.failures],
        )
    if rollout.waiting:
        yield Paragraph(f"Waiting: {', '.join(rollout.waiting)}")


def _plan(rollout: shapes.Rollout) -> str:
    parts = [f"{rollout.canary} first"] if rollout.canary else []
    parts.append(f"{rollout.batch} at a time")
    if rollout.pause:
        parts.append(f"{rollout.pause:g} s between")
    parts.append(f"{rollout.max_failures} may fail")
    return ", ".join(parts)


def _outcome(batch: shapes.RolloutBatch) -> str:
    return ", ".join(f"{count} {end}" for end, count in sorted(batch.outcomes.items())) or "running"


def order(flags: Flags, rollout_id: str, name: str, reason: str | None) -> int:
    """Pause, resume or abort a rollout."""
    answer = ask(flags, "POST", f"/rollout/{part(rollout_id)}/{name}", body={"reason": reason or ""})
    found = answer.read(shapes.Rollout)
    output.present(answer.body, [Paragraph(f"Rollout {found.id} is {found.status}.")], as_json=flags.json)
    return exits.OK


def watch(flags: Flags, rollout_id: str) -> int:
    """Show what happens to a rollout until it is over or halts."""
    server = find_server(flags.configuration())
    return exits.run(partial(_watch, server, rollout_id, flags.json))


async def _watch(server: Server, rollout_id: str, as_json: bool) -> int:  # noqa: FBT001 - of `partial`
    path = f"/rollout/{part(rollout_id)}"
    async with connect(server) as http:
        answer = await send(http, server, Request(method="GET", path=path))
        watched = _Watched(answer.read(shapes.Rollout), as_json=as_json)
        async with background() as nursery:
            if progress.can_be_seen():
                nursery.start_soon(progress.keep_showing, watched.line, watched.text)
            await follow(http, server, f"{path}/events", watched.take, tell=watched.line.tell)
        return watched.finish()


class _Watched:
    """A rollout that is followed: a line for each batch that begins or ends."""

    def __init__(self, rollout: shapes.Rollout, *, as_json: bool) -> None:
        self.line = progress.Line()
        self._as_json = as_json
        self._told: set[tuple[int, bool]] = set()
        self._now = rollout
        self._taken = ""

    def take(self, event: Event) -> bool:
        """Show what is new, and tell whether that was the last."""
        # A stream that broke off begins again with how it is.
        if event.event != "rollout" or event.data == self._taken:
            return False
        self._taken = event.data
        self._now = msgspec.json.decode(event.data, type=shapes.Rollout)
        self.line.clear()
        if self._as_json:
            output.show_json_line(msgspec.Raw(event.data))
        else:
            self._tell_batches()
        return self._now.status in _OVER and all(batch.ended for batch in self._now.batches)

    def _tell_batches(self) -> None:
        for number, batch in enumerate(self._now.batches):
            for has_ended, at in ((False, batch.started), (True, batch.ended)):
                if at and (number, has_ended) not in self._told:
                    self._told.add((number, has_ended))
                    said = _outcome(batch) if has_ended else f"on {', '.join(batch.hosts)}"
                    output.show_line([(at, 24), (f"batch {number + 1}", 10), (said, 0)])

    def text(self) -> str:
        """Return how far it is."""
        now = self._now
        return f"{now.operation} {now.status}: {now.hosts - len(now.waiting)} of {now.hosts} hosts, {now.failed} failed"

    def finish(self) -> int:
        """Show how it has ended, and return the exit status."""
        self.line.clear()
        now = self._now
        if not self._as_json:
            why = f": {now.reason}" if now.reason else ""
            output.show(
                [Paragraph(f"Rollout {now.id} is {now.status}{why}; {now.failed} of {now.hosts} hosts failed.")]
            )
        return exits.OK if now.status == "completed" and not now.failed else exits.FAILED
