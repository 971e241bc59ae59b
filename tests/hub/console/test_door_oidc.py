"""The door with an OpenID Connect provider: the whole way there and back, as a browser walks it, and every way that is not ours."""

import json
import re
import shutil

import httpx
import pytest

from hub.access import oidc
from hub.access.oidc import Provider
from hub.console.door import door
from hub.contract import telemetry
from hub.contract.settings import read_settings
from tests.hub.access.test_people import noted
from tests.hub.console.test_door import NAME, PASSWORD, served, sign_in, url  # noqa: F401  # fixtures
from tests.oidc_provider import CLIENT, SECRET, provider

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
HOME = "https://console.example"  # of a proxy before this console, which ends TLS


@pytest.fixture(scope="module")
def there():
    with provider() as running:
        yield running


def ours(there):
    named = {"oidc_issuer": there.issuer, "oidc_client_id": CLIENT, "oidc_client_secret": SECRET}
    return Provider(read_settings(console_url=HOME, **named))


@pytest.fixture(scope="module")
def console(url, there):  # noqa: F811
    with served(url, provider=ours(there)) as made:
        yield made


@pytest.fixture
def browser(console, there):
    host, people, do, pool = console

    async def forget():
        async with pool.connection() as database:
            await database.execute("truncate person_try, audit_noted")

    there.honest()
    there.user["preferred_username"] = NAME
    do(people.enable(NAME, "root", "anew"))
    do(people.give_identity(NAME, None, "root", "anew"))
    do(forget())
    headers = {"accept": "text/html", "origin": f"http://{host}"}
    with httpx.Client(base_url=f"http://{host}", headers=headers, trust_env=False) as client:
        yield client


def there_and_back(browser, **asked):
    """From the door to the provider and to the address that it sends the browser to; not yet there."""
    answer = browser.get("/login/oidc", params=asked)
    assert answer.status_code == 303
    back = httpx.get(answer.headers["location"], trust_env=False).headers["location"]
    assert back.startswith(f"{HOME}/login/oidc/callback?")
    return back.removeprefix(HOME)


def cookie_of(answer, name):
    return next((one for one in answer.headers.get_list("set-cookie") if one.startswith(f"{name}=")), "")


def audited(console):
    _, _, do, pool = console
    return [row for row in do(noted(pool)) if row[0] == "sign-in"]


def test_the_page_offers_both_ways_and_keeps_where_to_go(browser):
    page = browser.get("/login", params={"next": "/message?id=1", "lang": "en"}).text
    assert "Sign in with your organisation's account" in page
    assert f'href="{HOME}/login/oidc?lang=en&amp;next=%2Fmessage%3Fid%3D1"' in page
    assert 'name="password"' in page
    assert sign_in(browser).status_code == 303


def test_who_comes_back_is_signed_in_and_led_on_as_from_a_page_of_ours(browser, console):
    answer = browser.get(there_and_back(browser, next="/?event=e1"))
    assert answer.status_code == 200
    assert '<meta http-equiv="refresh" content="0;url=/?event=e1">' in answer.text
    session, way = cookie_of(answer, "hie"), cookie_of(answer, "hie-oidc")
    assert "SameSite=Strict" in session
    assert "HttpOnly" in session
    assert "Max-Age=0" in way
    assert browser.get("/").text == NAME
    (row,) = audited(console)
    assert row[1:3] == (NAME, NAME)
    assert row[4] == "done"


def test_the_cookie_of_the_way_comes_back_from_another_site_and_no_script_reads_it(browser):
    cookie = cookie_of(browser.get("/login/oidc"), "hie-oidc")
    assert "SameSite=Lax" in cookie
    assert "HttpOnly" in cookie


def test_a_session_that_was_ends_when_its_browser_leaves_for_the_provider(browser, console):
    sign_in(browser)
    before = browser.cookies["hie"]
    browser.get("/login/oidc")
    again = httpx.Client(base_url=browser.base_url, cookies={"hie": before}, headers={"accept": "text/html"}, trust_env=False)
    with again:
        assert again.get("/").status_code == 303


