"""Who may speak for Twilio: signatures of webhooks and upgrades, over literal wire bodies."""

import base64
import hashlib
import hmac
from urllib.parse import parse_qsl

import pytest

from bot.signatures import Signatures

TOKEN = "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e"

VOICE_BODY = (
    "CallSid=CA0123456789abcdef0123456789abcdef&From=%2B12025550143&To=%2B12025550100"
    "&CallStatus=ringing&ForwardedFrom=&CallerName=Zo%C3%AB+M%C3%BCller+%26+Co"
)
"""A voice webhook as it comes over the wire: an empty field, plus signs, an ampersand, UTF-8."""

REPEATED_BODY = "Digits=2&Digits=1&Digits=2&CallSid=CA0123456789abcdef0123456789abcdef"


def pairs(body: str) -> list[tuple[str, str]]:
    return parse_qsl(body, keep_blank_values=True)


def sign(url: str, body: str = "", *, token: str = TOKEN, algorithm: str = "sha1") -> str:
    """Twilio's rule, written down a second time: the URL, then the sorted distinct fields."""
    text = url + "".join(name + value for name, value in sorted(set(pairs(body))))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), algorithm)).decode()


@pytest.fixture
def signatures() -> Signatures:
    return Signatures(TOKEN, "https://bot.example.com")


# Webhooks


def test_the_example_of_twilios_own_documentation_is_accepted():
    documented = Signatures("12345", "https://mycompany.com")
    body = "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212"
    assert documented.webhook("/myapp.php?foo=1&bar=2", pairs(body), "RSOYDt4T1cUTdK1PDd93/VVr8B8=")


def test_a_webhook_with_an_empty_field_is_accepted(signatures):
    header = sign("https://bot.example.com/twilio/voice", VOICE_BODY)
    assert signatures.webhook("/twilio/voice", pairs(VOICE_BODY), header)


def test_a_webhook_whose_empty_field_was_dropped_is_refused(signatures):
    header = sign("https://bot.example.com/twilio/voice", VOICE_BODY)
    assert not signatures.webhook("/twilio/voice", parse_qsl(VOICE_BODY), header)


def test_every_value_of_a_repeated_field_is_signed(signatures):
    header = sign("https://bot.example.com/twilio/voice", REPEATED_BODY)
    assert signatures.webhook("/twilio/voice", pairs(REPEATED_BODY), header)
    first_value_only = "Digits=2&CallSid=CA0123456789abcdef0123456789abcdef"
    assert not signatures.webhook("/twilio/voice", pairs(first_value_only), header)


@pytest.mark.parametrize(
    "altered",
    [
        VOICE_BODY.replace("2025550143", "2025550199"),
        VOICE_BODY + "&Admin=1",
        VOICE_BODY.replace("&CallStatus=ringing", ""),
    ],
    ids=["changed", "added", "removed"],
)
def test_a_field_that_was_changed_added_or_removed_is_noticed(signatures, altered):
    header = sign("https://bot.example.com/twilio/voice", VOICE_BODY)
    assert not signatures.webhook("/twilio/voice", pairs(altered), header)


def test_the_query_is_checked_as_it_came_over_the_wire(signatures):
    target = "/twilio/handoff/dial?target=caf%C3%A9%20bar&number=%2B12025550143&hop=&a=1+1"
    header = sign("https://bot.example.com" + target, VOICE_BODY)
    assert signatures.webhook(target, pairs(VOICE_BODY), header)
    for recoded in (
        target.replace("%20", "+"),
        target.replace("%2B", "+"),
        target.replace("%C3%A9", "é"),
        target.replace("&hop=", ""),
    ):
        assert not signatures.webhook(recoded, pairs(VOICE_BODY), header)


def test_the_fields_of_a_get_are_its_query(signatures):
    target = "/twilio/voice?CallSid=CA0123456789abcdef0123456789abcdef&CallerName="
    assert signatures.webhook(target, [], sign("https://bot.example.com" + target))


def test_connection_overrides_are_not_part_of_what_is_signed(signatures):
    header = sign("https://bot.example.com/twilio/voice?hop=1", VOICE_BODY)
    assert signatures.webhook("/twilio/voice?hop=1#rc=2&rp=all", pairs(VOICE_BODY), header)


def test_the_default_port_may_be_signed_or_left_out(signatures):
    for host in ("bot.example.com", "bot.example.com:443"):
        header = sign(f"https://{host}/twilio/voice", VOICE_BODY)
        assert signatures.webhook("/twilio/voice", pairs(VOICE_BODY), header)
    header = sign("https://bot.example.com:8443/twilio/voice", VOICE_BODY)
    assert not signatures.webhook("/twilio/voice", pairs(VOICE_BODY), header)


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_port_and_a_path_prefix_of_the_public_url_are_signed(slash):
    behind_a_proxy = Signatures(TOKEN, "https://example.com:8443/phone" + slash)
    header = sign("https://example.com:8443/phone/twilio/voice", VOICE_BODY)
    assert behind_a_proxy.webhook("/twilio/voice", pairs(VOICE_BODY), header)


def test_a_webhook_signed_for_another_host_scheme_path_or_with_another_token_is_refused(signatures):
    for url in (
        "https://evil.example.com/twilio/voice",
        "http://bot.example.com/twilio/voice",
        "https://bot.example.com/twilio/voice/",
        "https://bot.example.com/twilio/media",
    ):
        assert not signatures.webhook("/twilio/voice", pairs(VOICE_BODY), sign(url, VOICE_BODY))
    forged = sign("https://bot.example.com/twilio/voice", VOICE_BODY, token="guess")
    assert not signatures.webhook("/twilio/voice", pairs(VOICE_BODY), forged)


