"""An OpenID provider that signs what a test wants it to: right answers, and those that must not be believed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

KEY, FOREIGN_KEY = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
CLIENT = "mms"


class Provider:
    """Knows one person. ``change`` edits what the ID token says before it is signed."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.claims: dict[str, Any] = {"sub": "erna-1"}
        self.change: Callable[[dict[str, Any]], None] = lambda claims: None
        self.key: Any = KEY
        self.algorithm = "RS256"
        self.userinfo: dict[str, Any] = {}
        self.signs_out_at = ""
        """What it names as the address at which one signs out; empty: none."""
        self.asked: dict[str, str] = {}
        """What MMS asked the last time: nonce, challenge, where to answer."""

    def answer_to(self, address: str) -> str:
        """The address to which the browser is led back from the provider's page, once the person has signed in."""
        self.asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        return f"{self.asked['redirect_uri']}?{urlencode({'code': 'once', 'state': self.asked['state']})}"

    def get(self, path: str) -> Any:
        if path == "/.well-known/openid-configuration":
            sign_out = {"end_session_endpoint": self.signs_out_at} if self.signs_out_at else {}
            return sign_out | {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
            }
        if path == "/keys":
            public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key()))
            return {"keys": [public | {"kid": "one", "use": "sig"}]}
        return {"sub": self.claims["sub"]} | self.userinfo

    def token(self) -> Any:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": self.asked.get("nonce")}
        claims |= self.claims
        self.change(claims)
        signed = jwt.encode(claims, self.key, self.algorithm, {"kid": "one"})
        return {"access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": signed}


@contextmanager
def openid_provider() -> Iterator[Provider]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(provider.get(self.path))

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(provider.token())

        def answer(self, told: Any) -> None:
            text = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *told: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = Provider(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