def test_a_session_that_its_browser_does_not_show_as_it_comes_from_another_site_stays(browser):
    """It would live on, and the browser would have lost it."""
    sign_in(browser)
    stranger = httpx.get(f"{browser.base_url}/login/oidc", trust_env=False)
    assert (stranger.status_code, cookie_of(stranger, "hie")) == (303, "")
    assert browser.get("/").text == NAME


@pytest.mark.parametrize(
    "language, said",
    [
        ("vi", "Tài khoản của bạn không được vào đây"),
        ("en", "Your account may not come in here"),
    ],
)
@pytest.mark.parametrize("who", ["nobody", "disabled"])
def test_who_is_no_person_here_or_a_disabled_one_is_told_so_in_the_language_of_the_page(
    browser, console, there, language, said, who
):
    _, people, do, _ = console
    if who == "disabled":
        do(people.disable(NAME, "root", "left"))
    else:
        there.user["preferred_username"] = "somebody-else"
    answer = browser.get(there_and_back(browser, lang=language))
    assert answer.status_code == 403
    assert said in answer.text
    assert "hie" not in browser.cookies
    named = NAME if who == "disabled" else "unknown"
    assert audited(console) == [("sign-in", named, named, "LOGIN_UNKNOWN", "refused")]
    assert "somebody-else" not in answer.text


@pytest.mark.parametrize(
    "claims, reason",
    [
        ({"nonce": "of another way"}, "LOGIN_UNPROVEN id_token nonce"),
        ({"aud": "another client"}, "LOGIN_UNPROVEN id_token aud"),
        ({"exp": 1}, "LOGIN_UNPROVEN id_token exp"),
    ],
)
def test_a_proof_that_does_not_fit_lets_nobody_in_and_is_audited(browser, console, there, claims, reason):
    there.claims = claims
    answer = browser.get(there_and_back(browser, lang="en"))
    assert answer.status_code == 403
    assert "did not say who you are" in answer.text
    assert "hie" not in browser.cookies
    assert audited(console) == [("sign-in", "unknown", "unknown", reason, "refused")]


def test_a_way_back_leads_in_once(browser, console, there):
    there.codes_last = True  # a provider that takes a code twice: then the once is ours alone
    back = there_and_back(browser)
    kept = dict(browser.cookies)
    assert browser.get(back).status_code == 200
    assert browser.get(back).status_code == 403  # its cookie is gone
    thief = httpx.Client(base_url=browser.base_url, cookies=kept, headers={"accept": "text/html"}, trust_env=False)
    with thief:
        assert thief.get(back).status_code == 403
        assert "hie" not in thief.cookies
    assert [row[3] for row in audited(console)][1:] == ["LOGIN_UNPROVEN state"]


def test_a_way_that_another_browser_began_leads_nobody_in(browser, console):
    """Else a stranger could sign people in as himself."""
    strange = httpx.Client(base_url=browser.base_url, headers={"accept": "text/html"}, trust_env=False)
    with strange:
        back = there_and_back(strange)
    browser.get("/login/oidc")  # this one has a way of its own
    assert browser.get(back).status_code == 403
    assert "hie" not in browser.cookies
    assert audited(console) == []


@pytest.mark.parametrize("query", ["", "?code=x", "?code=x&state=y", "?error=access_denied", "?state=%00&code=%FF"])
def test_an_address_that_nobody_was_sent_to_leads_nobody_in(browser, query):
    browser.get("/login/oidc")
    assert browser.get(f"/login/oidc/callback{query}").status_code == 403


def test_who_says_no_there_is_not_in_here(browser, console, there):
    there.says_no = True
    assert browser.get(there_and_back(browser)).status_code == 403
    assert [row[3] for row in audited(console)] == ["LOGIN_UNPROVEN answer"]


def test_a_provider_that_is_down_is_told_and_passwords_go_on(browser, there, monkeypatch):
    monkeypatch.setattr(oidc, "_DOCUMENT_S", 0.0)
    back = there_and_back(browser)
    there.broken = True
    for path in ("/login/oidc?lang=en", back):
        answer = browser.get(path)
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
    assert "The identity provider does not answer" in browser.get("/login/oidc?lang=en").text
    assert "Hệ thống định danh không trả lời đúng" in answer.text
    assert sign_in(browser).status_code == 303


