"""Who comes back from an OpenID Connect provider is believed only with a proof that fits in every part."""

import asyncio
import ssl
import time
import traceback
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jws, jwt
from joserfc.jwk import OctKey, RSAKey
from joserfc.jws import JWSRegistry

from hub.access import oidc
from hub.access.oidc import ALGORITHMS, Attempt, Provider
from hub.contract.errors import HubError
from hub.contract.events import Keyring, now
from hub.contract.settings import read_settings
from tests.adapters.inbound.certificates import Authority
from tests.oidc_provider import CLIENT, SECRET, provider

KEYRING = Keyring(b"a secret of tests only")
HOME = "http://127.0.0.1:8083"


@pytest.fixture(scope="module")
def server():
    with provider() as running:
        yield running


@pytest.fixture
def there(server):
    server.honest()
    server.document = {}
    server.ways = ["client_secret_basic", "client_secret_post"]
    return server


def client(there, **other):
    named = {"oidc_issuer": there.issuer, "oidc_client_id": CLIENT, "oidc_client_secret": SECRET, "console_url": HOME, **other}
    return Provider(read_settings(**named))


def walked(there, *, change=lambda answer: answer, trusted=True, **other):
    """The claim of who went there and came back."""

    async def walk():
        ours, way = client(there, **other), Attempt.begun(KEYRING, "vi", "/", now())
        async with httpx.AsyncClient(verify=trusted, trust_env=False) as browser:
            answer = (await browser.get(await ours.address(way))).headers["location"]
        assert answer.startswith(f"{HOME}/login/oidc/callback?")
        return await ours.identity(change(fields(answer)), way, now())

    return asyncio.run(walk())


