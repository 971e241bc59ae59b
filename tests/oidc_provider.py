"""An OpenID Connect provider for tests: a real HTTP server with real RSA keys, which can be made to lie in each way that matters.

It signs in whoever is set as `user`: without asking, as a provider does whose session the browser already has, or from a page of its own.
"""

import base64
import hashlib
import json
import secrets
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from joserfc import jws
from joserfc.jwk import RSAKey

CLIENT, SECRET = "hie console", "a+secret: of tests, 100%41"


class Provider:
    """What it knows and how it behaves; tests change it while it runs.

    claims: what replaces claims of the next id_tokens; a value of None leaves the claim out.
    sign:   makes the id_token of its claims; None: RS256 by the present key.
    ways:   of clients to authenticate, as the discovery document lists them.
    described: how often somebody asked for that document.
    """

    def __init__(self, home: str) -> None:
        self.issuer = f"{home}/realms/hospital"
        self.user: dict[str, Any] = {"sub": "f2c1", "preferred_username": "ca-truc-1", "email": "lan@hospital.example"}
        self.ways = ["client_secret_basic", "client_secret_post"]
        self.document: dict[str, Any] = {}
        self.asked: list[dict[str, str]] = []
        self.redeemed: list[str] = []
        self.described = 0
        self.codes: dict[str, dict[str, str]] = {}
        self.honest()
        self.rotate()

    def honest(self) -> None:
        self.claims: dict[str, Any] = {}
        self.sign: Any = None
        self.broken = False
        self.says_no = False
        self.codes_last = False
        self.shows_a_page = False

    def rotate(self) -> None:
        """A new key; the one before is withdrawn."""
        self.key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/certs",
            "token_endpoint_auth_methods_supported": self.ways,
            **self.document,
        }

    def authorized(self, asked: dict[str, str]) -> str:
        """Where the browser goes back to."""
        self.asked.append(asked)
        assert (asked["response_type"], asked["code_challenge_method"], asked["client_id"]) == ("code", "S256", CLIENT)
        if self.says_no:
            back = {"error": "access_denied", "state": asked["state"]}
        else:
            code = secrets.token_urlsafe(16)
            self.codes[code] = asked
            back = {"code": code, "state": asked["state"], "iss": self.issuer}
        return f"{asked['redirect_uri']}?{urlencode(back)}"

    def tokens(self, form: dict[str, str], basic: str) -> tuple[int, dict[str, Any]]:
        if basic:
            login = tuple(unquote_plus(part) for part in base64.b64decode(basic.removeprefix("Basic ")).decode().split(":", 1))
        else:
            login = (form.get("client_id", ""), form.get("client_secret", ""))
        way = "client_secret_basic" if basic else "client_secret_post"
        if login != (CLIENT, SECRET) or way not in self.ways:
            return 401, {"error": "invalid_client"}
        asked = self.codes.get(form["code"]) if self.codes_last else self.codes.pop(form["code"], None)
        digest = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
        if asked is None or digest != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        at = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": at,
            "exp": at + 300,
            "nonce": asked["nonce"],
            **self.user,
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        token = (
            self.sign(claims)
            if self.sign
            else jws.serialize_compact({"alg": "RS256", "kid": self.key.kid}, json.dumps(claims), self.key)
        )
        self.redeemed.append(token)
        return 200, {"access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "id_token": token}


@contextmanager
def provider(tls: ssl.SSLContext | None = None) -> Iterator[Provider]:
    """One that listens on localhost, at a port of its own; in HTTPS if it is given a certificate."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            match parts.path.removeprefix("/realms/hospital"):
                case _ if made.broken:
                    self.say(503, {"error": "broken"})
                case "/.well-known/openid-configuration":
                    made.described += 1
                    self.say(200, made.discovery())
                case "/certs":
                    self.say(200, {"keys": ["junk", {"kty": "AKP", "kid": "of-tomorrow"}, made.key.as_dict(private=False)]})
                case "/auth" if made.shows_a_page:
                    self.say(200, f'<a href="{escape(made.authorized(asked))}">go on</a>', "text/html")
                case "/auth":
                    self.send_response(302)
                    self.send_header("location", made.authorized(asked))
                    self.send_header("content-length", "0")
                    self.end_headers()
                case _:
                    self.say(404, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self.say(*((503, {}) if made.broken else made.tokens(form, self.headers.get("authorization", ""))))

        def say(self, status: int, what: dict[str, Any] | str, kind: str = "application/json") -> None:
            body = (what if isinstance(what, str) else json.dumps(what)).encode()
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    made = Provider(f"http{'s' if tls else ''}://localhost:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
