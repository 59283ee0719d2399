"""Did Twilio send this request? Signatures of webhooks and of Media Streams upgrades.

Twilio signs the URL that *it* requested, followed by the sorted form fields, with the account's
primary Auth Token (Twilio: Webhooks security). An API key's secret never signs. The URL is built
from `PUBLIC_URL` and the request's path and query exactly as they came over the wire; `Host` and
`X-Forwarded-*` are the sender's to choose and play no part. A signature does not bind a media
stream to a call: that is the one-time token's job.
"""

from collections.abc import Iterable
from urllib.parse import parse_qs, urlsplit

from multidict import MultiDict
from twilio.request_validator import RequestValidator, get_signature_algorithm

_UPGRADE_SCHEMES = {"https": ("wss",), "http": ("ws", "wss")}
"""What an upgrade is signed over, by the scheme of the public address. Twilio dials `wss` only."""


class Signatures:
    """Checks `X-Twilio-Signature`. Nothing that a stranger sends makes it raise."""

    def __init__(self, auth_token: str, public_url: str) -> None:
        """Take the secret and the address that Twilio knows us by.

        Args:
            auth_token: The account's primary Auth Token; for an account whose webhooks are signed
                with a SharedKey, that key's secret.
            public_url: `PUBLIC_URL`: scheme, host, and where needed a port and a path prefix.

        Raises:
            ValueError: The secret is empty (anybody can sign with an empty one), or the address is
                not a plain http(s) URL.
        """
        if not auth_token:
            raise ValueError("an Auth Token is needed to check Twilio's signatures")
        url = urlsplit(public_url)
        if url.scheme not in _UPGRADE_SCHEMES or not url.hostname or url.query or url.fragment:
            raise ValueError("the public URL must be http(s)://host[:port][/prefix]")
        prefix = url.path.rstrip("/")
        # The validator tries a URL with and without its port, but takes 80 for the default of
        # everything except https. Naming 443 makes it try `wss://host:443` and `wss://host`.
        hosts = {"ws": url.netloc, "wss": url.netloc if url.port else f"{url.netloc}:443"}
        self._validator = RequestValidator(auth_token)
        self._webhooks = f"{url.scheme}://{url.netloc}{prefix}"
        self._upgrades = [f"{s}://{hosts[s]}{prefix}" for s in _UPGRADE_SCHEMES[url.scheme]]

    def webhook(
        self,
        target: str,
        form: Iterable[tuple[str, str]],
        signature: str | None,
        *,
        settings: str | None = None,
    ) -> bool:
        """Tell whether Twilio sent this webhook.

        A JSON webhook (`bodySHA256` in its query) is answered with no: its signature covers no
        fields, and no route of ours asks for one.

        Args:
            target: Path and raw query as they came over the wire, never re-encoded, e.g.
                `/twilio/voice?attempt=1`.
            form: Every form field, decoded, repeated ones repeated and empty ones kept
                (`parse_qsl(body, keep_blank_values=True)`). Empty for a GET.
            signature: The `X-Twilio-Signature` header, None when there is none.
            settings: The `X-Twilio-Webhooks-Signature-Settings` header, None when there is none.
                Twilio adds it to what is signed with a SharedKey; it names the algorithm.
        """
        _, _, query = target.partition("?")
        if "bodySHA256" in parse_qs(query, keep_blank_values=True):
            return False
        return self._signed(self._webhooks, target, form, signature, settings)

    def upgrade(self, target: str, signature: str | None, *, settings: str | None = None) -> bool:
        """Tell whether Twilio sent this WebSocket upgrade. Ask *before* accepting the socket.

        An upgrade is signed like a webhook without fields, over the `wss://` form of its URL; some
        are signed with a `/` at the end that the request did not have (Twilio: Webhooks security).

        Args:
            target: Path and raw query as they came over the wire, e.g. `/twilio/media`.
            signature: The `X-Twilio-Signature` header, None when there is none.
            settings: As for `webhook`.
        """
        return any(
            self._signed(base, spelling, (), signature, settings)
            for base in self._upgrades
            for spelling in (target, f"{target}/")
        )

    def _signed(
        self,
        base: str,
        target: str,
        form: Iterable[tuple[str, str]],
        signature: str | None,
        settings: str | None,
    ) -> bool:
        if not signature or not target.startswith("/"):
            return False
        # A fragment holds connection overrides (`#rc=2`), which Twilio neither sends nor signs.
        path_and_query, _, _ = target.partition("#")
        algorithm = get_signature_algorithm(settings)
        try:
            # A MultiDict: the validator then signs every value of a repeated field.
            fields = MultiDict(form)
            return self._validator.validate(base + path_and_query, fields, signature, algorithm)
        except ValueError:  # a lone surrogate has no UTF-8 form, so Twilio cannot have signed it
            return False
