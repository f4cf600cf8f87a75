"""Requests that are wrong on purpose are no fault of the server; `tests.api.malformed` makes 10,000 of them."""

from __future__ import annotations

from tests.api.malformed import bombard


async def test_wrong_requests_are_refused() -> None:
    answers = await bombard(250, seed=7)
    assert answers.total() == 250
    assert {400, 401, 404, 405} <= {*answers}