def test_a_foreign_path_is_not_led_on_to(browser):
    assert 'content="0;url=/"' in browser.get(there_and_back(browser, next="//evil.example")).text


def test_a_path_cannot_become_markup(browser):
    page = browser.get(there_and_back(browser, next='/"><script>')).text
    assert "<script" not in page


def test_only_a_browser_that_opens_the_page_uses_a_way_up(browser):
    back = there_and_back(browser)
    assert browser.head(back).status_code == 303  # as any page that wants a session
    assert browser.post(back).status_code == 401
    assert browser.get(back).status_code == 200


def test_no_token_or_code_is_in_the_log(browser, there, capfd, monkeypatch):
    monkeypatch.setattr(oidc, "_DOCUMENT_S", 0.0)
    telemetry.configure("debug")
    back = there_and_back(browser)
    browser.get(back)
    there.claims = {"aud": "another client"}
    browser.get(there_and_back(browser))
    there.broken = True
    browser.get("/login/oidc")
    said = "".join(capfd.readouterr())
    assert "LOGIN_UNPROVEN" in said
    assert json.dumps("discovery: 503") in said
    secret = [SECRET, re.search(r"code=([^&]+)", back)[1], *(part for token in there.redeemed for part in token.split(".")[1:])]
    assert [one for one in secret if one in said] == []


def test_passwords_can_be_switched_off_and_then_the_right_one_opens_nothing(url, there):  # noqa: F811
    with served(url, provider=ours(there), passwords=False) as (host, *_):
        headers = {"accept": "text/html", "origin": f"http://{host}"}
        with httpx.Client(base_url=f"http://{host}", headers=headers, trust_env=False) as browser:
            page = browser.get("/login")
            assert "<form" not in page.text
            fields = {"name": NAME, "password": PASSWORD, "token": "0" * 32}
            assert browser.post("/login", data=fields).status_code == 403
            there.honest()
            assert browser.get(there_and_back(browser)).status_code == 200
            assert browser.get("/").text == NAME


def test_without_a_provider_there_is_no_such_way(url):  # noqa: F811
    with served(url) as (host, *_), httpx.Client(base_url=f"http://{host}", trust_env=False) as browser:
        assert browser.get("/login/oidc").status_code == 401
        assert "/login/oidc" not in browser.get("/login").text


def test_the_settings_decide_who_opens_the_door(there):
    named = {"oidc_issuer": there.issuer, "oidc_client_id": CLIENT, "console_url": HOME, "key_secret": "a secret of tests only"}
    alone = door(read_settings(**named, console_passwords=False), None)
    assert (alone.provider.start, alone.passwords) == (f"{HOME}/login/oidc", False)
    usual = door(read_settings(key_secret="a secret of tests only"), None)
    assert (usual.provider, usual.passwords) == (None, True)
    for one in (alone, usual):
        one.signin.close()


@pytest.mark.skipif(BROWSER is None, reason="unverified in a browser: no chromium here (apt-get install chromium)")
def test_a_real_browser_comes_from_the_other_site_and_is_in(url, there):  # noqa: F811
    """The provider is at localhost and the console at 127.0.0.1: two sites. So the cookies show what they are worth."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="unverified in a browser: playwright is not installed")
    there.honest()
    there.user["preferred_username"] = NAME
    there.shows_a_page = True
    ours_here = ours(there)
    with served(url, provider=ours_here) as (host, *_), sync_api.sync_playwright() as playwright:
        ours_here._home = f"http://{host}"  # known once it listens
        chromium = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = chromium.new_page()
        page.set_default_timeout(30_000)
        page.goto(f"http://{host}/?event=e1")
        page.get_by_role("link", name="Đăng nhập bằng tài khoản của đơn vị").click()
        page.get_by_role("link", name="go on").click()
        page.wait_for_url(f"http://{host}/?event=e1")
        assert page.inner_text("body") == NAME
        chromium.close()
