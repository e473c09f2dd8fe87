"""Masking of single texts: each kind has a positive and a negative case; placeholders and keys."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.contracts.errors import ConfigError
from pipelines.contracts.recipe import PII_KINDS, Pii
from pipelines.ops.privacy.mask import KEY_VARIABLE, Masker, key_mark, make_masker, placeholder
from pipelines.ops.privacy.numbers import IBAN_LENGTHS, luhn, mod97
from pipelines.ops.privacy.spans import Span, merge_spans

ALL = Masker(frozenset(PII_KINDS), ("US", "GB", "DE", "FR"))
TOKEN = "ghp_" + "a1B2" * 9


@pytest.mark.parametrize(("kind", "yes", "no"), [
    ("email", "ask jane.doe+x@mail.example.co.uk.", "ask @jane, icon@2x.png or pip install a@1.2"),
    ("email", "https://x.example/?to=jane%40example.org&b=1", "100%40 of it"),
    ("phone", "call (202) 456-1111 now", "call it (202) 456-1111111 now"),
    ("phone", "+49 30 901820", "2147483647 is 2**31 - 1"),
    ("ipv4", "from 93.184.216.34,", "from 192.168.1.1, version 9.184.216.34, 1.2.3.400"),
    ("ipv6", "at 2606:4700:4700::1111", "at 12:30:45, std::add, 2001:db8::1, ::1"),
    ("iban", "GB82 WEST 1234 5698 7654 32 AND MORE", "GB83 WEST 1234 5698 7654 32"),
    ("card", "4111 1111 1111 1111", "4111 1111 1111 1112 and 4111 1111-1111 1111"),
    ("secret", f"use {TOKEN}.", f"use {TOKEN[:20]} as in the manual"),
    ("secret", "password: q8Zx03kfPw92mVbn", "password: correct-horse-battery-staple"),
])  # fmt: skip
def test_each_kind_has_its_yes_and_no(kind: str, yes: str, no: str) -> None:
    text, counts = ALL.mask(yes)
    assert counts == {f"pii_{kind}": 1}
    assert f"<{kind}>" in text
    assert ALL.mask(no) == (no, {})


def test_text_around_a_value_stays() -> None:
    assert ALL.mask("Write to jane@example.org, or +44 20 7946 0018!") == (
        "Write to <email>, or <phone>!",
        {"pii_email": 1, "pii_phone": 1},
    )


def test_only_the_kinds_asked_for() -> None:
    text = "jane@example.org 4111111111111111"
    assert Masker(frozenset({"card"})).mask(text) == ("jane@example.org <card>", {"pii_card": 1})
    assert make_masker(Pii()) is None


def test_a_password_in_an_address_goes_and_the_host_stays() -> None:
    assert ALL.mask("https://bob:hunter2@git.example.org/x")[0] == "https://<secret>@git.example.org/x"


def test_a_private_key_that_is_cut_off_goes() -> None:
    text = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq\nxx"
    assert ALL.mask("key:\n" + text) == ("key:\n<secret>", {"pii_secret": 1})


def test_overlapping_spans_become_one_of_the_first_kind() -> None:
    assert merge_spans([Span(3, 9, "phone"), Span(0, 4, "secret"), Span(9, 12, "email")]) == [
        Span(0, 9, "secret"),
        Span(9, 12, "email"),
    ]


def test_keyed_placeholders_tell_equal_values_from_others_and_need_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    pii = Pii(kinds=("phone", "email"), placeholder="keyed")
    for bad in ("", "short"):
        monkeypatch.setenv(KEY_VARIABLE, bad)
        with pytest.raises(ConfigError, match=KEY_VARIABLE):
            make_masker(pii)
    monkeypatch.setenv(KEY_VARIABLE, "k" * 32)
    masker = make_masker(pii)
    assert masker is not None
    text = "+44 20 7946 0018, +44-20-7946-0018, +44 20 7946 0019, a@b.org, A@B.org"
    masked, counts = masker.mask(text)
    first, same, other, mail, capitals = masked.split(", ")
    assert re.fullmatch("<phone:[a-p]{12}>", first)
    assert (first == same, first == other, mail == capitals) == (True, False, True)
    assert counts == {"pii_phone": 3, "pii_email": 2}
    assert masker.mask(masked) == (masked, {})
    mark = key_mark(pii)
    monkeypatch.setenv(KEY_VARIABLE, "j" * 32)
    assert mark is not None
    assert key_mark(pii) != mark
    assert placeholder("phone", "+44 20 7946 0018", b"j" * 32) != first
    assert key_mark(Pii(kinds=("phone",))) is None


def test_check_digits_against_published_numbers() -> None:
    # ISO/IEC 7812-1 annex B; examples of the SWIFT IBAN registry
    assert luhn("79927398713")
    assert not any(luhn(f"7992739871{digit}") for digit in "012456789")
    for iban in ("NO9386011117947", "MT84MALT011000012345MTLCAST001S", "FR1420041010050500013M02606"):
        assert mod97(iban) == 1
        assert len(iban) == IBAN_LENGTHS[iban[:2]]


@given(st.text(alphabet=st.sampled_from("0123456789 ()+-./:@aAbB_=[]<>\nü中"), max_size=120))
def test_masking_is_idempotent_and_never_fails(text: str) -> None:
    masked, counts = ALL.mask(text)
    assert (masked == text) == (not counts)
    again, _ = ALL.mask(masked)
    assert len(again) <= len(masked) + 8 * sum(counts.values())


@given(st.text(max_size=30), st.text(max_size=30))
def test_what_is_around_survives(before: str, after: str) -> None:
    masked, _ = ALL.mask(f"{before} jane.doe@example.org {after}")
    assert "jane.doe@example.org" not in masked
