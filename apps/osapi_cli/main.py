"""The entry point. It imports next to nothing, so that a signal is answered properly nearly from the start."""

from __future__ import annotations

from osapi_cli import exits


def main() -> int:
    """Run the program with the arguments of the process and return its exit status.

    It takes over SIGINT and SIGTERM for the rest of the process: call it as a process's last act.
    """
    exits.end_on_signals()
    from osapi_cli.program import run  # noqa: PLC0415 - see above

    return run()
