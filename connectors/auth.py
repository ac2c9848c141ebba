"""How a login is obtained and put on requests: fixed tokens and keys, and the token grants of Salesforce and Zendesk.

Here belongs everything that touches a credential. Not here: which credentials a tool takes, or any request for data.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import msgspec
from requests import PreparedRequest
from requests.auth import _basic_auth_str

from connectors.base import SourceError
from connectors.http import Gate, Login, Patience, Site
from connectors.verdicts import VERDICTS

_EARLY = 120.0  # seconds before its end at which a token is renewed: no request may outlive its token
_GRANT_VERDICTS = {**VERDICTS, 400: VERDICTS[401], 403: VERDICTS[401]}  # how a token endpoint says no


def secret(variable: str, value: str) -> str:
    """A credential as a person pasted it, or an error that names its variable and not its value."""
    value = value.strip()
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise SourceError(f"{variable} holds a blank, a line break or a letter that no token has. Copy it again.")
    return value


class Basic(Login):
    """User and token on every request."""

    def __init__(self, user: str, token: str) -> None:
        self._header = _basic_auth_str(user.encode(), token.encode())
        self._secrets = (token, self._header, self._header.removeprefix("Basic "))

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = self._header
        return request

    def secrets(self) -> tuple[str, ...]:
        return self._secrets


class Bearer(Login):
    """One token that somebody else renews."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def secrets(self) -> tuple[str, ...]:
        return (self._token,)


class Key(Login):
    """One key in a header of the tool's own."""

    def __init__(self, header: str, key: str) -> None:
        self._header, self._key = header, key

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers[self._header] = self._key
        return request

    def secrets(self) -> tuple[str, ...]:
        return (self._key,)


class _Reply(msgspec.Struct):
    access_token: str
    expires_in: float | None = None


class Grant(Login, ABC):
    """A token from the tool's own token endpoint, kept in memory, renewed before it ends and when it is refused.
    One token serves all threads."""

    lifetime: float | None = None  # seconds, where the endpoint does not say; None: until it is refused

    def __init__(self, site: Site, path: str, *, patience: Patience | None = None) -> None:
        # A bucket of its own: a token is obtained while the request that needs it has its turn.
        self._gate = Gate(site, patience=patience, bucket=lambda _: "login", verdicts=_GRANT_VERDICTS, secrets=self.secrets)
        self._session = self._gate.session()
        self._url = site.url + path
        self._lock = threading.Lock()
        self._token = ""
        self._ends = float("-inf")

    @abstractmethod
    def ask(self) -> Mapping[str, Any]:
        """What to post to the token endpoint: keyword arguments of requests."""

    @property
    def requests(self) -> int:  # type: ignore[override]
        return self._gate.requests

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        with self._lock:
            if time.monotonic() >= self._ends:
                self._obtain()
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def stop_at(self, deadline: float) -> None:
        self._gate.deadline = deadline

    def renew(self, request: PreparedRequest) -> bool:
        with self._lock:
            if request.headers["Authorization"] == f"Bearer {self._token}":  # else another thread has renewed it
                self._obtain()
        return True

    def _obtain(self) -> None:
        response = self._session.post(self._url, **self.ask())
        try:
            reply = msgspec.json.decode(response.content, type=_Reply)
        except msgspec.ValidationError:
            raise SourceError(f"{self._url} gave no token; trying again will not help.") from None
        lifetime = reply.expires_in or self.lifetime
        self._token = reply.access_token
        self._ends = time.monotonic() + max(lifetime - _EARLY, lifetime / 2) if lifetime else float("inf")


class ZendeskClient(Grant):
    """Zendesk's OAuth client credentials: https://developer.zendesk.com/api-reference/ticketing/oauth/grant_type_tokens/"""

    lifetime = 1800.0

    def __init__(self, site: Site, client_id: str, client_secret: str, *, patience: Patience | None = None) -> None:
        super().__init__(site, "/oauth/tokens", patience=patience)
        self._id, self._secret = client_id, client_secret

    def ask(self) -> Mapping[str, Any]:
        client = {"client_id": self._id, "client_secret": self._secret}
        return {"json": {"grant_type": "client_credentials", **client, "scope": "read"}}

    def secrets(self) -> tuple[str, ...]:
        return (self._secret, self._token)


class SalesforceClient(Grant):
    """Salesforce's OAuth client credentials, at the org's My Domain."""

    def __init__(self, site: Site, client_id: str, client_secret: str, *, patience: Patience | None = None) -> None:
        super().__init__(site, "/services/oauth2/token", patience=patience)
        self._id, self._secret = client_id, client_secret

    def ask(self) -> Mapping[str, Any]:
        client = {"client_id": self._id, "client_secret": self._secret}
        return {"data": {"grant_type": "client_credentials", **client}}

    def secrets(self) -> tuple[str, ...]:
        return (self._secret, self._token)


class SalesforceJwt(Grant):
    """Salesforce's JWT bearer grant: a short-lived statement for one user, signed with the connected app's key."""

    def __init__(
        self, site: Site, client_id: str, username: str, private_key: str, *, patience: Patience | None = None
    ) -> None:
        super().__init__(site, "/services/oauth2/token", patience=patience)
        self._id, self._user, self._key = client_id, username, private_key
        sandbox = ".sandbox." in site.host
        self._audience = f"https://{'test' if sandbox else 'login'}.salesforce.com"

    def ask(self) -> Mapping[str, Any]:
        import jwt  # comes with simple-salesforce; only this grant needs it

        claims = {"iss": self._id, "sub": self._user, "aud": self._audience, "exp": int(time.time()) + 180}
        try:
            assertion = jwt.encode(claims, self._key, algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            raise SourceError(
                "SALESFORCE_PRIVATE_KEY_FILE must hold an RSA private key in PEM form; trying again will not help."
            ) from None
        return {"data": {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}}

    def secrets(self) -> tuple[str, ...]:
        return (self._key, self._token)
