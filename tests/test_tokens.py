"""The one-time token of a media stream."""

import pytest
from calls import SID
from hypothesis import given, strategies as st

from bot.tokens import TOKEN_SECONDS, StreamTokens

TOKENS = StreamTokens.from_auth_token("secret")


def test_a_token_opens_its_leg_of_its_call():
    assert TOKENS.leg(TOKENS.make(SID, 3, 1000.0), SID, 1001.0) == 3


def test_a_token_of_another_call_opens_nothing():
    assert TOKENS.leg(TOKENS.make("CA" + "b2" * 16, 1, 1000.0), SID, 1001.0) is None


def test_a_token_expires():
    token = TOKENS.make(SID, 1, 1000.0)
    assert TOKENS.leg(token, SID, 1000.0 + TOKEN_SECONDS) == 1
    assert TOKENS.leg(token, SID, 1001.0 + TOKEN_SECONDS) is None


def test_another_process_with_the_same_secret_accepts_it():
    assert StreamTokens.from_auth_token("secret").leg(TOKENS.make(SID, 1, 0.0), SID, 0.0) == 1
    assert StreamTokens.from_auth_token("other").leg(TOKENS.make(SID, 1, 0.0), SID, 0.0) is None


@pytest.mark.parametrize("token", ["", ".", "..", "1.2", "1.9999999999.", "x.y.z"])
def test_a_malformed_token_opens_nothing(token: str):
    assert TOKENS.leg(token, SID, 0.0) is None


@given(st.text())
def test_no_text_opens_anything_or_raises(token: str):
    assert TOKENS.leg(token, SID, 0.0) is None