def fields(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def refused(there, **other):
    """The refusal of who came back; nothing of the token is in it, nor in the faults behind it."""
    with pytest.raises(HubError) as wrong:
        walked(there, **other)
    if there.redeemed:
        shown = "".join(traceback.format_exception(wrong.value))
        assert all(part not in shown for part in there.redeemed[-1].split(".") if len(part) > 8)
    return wrong.value.code, wrong.value.where


@pytest.mark.parametrize("ways", [["client_secret_basic"], ["client_secret_post"]])
def test_who_signs_in_there_is_named_by_the_claim(there, ways):
    there.ways = ways
    assert walked(there) == "ca-truc-1"
    assert walked(there, oidc_claim="sub") == "f2c1"


@pytest.mark.parametrize("ways", [None, 7, "client_secret_post"])
def test_a_list_of_ways_that_is_none_is_the_standards_default(there, ways):
    there.document = {"token_endpoint_auth_methods_supported": ways}
    assert walked(there) == "ca-truc-1"


def test_no_more_is_asked_for_than_the_claim_needs_and_no_secret_is_in_the_address(there):
    there.asked.clear()
    walked(there, oidc_claim="sub")
    (asked,) = there.asked
    assert asked["scope"] == "openid"
    assert set(asked) == {
        "response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge", "code_challenge_method",
    }  # fmt: skip


def test_an_address_counts_only_once_the_provider_has_verified_it(there):
    for verified, answer in ((True, "lan@hospital.example"), (False, None), ("true", None), (None, None)):
        there.claims = {"email_verified": verified}
        if answer:
            assert walked(there, oidc_claim="email") == answer
        else:
            assert refused(there, oidc_claim="email") == ("LOGIN_UNPROVEN", "email_verified")


@pytest.mark.parametrize(
    "claims, where",
    [
        ({"nonce": "of another way"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"aud": "another client"}, "aud"),
        ({"aud": [CLIENT, "another client"]}, "azp"),
        ({"azp": "another client"}, "azp"),
        ({"iss": "http://localhost/another"}, "iss"),
        ({"exp": int(time.time()) - 120}, "exp"),
        ({"exp": None}, "exp"),
        ({"iat": int(time.time()) + 86_400}, "iat"),  # of when the suite begins
        ({"sub": None}, "sub"),
    ],
)
def test_a_claim_that_does_not_fit_is_refused(there, claims, where):
    there.claims = claims
    assert refused(there) == ("LOGIN_UNPROVEN", f"id_token {where}")


def test_several_audiences_are_right_when_we_are_the_one_it_is_for(there):
    there.claims = {"aud": [CLIENT, "another client"], "azp": CLIENT}
    assert walked(there) == "ca-truc-1"


@pytest.mark.parametrize("value", [None, "", 7, "x" * 300, "a\x00b", "a\ud800b"])
def test_a_token_without_a_name_in_its_claim_names_nobody(there, value):
    there.claims = {"preferred_username": value}
    assert refused(there) == ("LOGIN_UNPROVEN", "preferred_username")


def unsigned(_claims):
    _, body, _ = jwt.encode({"alg": "HS256"}, _claims, OctKey.import_key(SECRET)).split(".")
    return f"eyJhbGciOiJub25lIn0.{body}."  # {"alg":"none"}


def by_our_secret(claims):
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("sign", [unsigned, by_our_secret])
def test_an_algorithm_outside_the_list_proves_nothing(there, sign):
    there.sign = sign
    assert refused(there) == ("LOGIN_UNPROVEN", "id_token unsupported_algorithm")


def test_the_list_of_algorithms_has_public_keys_only():
    assert all(name in JWSRegistry.algorithms for name in ALGORITHMS)
    assert not [name for name in ALGORITHMS if name.startswith("HS") or name == "none"]


def test_the_public_key_as_a_secret_proves_nothing(there):
    public = there.key.as_pem(private=False)
    there.sign = lambda claims: jwt.encode({"alg": "HS256", "kid": there.key.kid}, claims, OctKey(public, public))
    assert refused(there)[0] == "LOGIN_UNPROVEN"


def test_a_key_that_is_not_the_providers_proves_nothing(there):
    other = RSAKey.generate_key(2048)
    there.sign = lambda claims: jwt.encode({"alg": "RS256", "kid": there.key.kid}, claims, other)
    assert refused(there) == ("LOGIN_UNPROVEN", "id_token bad_signature")


def test_a_new_key_counts_at_once_and_the_one_before_no_more(there):
    before = there.key
    assert walked(there) == "ca-truc-1"
    there.rotate()
    assert walked(there) == "ca-truc-1"
    there.sign = lambda claims: jwt.encode({"alg": "RS256", "kid": before.kid}, claims, before)
    assert refused(there) == ("LOGIN_UNPROVEN", "id_token invalid_key_id")


def test_a_header_with_fields_of_the_providers_own_is_no_fault(there):
    there.sign = lambda claims: jwt.encode(
        {"alg": "RS256", "kid": there.key.kid, "pi.atm": "5"},
        claims,
        there.key,
        registry=JWSRegistry(algorithms=["RS256"], strict_check_header=False),
    )
    assert walked(there) == "ca-truc-1"


@pytest.mark.parametrize("token", ["", "no token", "a.b.c", "é.é.é", "eyJhbGciOiJSUzI1NiIsImNyaXQiOnRydWV9.e30.e30"])
def test_what_is_no_token_is_refused(there, token):  # the last one's `crit` is no list
    there.sign = lambda _: token
    assert refused(there)[0] == "LOGIN_UNPROVEN"


def test_claims_within_claims_without_end_prove_nothing(there):
    deep = b"[" * 30_000 + b"]" * 30_000
    there.sign = lambda _: jws.serialize_compact({"alg": "RS256", "kid": there.key.kid}, b'{"a":' + deep + b"}", there.key)
    assert refused(there) == ("LOGIN_UNPROVEN", "id_token")


def test_the_document_is_asked_for_once_a_minute_however_many_begin_a_way(there, monkeypatch):
    async def begin():
        ours = client(there)
        before = there.described
        for _ in range(5):
            await ours.address(Attempt.begun(KEYRING, "vi", "/", now()))
        once = there.described - before
        monkeypatch.setattr(oidc, "_DOCUMENT_S", 0.0)
        await ours.address(Attempt.begun(KEYRING, "vi", "/", now()))
        return once, there.described - before

    assert asyncio.run(begin()) == (1, 2)


def test_who_comes_back_finds_room_however_many_are_on_the_way_there(there):
    """As while the provider is slow to describe itself."""

    async def walk():
        ours, way = client(there), Attempt.begun(KEYRING, "vi", "/", now())
        async with httpx.AsyncClient(trust_env=False) as browser:
            answer = fields((await browser.get(await ours.address(way))).headers["location"])
        for _ in range(oidc._AT_ONCE):
            await ours._way_there.acquire()
        with pytest.raises(HubError, match="OVERLOADED"):
            await ours.address(way)
        return await ours.identity(answer, way, now())

    assert asyncio.run(walk()) == "ca-truc-1"


def test_a_code_is_redeemed_by_who_began_only(there):
    """PKCE: a code that somebody else's way brought is worth nothing in ours."""
    other = Attempt.begun(KEYRING, "vi", "/", now())
    foreign = fields(httpx.get(asyncio.run(client(there).address(other)), trust_env=False).headers["location"])
    assert refused(there, change=lambda answer: {**answer, "code": foreign["code"]}) == ("LOGIN_UNPROVEN", "code")


def test_who_is_not_let_in_there_or_comes_from_elsewhere_is_not_let_in_here(there):
    assert refused(there, change=lambda answer: {**answer, "iss": "https://elsewhere.example"})[1] == "iss of the answer"
    there.says_no = True
    assert refused(there) == ("LOGIN_UNPROVEN", "answer")


@pytest.mark.parametrize("error", ["server_error", "temporarily_unavailable"])
def test_a_provider_that_sends_people_back_as_it_is_broken_is_told_as_that(there, error):
    assert refused(there, change=lambda answer: {"error": error, "state": answer["state"]}) == ("PROVIDER_UNAVAILABLE", "answer")


def test_a_client_that_the_provider_does_not_know_is_for_the_operator_to_mend(there):
    assert refused(there, oidc_client_secret="another") == ("PROVIDER_UNAVAILABLE", "token: 401")


@pytest.mark.parametrize(
    "document, where",
    [
        ({"issuer": "https://elsewhere.example"}, "discovery: issuer is not HIE_OIDC_ISSUER"),
        ({"token_endpoint": "http://elsewhere.example/token"}, "discovery: token_endpoint"),
        ({"jwks_uri": None}, "discovery: jwks_uri"),
        ({"authorization_endpoint": "https://đăng-nhập.example/auth"}, "discovery: authorization_endpoint"),
        ({"authorization_endpoint": "https://elsewhere.example/auth\r\nx: y"}, "discovery: authorization_endpoint"),
    ],
)
def test_a_discovery_document_that_is_not_the_issuers_own_or_leads_into_the_open_is_not_used(there, document, where):
    there.document = document
    assert refused(there) == ("PROVIDER_UNAVAILABLE", where)


def test_a_provider_that_is_broken_or_down_is_told_as_that(there):
    there.broken = True
    assert refused(there) == ("PROVIDER_UNAVAILABLE", "discovery: 503")
    with provider() as gone:
        pass
    assert refused(gone) == ("PROVIDER_UNAVAILABLE", "discovery: ConnectError")


def test_one_that_goes_away_in_between_is_told_as_that(there):
    def away(answer):
        there.broken = True
        return answer

    assert refused(there, change=away)[0] == "PROVIDER_UNAVAILABLE"


def test_a_way_is_known_by_its_cookie_for_five_minutes_in_every_process():
    at = datetime(2026, 11, 29, 8, tzinfo=UTC)
    way = Attempt.begun(KEYRING, "en", "/message?id=1", at)
    back = Attempt.back(Keyring(KEYRING.secret), way.cookie, way.state, at + timedelta(seconds=299))
    assert back == way
    assert (back.language, back.next_path) == ("en", "/message?id=1")
    assert Attempt.back(KEYRING, way.cookie, way.state, at + timedelta(seconds=300)) is None


def test_a_way_without_its_own_cookie_or_with_one_of_our_make_is_none():
    at = now()
    way, other = Attempt.begun(KEYRING, "vi", "/", at), Attempt.begun(KEYRING, "vi", "/", at)
    later = ".".join([*way.cookie.split(".")[:1], "9999999999", *way.cookie.split(".")[2:]])
    for cookie, state in (
        (other.cookie, way.state),
        ("", way.state),
        (later, way.state),
        (way.cookie, ""),
        ("a.b", "c"),
        (f"a.{'9' * 400}.vi.Lw", "c"),
        ("a.b.c.d", "é"),
    ):
        assert Attempt.back(KEYRING, cookie, state, at) is None
    foreign = Attempt.begun(Keyring(b"another hub's secret"), "vi", "/", at)
    assert Attempt.back(KEYRING, foreign.cookie, foreign.state, at) is None


def test_no_part_of_a_way_tells_another():
    way = Attempt.begun(KEYRING, "vi", "/", now())
    parts = {way.cookie.split(".")[0], way.state, way.nonce, way.verifier[:32], way.verifier[32:]}
    assert len(parts) == 5
    assert 43 <= len(way.verifier) <= 128  # RFC 7636 §4.1


def test_a_provider_whose_authority_is_the_hospitals_own_is_trusted_by_its_file_only(tmp_path):
    authority = Authority(tmp_path, "hospital")
    pair = authority.sign("provider")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)
    with provider(tls) as there:
        assert there.issuer.startswith("https://")
        assert walked(there, oidc_ca=authority.certificate, trusted=authority.client()) == "ca-truc-1"
        assert refused(there) == ("PROVIDER_UNAVAILABLE", "discovery: ConnectError")


def test_authorities_that_cannot_be_read_are_told_at_the_start(there, tmp_path):
    with pytest.raises(HubError, match="HIE_OIDC_CA"):
        client(there, oidc_ca=tmp_path / "none.pem")
