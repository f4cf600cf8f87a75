"""The kinds of values that keys have."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

DURATION: Final = {"duration": True}
SECRET: Final = {"secret": True}
YEAR: Final = 365 * 86400.0

Port = Annotated[int, Meta(ge=1, le=65535)]
OwnPort = Annotated[int, Meta(ge=0, le=65535)]  # 0 is any free port
Duration = Annotated[float, Meta(ge=0, extra=DURATION)]  # in seconds; 0 is never, or without end
Period = Annotated[float, Meta(ge=1, extra=DURATION)]
Grace = Annotated[float, Meta(ge=0, le=YEAR, extra=DURATION)]  # 0 is at once
Text = Annotated[str, Meta(min_length=1)]
Secret = Annotated[str, Meta(extra=SECRET)]
Limit = Annotated[int, Meta(ge=-1, le=2**53)]  # 0 and -1 are no limit
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Percent = Annotated[int, Meta(ge=1, le=100)]
Replicas = Annotated[int, Meta(ge=1, le=5)]
Storage = Literal["file", "memory"]


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section of the configuration."""
