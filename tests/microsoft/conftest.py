"""A sign-in and a Graph on one port of this machine, which answer what a test tells them to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import pytest

from migrations_app.microsoft import sign_in
from migrations_app.microsoft.client import Graph, Limits
from migrations_app.microsoft.clouds import CLOUDS
from migrations_app.microsoft.sign_in import Application
from tests.support.scripted_server import Asked, ScriptedServer, Told, scripted

HOSTS = ("localhost",)
DIRECTORY = "b7e0a1d2-0000-4000-8000-00000000c0de"
CLIENT = "5f6a0613-55e2-4074-a8b4-060000000001"
SECRET = "the-secret~Of.Contoso"
LIMITS = Limits(connect=20, read=20, write=20, whole=60, answer=200_000)


def told(body: object, status: int = 200, **headers: str) -> Told:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Told(status, json.dumps(body).encode(), {"Content-Type": "application/json", **named})


def refused(status: int, code: str = "", message: str = "", **headers: str) -> Told:
    return told({"error": {"code": code, "message": message}}, status, **headers)


@dataclass
class Microsoft:
    """A sign-in and a Graph on one port: tests say what Graph answers, and what the sign-in does."""

    graph: Callable[[Asked], Told] = lambda _: told({})
    token: Callable[[Mapping[str, str]], Told] | None = None
    discovery: Told | None = None
    tokens: int = 0
    signed_in: list[Mapping[str, str]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    credential: str = SECRET
    server: ScriptedServer = field(init=False)

    def __call__(self, asked: Asked) -> Told:
        if asked.path.endswith("/.well-known/openid-configuration"):
            at = f"{self.server.address}{DIRECTORY}/oauth2/v2.0"
            return self.discovery or told(
                {"token_endpoint": f"{at}/token", "authorization_endpoint": f"{at}/authorize"}
            )
        if asked.path.endswith("/token"):
            form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
            self.signed_in.append(form)
            if self.token:
                return self.token(form)
            self.tokens += 1
            return told({"access_token": f"token-{self.tokens}", "expires_in": 3599, "token_type": "Bearer"})
        self.asked.append(asked)
        return self.graph(asked)

    @property
    def application(self) -> Application:
        origin = self.server.address.rstrip("/")
        return Application(CLOUDS["global"].reached_at(origin, origin), DIRECTORY, CLIENT, self.credential)

    def client(self, limits: Limits = LIMITS) -> Graph:
        return Graph(self.application, limits, allowed_hosts=HOSTS, wait=self.waited.append)


@pytest.fixture
def microsoft() -> Iterator[Microsoft]:
    sign_in._tokens.clear()
    stand_in = Microsoft()
    with scripted(stand_in) as server:
        stand_in.server = server
        yield stand_in
    sign_in._tokens.clear()
