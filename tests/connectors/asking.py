"""Plain requests to the stand-ins, with their made-up credentials and without any connector in between.

Here belongs how the tests of the stand-ins ask. Not here: how fullpicture asks.
"""

from __future__ import annotations

from typing import Any

import requests

from connectors.sandbox import jira, salesforce, zendesk
from connectors.sandbox.serve import Running

DATA = "/services/data/v66.0"


class Asker:
    """A session with one vendor: paths instead of addresses, credentials on every request."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.session = requests.Session()

    def get(self, path: str, **parameters: Any) -> requests.Response:
        return self.session.get(path if path.startswith("http") else self.base + path, params=parameters, timeout=10)

    def post(self, path: str, body: Any) -> requests.Response:
        return self.session.post(self.base + path, json=body, timeout=10)


def salesforce_of(running: Running) -> Asker:
    asker = Asker(running.salesforce.base_url)
    form = {"grant_type": "client_credentials", "client_id": salesforce.CLIENT_ID, "client_secret": salesforce.CLIENT_SECRET}
    granted = requests.post(f"{asker.base}/services/oauth2/token", data=form, timeout=10).json()
    asker.session.headers["Authorization"] = f"Bearer {granted['access_token']}"
    return asker


def jira_of(running: Running) -> Asker:
    asker = Asker(running.jira.base_url)
    asker.session.auth = (jira.EMAIL, jira.API_TOKEN)
    return asker


def zendesk_of(running: Running) -> Asker:
    asker = Asker(running.zendesk.base_url)
    form = {"grant_type": "client_credentials", "client_id": zendesk.CLIENT_ID, "client_secret": zendesk.CLIENT_SECRET}
    granted = asker.post("/oauth/tokens", form).json()
    asker.session.headers["Authorization"] = f"Bearer {granted['access_token']}"
    return asker
