"""What the operations of a host raise on purpose: branches of the one error tree."""

from __future__ import annotations

from osapi.errors import InvalidInputError, NotFoundError, OsapiError


class InvalidAddressError(InvalidInputError):
    """Correct an IP address, a hostname or a domain: the message says what would be right."""

    noun = "address"


class InvalidCommandError(InvalidInputError):
    """Correct a command, an argument or its directory: the message says what would be right."""

    noun = "command"


class InvalidSignalError(InvalidInputError):
    """Send one of the signals that the message lists."""

    noun = "signal"


class ProtectedProcessError(InvalidInputError):
    """Choose another process: neither the init process nor the agent is sent signals through the agent."""

    noun = "process"


class UnknownProcessError(NotFoundError):
    """The process has ended, or never was: list those that there are with process.list.get."""


class UnknownInterfaceError(NotFoundError):
    """Name a network interface that the host has: the message tells those that are near."""


class ProgramMissingError(NotFoundError):
    """Install the program on the host, or name one that is there."""


class ProgramFailedError(OsapiError):
    """Read what the program wrote: the message quotes it."""


class CommandNotStartedError(OsapiError):
    """Correct the command or its directory: the message says what the system refused."""


class CommandTimeoutError(OsapiError):
    """Allow the command more time, or see from its output, which the message quotes, what it was waiting for."""


class NotPermittedError(OsapiError):
    """Run the agent as a user who may do this: the system refused it."""
