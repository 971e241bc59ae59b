"""The door: who comes in, who does not, and what they get to see of each other. On a real server, as a browser would come."""

import asyncio
import re
import threading
import time
from contextlib import contextmanager
from html import unescape

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, WebSocket
from fastapi.responses import HTMLResponse
from nicegui import __version__
from psycopg_pool import PoolTimeout
from starlette.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as ws_connect

from hub.access.people import People, Person
from hub.access.signin import SignIn
from hub.console import door as doors
from hub.console.door import Door, own_path, person
from hub.contract.events import Keyring
from hub.contract.settings import read_settings
from hub.store.database import async_pool
from tests.own_database import own_database

PASSWORD = "correct horse battery"
NAME = "ca-truc-1"
KEYRING = Keyring(b"a secret of tests only")


def application(door):
    app = FastAPI()

    @app.get("/")
    async def who():
        return HTMLResponse(person().name)

    @app.get("/health")
    @app.get("/metrics")
    async def asked_by_a_stranger():
        raise AssertionError("the application was asked, which keeps something of whoever asks")

    @app.get("/broken")
    async def broken(q: str = ""):
        raise RuntimeError(q)

    @app.get("/number")
    async def number(q: int):
        return q

    @app.post("/act")
    async def act():
        return HTMLResponse("done")

    @app.websocket("/_nicegui_ws/socket.io/")
    async def echo(websocket: WebSocket):
        await websocket.accept()
        while True:
            await websocket.send_text(f"{person().name} {await websocket.receive_text()}")

    door.install(app)
    return app


@contextmanager
def served(url, *, tls=False, **more):
    """A console in a thread: its address, and a way to change people beside it."""
    made = {}

    async def main():
        async with async_pool(url, size=4) as pool:
            async with pool.connection() as database:
                await database.execute("truncate person, person_session, person_try, audit_noted")
            made["people"] = People(pool)
            await made["people"].new(Person(NAME, "operator", (), "vi"), PASSWORD, "root", "test")
            door = Door(SignIn(pool, 1800, 43_200), KEYRING, tls=tls, **more)
            config = uvicorn.Config(
                application(door), port=0, log_config=None, ws="websockets-sansio", timeout_graceful_shutdown=1
            )
            server = made["server"] = uvicorn.Server(config)
            made["loop"] = asyncio.get_running_loop()
            made["pool"] = pool
            await server.serve()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    try:
        until = time.monotonic() + 30
        while not (made.get("server") and made["server"].started):
            assert time.monotonic() < until
            assert thread.is_alive()
            time.sleep(0.02)
        port = made["server"].servers[0].sockets[0].getsockname()[1]

        def do(work):
            return asyncio.run_coroutine_threadsafe(work, made["loop"]).result(20)

        yield f"127.0.0.1:{port}", made["people"], do, made["pool"]
    finally:
        made["server"].should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def url(stack):
    with own_database(stack.database_url) as made:
        yield made


@pytest.fixture(scope="module")
def console(url):
    with served(url) as made:
        yield made


@pytest.fixture
def browser(console):
    host, people, do, _ = console
    do(people.enable(NAME, "root", "anew"))
    do(people.give_role(NAME, "operator", (), "root", "anew"))
    with httpx.Client(base_url=f"http://{host}", headers={"accept": "text/html", "origin": f"http://{host}"}) as client:
        yield client


def sign_in(browser, password=PASSWORD, next_path="/", **more):
    return enter(browser, browser.get("/login", params={"next": next_path}), password, **more)


def enter(browser, page, password=PASSWORD, **more):
    """Send the form of a sign-in page."""
    fields = dict(re.findall(r'name="(token|next|lang)" value="([^"]*)"', page.text))
    return browser.post("/login", data={**fields, "name": NAME, "password": password, **more})


def socket_of(browser, origin="", path="/_nicegui_ws/socket.io/?client_id=a-page-that-is-no-more"):
    host = browser.base_url.netloc.decode()
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    return ws_connect(f"ws://{host}{path}", additional_headers={"Cookie": cookies}, origin=origin or f"http://{host}", proxy=None)


def test_nobody_sees_a_page_without_a_session(browser):
    answer = browser.get("/?event=e1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2F%3Fevent%3De1")
    assert browser.get("/nowhere", headers={"accept": "*/*"}).status_code == 401
    assert browser.post("/act").status_code == 401
    assert browser.get("/_nicegui/x/dynamic_resources/y", headers={"accept": "*/*"}).status_code == 401


ROOM = f"/_nicegui/{__version__}"


