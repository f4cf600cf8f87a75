from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi.rules.host_index import HostIndex
from osapi.rules.selectors import HostLike
from tests.rules.strategies import globs

names = st.text("ab.-", min_size=1, max_size=4)


@given(st.sets(names), st.lists(names), globs)
def test_near_a_glob_is_all_that_matches_and_has_its_beginning_or_its_end(
    start: set[str], changes: list[str], glob: str
) -> None:
    hosts = dict.fromkeys(start)
    index = HostIndex(hosts.keys())
    for text in ("a*", "*a"):
        index.near(HostLike(text))
    for name in changes:
        if name in hosts:
            del hosts[name]
            index.discard(name)
        else:
            hosts[name] = None
            index.add(name)
    like = HostLike(glob)
    span = index.near(like)
    found = list(span)
    assert len(found) == len(set(found)) == span.size
    assert {host for host in hosts if like.pattern.match(host)} <= set(found) <= hosts.keys()
    assert all(host.startswith(like.prefix) for host in found) or all(host.endswith(like.suffix) for host in found)


@pytest.mark.parametrize(
    ("glob", "size"), [("web-*", 3), ("*.us", 1), ("web*us", 1), ("*b-0*", 4), ("*", 4), ("x*", 0), ("db*-1?.us", 1)]
)
def test_the_fewest_are_near(glob: str, size: int) -> None:
    hosts = dict.fromkeys(["web-01.eu", "web-02.eu", "web-03.eu", "db-01.us"])
    assert HostIndex(hosts.keys()).near(HostLike(glob)).size == size
