"""Of secrets in what comes in pieces nothing is left, however it is cut, and everything else stays."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from osapi.rules.scrubbing import Scrubber, scrubbed
from osapi.rules.secrets import HIDDEN

# Of two letters, so that secrets overlap each other, themselves and every cut.
secrets_ = st.lists(st.text("ab", min_size=4, max_size=9), max_size=3)
pieces = st.lists(st.text("abx", max_size=7) | st.text("abx", max_size=30), max_size=8)


def expected(text: str, secrets: list[str]) -> str:
    """Return what is to be shown of a whole text, letter by letter."""
    hidden = [False] * len(text)
    for secret in secrets:
        for at in range(len(text)):
            if text.startswith(secret, at):
                hidden[at : at + len(secret)] = [True] * len(secret)
    begun = [at for at in range(len(text)) if any(len(text) - at < len(s) and s.startswith(text[at:]) for s in secrets)]
    if begun and len(text) - begun[0] >= 4:
        hidden[begun[0] :] = [True] * (len(text) - begun[0])
    runs = itertools.groupby(zip(hidden, text, strict=True), key=lambda pair: pair[0])
    return "".join(HIDDEN if is_hidden else "".join(letter for _, letter in run) for is_hidden, run in runs)


@given(pieces, secrets_)
def test_cuts_make_no_difference(cut: list[str], secrets: list[str]) -> None:
    scrubber = Scrubber(secrets)
    shown = [scrubber.take(piece.encode()) for piece in cut]
    shown.append(scrubber.end())
    assert b"".join(shown).decode() == expected("".join(cut), secrets)
    assert scrubber.end() == b""


@given(pieces, secrets_)
def test_no_more_is_kept_back_than_a_secret_may_begin_with(cut: list[str], secrets: list[str]) -> None:
    scrubber = Scrubber(secrets)
    for piece in cut:
        scrubber.take(piece.encode())
    text = "".join(cut)
    left = len(scrubber.end())
    if not any(secret.startswith(text[-1:]) or text[-1:] in secret for secret in secrets):
        assert left == 0


def test_what_is_cut_off_at_the_end() -> None:
    assert scrubbed("copying with hunter", ["hunter22"]) == "copying with ***"
    assert scrubbed("from hunter22 to hunter22, or hunt", ["hunter22"]) == "from *** to ***, or ***"
    assert scrubbed("copying with hunt", ["hunter22"]) == "copying with ***"
    assert scrubbed("copying with hun", ["hunter22"]) == "copying with hun"
    assert scrubbed("copying with \u00e9\u00e9\u00e9", ["\u00e9\u00e9\u00e9\u00e8"]) == "copying with ***"


def test_a_long_secret_is_hidden_whole_and_by_its_parts() -> None:
    key = "".join(f"{number:05}" for number in range(1000))
    scrubber = Scrubber([key])
    text = f"<{key}> <{key[:300]}>".encode()
    shown = [scrubber.take(text[at : at + 7]) for at in range(0, len(text), 7)]
    assert b"".join([*shown, scrubber.end()]) == b"<***> <***" + key[256:300].encode() + b">"
    scrubber.take(key[:4000].encode())
    assert len(scrubber.end()) < 2 * 256


def test_of_too_many_secrets_everything_is_hidden() -> None:
    many = [f"secret {number}" for number in range(1001)]
    assert scrubbed("nothing of it", many[:-1]) == "nothing of it"
    for secrets in (many, None):
        scrubber = Scrubber(secrets)
        assert [scrubber.take(piece) for piece in (b"", b"nothing", b"of it")] == [b"", b"***", b""]
        assert scrubber.end() == b""


def test_a_secret_that_is_everywhere_costs_no_more_than_its_length() -> None:
    scrubber = Scrubber(["aaaa", "aaaaaaaa"])
    shown = [scrubber.take(b"a" * 50_000) for _ in range(4)]
    assert b"".join([*shown, scrubber.end()]) == b"***"
