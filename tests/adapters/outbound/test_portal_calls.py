"""The gateway's calls as a client: against the hub's own door of the same calls, and a portal that does whatever it is told."""

import asyncio
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from adapters.formats.gateway_calls import receipt, token_answer
from adapters.outbound.portal_calls import Answer, PortalCalls, _lifetime_s, read_portal
from adapters.outbound.portal_simulator import PASSWORD, SimulatedPortal
from hub.access.passwords import as_sent
from hub.contract.errors import HubError
from hub.contract.events import now
from tests.adapters.inbound.certificates import Authority
from tests.adapters.inbound.test_insurance_gateway import ACCOUNTS, CHECK_IN, CLAIM, running
from tests.adapters.outbound.serving import serving

LIMIT_S = 60
FILE = b"<GIAMDINHHS/>"


def run(work):
    return asyncio.run(asyncio.wait_for(work, LIMIT_S))


def portal_file(folder, address, *, user="01021_BV", password="mat khau", facility="01021", more=""):
    (folder / "password").write_text(f"{password}\n", "utf-8")
    path = folder / "portal.toml"
    path.write_text(f'address = "{address}"\n{more}\n[account.{facility}]\nuser = "{user}"\npassword_file = "password"\n')
    return path


async def sent(path, *files, facility="01021"):
    """What became of each file: the answer, or code and place of the error."""
    calls = PortalCalls(read_portal(path))
    found = []
    try:
        for file in files:
            try:
                found.append(await calls.send(facility, file))
            except HubError as wrong:
                found.append((wrong.code, wrong.where))
    finally:
        await calls.close()
    return found


