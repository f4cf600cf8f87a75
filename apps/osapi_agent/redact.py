"""Hide the secrets that a command line shows: a best effort, since a program may call its options as it likes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HIDDEN: Final = "***"

# Within a name these words mean a secret; `pass` and `auth` only where they stand alone: not in bypass or author.
_WORDS = (
    r"passw(?:or)?d|passphrase|passwd|secret|token|credential|api[-_]?key|access[-_]?key|private[-_]?key|pwd"
    r"|(?<![A-Za-z])(?:pass|auth)(?![A-Za-z])"
)
# Bounded, so that the time does not grow with the square of a long word.
_NAME = rf"[\w.-]{{0,60}}(?:{_WORDS})[\w.-]{{0,60}}"

_OPTION = re.compile(rf"--?{_NAME}", re.IGNORECASE)
_QUOTED_OR_WORD = r"(?:\"[^\"]*\"?|'[^']*'?|[^\s&;\"']+)"
_ASSIGNED = re.compile(rf"({_NAME}[\"']?[=:]\s?){_QUOTED_OR_WORD}", re.IGNORECASE)
_FOLLOWED = re.compile(rf"((?<!\S)--?{_NAME}\s+){_QUOTED_OR_WORD}", re.IGNORECASE)
_IN_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s:@/]{0,100}:)[^\s@/]+(?=@)")
_HEADER = re.compile(r"(authorization\s?[:=]\s?|\bbearer\s+)(?:(?:basic|bearer|digest)\s+)?\S+", re.IGNORECASE)


def redact(arguments: Iterable[str]) -> Iterator[str]:
    """Yield the arguments of a command line, `***` in the place of what looks like a secret.

    Hidden are the values of options and variables that are named like one (`--db-password=`, `--token` and what
    follows it, `API_KEY=`), passwords in URLs and the header Authorization, also within the argument of a shell.
    """
    hide = False
    for argument in arguments:
        yield HIDDEN if hide else _inside(argument)
        hide = not hide and _OPTION.fullmatch(argument) is not None


def _inside(text: str) -> str:
    text = _HEADER.sub(rf"\1{HIDDEN}", text)
    text = _IN_URL.sub(rf"\1{HIDDEN}", text)
    for pattern in (_ASSIGNED, _FOLLOWED):
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text
