"""What can be chosen about the API."""

from __future__ import annotations

import re

from msgspec import Struct

from osapi.errors import InvalidSettingError

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-]+(:\d{1,5})?|https?://\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long and how much; durations in seconds, sizes in bytes.

    `job_timeout` is how long a request waits for the answers of its job, `max_waiting` how many requests may do so at
    once, `max_readers` how many may read streams of events. `body_timeout` is how long a body may take to arrive.
    `allow_origins` names the web pages of other origins that may ask, as `https://host:port`; `*` stands for all of
    them. `health_timeout` bounds each question that a health endpoint asks the broker. `rate` is how many requests a
    second each subject may make for long, and each address without a valid token, `burst` how many at once; a rate of 0
    is no limit. `proxies` is how many reverse proxies of one's own stand before the API, each of which adds to
    `X-Forwarded-For`.

    Raises:
        InvalidSettingError

    """

    job_timeout: float = 30.0
    max_waiting: int = 1000
    max_readers: int = 200
    max_body: int = 1024 * 1024
    body_timeout: float = 30.0
    health_timeout: float = 5.0
    rate: float = 1000.0
    burst: int = 2000
    proxies: int = 0
    allow_origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("job_timeout", "body_timeout", "health_timeout"):
            value: float = getattr(self, name)
            if not 0.0 < value <= 3600.0:
                raise InvalidSettingError(value, f"is out of range for {name}", "use more than 0, at most 3600")
        if not 0.0 <= self.rate <= 1_000_000.0:
            raise InvalidSettingError(self.rate, "is out of range for rate", "use 0 for no limit, at most 1000000")
        if not 0 <= self.proxies <= 16:
            raise InvalidSettingError(self.proxies, "is out of range for proxies", "use 0 to 16")
        for name in ("max_waiting", "max_readers", "max_body", "burst"):
            if (count := getattr(self, name)) < 1:
                raise InvalidSettingError(count, f"is out of range for {name}", "use at least 1")
        for origin in self.allow_origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise InvalidSettingError(
                    origin, "is not the origin of a web page", "write scheme://host:port, without a path, or *"
                )
