"""A small fleet and the whole life of its jobs, in one process on the broker in memory.

Run it: `python docs/examples/fleet.py`. Under Trio's virtual clock, minutes of backoff and pauses take no time. Over a
NATS server the same program needs another URL, and the real clock.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

import trio
import trio.testing

import osapi

BROKER = "memory://fleet"

operations = osapi.Operations()
FLEET = {"web-01": "web.dev", "web-02": "web.prod", "web-03": "web.prod", "db-01": "db"}

tried: list[str] = []
full: set[str] = set()


@operations.modify("service.update", permission="service:write", policy=osapi.Policy(attempts=3, backoff=30.0))
async def update(job: osapi.Job, data: str) -> str:
    """Put a version in place; the first try on each host meets a lock, and a host without room cannot take it."""
    if job.host not in tried:
        tried.append(job.host)
        raise osapi.TransientError("another update holds the lock")
    if job.host in full:
        raise RuntimeError("not enough room on the disk")
    job.progress(0.5, "unpacking")
    job.output(f"{data} unpacked on {job.host}\n")
    await trio.sleep(5.0)
    return data


@operations.query("log.follow", permission="log:read", policy=osapi.Policy(timeout=3600.0))
async def follow_log(job: osapi.Job) -> None:
    """Show a log until somebody has seen enough."""
    while True:
        job.output("a line of the log\n")
        await trio.sleep(1.0)


@operations.modify("invoice.send", permission="invoice:write", policy=osapi.Policy(attempts=2, backoff=10.0))
async def send_invoice(job: osapi.Job, data: int) -> int:
    """Send an invoice; the mail server is down."""
    raise osapi.TransientError("the mail server does not answer")


async def main() -> None:
    """Go through all of it, and tell on the way."""
    async with AsyncExitStack() as stack:
        transport = await stack.enter_async_context(osapi.connect(BROKER))
        for host, group in FLEET.items():
            agent = osapi.Agent(transport, operations, hostname=host, labels={"group": group}, facts={"arch": "arm64"})
            await stack.enter_async_context(agent)
        client = await stack.enter_async_context(osapi.Client(transport, operations))
        await stack.enter_async_context(osapi.Sweeper(transport))
        await stack.enter_async_context(osapi.Scheduler(transport))
        nursery = await stack.enter_async_context(trio.open_nursery())
        nursery.start_soon(client.rollouts.conduct)
        for part in (retried, cancelled, expired, once, waited_for, told, dead, scheduled, selected, rolled_out):
            print(f"{part.__name__.replace('_', ' ')}: {await part(client)}")
        nursery.cancel_scope.cancel()


async def retried(client: osapi.Client) -> str:
    """Meet a passing error: the policy tries again, and says when meanwhile."""
    job = await client.submit("service.update", "2.0", target="web-01")
    await trio.sleep(1.0)
    waiting = job.summary()
    (answer,) = (await job.result()).values()
    return f"{waiting.split(',')[0]}), then {answer.status} in attempt {answer.attempts}"


async def cancelled(client: osapi.Client) -> str:
    """Stop what runs: its handler is cancelled, and the record says by whom."""
    job = await client.submit("log.follow", target="web-01", within=3000.0)
    await trio.sleep(3.5)
    await client.cancel(job.id, by="alice", reason="seen enough")
    (answer,) = (await job.result()).values()
    return answer.error


async def expired(client: osapi.Client) -> str:
    """Give a job a time in which it has to end, whatever it does."""
    job = await client.submit("log.follow", target="db-01", within=10.0)
    (answer,) = (await job.result()).values()
    return f"{answer.status}: {answer.error}"


async def once(client: osapi.Client) -> str:
    """Submit twice under one key: it is one job."""
    first = await client.submit("service.update", "2.0", target="web-02", key="order 17")
    second = await client.submit("service.update", "2.0", target="web-02", key="order 17")
    await first.result()
    return "one job" if first.id == second.id else "two jobs"


async def waited_for(client: osapi.Client) -> str:
    """Submit to a host that is known and away: it runs when the host is back, or expires."""
    async with osapi.connect(BROKER) as wire:
        async with osapi.Agent(wire, operations, hostname="laptop-01"):
            pass
        job = await client.submit("service.update", "2.0", target="laptop-01", within=600.0, start_within=300.0)
        await trio.sleep(60.0)
        async with osapi.Agent(wire, operations, hostname="laptop-01"):
            (answer,) = (await job.result()).values()
    await client.fleet.forget("laptop-01")
    return answer.status


async def told(client: osapi.Client) -> str:
    """Read what a job reports while it runs."""
    job = await client.submit("service.update", "2.1", target="web-01")
    written = [chunk.text async for chunk in job.output()]
    progress = [event.message for event in job.timeline() if event.event == "progress"]
    return f"{progress[0]}; {''.join(written).strip()}"


async def dead(client: osapi.Client) -> str:
    """Find what used up its attempts among the dead letters, with its story, and replay it."""
    job = await client.submit("invoice.send", 4711, target="db-01")
    await job.result()
    await trio.sleep(1.0)
    (letter,) = await client.dead_letters.list(operation="invoice.send")
    again = await client.dead_letters.replay(letter.sequence)
    await client.cancel(again.id)
    return f"{letter.reason}; replayed as a job of its own"


async def scheduled(client: osapi.Client) -> str:
    """Run something every ten minutes, and something else tonight."""
    await client.schedules.set("refresh", "service.update", "2.1", target="_any@group:web.dev", every=600.0)
    await client.schedules.set("nightly", "service.update", "2.1", cron="0 3 * * *", time_zone="Europe/Berlin")
    await trio.sleep(1800.0 + 30.0)
    refresh = await client.schedules.get("refresh")
    await client.schedules.remove("refresh")
    await client.schedules.remove("nightly")
    return f"{refresh.schedule.submitted} jobs in half an hour"


async def selected(client: osapi.Client) -> str:
    """Select by labels, names and facts at once."""
    job = await client.submit("service.update", "2.1", target="group:web,!host:web-03,fact.arch:arm64")
    return ", ".join(await job.result())


async def rolled_out(client: osapi.Client) -> str:
    """Roll out in batches: one host shows that all is well, and a failure halts before the others have it."""
    full.add("web-02")
    rollout = await client.rollouts.start("service.update", "2.2", target="group:web", canary=1, batch=1, pause=60.0)
    halted = await client.rollouts.ended(rollout.id)
    failed = ", ".join(end.host for end in halted.failures)
    full.clear()
    await client.rollouts.resume(rollout.id, by="bob", reason="there is room again")
    done = await client.rollouts.ended(rollout.id)
    return f"{halted.status} by {failed}, resumed, and {done.status} on {', '.join(done.plan.hosts)}"


if __name__ == "__main__":
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
