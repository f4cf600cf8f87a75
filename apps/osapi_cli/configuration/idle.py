"""Keys that are known and checked, and that nothing here acts upon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from osapi_cli.configuration.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from osapi_cli.configuration.schema import Configuration

# A key, or what all keys below one have in common, and why. A value that is not the default costs a line of warning.
IDLE: Final[Mapping[str, str]] = {
    "nats.server.namespace": "controller.nats.namespace and agent.nats.namespace say it",
    "nats.stream.discard": "with new, nothing could be scheduled; a full stream drops the oldest",
    "agent.consumer.name": "each consumer is named after what it is for",
    "agent.queue_group": "all agents share what is for any of them; use a label and _any@ for a group",
    "agent.privilege_escalation": "commands run as the user of the agent",
}

# What a value other than the default leads to that its author may not have thought of.
_DOUBTFUL: Final = {
    "nats.stream.max_msgs": "a full stream drops the oldest job that waits; nats.kv.max_bytes alone refuses a new one",
    "nats.registry.storage": "in memory, the agents that live on are forgotten when the server restarts",
}


def is_idle(path: str) -> bool:
    """Tell whether nothing acts upon a key."""
    return any(path == idle or path.startswith(f"{idle}.") for idle in IDLE)


def advise(configuration: Configuration, given: Mapping[str, str]) -> Iterator[str]:
    """Return a line for each key that was given in vain, and each that may do harm."""
    changed = [path for path in given if value_of(configuration, path) != KEYS[path].default]
    for idle, reason in IDLE.items():
        below = [path for path in changed if path == idle or path.startswith(f"{idle}.")]
        if below:
            yield f"{given[below[0]]}: {', '.join(below)} {'is' if len(below) == 1 else 'are'} not used: {reason}"
    for path in (path for path in changed if path in _DOUBTFUL):
        yield f"{given[path]}: {path}: {_DOUBTFUL[path]}"


def value_of(configuration: Configuration, path: str) -> object:
    """Return the value of a key."""
    value: object = configuration
    for name in path.split("."):
        value = getattr(value, name)
    return value
