"""What `schemathesis run` shall not send."""

from __future__ import annotations

from typing import Any, cast

import schemathesis


def filter_body(context: Any, body: Any) -> bool:
    """Leave out what is an integer to JSON Schema alone: 1.0 is refused where an int is asked for."""
    return not has_whole_float(body)


def has_whole_float(value: Any) -> bool:
    inner: list[Any] = []
    if isinstance(value, dict):
        inner.extend(cast("dict[str, Any]", value).values())
    elif isinstance(value, list):
        inner.extend(value)  # pyright: ignore[reportUnknownArgumentType]
    return any(map(has_whole_float, inner)) or (isinstance(value, float) and value.is_integer())


cast("Any", schemathesis).hook(filter_body)
