"""A server's settings in nats-server's own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from osapi_nats.server.settings import Auth, ServerSettings


def render(settings: ServerSettings, *, port: int, store_dir: str, ports_dir: str) -> bytes:
    """Return a configuration file of nats-server, whose format takes JSON as it is; port 0 is any free port."""
    configuration: dict[str, Any] = {
        "host": settings.host,
        "port": port or -1,
        "ports_file_dir": ports_dir,
        "jetstream": _given(
            store_dir=store_dir, max_memory_store=settings.max_memory, max_file_store=settings.max_file
        ),
        **_given(
            server_name=settings.name,
            max_payload=settings.max_payload,
            authorization=_authorization(settings.auth),
        ),
    }
    if tls := settings.tls:
        configuration["tls"] = _given(cert_file=tls.cert, key_file=tls.key, ca_file=tls.ca, verify=tls.verify)
    if cluster := settings.cluster:
        configuration["cluster"] = {
            "name": cluster.name,
            "host": cluster.host,
            "port": cluster.port,
            "routes": [f"nats://{route}" for route in cluster.routes],
        }
    return msgspec.json.encode(configuration | settings.options)


def _authorization(auth: Auth) -> dict[str, Any]:
    if auth.type == "user_pass":
        return {"users": [{"user": user.username, "password": user.password} for user in auth.users]}
    if auth.type == "token":
        return {"token": auth.token}
    if auth.type == "nkey":
        return {"users": [{"nkey": key} for key in auth.nkeys]}
    return {}


def _given(**settings: Any) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value}
