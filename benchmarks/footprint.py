"""What osapi costs while it does nothing, and before it does anything: memory of an idle agent, imports, the CLI.

Run it as `python -m benchmarks.footprint [--json]`. Times are the least of several starts: everything that the machine
does besides only adds to them. An import is counted without the start of the interpreter.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import trio

from benchmarks.dispatch import machine
from benchmarks.nats_dispatch import worker
from osapi_nats.server import ServerSettings, run_server

STARTS = 9
_SETTLE = 2.0


def started(*arguments: str) -> float:
    """Return the milliseconds that a Python process takes, at the least."""
    times: list[float] = []
    for _ in range(STARTS):
        began = perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append(perf_counter() - began)
    return min(times) * 1000


async def idle_agent() -> float:
    """Return the resident MB of an agent that waits for jobs on NATS."""
    async with run_server(ServerSettings(port=0)) as server, worker("osapi", server.url, "memory") as pid:
        await trio.sleep(_SETTLE)
        status = await trio.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


def measure() -> dict[str, float]:
    bare = started("-c", "pass")
    script = Path(sys.executable).with_name("osapi")
    return {
        "idle agent, MB resident": trio.run(idle_agent),
        "import osapi, ms": started("-c", "import osapi") - bare,
        "osapi --help, ms": started(str(script), "--help"),
        "the interpreter alone, ms": bare,
    }


def print_report(rows: dict[str, float]) -> None:
    for name, value in rows.items():
        print(f"{name:28}{value:10,.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="footprint", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args = parser.parse_args()
    rows = measure()
    if args.json:
        print(json.dumps({"machine": machine(), "rows": rows}, indent=2))
    else:
        print(f"{machine()}\n")
        print_report(rows)


if __name__ == "__main__":
    main()