@pytest.mark.parametrize(
    "path", ["/static/nicegui.js", "/libraries/key/x.js", "/components/key/x.js", "/resources/key/x", "/esm/key/x/y.js"]
)
def test_what_every_page_loads_is_there_for_strangers_and_browsers_keep_it(path):
    answer = asked_behind_the_door(f"{ROOM}{path}")
    assert (answer.text, answer.headers["cache-control"]) == ("a file", "max-age=3600")


@pytest.mark.parametrize(
    "path",
    [
        "/esm/",
        "/resources/",
        "/esm/key",
        "/esm/key/",
        "/resources//x",
        "/libraries/a%0Ab",
        "/static/%00",
        "/static/../x",
        "/static/",
    ],
)
def test_where_nothing_can_be_a_stranger_asks_the_door_alone(path):
    """NiceGUI would make a page of its own to say so, and keep it for a minute."""
    assert asked_behind_the_door(f"{ROOM}{path}").status_code == 401


def test_what_the_application_says_of_a_file_that_is_not_there_does_not_quote_it():
    answer = asked_behind_the_door(f"{ROOM}/libraries/Nguyen/missing")
    assert answer.status_code == 404
    assert "Nguyen" not in answer.text


def asked_behind_the_door(path):
    """What a stranger is answered where the application has every file but those that are missing."""

    async def app(scope, _receive, send):
        status = 404 if scope["path"].endswith("/missing") else 200
        await send({"type": "http.response.start", "status": status, "headers": [(b"cache-control", b"max-age=3600")]})
        await send({"type": "http.response.body", "body": b"a file" if status == 200 else scope["path"].encode()})

    async def ask():
        transport = httpx.ASGITransport(doors._Middleware(app, Door(Nobody(), KEYRING, tls=False)), client=("127.0.0.1", 5000))
        async with httpx.AsyncClient(transport=transport, base_url="http://console") as stranger:
            return await stranger.get(path)

    return asyncio.run(ask())


class Nobody:
    """A sign-in that knows nobody."""

    async def known(self, _token, _at, *, used):
        return None


def test_health_is_answered_without_a_session_by_the_door_itself_and_metrics_are_not_here(browser):
    assert browser.get("/health").json() == {"status": "ok"}
    assert browser.get("/metrics", headers={"accept": "*/*"}).status_code == 401


def test_who_signs_in_is_known_and_signs_out_again(browser, console):
    answer = sign_in(browser, next_path="/?event=e1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?event=e1")
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("hie="))
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert browser.get("/").text == NAME
    assert browser.post("/act").text == "done"
    token = browser.cookies["hie"]
    assert browser.post("/logout").headers["location"] == "/login"
    browser.cookies.set("hie", token, domain="127.0.0.1")
    assert browser.get("/").status_code == 303


def test_the_forms_of_all_tabs_are_good_until_somebody_is_in(browser):
    tabs = [browser.get("/login", params={"next": f"/?tab={number}"}) for number in range(3)]
    assert enter(browser, tabs[2], "wrong password").status_code == 403
    answer = enter(browser, tabs[0])
    assert (answer.status_code, answer.headers["location"]) == (303, "/?tab=0")
    assert enter(browser, tabs[1]).status_code == 403, "nobody puts the one who is in out by mistake"
    assert browser.get("/").text == NAME


def test_a_cookie_of_a_form_that_is_not_of_our_make_is_replaced(browser):
    browser.cookies.set("hie-form", "mine", domain="127.0.0.1")
    page = browser.get("/login")
    assert re.fullmatch("[0-9a-f]{32}", browser.cookies["hie-form"])
    assert enter(browser, page).status_code == 303


