"""What the flags of the commands have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from click.shell_completion import CompletionItem

    from osapi_cli.group import Flags

AnyCommand = TypeVar("AnyCommand", bound="Callable[..., object]")

DEFAULT_TARGET: Final = "_any"
EXAMPLE_ID: Final = "0199c0de-7a11-7abc-8def-0123456789ab"
_TARGET: Final = "osapi_cli.client.target"


class Words(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """Text that is not empty: `--hostname "$HOST"` without a HOST shall not ask for something else."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text without the blanks around it."""
        text = str(value).strip()
        if not text:
            self.fail("it is empty", param, ctx)
        return text


class Hostname(Words):
    """The name of an agent, which a shell can complete."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer the agents of the server."""
        from osapi_cli.client import names  # noqa: PLC0415 - only for who presses TAB

        return _offered(names.hostnames(ctx), incomplete)


class Target(Words):
    """Whom a job is for; a shell can complete the names of agents."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer the agents of the server, any of them and all."""
        from osapi_cli.client import names  # noqa: PLC0415

        return _offered(["_all", "_any", *names.hostnames(ctx)], incomplete)


class Operation(Words):
    """The name of an operation, which a shell can complete."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer the operations of the server."""
        from osapi_cli.client import names  # noqa: PLC0415

        return _offered(names.operations(ctx), incomplete)


def _offered(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem  # noqa: PLC0415

    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class Items(Words):
    """A list of words with commas between them."""

    name = "list"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the list; click may give back one that it was given."""
        if isinstance(value, list):
            return value  # pyright: ignore[reportUnknownVariableType]
        words = [word.strip() for word in str(value).split(",")]
        if not all(words):
            self.fail(f"{value!r} has an empty part; write a,b,c", param, ctx)
        return words


class Span(Words):
    """How long: `90s`, `1h30m`; at least so many seconds."""

    name = "duration"

    def __init__(self, least: float = 0.0) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the seconds; click may give back those that it was given."""
        from osapi_cli.configuration.durations import parse_duration  # noqa: PLC0415 - help waits for nothing

        if isinstance(value, float):
            return value
        seconds = parse_duration(super().convert(value, param, ctx))
        if seconds is None:
            self.fail(f"{value!r} is no duration; write 90s or 1h30m", param, ctx)
        if seconds < self._least:
            self.fail(f"{value!r} is too short; write {self._least:g}s or more", param, ctx)
        return seconds


class Moment(Words):
    """When, with the time zone."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it as RFC 3339 has it."""
        from datetime import datetime  # noqa: PLC0415

        text = super().convert(value, param, ctx)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{value!r} is no moment; write one as 2026-12-24T18:00:00+01:00", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{value!r} has no time zone; write one as 2026-12-24T18:00:00+01:00, or with Z", param, ctx)
        return moment.isoformat()


WORDS: Final = Words()
HOSTNAME: Final = Hostname()
TARGET: Final = Target()
OPERATION: Final = Operation()
SPAN: Final = Span()
MOMENT: Final = Moment()
ITEMS: Final = Items()


def examples(*lines: str) -> str:
    """Return the end of a command's help: how it is called, one line each."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


def target_option(command: AnyCommand) -> AnyCommand:
    """Give a command the flag -T; the groups above it have it as well, and the one nearest to the command counts."""

    def keep(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
        if value is not None:
            ctx.meta[_TARGET] = value

    return click.option(
        "-T",
        "--target",
        type=TARGET,
        metavar="TARGET",
        expose_value=False,
        callback=keep,
        help="Whom to ask: _any, _all, a hostname, key:value such as group:web.dev, or a selector.  [default: _any]",
    )(command)


def target_of(ctx: click.Context) -> str:
    """Return the target that was given, `_any` if there was none."""
    found: str = ctx.meta.get(_TARGET, DEFAULT_TARGET)
    return found


def limit_option(default: int) -> Callable[[AnyCommand], AnyCommand]:
    """Return what gives a command the flag --limit."""
    return click.option(
        "--limit", type=click.IntRange(1, 100), default=default, show_default=True, metavar="N", help="At most so many."
    )


def data_option(command: AnyCommand) -> AnyCommand:
    """Give a command the flag --data."""
    told = "What the operation is given; @FILE reads it from there, - from stdin."
    return click.option("--data", metavar="JSON", help=told)(command)


def detach_option(command: AnyCommand) -> AnyCommand:
    """Give a command the flag --detach."""
    told = "Print the job's id at once, and wait for nobody; `osapi client job watch` follows it."
    return click.option("--detach", is_flag=True, help=told)(command)


def job_id_option(command: AnyCommand) -> AnyCommand:
    """Give a command the flag --job-id."""
    return click.option("--job-id", type=WORDS, required=True, metavar="ID", help="The id of the job.")(command)


def hostname_option(command: AnyCommand) -> AnyCommand:
    """Give a command the flag --hostname."""
    return click.option("--hostname", type=HOSTNAME, required=True, metavar="H", help="The name of the agent.")(command)


def flags_of(ctx: click.Context) -> Flags:
    """Return the flags that every command has."""
    found: Flags = ctx.obj
    return found
