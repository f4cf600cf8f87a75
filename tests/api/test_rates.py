"""How often one may ask."""

from __future__ import annotations

from math import ceil

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

import osapi
import osapi_api
from osapi_api.problems import ProblemError
from osapi_api.rates import Rates
from tests.api.conftest import SECURITY, fleet


@given(st.sampled_from([0.5, 2.0, 8.0]), st.integers(1, 5), st.lists(st.integers(0, 8), max_size=40))
def test_a_bucket_gives_what_a_bucket_of_tokens_would(rate: float, burst: int, steps: list[int]) -> None:
    rates, now, tokens = Rates(rate, burst), 0.0, float(burst)
    for step in steps:
        now += step / 8
        tokens = min(burst, tokens + step / 8 * rate)
        if tokens >= 1.0:
            rates.take("a", now)
            tokens -= 1.0
        else:
            with pytest.raises(ProblemError) as caught:
                rates.take("a", now)
            assert int(caught.value.headers["Retry-After"]) == ceil((1.0 - tokens) / rate)


def test_memory_is_bounded_and_a_rate_of_nothing_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osapi_api.rates._MOST", 3)
    rates = Rates(1.0, 1)
    for name in "abcd":
        rates.take(name, 0.0)
    rates.take("a", 0.0)
    with pytest.raises(ProblemError):
        rates.take("d", 0.0)
    none = Rates(0.0, 1)
    for _ in range(100):
        none.take("a", 0.0)


async def test_each_subject_has_its_own(autojump_clock: object) -> None:
    async with fleet(agents={}, options=osapi_api.Options(rate=1.0, burst=3)) as api:
        anna, ben = (SECURITY.generate(subject, roles=["admin"]) for subject in ("anna", "ben"))
        assert [(await api("GET", "/agent", token=anna)).status for _ in range(5)] == [200, 200, 200, 429, 429]
        refused = await api("GET", "/agent", token=anna)
        assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
        assert "1 requests a second" in refused.body["error"]
        assert (await api("GET", "/agent", token=ben)).status == 200
        assert (await api("POST", "/job/x/cancel", token=anna)).status == 429
        await trio.sleep(1.0)
        assert [(await api("GET", "/agent", token=anna)).status for _ in range(2)] == [200, 429]


async def test_strangers_wait_by_their_address_and_harm_nobody_with_a_token(autojump_clock: object) -> None:
    async with fleet(agents={}, options=osapi_api.Options(rate=1.0, burst=3)) as api:
        for token in ("", "a.b.c"):
            assert (await api("GET", "/agent", token=token)).status == 401
        assert (await api("GET", "/nothing", token="")).status == 401
        assert (await api("GET", "/agent", token="a.b.c")).status == 429
        assert (await api("GET", "/openapi.json", token="")).status == 429
        assert (await api("GET", "/agent")).status == 200
        for _ in range(5):
            assert (await api("GET", "/health", token="")).status == 200
            assert (await api("GET", "/health/ready", token="")).status == 200


async def test_behind_proxies_the_address_is_what_the_outermost_of_them_says(autojump_clock: object) -> None:
    async with fleet(agents={}, options=osapi_api.Options(rate=1.0, burst=1, proxies=2)) as api:
        for spoofed, status in (("9.9.9.9", 401), ("8.8.8.8", 429)):
            told = f"{spoofed}, 192.0.2.1, 10.0.0.1"
            assert (await api("GET", "/agent", token="", X_Forwarded_For=told)).status == status
        assert (await api("GET", "/agent", token="", X_Forwarded_For="192.0.2.2,10.0.0.1")).status == 401
        for unknown, status in (("x, 10.0.0.1", 401), ("10.0.0.1", 429), ("", 429)):
            assert (await api("GET", "/agent", token="", X_Forwarded_For=unknown)).status == status, unknown


@pytest.mark.parametrize("wrong", [{"rate": -1.0}, {"rate": 1e9}, {"burst": 0}, {"proxies": -1}, {"proxies": 17}])
def test_settings_that_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(osapi.InvalidSettingError):
        osapi_api.Options(**wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
