"""How to reach a NATS server, whichever client does it."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

DRIVERS: Final = ("native", "nats-py")  # the clients that can do it, by the names that `?driver=` takes


class Options(Struct, frozen=True, kw_only=True):
    """Where the servers are and who we are; times in seconds, paths of files.

    At most one of user with password, token, `nkey` (file with a seed) and `creds` (file with a JWT and a seed).
    `tls` asks for TLS even where no certificate authority or certificate of ours is named. `timeout` bounds the
    first connection and each request.
    """

    servers: tuple[str, ...]  # "host:port"
    user: str = ""
    password: str = ""
    token: str = ""
    nkey: str = ""
    creds: str = ""
    tls: bool = False
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    name: str = "osapi"
    namespace: str = ""
    timeout: float = 5.0
    driver: str = "native"

    @property
    def wants_tls(self) -> bool:
        """Tell whether a server without TLS is to be refused."""
        return self.tls or bool(self.tls_ca or self.tls_cert)

    def __repr__(self) -> str:
        secrets = {"password", "token"}
        shown = (
            f"{field}={'***' if field in secrets else getattr(self, field)!r}"
            for field in self.__struct_fields__
            if getattr(self, field)
        )
        return f"Options({', '.join(shown)})"
