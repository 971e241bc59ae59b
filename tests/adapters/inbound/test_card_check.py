"""The card check, between a hospital's client and another gateway on a real socket."""

import asyncio
import json

import pytest
from fastapi import FastAPI, Request, Response
from pydantic import ValidationError

from adapters.inbound import card_check
from adapters.inbound.card_check import Breaker, CardCheck
from hub.contract.errors import HubError
from hub.contract.settings import Settings
from tests.adapters.inbound.offline import KEYRING
from tests.adapters.inbound.served import served

BODY = b'{"maThe":"DN4010116149000",  "hoTen":"L\xc3\xaa V\xc4\x83n B\xc3\xacnh"}'


class Register:
    """The other gateway: one account, tokens that it may forget, answers as told."""

    def __init__(self):
        self.logins, self.asked, self.status = 0, [], 200
        self.valid = set()

    def api(self):
        api = FastAPI()

        @api.post("/api/token/take")
        async def take(request: Request):
            self.logins += 1
            if b"password=right" not in await request.body():
                return {"maKetQua": "401", "APIKey": None}
            self.valid.add(f"T{self.logins}")
            return {"maKetQua": "200", "APIKey": {"access_token": f"T{self.logins}", "id_token": f"I{self.logins}"}}

        @api.post("/api/egw/KQNhanLichSuKCB2024")
        async def check(request: Request):
            self.asked.append((dict(request.query_params), await request.body(), request.headers["content-type"]))
            if request.query_params["token"] not in self.valid:
                return {"maKetQua": "501"}
            return Response(b'{"maKetQua":"000","ghiChu":"\xc4\x91\xc3\xbang"}', self.status, media_type="application/json")

        return api


@pytest.fixture(scope="module")
def running():
    register = Register()
    with served(register.api) as address:
        yield register, address


@pytest.fixture
def register(running):
    register, _ = running
    register.__init__()
    return register


def asked(address, *passwords, between=lambda: None):
    """The answers of one process to checks with these passwords: body, or the code of what stopped them."""

    async def ask():
        cards, answers = CardCheck(address, KEYRING), []
        for password in passwords:
            try:
                answers.append((await cards.ask("01021_BV", password, BODY, "application/json; charset=utf-8")).body)
            except HubError as stop:
                answers.append(stop.code)
            between()
        await cards.close()
        return answers

    return asyncio.run(ask())


def test_body_and_answer_pass_unchanged_in_a_session_of_the_callers_own_account(running, register):
    first, second = asked(running[1], "right", "right")
    assert first == second == b'{"maKetQua":"000","ghiChu":"\xc4\x91\xc3\xbang"}'
    query, body, kind = register.asked[0]
    assert (body, kind) == (BODY, "application/json; charset=utf-8")
    assert query == {"token": "T1", "id_token": "I1", "username": "01021_BV", "password": "right"}
    assert register.logins == 1, "the session is kept"


def test_a_session_that_the_other_side_forgot_is_opened_anew_and_the_check_made_again(running, register):
    answers = asked(running[1], "right", "right", between=register.valid.clear)
    assert [json.loads(answer)["maKetQua"] for answer in answers] == ["000", "000"]
    assert register.logins == 2


def test_an_account_that_the_other_side_does_not_know_gets_its_refusal(running, register):
    [answer] = asked(running[1], "wrong")
    assert json.loads(answer)["maKetQua"] == "401" and register.asked == []


def test_after_five_failures_nobody_is_asked_for_a_while(running, register):
    register.status = 502
    assert asked(running[1], *["right"] * 8) == ["CARD_CHECK_SILENT"] * 8
    assert len(register.asked) == 5


def test_one_that_does_not_listen_is_silent():
    assert asked("http://127.0.0.1:1", "right") == ["CARD_CHECK_SILENT"]


def test_too_many_at_once_are_not_queued(running, register, monkeypatch):
    monkeypatch.setattr(card_check, "_AT_ONCE", 0)
    assert asked(running[1], "right") == ["CARD_CHECK_SILENT"] and register.logins == 0


def test_the_breaker_closes_with_one_success():
    breaker = Breaker()
    for _ in range(5):
        breaker.failed(100.0)
    assert not breaker.closed(129.9) and breaker.closed(130.0)
    breaker.failed(130.0)
    assert not breaker.closed(159.0)
    breaker.worked()
    assert breaker.closed(131.0)


@pytest.mark.parametrize("url", ["http://gateway.example", "https://", "gateway.example", "ftp://127.0.0.1"])
def test_the_other_gateway_is_asked_over_tls_unless_it_is_on_this_machine(url):
    with pytest.raises(ValidationError, match="HIE_CARD_CHECK_URL"):
        Settings(card_check_url=url)
    assert Settings(card_check_url="http://127.0.0.1:9/").card_check_url and Settings(card_check_url="https://gateway.example")
