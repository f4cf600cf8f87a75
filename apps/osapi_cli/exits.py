"""How the program ends: exit statuses, errors on one line, signals, a reader that has left.

    0    all is well; a program that runs until it is told to stop was told so by SIGTERM, and has stopped in order
    1    a host failed, or does not exist
    2    the command line is wrong
    69   the server cannot be reached, or does not start
    77   not permitted: no token, a wrong one, or one that does not allow this
    78   the configuration is wrong
    129  hung up (SIGHUP), as the end of a terminal does
    130  interrupted (SIGINT)
    141  nobody reads the output any more (SIGPIPE)
    143  terminated (SIGTERM)

Signals have two answers. While a command runs under Trio, `run` cancels it, so that it cleans up; a second signal
does not wait for that. At every other time there is nothing to clean up, and the process ends on the spot: an
exception instead, such as Python's KeyboardInterrupt, may come up in an import, a destructor or the interpreter's own
end, where it is swallowed or printed as a traceback.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from types import FrameType
    from typing import TextIO

    import click

T = TypeVar("T")

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 69
NOT_PERMITTED: Final = 77
CONFIG: Final = 78
BROKEN_PIPE: Final = 128 + 13

TERMINATED: Final = signal.SIGTERM

_TOLD: Final = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}


class SignalledError(Exception):
    """A signal ended the command, and it has cleaned up."""

    def __init__(self, number: int) -> None:
        super().__init__(told(number))
        self.status = 128 + number


# --- Signals -----------------------------------------------------------------------------------------------


def end_on_signals() -> None:
    """Let SIGINT, SIGTERM and SIGHUP end the process at once with one line.

    One that is ignored stays ignored: a shell script starts so what it puts in the background.
    """
    for number in _TOLD:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def run(command: Callable[[], Awaitable[T]]) -> T:
    """Run the asynchronous part of a command under Trio; the signals of `end_on_signals` cancel it.

    Raises:
        SignalledError: after it has cleaned up; and whatever the command raises.

    """
    import trio  # noqa: PLC0415 - a tenth of a second that `--help` need not wait for

    return trio.run(_until_signalled, command)


def handled() -> list[signal.Signals]:
    """Return the signals that end the process, for whoever wants to do something else about them."""
    return [number for number in _TOLD if signal.getsignal(number) is _end]


def told(number: int) -> str:
    """Return how it is said that this signal has come."""
    return _TOLD[signal.Signals(number)]


async def _until_signalled(command: Callable[[], Awaitable[T]]) -> T:
    import trio  # noqa: PLC0415

    from osapi.nursery import background  # noqa: PLC0415

    ours = handled()
    if not ours:
        return await command()
    caught: list[int] = []
    with trio.open_signal_receiver(*ours) as signals:
        async with background() as nursery:

            async def watch() -> None:
                async for number in signals:
                    caught.append(number)
                    end_on_signals()  # whoever asks twice is not kept waiting
                    nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            return await command()
    raise SignalledError(caught[0])


def _end(number: int, frame: FrameType | None) -> None:
    # Below Python's buffers: the signal may have come in the middle of a write to them.
    with suppress(OSError):
        os.write(2, f"osapi: {told(number)}\n".encode())
    os._exit(128 + number)


# --- Errors ------------------------------------------------------------------------------------------------


_voice: Callable[[str, bool], None] | None = None


def speak_by(voice: Callable[[str, bool], None]) -> None:
    """Let `tell` speak by a log; the second argument is whether it is the end."""
    global _voice  # noqa: PLW0603 - a process has one stderr
    _voice = voice


def report(error: Exception, *, debug: bool) -> int:
    """Tell an error on one line of stderr, each if a nursery collected several, and return the exit status."""
    if debug:
        import traceback  # noqa: PLC0415

        _tell(*traceback.format_exception(error))
    statuses = [OK]
    for leaf in _leaves(error):
        message, status = _verdict(leaf)
        statuses.append(status)
        if message:
            tell(message, fatal=True)
    _settle_stdout()
    return max(statuses)


def tell(message: str, *, fatal: bool = False) -> None:
    """Tell something on one line of stderr, whatever is quoted in it, without tricks on the terminal."""
    line = printable(" ".join(message.split()))
    if _voice:
        _voice(line, fatal)
    else:
        _tell(f"osapi: {line}\n")


def printable(text: str) -> str:
    """Return the text with what a terminal would act upon written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def writable(text: str, stream: TextIO) -> str:
    """Return a text as a stream can take it, whose encoding may have no lines and few letters."""
    encoding = stream.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.replace("─", "-").encode(encoding, "backslashreplace").decode(encoding)
    return text


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _verdict(error: BaseException) -> tuple[str, int]:
    import click  # noqa: PLC0415 - signals are answered before it is there

    if isinstance(error, SignalledError):
        return str(error), error.status
    if isinstance(error, BrokenPipeError):
        return "", BROKEN_PIPE
    if isinstance(error, click.UsageError):
        return _usage(error), USAGE
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    return _verdict_on_work(error)


def _verdict_on_work(error: BaseException) -> tuple[str, int]:
    import osapi  # noqa: PLC0415 - a quarter of a second that a mistyped flag need not wait for
    from osapi.errors import shown  # noqa: PLC0415
    from osapi_cli.problems import ProblemError, RefusedError, UnavailableError  # noqa: PLC0415

    if isinstance(error, ProblemError):
        return str(error), USAGE if error.where.startswith("--") else CONFIG
    if isinstance(error, RefusedError):
        return str(error), error.status
    for kinds, status in (
        ((osapi.MismatchError, osapi.KeyFileError), CONFIG),
        (osapi.AccessRefusedError, NOT_PERMITTED),
        ((UnavailableError, osapi.DisconnectedError, osapi.UncertainError), UNREACHABLE),
        ((osapi.TlsError, osapi.UnsupportedBrokerError), UNREACHABLE),
        (osapi.InvalidInputError, USAGE),
    ):
        if isinstance(error, kinds):
            return str(error), status
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"this needs {error.name.partition('.')[0]}: pip install 'osapi[all]'", FAILED
    if isinstance(error, OSError):
        what = ": ".join(str(part) for part in (error.filename, error.strerror) if part)
        return what or str(error), FAILED
    if isinstance(error, osapi.OsapiError):
        return str(error), FAILED
    if isinstance(error, UnicodeEncodeError) and any("\udc80" <= letter <= "\udcff" for letter in error.object):
        # So Python keeps what is no text on a command line; only the name of a file may be any bytes.
        return f"{shown(error.object)} is not in UTF-8; write it so", USAGE
    return f"this is a bug in osapi, `osapi --debug` tells where: {type(error).__name__}: {error}", FAILED


def _usage(error: click.UsageError) -> str:
    message = error.format_message()
    message = message[:1].lower() + message[1:].rstrip(".")
    if message.endswith("?"):
        return message
    command = error.ctx.command_path if error.ctx else "osapi"
    return f"{message}; see `{command} --help`"


def _tell(*lines: str) -> None:
    # Without a stderr there is nobody to tell, and the status says it all the same.
    with suppress(OSError, AttributeError):
        sys.stderr.write("".join(lines))
        sys.stderr.flush()


def _settle_stdout() -> None:
    # What stdout has refused stays in its buffer. The interpreter would offer it once more at its end, and complain.
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
