"""The operation that pings an address: `network.ping.run`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

import osapi
from osapi.errors import shown
from osapi_agent.addresses import check_host, holds_reference
from osapi_agent.errors import ProgramFailedError, ProgramMissingError

if TYPE_CHECKING:
    from osapi_agent.system import System

PERMISSION: Final = "network:write"

# Three packets, one a second; five seconds for all of it, a dead address included.
_PACKETS: Final = 3
_SECONDS: Final = 5

# iputils, BusyBox and BSD say it in these words, and give the times in milliseconds.
_COUNTS = re.compile(r"(\d+) packets transmitted, (\d+) (?:packets )?received")
_TIMES = re.compile(r"min/avg/max[a-z/]* = ([\d.]+)/([\d.]+)/([\d.]+)")


class Ping(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to ping: an IP address or a hostname."""

    address: str

    def __post_init__(self) -> None:
        """Refuse what is neither."""
        if not holds_reference(self.address):
            check_host(self.address)


class Pinged(Struct, frozen=True, kw_only=True):
    """What came back: the loss in percent, the round-trip times in seconds, None when nothing did."""

    packets_sent: int
    packets_received: int
    packet_loss: float
    min_rtt: float | None
    avg_rtt: float | None
    max_rtt: float | None


def offer(system: System) -> osapi.Operations:
    """Return the operation on a host."""
    operations = osapi.Operations()

    # It changes nothing, but it lets a host send packets to where the caller likes.
    @operations.query("network.ping.run", permission=PERMISSION)
    async def ping(job: osapi.Job, data: Ping) -> Pinged:
        """Send three packets to an address; no answer is a loss of 100 percent and no failure."""
        check_host(data.address)
        try:
            ended = await system.ask("ping", "-n", "-q", "-c", f"{_PACKETS}", "-w", f"{_SECONDS}", "--", data.address)
        except ProgramMissingError as error:
            raise osapi.Skip("ping is not installed here; install iputils-ping") from error
        found = parse(ended.stdout)
        if found is None:
            told = ended.stderr.strip() or ended.stdout.strip()
            if ended.lacks_rights():
                raise osapi.Skip(f"the agent may not send pings ({told}); give it CAP_NET_RAW, or run it as root")
            raise ProgramFailedError(f"ping {shown(data.address)} failed (status {ended.status}): {told}")
        return found

    return operations


def parse(text: str) -> Pinged | None:
    """Read the summary that ping ends with; None when there is none, or nothing could be sent."""
    counts = _COUNTS.search(text)
    if counts is None or not int(counts[1]):
        return None
    sent, received = int(counts[1]), int(counts[2])
    times = _TIMES.search(text)
    low, mean, high = (float(time) / 1000 for time in times.groups()) if times else (None, None, None)
    return Pinged(
        packets_sent=sent,
        packets_received=received,
        packet_loss=round(100 * max(0, sent - received) / sent, 1),
        min_rtt=low,
        avg_rtt=mean,
        max_rtt=high,
    )