class Scripted:
    """A real listener: an HTTP answer to each call, by its path and number; bytes as they are, None closes the link."""

    def __init__(self, answers):
        self.answers = answers
        self.calls = []
        self.heads = []

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                size = next(int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length"))
                body = await reader.readexactly(size)
                path = head.split()[1]
                self.calls.append((path, body))
                self.heads.append(head)
                answer = self.answers(path, len([one for one in self.calls if one[0] == path]))
                answer = await answer if asyncio.iscoroutine(answer) else answer
                if answer is None:
                    return
                writer.write(answer)
                await writer.drain()
        except (EOFError, ConnectionError):
            return
        finally:
            writer.close()


def http(body, status=200):
    return b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body


TOKEN = http(token_answer("acc", "id", "u", now() + timedelta(hours=1)))
TAKEN = http(receipt("200", "GD1", now(), "ok"))


@asynccontextmanager
async def scripted(answers, token=TOKEN):
    portal = Scripted(lambda path, number: token if path.endswith("take") and token else answers(path, number))
    async with serving(portal.serve) as port:
        portal.address = f"http://127.0.0.1:{port}"
        yield portal


def outcome(tmp_path, answers, files=(FILE,), token=TOKEN, more=""):
    """What became of each file, and the calls that came."""

    async def work():
        async with scripted(answers, token) as portal:
            return await sent(portal_file(tmp_path, portal.address, more=more), *files), portal

    return run(work())


# --- the hub's own door -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    folder = tmp_path_factory.mktemp("door")
    (folder / "credentials.toml").write_text(ACCOUNTS)
    with running(folder, credentials=folder / "credentials.toml") as hub:
        yield hub


def test_the_hubs_own_door_takes_a_claim_and_names_its_transaction(door, tmp_path):
    for standard in ("3176", "4750"):
        [answer] = run(sent(portal_file(tmp_path, door.address, more=f'standard = "{standard}"'), CLAIM))
        assert answer.accepted
        assert answer.transaction == door.brokers.messages()[-1]["message_id"]


def test_it_refuses_with_its_code_and_sentence(door, tmp_path):
    [answer] = run(sent(portal_file(tmp_path, door.address), CHECK_IN.replace(b"XML0", b"XML13")))
    assert (answer.code, answer.accepted) == ("202", False)
    assert "NOTHING_REPRESENTABLE" in answer.told


def test_a_wrong_password_or_facility_is_the_accounts_fault(door, tmp_path):
    assert run(sent(portal_file(tmp_path, door.address, password="another"), CLAIM)) == [("PORTAL_LOGIN_REFUSED", "01021")]
    [answer] = run(sent(portal_file(tmp_path, door.address, facility="01731"), CLAIM, facility="01731"))
    assert answer == ("PORTAL_LOGIN_REFUSED", "01731")


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_one_token_serves_until_it_ends_and_a_new_one_is_taken_then(tmp_path):
    with SimulatedPortal() as portal:
        path = portal.file(tmp_path)

        async def work():
            calls = PortalCalls(read_portal(path))
            before = [await calls.send("01021", b"<x/>") for _ in range(3)]
            portal._tokens.clear()  # the portal forgot it
            after = [await calls.send("01021", b"<x/>") for _ in range(2)]
            await calls.close()
            return [*before, *after]

        answers = run(work())
    assert {answer.code for answer in answers} == {"201"}
    assert portal.logins == 2


def test_several_that_need_a_token_take_one(tmp_path):
    with SimulatedPortal() as portal:
        path = portal.file(tmp_path)

        async def work():
            calls = PortalCalls(read_portal(path))
            await asyncio.gather(*(calls.send("01021", b"<x/>") for _ in range(6)))
            portal._tokens.clear()
            await asyncio.gather(*(calls.send("01021", b"<x/>") for _ in range(6)))
            await calls.close()

        run(work())
    assert portal.logins == 2


@pytest.mark.parametrize("code", ["401", "501"])
def test_a_token_that_is_never_taken_is_renewed_once_and_then_told(tmp_path, code):
    found, portal = outcome(tmp_path, lambda *_: http(receipt(code, "", now(), "Token không đúng")))
    assert found == [("PORTAL_LOGIN_REFUSED", "01021")]
    assert [path for path, _body in portal.calls].count("/api/token/take") == 2


def test_a_refused_account_is_left_alone_for_a_while_however_many_files_wait_for_it(tmp_path):
    async def work():
        async with scripted(lambda *_: TAKEN, token=http(receipt("401", "", now(), "Sai tài khoản"))) as portal:
            calls = PortalCalls(read_portal(portal_file(tmp_path, portal.address)))
            found = await asyncio.gather(*(calls.send("01021", FILE) for _ in range(6)), return_exceptions=True)
            rests = calls.rests("01021"), calls.rests("01731")
            await calls.close()
            return [error.code for error in found], rests, len(portal.calls)

    assert run(work()) == (["PORTAL_LOGIN_REFUSED"] * 6, (True, False), 1)


def test_http_401_without_a_word_counts_too(tmp_path):
    found, _portal = outcome(tmp_path, lambda _path, number: http(b"", 401) if number == 1 else TAKEN)
    assert found == [Answer("200", "GD1", "ok")]


def test_a_password_that_changes_is_read_anew(tmp_path):
    passwords = []

    async def work():
        async with scripted(lambda _path, number: http(receipt("501", "", now(), "")) if number == 2 else TAKEN) as portal:
            calls = PortalCalls(read_portal(portal_file(tmp_path, portal.address, password="first")))
            await calls.send("01021", FILE)
            (tmp_path / "password").write_text("second")
            await calls.send("01021", FILE)
            await calls.close()
            passwords.extend(body.decode().split("password=")[1] for path, body in portal.calls if path.endswith("take"))

    run(work())
    assert passwords == [as_sent("first"), as_sent("second")]


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        ("2026-06-23T01:30:00.0000000Z", 29 * 60),
        ("2026-06-23T09:00:00.0000000Z", 50 * 60),  # 50 minutes at most, whatever is stated
        ("2026-06-23T00:00:00Z", 50 * 60),  # this clock or that one is wrong: the portal will say
        ("", 50 * 60),
    ],
)
def test_how_long_a_token_is_used(stated, seconds):
    assert _lifetime_s(stated, datetime(2026, 6, 23, 1, 0, tzinfo=UTC)) == seconds


# --- answers that say nothing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        http(b"", 500),
        http(receipt("200", "GD1", now(), "ok"), 503),
        http(b"<html>maintenance</html>"),
        http(b"[]"),
        http(orjson.dumps({"thongDiep": "ok"})),
        http(receipt("200", "", now(), "without a transaction")),
        http(receipt("500", "", now(), "")),
        http(receipt("124", "", now(), "")),
        http(receipt("408", "", now(), "")),
        b"HTTP/1.1 200 x\r\nContent-Length: 400\r\n\r\n" + b'{"maKetQua":"200","maGiaoDich":"GD',
        None,
    ],
)
def test_what_is_no_word_of_the_portal_is_none(tmp_path, answer):
    cut = answer is not None and b"Length: 400" in answer

    def answers(_path, _number):
        return answer

    more = "wait_s = 1.0" if cut else ""
    found, _portal = outcome(tmp_path, answers, more=more)
    assert found == [("RECIPIENT_UNREACHABLE", "answer")]


