"""What reading and writing the NATS protocol costs a message: osapi's native client beside nats-py's.

Run it as `python -m benchmarks.nats_parser [--quick] [--json]`. The messages are JetStream's: a delivery with its long
reply subject (MSG), the same with the headers of a direct read (HMSG), 128 bytes of payload each, in chunks as they
come from a socket. nats-py's parser hands on bytes; "to Incoming" adds what it takes to make of them what osapi's
parser returns. All are measured in turn, round by round, so that a busy machine slows all; the figures are medians,
in nanoseconds a message.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
from functools import partial
from statistics import median
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from nats.protocol import command
from nats.protocol.parser import Parser as NatsPyParser

from osapi_nats.connection import Incoming
from osapi_nats.headers import encode_headers, parse_headers
from osapi_nats.native.protocol import Parser, publish

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

MESSAGES, QUICK_MESSAGES = 50_000, 5_000
ROUNDS = 7
CHUNK = 1 << 16

SUBJECT = "jobs.query.host.web-01=2Eexample=2Ecom.0192f0c0-0000-7000-8000-000000000000"
REPLY = "$JS.ACK.JOBS.agent-web-01=2Eexample=2Ecom.1.123456.123456.1767225600000000000.12"
PAYLOAD = b"x" * 128
HEADERS = {
    "Nats-Stream": "KV_job-queue",
    "Nats-Subject": "$KV.job-queue.jobs.0192f0c0-0000-7000-8000-000000000000",
    "Nats-Sequence": "123456",
    "Nats-Time-Stamp": "2026-01-01T00:00:00.000000000Z",
}

# They have no types.
_PUB: Callable[..., bytes] = getattr(command, "pub_cmd")  # noqa: B009
_HPUB: Callable[..., bytes] = getattr(command, "hpub_cmd")  # noqa: B009

# --- What is measured --------------------------------------------------------------------------------------------


def chunks(kind: str, count: int) -> list[bytes]:
    """Return so many messages as they come from a socket."""
    if kind == "MSG":
        one = b"MSG %b 17 %b %d\r\n%b\r\n" % (SUBJECT.encode(), REPLY.encode(), len(PAYLOAD), PAYLOAD)
    else:
        block = encode_headers(HEADERS)
        sizes = len(block), len(block) + len(PAYLOAD)
        one = b"HMSG %b 17 %b %d %d\r\n%b%b\r\n" % (SUBJECT.encode(), REPLY.encode(), *sizes, block, PAYLOAD)
    data = one * count
    return [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]


def read_with_osapi(pieces: list[bytes]) -> int:
    parser = Parser()
    return sum(len(parser.feed(piece)) for piece in pieces)


class Taker:
    """Takes nats-py's client's place."""

    def __init__(self) -> None:
        self.count = 0

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        self.count += 1


class Maker(Taker):
    """Makes an Incoming of each message."""

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        self.count += 1
        if headers:
            status, description, found = parse_headers(headers)
            Incoming(subject.decode(), data, reply.decode(), found, status, description)
        else:
            Incoming(subject.decode(), data, reply.decode())


def read_with_nats_py(taker: type[Taker], pieces: list[bytes]) -> int:
    it = taker()
    parser = NatsPyParser(it)
    for piece in pieces:
        finish(parser.parse(piece))
    return it.count


def finish(work: Coroutine[Any, Any, None]) -> None:
    """Run what never waits, without a loop's cost."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")


def write_with_osapi(headers: dict[str, str] | None, count: int) -> int:
    for _ in range(count):
        publish(SUBJECT, PAYLOAD, REPLY, headers)
    return count


def write_with_nats_py(headers: dict[str, str] | None, count: int) -> int:
    if headers is None:
        for _ in range(count):
            _PUB(SUBJECT, REPLY, PAYLOAD)
    else:
        for _ in range(count):
            _HPUB(SUBJECT, REPLY, encode_headers(headers), PAYLOAD)
    return count


def works(count: int) -> dict[str, dict[str, Callable[[], int]]]:
    """Return what is measured, by what it does and who does it."""
    found: dict[str, dict[str, Callable[[], int]]] = {}
    for kind in ("MSG", "HMSG"):
        pieces = chunks(kind, count)
        found[f"read {kind}"] = {
            "osapi": partial(read_with_osapi, pieces),
            "nats-py": partial(read_with_nats_py, Taker, pieces),
            "nats-py, to Incoming": partial(read_with_nats_py, Maker, pieces),
        }
    for kind, headers in (("PUB", None), ("HPUB", HEADERS)):
        found[f"write {kind}"] = {
            "osapi": partial(write_with_osapi, headers, count),
            "nats-py": partial(write_with_nats_py, headers, count),
        }
    return found


def measure(count: int) -> dict[str, dict[str, float]]:
    """Return the medians in nanoseconds a message."""
    rounds: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS):
        for what, by in works(count).items():
            for name, work in by.items():
                gc.collect()
                began = perf_counter_ns()
                assert work() == count
                rounds.setdefault((what, name), []).append((perf_counter_ns() - began) / count)
    rows: dict[str, dict[str, float]] = {}
    for (what, name), times in rounds.items():
        rows.setdefault(what, {})[name] = median(times)
    return rows


# --- The report --------------------------------------------------------------------------------------------------


def machine() -> str:
    return f"Python {platform.python_version()}, {os.cpu_count()} CPUs"


def print_report(rows: dict[str, dict[str, float]]) -> None:
    print(f"{machine()}; ns a message, medians of {ROUNDS} rounds\n")
    print(f"{'':12}{'osapi':>9}{'nats-py':>9}{'to Incoming':>13}{'ratio':>8}")
    for what, by in rows.items():
        ours, raw, made = by["osapi"], by["nats-py"], by.get("nats-py, to Incoming")
        shown = f"{made:13,.0f}" if made else f"{'':13}"
        print(f"{what:12}{ours:9,.0f}{raw:9,.0f}{shown}{(made or raw) / ours:8.1f}")
    print("\nratio: how much longer nats-py takes for the same result.")


def main() -> None:
    options = argparse.ArgumentParser(prog="nats_parser", description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--quick", action="store_true", help=f"{QUICK_MESSAGES:,} messages instead of {MESSAGES:,}")
    options.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = options.parse_args()
    rows = measure(QUICK_MESSAGES if chosen.quick else MESSAGES)
    if chosen.json:
        print(json.dumps({"machine": machine(), "rows": rows}, indent=2))
    else:
        print_report(rows)


if __name__ == "__main__":
    main()
