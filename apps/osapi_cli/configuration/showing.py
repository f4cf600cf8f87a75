"""The configuration as it is used, without its secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from msgspec import inspect

from osapi_cli.configuration.durations import print_duration
from osapi_cli.configuration.keys import ROOT, unwrapped

if TYPE_CHECKING:
    from osapi_cli.configuration.schema import Configuration


def plain(configuration: Configuration, *, secrets: bool = False) -> Any:
    """Return it as mappings, lists and values; a secret that is set is `***`, unless `secrets` are to be shown."""
    return _plain(ROOT, configuration, secrets=secrets)


def as_yaml(shown: Any) -> str:
    """Return as a YAML document what `plain` returned."""
    return str(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=120))


def _plain(type_: inspect.Type, value: Any, *, secrets: bool) -> Any:
    inner, marks = unwrapped(type_)
    if "duration" in marks:
        return print_duration(value)
    if "secret" in marks:
        return value if secrets or not value else "***"
    match inner:
        case inspect.StructType():
            return {
                field.name: _plain(field.type, getattr(value, field.name), secrets=secrets) for field in inner.fields
            }
        case inspect.VarTupleType():
            return [_plain(inner.item_type, item, secrets=secrets) for item in value]
        case inspect.DictType():
            return {name: _plain(inner.value_type, item, secrets=secrets) for name, item in value.items()}
        case _:
            return value