def test_a_late_answer_is_never_anothers(tmp_path):
    """The first file is answered after its time; the second is answered by its own."""

    async def late():
        await asyncio.sleep(1.0)
        return http(receipt("200", "OF-THE-FIRST", now(), ""))

    found, _portal = outcome(
        tmp_path,
        lambda _path, number: late() if number == 1 else http(receipt("202", "", now(), "of the second")),
        (FILE, FILE + b" "),
        more="wait_s = 0.5",
    )
    assert found == [("RECIPIENT_UNREACHABLE", "answer"), Answer("202", "", "of the second")]


def test_a_portal_that_is_not_there(tmp_path):
    assert run(sent(portal_file(tmp_path, "http://127.0.0.1:1"), FILE)) == [("RECIPIENT_UNREACHABLE", "connect")]


def test_a_login_that_the_portal_cannot_answer_is_not_the_accounts_fault(tmp_path):
    for token in (http(b"", 502), http(receipt("500", "", now(), "")), http(orjson.dumps({"maKetQua": "200"}))):
        found, _portal = outcome(tmp_path, lambda *_: TAKEN, token=token)
        assert found == [("RECIPIENT_UNREACHABLE", "login")]


def test_an_answer_without_end_is_cut_off(tmp_path):
    found, _portal = outcome(tmp_path, lambda *_: http(b" " * 300_000 + receipt("200", "GD1", now(), "")))
    assert found == [("RECIPIENT_UNREACHABLE", "answer")]


def test_calls_keep_to_the_rate(tmp_path):
    async def work():
        async with scripted(lambda *_: TAKEN) as portal:
            loop = asyncio.get_running_loop()
            began = loop.time()
            await sent(portal_file(tmp_path, portal.address, more="calls_per_s = 20"), *[FILE] * 10)
            return loop.time() - began

    assert run(work()) >= 10 / 20  # never less: a slow machine only takes longer


# --- what is kept to itself -------------------------------------------------------------------------------------------


def test_neither_addresses_nor_errors_nor_logs_hold_the_password(tmp_path, caplog):
    caplog.set_level("DEBUG")
    found, portal = outcome(tmp_path, lambda *_: http(b"", 500))
    secrets = ("mat khau", as_sent("mat khau"), "acc")
    assert all(secret not in head.split("\r\n")[0] for head in portal.heads for secret in secrets)
    assert all(secret not in f"{found}" for secret in secrets[:2])
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("httpx")]
    assert all(secret not in line for line in lines for secret in secrets[:2])


@pytest.mark.parametrize(
    "wrong",
    [
        'address = "http://egw.example.vn"\n',
        'address = "https://user:secret@egw.example.vn"\n',
        'address = "https://egw.example.vn"\nstandard = "130"\n',
        'address = "https://egw.example.vn"\ncalls = 1\n',
        'address = "https://egw.example.vn"\n[account.01021]\nuser = "u"\npassword_file = "absent"\n',
        'address = "https://egw.example.vn"\nauthorities = "absent.pem"\n',
        "address = [",
    ],
)
def test_the_file_is_checked_and_no_value_is_told(tmp_path, wrong):
    path = tmp_path / "portal.toml"
    path.write_text(wrong)
    with pytest.raises(HubError) as raised:
        read_portal(path)
    assert raised.value.code == "SETTING_WRONG"
    assert "secret" not in str(raised.value)
    assert read_portal(None) is None


def test_only_a_portal_that_a_known_authority_vouches_for_is_told_anything(tmp_path):
    pair = Authority(tmp_path, "portal").sign("of-the-portal")
    heard = []

    async def work():
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pair.certificate, pair.key)

        async def serve(reader, writer):
            heard.append(await reader.read(100))
            writer.close()

        async with serving(serve, ssl=context) as port:
            return await sent(portal_file(tmp_path, f"https://127.0.0.1:{port}"), FILE)

    assert run(work()) == [("RECIPIENT_UNREACHABLE", "connect")]
    assert heard == []


def test_the_simulated_portal_wants_its_password(tmp_path):
    with SimulatedPortal() as portal:
        path = portal.file(tmp_path)
        (tmp_path / "portal-password").write_text(PASSWORD[:-1])
        assert run(sent(path, FILE)) == [("PORTAL_LOGIN_REFUSED", "01021")]
