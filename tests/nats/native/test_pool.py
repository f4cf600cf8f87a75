"""Which server is tried next, and when."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi_nats.native.pool import LONGEST_PAUSE, Address, Pool

servers = st.lists(st.integers(1, 9).map(lambda number: f"host-{number}:4222"), min_size=1, max_size=5, unique=True)


def names(pool: Pool) -> list[str]:
    return [pool.next().server for _ in range(len(pool))]


@given(servers, st.integers())
def test_every_round_tries_every_server_once(given: list[str], seed: int) -> None:
    pool = Pool([*given, given[0]], Random(seed))
    first = names(pool)
    assert sorted(first) == sorted(given)
    assert names(pool) == first


@given(servers, st.lists(servers, max_size=4), st.integers())
def test_it_knows_the_given_and_what_was_told_last(given: list[str], told: list[list[str]], seed: int) -> None:
    pool = Pool(given, Random(seed))
    current = pool.next()
    for servers in told:
        pool.learn(current, servers)
        assert sorted(names(pool)) == sorted({*given, *servers})
    # Whatever it has learned, the one that we have comes last.
    assert names(pool)[-1] == current.server


def test_the_given_ones_are_in_random_order() -> None:
    given = [f"host-{number}:4222" for number in range(9)]
    assert len({tuple(names(Pool(given, Random(seed)))) for seed in range(20)}) == 20


def test_what_was_told_comes_before_the_one_that_told() -> None:
    pool = Pool(["a:1"], Random(1))
    pool.learn(pool.next(), ["b:1", "c:1"])
    assert names(pool)[-1] == "a:1"
    pool.learn(Address("a:1"), [])
    assert names(pool) == ["a:1"]


@pytest.mark.parametrize("told", ["", "a", "a:", ":1", "a:0", "a:65536", "a:x", "a:1:2", "::1:4222", "a b:1", "[x]:1"])
def test_what_is_no_server_is_left_out(told: str) -> None:
    pool = Pool(["a:1"], Random(1))
    pool.learn(pool.next(), [told])
    assert names(pool) == ["a:1"]


def test_an_address_goes_by_the_name_of_the_one_that_told() -> None:
    pool = Pool(["nats.example.com:4222"], Random(1))
    pool.learn(pool.next(), ["10.0.0.1:4222", "[::1]:4223", "other.example.com:4222"])
    found = {address.server: address for address in (pool.next() for _ in range(4))}
    assert found["10.0.0.1:4222"] == Address("10.0.0.1:4222", "nats.example.com")
    assert found["[::1]:4223"].tls_name == "nats.example.com"
    assert (found["[::1]:4223"].host, found["[::1]:4223"].port) == ("::1", 4223)
    assert not found["other.example.com:4222"].tls_name
    pool.learn(found["10.0.0.1:4222"], ["10.0.0.2:4222"])
    assert {pool.next().tls_name for _ in range(2)} == {"", "nats.example.com"}


@given(servers, st.integers())
def test_pauses_begin_with_none_and_grow_to_two_seconds(given: list[str], seed: int) -> None:
    pool = Pool(given, Random(seed))
    longest = 0.05
    assert [pool.pause() for _ in given] == [0.0] * len(given)
    for _ in range(12):
        longest = min(2 * longest, LONGEST_PAUSE)
        first, *others = [pool.pause() for _ in given]
        assert 0.0 <= first <= longest
        assert others == [0.0] * (len(given) - 1)
    pool.calm()
    assert pool.pause() == 0.0


def test_pauses_are_spread_over_their_whole_length() -> None:
    pauses: list[float] = []
    for seed in range(200):
        pool = Pool(["a:1"], Random(seed))
        pauses += [[pool.pause() for _ in range(20)][-1]]
    assert min(pauses) < 0.1
    assert max(pauses) > 1.9
