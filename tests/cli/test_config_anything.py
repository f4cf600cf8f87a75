"""Whatever a file holds, it is taken or refused, and never a traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osapi_cli.configuration import Configuration, ConfigurationError
from osapi_cli.configuration.keys import PATHS
from osapi_cli.configuration.showing import as_yaml

if TYPE_CHECKING:
    from tests.cli.configurations import Files

_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from(["1h", "file", "a"])
)
_JUNK = st.recursive(_VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


def outcome(files: Files, text: str | bytes) -> Configuration | list[str]:
    """Return the configuration, or what is told in its place; anything else that is raised fails the test."""
    try:
        return files.load(text).configuration
    except ConfigurationError as error:
        return [str(problem) for problem in error.exceptions]


def is_proper(outcome: Configuration | list[str]) -> bool:
    if isinstance(outcome, Configuration):
        return True
    return bool(outcome) and not any("\n" in told for told in outcome)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(path=st.sampled_from(PATHS), junk=_JUNK)
def test_anything_anywhere_is_taken_or_refused(files: Files, path: str, junk: object) -> None:
    for name in reversed(path.split(".")):
        junk = {name: junk}

    assert is_proper(outcome(files, as_yaml(junk)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(text=st.binary())
def test_any_bytes_are_taken_or_refused(files: Files, text: bytes) -> None:
    assert is_proper(outcome(files, text))
