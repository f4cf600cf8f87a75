"""How a nats-server is to run."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from osapi.errors import InvalidSettingError

_NEEDED = {"user_pass": "users", "token": "token", "nkey": "nkeys"}


class User(Struct, frozen=True):
    """A user of the server; the password may be a bcrypt hash."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"User(username={self.username!r}, password=***)"


class Auth(Struct, frozen=True, kw_only=True):
    """Who may connect: `users` with `user_pass`, one `token`, or the public keys `nkeys` with `nkey`."""

    type: Literal["none", "user_pass", "token", "nkey"] = "none"
    users: tuple[User, ...] = ()
    token: str = ""
    nkeys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        needed = _NEEDED.get(self.type)
        if needed and not getattr(self, needed):
            raise InvalidSettingError(self.type, f"needs {needed}, and there are none", f"give {needed}")

    def __repr__(self) -> str:
        return f"Auth(type={self.type!r}, users={self.users!r}, token={'***' if self.token else ''!r})"


class Tls(Struct, frozen=True, kw_only=True):
    """Paths of the server's certificate and key; with `verify`, clients must show one signed by `ca`."""

    cert: str
    key: str
    ca: str = ""
    verify: bool = False


class Cluster(Struct, frozen=True, kw_only=True):
    """Membership in a cluster: its name, our port in it, and the `host:port` of the others."""

    name: str
    port: int
    routes: tuple[str, ...] = ()
    host: str = "127.0.0.1"


class ServerSettings(Struct, frozen=True, kw_only=True):
    """Where a server listens and what it may use; sizes in bytes, 0 for the server's own choice.

    Port 0 is any free port. Without a `store_dir` the streams lie in a temporary folder that goes with the server.
    `options` are more of nats-server's own settings, and win over ours.
    """

    host: str = "127.0.0.1"
    port: int = 4222
    store_dir: str = ""
    max_memory: int = 0
    max_file: int = 0
    max_payload: int = 0
    auth: Auth = Auth()
    tls: Tls | None = None
    name: str = ""
    cluster: Cluster | None = None
    options: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise InvalidSettingError(self.port, "is no port", "give 1 to 65535, or 0 for any free port")
        for size in (self.max_memory, self.max_file, self.max_payload):
            if size < 0:
                raise InvalidSettingError(size, "is no size", "give bytes, or 0 for the server's own choice")
        if self.cluster and not self.name:
            raise InvalidSettingError(self.name, "is no name for a member of a cluster", "give each its own name")
