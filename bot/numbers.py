"""Telephone numbers that an operator writes down: checked, and brought into E.164 form."""

import re
from collections.abc import Collection

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType, shortnumberinfo

from pipelines.problems import refusal

_EXAMPLE = "+12025550143"

_COSTLY = {
    PhoneNumberType.PREMIUM_RATE: "a premium-rate number",
    PhoneNumberType.SHARED_COST: "a shared-cost number",
}


def digits(written: str) -> str:
    """The number without spaces, dashes, dots and brackets; the `+` stays."""
    return re.sub(r"[ ().\-]", "", written)


def dialable(written: str, allowed: Collection[str] = ()) -> str:
    """Check a number that callers are put through to.

    Args:
        written: As the operator wrote it: international, with `+`. Spaces, dashes, dots and
            brackets may be in it.
        allowed: Numbers, in the form of `digits`, that the operator wants whatever kind they are.

    Returns:
        The number in E.164 form. One of `allowed` as it is.

    Raises:
        PydanticCustomError: A refusal in plain words: it is no number, does not exist, or is one
            that nobody should be put through to by accident: premium rate, shared cost,
            emergency, short.
    """
    number = digits(written)
    if number in allowed and re.fullmatch(r"\+?[0-9]{2,15}", number):
        return number
    if not re.fullmatch(r"\+?[0-9]+", number):
        remedy = f'write it with + and country code, digits only, e.g. "{_EXAMPLE}"'
        raise refusal(f"is `{written}`, which is no telephone number", remedy)
    _refuse_short(written, number.removeprefix("+"))
    if not number.startswith("+"):
        remedy = f'write it with + and country code, e.g. "{_EXAMPLE}"'
        raise refusal(f"is `{written}`, which could be in any country", remedy)
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        parsed = None
    if parsed is None or not phonenumbers.is_valid_number(parsed):
        remedy = "check country code and length; if it is right all the same, list it under `allow`"
        raise refusal(f"is `{written}`, which is not a number that exists", remedy)
    costly = _COSTLY.get(phonenumbers.number_type(parsed))
    if costly:
        remedy = "use another number; if this one is meant, list it under `allow`"
        raise refusal(f"is `{written}`, {costly}", remedy)
    return phonenumbers.format_number(parsed, PhoneNumberFormat.E164)


def _refuse_short(written: str, number: str) -> None:
    """Refuse what only a handset or an emergency centre answers."""
    remedy = "use an ordinary number; if this one is meant, list it under `allow`"
    regions = phonenumbers.SUPPORTED_SHORT_REGIONS
    if any(shortnumberinfo.is_emergency_number(number, region) for region in regions):
        raise refusal(f"is `{written}`, an emergency number", remedy)
    if len(number) <= 6:
        raise refusal(f"is `{written}`, a short number", remedy)


def sip_address(written: str) -> str:
    """Check a SIP address that callers are put through to.

    Args:
        written: As the operator wrote it. Its headers are ours to write.

    Raises:
        PydanticCustomError: A refusal in plain words.
    """
    example = "e.g. `sip:robin@pbx.example.com` or `sip:42@10.0.0.7:5061;transport=tls`"
    if not re.fullmatch(r"sips?:[A-Za-z0-9_.!~*'()&=+$,;/%-]+@[A-Za-z0-9.\-\[\]:]+(;[a-z0-9_.=-]+)*", written):
        raise refusal(f"is `{written}`, which is no SIP address", f"write `sip:user@host`, {example}")
    if len(written) > 250 or "," in written:
        raise refusal(f"is {len(written)} characters long or holds a comma", f"write `sip:user@host`, {example}")
    return written
