"""Whatever is asked, the answer is one of those that are described, and never a fault of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

import osapi_api
from osapi_api.offered import endpoints
from tests.api.conftest import Rest, fleet, token_of
from tests.api.operations import operations

if TYPE_CHECKING:
    from collections.abc import Sequence

ENDPOINTS = endpoints(operations)
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]
# What every path may answer besides what it is described with: no token, no path, no method, no time, too much.
ALWAYS = {400, 401, 403, 404, 405, 409, 413, 415, 422}

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
parts = st.one_of(
    st.sampled_from(["_any", "_all", "web-01", "group:web", "group:", "1", "0", "-1", "eth0", "*", ">", "..", "%"]),
    st.sampled_from(["01890a5d-ac96-774b-bcce-b302099a8057", "a" * 300, "nan", "1e9", "_any@group:web", "a,!b:c"]),
    text,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
fields = st.sampled_from(
    [
        "reason",
        "hosts",
        "command",
        "args",
        "timeout",
        "interface_name",
        "servers",
        "signal",
        "pid",
        "target_hostname",
        "address",
    ]
)
bodies = st.one_of(
    st.none(),
    st.binary(max_size=40),
    json_values.map(msgspec.json.encode),
    st.dictionaries(fields, json_values, max_size=4).map(msgspec.json.encode),
    st.sampled_from([b"{", b"[" * 5000, b'{"a":1,"a":2}', b"1e999", b'"\\ud800"', b"\xff", b"NaN"]),
)
names = st.sampled_from(["limit", "offset", "status", "all", "reason", "target"]) | text
queries = st.just(dict[str, str]()) | st.dictionaries(names, text | st.integers().map(str), max_size=2)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": st.sampled_from(["application/json", "text/plain", "application/json; charset=x", "/", "é"]),
        "Prefer": st.sampled_from(["respond-async", "wait=1", ",;=", ""]),
        "X-Request-ID": st.text(
            st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=9
        ),
        "Origin": st.sampled_from(["null", "https://board.example.com", "é"]),
        "Access-Control-Request-Method": st.just("GET"),
        "Last-Event-ID": st.sampled_from(["x", "é", "eAFjYMAPAAAgAAE", "0123456789abcdef-0-0-0"]),
        "Host": st.sampled_from(["x", "", "a b", "x:y"]),
        "Accept": st.just("text/html"),
        "Idempotency-Key": st.sampled_from(['"a"', "a", "", '"', "a b", "é", "x" * 300]),
    },
)
tokens = st.sampled_from([token_of("admin")] * 20 + [token_of("read"), "", "a.b.c", "é"])


@st.composite
def lines(draw: st.DrawFn) -> tuple[str, str]:
    """Return a method and a path with a query, most of them of an endpoint."""
    endpoint = draw(st.sampled_from(ENDPOINTS))
    path = endpoint.path
    while "<" in path:
        before, _, rest = path.partition("<")
        path = before + quote(draw(parts), safe=draw(st.sampled_from(["", "/:,!*@"]))) + rest.partition(">")[2]
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in draw(queries).items())
    method = draw(st.sampled_from([endpoint.method] * 20 + METHODS))
    path += draw(st.sampled_from([""] * 17 + ["/", "/x", "//"]))
    return method, path + (f"?{query}" if query else "")


requests = st.tuples(lines(), bodies, tokens, headers)


@settings(
    max_examples=20,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example, HealthCheck.data_too_large],
)
@given(st.lists(requests, min_size=60, max_size=60))
def test_no_request_is_a_fault_of_ours(asked: Sequence[tuple[tuple[str, str], Any, str, dict[str, str]]]) -> None:
    async def ask() -> None:
        options = osapi_api.Options(job_timeout=1.0, allow_origins=("https://board.example.com",))
        async with fleet(agents={"web-01": {"group": "web"}}, options=options) as api:
            api.end_streams()
            for (method, path), body, token, given_headers in asked:
                await check(api, method, path, body, token, given_headers)

    trio.run(ask, clock=MockClock(autojump_threshold=0))


async def check(api: Rest, method: str, path: str, body: Any, token: str, given_headers: dict[str, str]) -> None:
    answer = await api(method, path, body, token=token, **given_headers)
    assert answer.status in ALWAYS | {200, 201, 202, 204}, (method, path, answer)
    if answer.status >= 400 and method != "HEAD":
        assert answer.body["error"]
