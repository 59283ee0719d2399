"""Who is at the console, and what they may do there.

Whoever knows the password is a supervisor, who sees everything and may act; the viewers' own password, where there is
one, opens the same pages with personal data masked and nothing to press. The session is a signed cookie: no process
keeps it, so that every process knows it, and with another password it is worth nothing. Whoever logs out ends theirs in
all processes that run.
"""

import base64
import hashlib
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.requests import HTTPConnection

from bot.tokens import Seal

COOKIE = "putthrough_console"

SESSION_SECONDS = 12 * 3600
"""How long somebody stays logged in: a shift."""

LONGEST_NAME = 60

TRIES = 10
TRIES_SECONDS = 60.0
"""So many wrong passwords from one address within this time; then it has to wait."""

_ADDRESSES = 10_000


class Role(StrEnum):
    """What somebody may do."""

    VIEWER = "viewer"
    SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody at the console."""

    name: str
    role: Role
    until: float
    """When the session ends. Unix seconds."""

    nonce: str
    """Their session's own."""

    @property
    def may_act(self) -> bool:
        """Whether they may do something to calls."""
        return self.role is Role.SUPERVISOR


class Access:
    """Logs people in and knows them again."""

    def __init__(
        self,
        password: SecretStr | None,
        viewer_password: SecretStr | None,
        *,
        auth_token: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Decide who gets in.

        Args:
            password: The supervisors'. Without one the console is this machine's alone.
            viewer_password: The viewers', if there are any.
            auth_token: Twilio's, which every process has: sessions are sealed with it and the passwords.
            clock: Unix seconds.
        """
        known = [(Role.SUPERVISOR, password), (Role.VIEWER, viewer_password)]
        self._passwords = [(role, each.get_secret_value()) for role, each in known if each is not None]
        secret = hashlib.sha256(json.dumps([auth_token, *self._passwords]).encode()).hexdigest()
        self._seal = Seal.from_auth_token(secret, "console")
        self._clock = clock
        self._failures: OrderedDict[str, list[float]] = OrderedDict()
        self._over: dict[str, float] = {}
        """Sessions that somebody has ended, by nonce, with when their cookies would have run out."""

    @property
    def open_here(self) -> bool:
        """Whether nobody has to log in, because only this machine may ask."""
        return not self._passwords

    # --- logging in ----------------------------------------------------------------------------------

    def log_in(self, name: str, password: str, address: str) -> Visitor | None:
        """The visitor that a password opens the console to; None for a wrong one.

        Every password is compared, in constant time, whichever it is.

        Raises:
            TooManyTries: From this address there were too many wrong ones.
        """
        now = self._clock()
        recent = [at for at in self._failures.get(address, []) if at > now - TRIES_SECONDS]
        if len(recent) >= TRIES:
            raise TooManyTries
        role = None
        given = hashlib.sha256(password.encode("utf-8", "replace")).digest()
        for each, known in self._passwords:
            if secrets.compare_digest(given, hashlib.sha256(known.encode()).digest()) and role is None:
                role = each
        if role is None:
            self._failures[address] = [*recent, now]
            self._failures.move_to_end(address)
            if len(self._failures) > _ADDRESSES:
                self._failures.popitem(last=False)
            return None
        self._failures.pop(address, None)
        return self.visitor(name, role)

    def visitor(self, name: str, role: Role) -> Visitor:
        """A new session."""
        shown = " ".join(name.split())[:LONGEST_NAME] or role.value
        return Visitor(shown, role, self._clock() + SESSION_SECONDS, secrets.token_urlsafe(16))

    # --- the cookie ----------------------------------------------------------------------------------

    def cookie(self, visitor: Visitor) -> str:
        """What the browser keeps."""
        told = json.dumps([visitor.name, visitor.role.value, visitor.until, visitor.nonce])
        text = base64.urlsafe_b64encode(told.encode()).decode()
        return f"{text}.{self._seal.of(f'session {text}')}"

    def known(self, cookie: str | None) -> Visitor | None:
        """Who brings this cookie; None for one that is forged, over, or none."""
        text, _, seal = (cookie or "").rpartition(".")
        if not self._seal.fits(seal, f"session {text}"):
            return None
        name, role, until, nonce = json.loads(base64.urlsafe_b64decode(text))
        visitor = Visitor(name, Role(role), until, nonce)
        return visitor if self.lasts(visitor) else None

    def lasts(self, visitor: Visitor) -> bool:
        """Whether somebody's session goes on."""
        return self._clock() < visitor.until and visitor.nonce not in self._over

    def end(self, nonce: str, until: float) -> None:
        """A session is over: its cookie is worth nothing here any more. May be called on any thread.

        Args:
            nonce: The session's own.
            until: When it would have ended. Unix seconds.
        """
        now = self._clock()
        self._over = {each: end for each, end in self._over.items() if end > now} | {nonce: until}

    # --- forms of other pages --------------------------------------------------------------------------

    def form_token(self, visitor: Visitor) -> str:
        """What every form of this session carries: a page of somebody else's does not know it."""
        return self._seal.of(f"form {visitor.nonce}")

    def is_form_of(self, visitor: Visitor, token: str) -> bool:
        """Whether a form is one of ours, for this session."""
        return self._seal.fits(token, f"form {visitor.nonce}")


class TooManyTries(Exception):
    """Too many wrong passwords from one address."""


def comes_from_here(request: HTTPConnection) -> bool:
    """Whether a request that changes something, or opens a socket, was made by a page of this very host.

    Browsers say so with every such request (Fetch: `Origin`; Fetch Metadata: `Sec-Fetch-Site`). A client that says
    nothing is no browser, and carries no cookie that it did not mean to.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")