def test_who_is_in_is_led_on_from_the_sign_in_page(browser):
    sign_in(browser)
    answer = browser.get("/login", params={"next": "/?tab=1"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/?tab=1")
    browser.post("/logout")
    assert browser.get("/login").status_code == 200


def test_while_the_database_is_away_the_sign_in_page_is_shown_and_a_new_session_is_not_lost_with_the_old_one():
    class Failing:
        async def known(self, _token, _at, *, used):
            raise PoolTimeout

        async def open(self, *_given):
            return "fresh", None

        async def end(self, _token, _at):
            raise PoolTimeout

    async def story():
        transport = httpx.ASGITransport(application(Door(Failing(), KEYRING, tls=False)), client=("127.0.0.1", 5000))
        headers = {"origin": "http://console", "cookie": f"hie=before; hie-form={'0' * 32}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://console", headers=headers) as browser:
            page = await browser.get("/login")
            answer = await browser.post(
                "/login", data={"name": NAME, "password": PASSWORD, "token": KEYRING.hash("console-form", "0" * 32)}
            )
            return page.status_code, answer.status_code, answer.headers.get_list("set-cookie")[0].split(";")[0]

    assert asyncio.run(story()) == (200, 303, "hie=fresh")


def test_a_new_sign_in_ends_the_session_that_was(browser):
    page = browser.get("/login")
    enter(browser, page)
    before = browser.cookies["hie"]
    assert (
        enter(browser, enter(browser, page)).status_code == 303
    )  # the form was old by then; the page that says so has a new one
    assert browser.cookies["hie"] != before
    again = httpx.Client(base_url=browser.base_url, cookies={"hie": before}, headers={"accept": "text/html"})
    with again:
        assert again.get("/").status_code == 303


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "https://127.0.0.1"])
def test_what_another_page_sends_is_refused(browser, origin):
    sign_in(browser)
    headers = {"origin": origin}
    assert browser.post("/act", headers=headers).status_code == 403
    assert browser.post("/login", headers=headers).status_code == 403


@pytest.mark.parametrize("token", ["", "0" * 32])
def test_a_form_without_its_token_is_refused(browser, token):
    answer = sign_in(browser, token=token)
    assert answer.status_code == 403
    assert "hie" not in browser.cookies


def test_a_form_of_another_browser_is_refused(browser):
    page = httpx.get(f"{browser.base_url}/login").text
    token = re.search(r'name="token" value="([^"]*)"', page)[1]
    assert sign_in(browser, token=token).status_code == 403


def test_unknown_and_wrong_get_the_same_page_and_too_many_wait(browser, console):
    def plain(answer):
        return re.sub(r'value="[0-9a-f]{32}"', "", answer.text), answer.status_code

    wrong, unknown = sign_in(browser, "wrong password"), sign_in(browser, name="nobody-at-all")
    assert plain(wrong) == plain(unknown) == plain(sign_in(browser, name="no\x00body"))
    assert wrong.status_code == 403
    assert NAME not in wrong.text
    for _ in range(10):
        last = sign_in(browser, "wrong password")
    assert last.status_code == 429
    assert last.headers["retry-after"] == "300"
    assert sign_in(browser).status_code == 429

    async def forget():
        async with console[3].connection() as database:
            await database.execute("truncate person_try")

    console[2](forget())


@pytest.mark.parametrize("change", ["disable", "role"])
def test_who_is_disabled_or_gets_another_role_is_out_at_once(browser, console, change):
    _, people, do, _ = console
    sign_in(browser)
    assert browser.get("/").status_code == 200
    do(people.disable(NAME, "root", "left") if change == "disable" else people.give_role(NAME, "viewer", (), "root", "less"))
    assert browser.get("/").status_code == 303


@pytest.mark.parametrize(
    "wanted, path",
    [
        ("/message?id=1", "/message?id=1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nset-cookie: x", "/"),
        ("", "/"),
        ("/login", "/"),
        ("/" + "a" * 600, "/"),
    ],
)
def test_signing_in_leads_to_paths_of_this_console_only(wanted, path):
    assert own_path(wanted) == path


def test_a_foreign_path_in_the_form_leads_home(browser):
    assert sign_in(browser, next="//evil.example").headers["location"] == "/"


def test_error_pages_say_nothing_of_the_request(browser):
    sign_in(browser)
    for path, status in (("/broken", 500), ("/number", 422), ("/nowhere", 404)):
        answer = browser.get(path, params={"q": "Nguyen-Van-A"})
        assert answer.status_code == status
        assert "Nguyen" not in answer.text
        assert "Nguyen" not in str(answer.headers)


def test_every_answer_is_sealed(browser):
    login = browser.get("/login")
    sign_in(browser)
    for answer in (login, browser.get("/"), browser.get("/nowhere")):
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "same-origin"
    assert "script-src" not in login.headers["content-security-policy"]
    assert "<script" not in login.text


def test_the_login_page_speaks_both_languages(browser):
    assert 'lang="vi"' in browser.get("/login").text
    assert "Sign in" in browser.get("/login?lang=en").text
    other = re.search(r'<footer><a href="([^"]+)"', browser.get("/login?next=/topics%3Fat%3D1").text)[1]
    assert 'name="next" value="/topics?at=1"' in browser.get(unescape(other)).text, "where one wanted to go"