def test_a_target_cannot_move_the_host():
    signatures = Signatures(TOKEN, "https://bot.example")
    header = sign("https://bot.example.com/twilio/voice", VOICE_BODY)
    assert not signatures.webhook(".com/twilio/voice", pairs(VOICE_BODY), header)


def test_a_json_webhook_is_refused_because_its_body_is_not_covered(signatures):
    digest = hashlib.sha256(b"{}").hexdigest()
    target = f"/twilio/voice?bodySHA256={digest}"
    assert not signatures.webhook(target, [], sign("https://bot.example.com" + target))


@pytest.mark.parametrize("header", [None, "", " ", "=", "not base64 ☎", "\udc80", "A" * 100_000])
def test_a_missing_or_senseless_header_is_refused(signatures, header):
    assert signatures.webhook("/twilio/voice", pairs(VOICE_BODY), header) is False
    assert signatures.upgrade("/twilio/media", header) is False


def test_text_that_has_no_utf8_form_is_refused(signatures):
    header = sign("https://bot.example.com/twilio/voice")
    assert signatures.webhook("/twilio/voice", [("CallerName", "\udc80")], header) is False
    assert signatures.webhook("/twilio/\udc80", [], header) is False
    assert signatures.upgrade("/twilio/\udc80", header) is False


@pytest.mark.parametrize("target", ["", "*", "//[", "/[", "/twilio/voice?%", "/\x00", "@evil:1/"])
def test_a_senseless_target_is_refused(signatures, target):
    header = sign("https://bot.example.com/twilio/voice")
    assert signatures.webhook(target, [], header) is False
    assert signatures.upgrade(target, header) is False


# Webhooks signed with a SharedKey

SHARED_KEY = "key=webhooks_sharedkey_0123,algorithm=HMAC_SHA256"


def test_a_webhook_signed_with_a_shared_key_is_checked_with_its_algorithm(signatures):
    header = sign("https://bot.example.com/twilio/voice", VOICE_BODY, algorithm="sha256")
    assert signatures.webhook("/twilio/voice", pairs(VOICE_BODY), header, settings=SHARED_KEY)
    assert not signatures.webhook("/twilio/voice", pairs(VOICE_BODY), header)


def test_an_upgrade_signed_with_a_shared_key_is_checked_with_its_algorithm(signatures):
    header = sign("wss://bot.example.com/twilio/media", algorithm="sha256")
    assert signatures.upgrade("/twilio/media", header, settings=SHARED_KEY)


@pytest.mark.parametrize("settings", ["algorithm=none", "algorithm=HMAC_MD5", SHARED_KEY + "x"])
def test_an_unknown_algorithm_is_refused(signatures, settings):
    header = sign("https://bot.example.com/twilio/voice", VOICE_BODY)
    assert not signatures.webhook("/twilio/voice", pairs(VOICE_BODY), header, settings=settings)


def test_settings_that_name_no_algorithm_mean_the_auth_tokens(signatures):
    header = sign("https://bot.example.com/twilio/voice", VOICE_BODY)
    assert signatures.webhook("/twilio/voice", pairs(VOICE_BODY), header, settings="key=abc")


# Upgrades


@pytest.mark.parametrize(
    "url",
    [
        "wss://bot.example.com/twilio/media",
        "wss://bot.example.com:443/twilio/media",
        "wss://bot.example.com/twilio/media/",
        "wss://bot.example.com:443/twilio/media/",
    ],
)
def test_an_upgrade_is_signed_over_wss_with_or_without_port_and_final_slash(signatures, url):
    assert signatures.upgrade("/twilio/media", sign(url))


@pytest.mark.parametrize(
    "url",
    [
        "https://bot.example.com/twilio/media",
        "ws://bot.example.com/twilio/media",
        "wss://evil.example.com/twilio/media",
        "wss://bot.example.com/twilio/media//",
        "wss://bot.example.com/twilio/voice",
        "wss://bot.example.com:8443/twilio/media",
    ],
)
def test_an_upgrade_signed_over_anything_else_is_refused(signatures, url):
    assert not signatures.upgrade("/twilio/media", sign(url))


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_behind_a_plain_http_address_an_upgrade_may_be_signed_over_ws_too(scheme):
    on_loopback = Signatures(TOKEN, "http://127.0.0.1:7860")
    assert on_loopback.upgrade("/twilio/media", sign(f"{scheme}://127.0.0.1:7860/twilio/media"))
    assert not on_loopback.upgrade("/twilio/media", sign("http://127.0.0.1:7860/twilio/media"))


def test_an_address_of_ipv6_is_checked_like_any_other():
    on_loopback = Signatures(TOKEN, "http://[::1]:7860")
    assert on_loopback.upgrade("/twilio/media", sign("ws://[::1]:7860/twilio/media"))
    header = sign("http://[::1]:7860/twilio/voice", VOICE_BODY)
    assert on_loopback.webhook("/twilio/voice", pairs(VOICE_BODY), header)


def test_a_port_and_a_path_prefix_of_the_public_url_are_signed_in_upgrades_too():
    behind_a_proxy = Signatures(TOKEN, "https://example.com:8443/phone/")
    header = sign("wss://example.com:8443/phone/twilio/media")
    assert behind_a_proxy.upgrade("/twilio/media", header)


# Set-up


def test_an_empty_secret_is_refused_because_anybody_can_sign_with_it():
    with pytest.raises(ValueError, match="Auth Token"):
        Signatures("", "https://bot.example.com")


@pytest.mark.parametrize(
    "url",
    ["", "bot.example.com", "wss://bot.example.com", "https://", "https://h/?a=1", "https://h:x"],
)
def test_a_public_url_that_is_not_a_plain_web_address_is_refused(url):
    with pytest.raises(ValueError):
        Signatures(TOKEN, url)
