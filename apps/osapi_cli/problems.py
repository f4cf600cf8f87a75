"""Errors of the program itself, which the library does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from osapi.errors import InvalidSettingError, OsapiError, shown
from osapi_cli.exits import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOLD = 50  # more than anybody reads, and a file of junk may hold a hundred thousand


class ProblemError(InvalidSettingError):
    """Correct the configuration: the message says where, which key, what is wrong and what would be right."""

    def __init__(self, where: str, key: str, problem: str, remedy: str) -> None:
        super().__init__(key, problem, remedy)
        self.where = where
        self.key = key
        self.args = (": ".join(part for part in (where, printable(key), f"{problem}; {remedy}") if part),)

    def __str__(self) -> str:
        return str(self.args[0])


class ConfigurationError(ExceptionGroup[ProblemError], OsapiError):
    """Correct the configuration: each of `exceptions` is one problem of it."""

    def derive(self, excs: Sequence[ProblemError], /) -> ConfigurationError:  # type: ignore[override]
        """Return the same for some of the problems."""
        return ConfigurationError(self.message, excs)


class UnavailableError(OsapiError):
    """Something that the command cannot do without is not there or does not start: the message says what."""


class RefusedError(OsapiError):
    """The server refused what was asked of it: the message says why, `status` is that of the program.

    `kind` is the type of the server's problem, such as `urn:osapi:problem:unknown-job`.
    """

    def __init__(self, sentence: str, status: int, kind: str = "") -> None:
        super().__init__(sentence)
        self.status = status
        self.kind = kind


def refuse(problems: Sequence[ProblemError]) -> ConfigurationError:
    """Return the error that tells these problems, the first fifty of them."""
    told = list(problems[:_TOLD])
    if len(problems) > _TOLD:
        told.append(ProblemError("", "", f"there are {len(problems) - _TOLD} problems more", "correct these first"))
    return ConfigurationError("the configuration cannot be used", told)


def quoted(text: str, *, secret: bool = False) -> str:
    """Quote what was written, unless it is a secret."""
    return "***" if secret else shown(text)