def test_a_websocket_without_a_session_or_of_another_page_is_refused(browser):
    with pytest.raises(InvalidStatus, match="403"):
        socket_of(browser)
    sign_in(browser)
    with pytest.raises(InvalidStatus, match="403"):
        socket_of(browser, origin="http://evil.example")
    with pytest.raises(InvalidStatus, match="403"):
        socket_of(browser, path="/_nicegui_ws/socket.io/")
    with socket_of(browser) as link:
        link.send("3")
        assert link.recv(5) == f"{NAME} 3"


def test_nobody_takes_the_room_of_all_others_with_open_pages(browser, monkeypatch):
    monkeypatch.setattr(doors, "_PAGES_MAX", 2)
    sign_in(browser)
    with socket_of(browser), socket_of(browser) as second:
        with pytest.raises(InvalidStatus, match="403"), socket_of(browser):
            pass
        second.close()
        for _ in range(200):
            try:
                with socket_of(browser):
                    return
            except InvalidStatus:
                time.sleep(0.02)
    raise AssertionError("a page that was closed has left no room")


def test_socket_io_without_a_websocket_is_refused(browser):
    sign_in(browser)
    assert browser.get("/_nicegui_ws/socket.io/?EIO=4&transport=polling").status_code == 403


def test_an_open_page_is_taken_away_when_the_session_ends(browser, console):
    _, people, do, _ = console
    sign_in(browser)
    with socket_of(browser) as link:
        link.send("3")
        link.recv(5)
        do(people.disable(NAME, "root", "left"))
        link.send('42["event",{"id":1,"client_id":"a-page-that-is-no-more"}]')  # a click does nothing any more, at once
        assert link.recv(5) == '42["open",{"path":"/login","new_tab":false}]'


def test_what_is_noted_later_comes_to_the_audit_whatever_happened_before(monkeypatch):
    monkeypatch.setattr(doors, "_TELL_S", 0)
    rounds = iter([doors.HubError("BROKER_UNAVAILABLE", "audit"), PoolTimeout(), ValueError("nobody expected this"), None])
    told = asyncio.Event()

    async def tell():
        if (wrong := next(rounds)) is not None:
            raise wrong
        told.set()
        await asyncio.sleep(60)

    async def run():
        telling = asyncio.create_task(Door(None, KEYRING, tls=False, tell=tell).telling())
        await asyncio.wait_for(told.wait(), 5)
        telling.cancel()

    asyncio.run(run())


def test_cookies_of_another_program_on_this_host_do_not_hide_ours():
    door = Door(None, KEYRING, tls=False)
    for others in ('x={"a":1}', "foo[bar]=1", "bare", "a(b)=1", 'q="x y', "tên=an"):
        headers = Headers(raw=[(b"cookie", f"{others}; hie=token; hie-form=nonce".encode("latin-1", "ignore"))])
        assert door.tokens(headers) == ("token", "nonce"), others


def test_with_tls_the_cookie_is_of_this_host_and_secure_only(url):
    with served(url, tls=True) as (host, *_), httpx.Client(base_url=f"http://{host}") as browser:
        cookie = browser.get("/login").headers["set-cookie"]
        assert cookie.startswith("__Host-hie-form=")
        assert "; Secure" in cookie
        assert browser.post("/login", headers={"origin": f"http://{host}"}).status_code == 403


@pytest.mark.parametrize(
    "home, name, secure",
    [("https://hub.example", "__Host-hie", True), ("http://127.0.0.1:8083", "hie", False), ("", "hie", False)],
)
def test_behind_a_proxy_that_speaks_tls_all_cookies_are_of_tls_too(home, name, secure):
    door = doors.door(read_settings(console_url=home, key_secret="a secret of tests only"), None)
    door.signin.close()
    for cookie, kind in ((door.setting("x"), ""), (door.setting("x", form=True), "-form"), (door.way("x"), "-oidc")):
        assert cookie.startswith(f"{name}{kind}=x; Path=/; HttpOnly")
        assert ("; Secure" in cookie) is secure


def test_without_tls_only_this_machine_is_served():
    async def asked(client):
        door = Door(Nobody(), KEYRING, tls=False)
        transport = httpx.ASGITransport(application(door), client=(client, 5000))
        async with httpx.AsyncClient(transport=transport, base_url="http://console") as browser:
            return (await browser.get("/login")).status_code, (await browser.get("/health")).status_code

    for near in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):  # the last one as a socket of both families names it
        assert asyncio.run(asked(near)) == (200, 200)
    for far in ("10.0.0.7", "::ffff:10.0.0.7"):
        assert asyncio.run(asked(far)) == (403, 403)


def test_outside_of_a_request_nobody_is_signed_in():
    with pytest.raises(doors.HubError, match="CREDENTIAL_WRONG"):
        person()
