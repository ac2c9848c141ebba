"""Runs the stand-ins over one world, in threads of this process.

Here belong ports, threads and the variables that point a connector at them. Not here: anything that the vendors answer.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from connectors.sandbox import jira, pendo, salesforce, zendesk
from connectors.sandbox.jira_site import CUSTOMER
from connectors.sandbox.server import TRANSPORT, Server
from connectors.sandbox.world import World

PORTS = (8611, 8612, 8613, 8614)  # Salesforce, Jira, Zendesk, Pendo

# The world's own fields, by the columns they fill, as fullpicture.yaml maps them (`<tool>: fields: …`).
FIELDS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "salesforce": {"opportunities": {"blocking_feature": "Blocking_Feature__c", "loss_reason": "Loss_Reason__c"}},
    "jira": {"issues": {"product_area": "Product area", "customer": CUSTOMER}},
}


@dataclass
class Running:
    world: World
    salesforce: salesforce.Salesforce
    jira: jira.Jira
    zendesk: zendesk.Zendesk
    pendo: pendo.Pendo
    fields: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=lambda: FIELDS)

    @property
    def servers(self) -> tuple[Server, ...]:
        return (self.salesforce, self.jira, self.zendesk, self.pendo)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that connect fullpicture to these servers."""
        return {
            "SALESFORCE_URL": self.salesforce.base_url,
            "SALESFORCE_CLIENT_ID": salesforce.CLIENT_ID,
            "SALESFORCE_CLIENT_SECRET": salesforce.CLIENT_SECRET,
            "JIRA_URL": self.jira.base_url,
            "JIRA_EMAIL": jira.EMAIL,
            "JIRA_API_TOKEN": jira.API_TOKEN,
            "ZENDESK_URL": self.zendesk.base_url,
            "ZENDESK_CLIENT_ID": zendesk.CLIENT_ID,
            "ZENDESK_CLIENT_SECRET": zendesk.CLIENT_SECRET,
            "PENDO_URL": self.pendo.base_url,
            "PENDO_INTEGRATION_KEY": pendo.INTEGRATION_KEY,
        }


@contextmanager
def serve(world: World, ports: Sequence[int] | None = None) -> Iterator[Running]:
    """The servers on loopback, on free ports unless `ports` names them; gone when the block ends."""
    running = Running(world, salesforce.Salesforce(world), jira.Jira(world), zendesk.Zendesk(world), pendo.Pendo(world))
    listening: list[tuple[_Listener, threading.Thread]] = []
    try:
        for server, port in zip(running.servers, ports or (0,) * len(PORTS), strict=True):
            listening.append(_start(server, port))
        yield running
    finally:
        for listener, _ in listening:
            listener.end()
        for _, thread in listening:
            thread.join(timeout=5)


class _Protocol(HttpToolsProtocol):
    """Hands the connection on to the application, which cuts it when a fault says so."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope: Any = self.scope
        scope[TRANSPORT] = self.transport


class _Listener(uvicorn.Server):
    """Ends when it is told to, whatever is under way, where uvicorn looks ten times a second and waits for who is asking."""

    loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        self._told = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        await self._told.wait()

    def end(self) -> None:
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self._told.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()


def _start(server: Server, port: int) -> tuple[_Listener, threading.Thread]:
    listener = socket.create_server(("127.0.0.1", port))
    server.base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app: Any = server
    config = uvicorn.Config(
        app, http=_Protocol, lifespan="off", log_config=None, access_log=False, date_header=False, server_header=False
    )
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    uvicorn_server = _Listener(config)
    thread = threading.Thread(
        target=uvicorn_server.run, kwargs={"sockets": [listener]}, name=type(server).__name__, daemon=True
    )
    thread.start()
    while uvicorn_server.loop is None:
        if not thread.is_alive():
            raise RuntimeError(f"the stand-in for {type(server).__name__} did not start")
        time.sleep(0.005)
    return uvicorn_server, thread
