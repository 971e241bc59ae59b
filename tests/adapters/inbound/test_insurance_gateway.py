"""The insurance gateway's calls on a real socket, as a hospital's client of that gateway makes them.

The brokers are lists here; the same client meets the whole hub in `tests/test_journey.py`.
"""

import base64
import hashlib
import json

import httpx
import pytest
from argon2 import PasswordHasher

from adapters.inbound.http_api import build_api
from adapters.inbound.insurance_gateway import Gateway
from hub.access.credentials import Credentials
from hub.access.passwords import as_sent
from hub.contract.places import shipped
from hub.contract.settings import read_settings
from tests.adapters.inbound.offline import KEYRING, offline_gate
from tests.adapters.inbound.served import served

SAMPLES = "seeds/messages/_standard"
CLAIM = shipped(f"{SAMPLES}/claim-outpatient.xml").read_bytes()
CHECK_IN = shipped(f"{SAMPLES}/claim-check-in.xml").read_bytes()
BARE = CHECK_IN[CHECK_IN.index(b"<CHI_TIEU") : CHECK_IN.index(b"</NOIDUNGFILE>")]
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
ACCOUNTS = "".join(
    f'[sender.{name}]\nfacilities = {json.dumps(codes)}\ntest = {test}\ngateway_user = "{user}"\n'
    f'gateway_password = "{CHEAP.hash(as_sent(password))}"\n'
    for name, codes, test, user, password in (
        ("donglinh", ["01021"], "false", "01021_BV", "mat khau"),
        ("group", ["01021", "01731"], "false", "01_GROUP", "of the group"),
        ("trial", ["01021"], "true", "01021_TEST", "trial"),
    )
)


class Hospital:
    """A client of the insurance gateway that knows nothing of this hub but its address."""

    def __init__(self, address, user, password, *, as_json=False):
        self.http = httpx.Client(base_url=address, timeout=60)
        self.user, self.md5, self.as_json = user, hashlib.md5(password.encode()).hexdigest().upper(), as_json
        self.headers = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.close()

    def post(self, path, fields, headers=None):
        packed = {"json": fields} if self.as_json else {"data": fields}
        return self.http.post(path, headers=headers or {}, **packed)

    def login(self):
        answer = self.post("/api/token/take", {"username": self.user, "password": self.md5}).json()
        if answer["maKetQua"] == "200":
            key = answer["APIKey"]
            self.headers = {"accessToken": key["access_token"], "tokenId": key["id_token"], "passwordHash": self.md5}
        return answer

    def send(self, path, raw, facility="01021", **fields):
        stated = {
            "username": self.user,
            "loaiHoSo": "0" if "checkIn" in path else "130",
            "maTinh": facility[:2],
            "maCSKCB": facility,
            "fileHSBase64": base64.b64encode(raw).decode(),
        } | fields
        return self.post(path, {name: value for name, value in stated.items() if value is not None}, self.headers)

    def claim(self, raw=CLAIM, facility="01021", **fields):
        return self.send("/api/qd130/guiHoSoXmlQD4750", raw, facility, **fields).json()


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A running gate with accounts: its address, and what its brokers hold."""
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "credentials.toml").write_text(ACCOUNTS)
    with running(folder, credentials=folder / "credentials.toml", message_bytes_max=1024 * 1024) as hub:
        yield hub


def running(folder, held_bytes_max=2**30, **changes):
    # No database listens there: look-ups fail, and nothing else may.
    settings = read_settings(data_dir=folder, database_url="postgresql://nobody@127.0.0.1:1/none", **changes)
    made = []

    def build():
        gate, brokers = offline_gate(folder)
        credentials = Credentials.open(settings.credentials)
        api = build_api(settings, gate, credentials, brokers, held_bytes_max=held_bytes_max)
        gateway = Gateway(settings, gate, credentials, KEYRING, api.state.room)
        made.extend((gate, gateway, brokers))
        gateway.mount(api)
        return api

    class Running:
        def __enter__(self):
            self.serving = served(build, lambda: (made[0].close(), made[1].close())[1])
            self.address = self.serving.__enter__()
            self.brokers = made[2]
            return self

        def __exit__(self, *_):
            self.serving.__exit__(None, None, None)

    return Running()


@pytest.fixture
def hospital(hub):
    hub.brokers.held.clear()
    hub.brokers.fail_after = None
    with Hospital(hub.address, "01021_BV", "mat khau") as one:
        assert one.login()["maKetQua"] == "200"
        yield one


def event_ids(brokers, topic):
    return [event["meta"]["event_id"] for event in brokers.of(topic)]


# --- token ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_json", [False, True])
def test_a_client_logs_in_by_form_or_json(hub, as_json):
    with Hospital(hub.address, "01021_bv", "mat khau", as_json=as_json) as one:
        answer = one.login()
    assert list(answer) == ["maKetQua", "APIKey"]
    assert list(answer["APIKey"]) == ["access_token", "id_token", "token_type", "username", "expires_in"]
    assert answer["APIKey"]["username"] == "01021_BV"


def test_a_wrong_password_is_401_inside_and_opens_nothing(hub):
    with Hospital(hub.address, "01021_BV", "wrong") as one:
        answer = one.login()
        assert answer["maKetQua"] == "401" and answer["APIKey"] is None
        assert one.claim()["maKetQua"] == "401"


def test_who_is_nobody_is_told_so_before_a_file_is_read(hub):
    with Hospital(hub.address, "01021_BV", "wrong") as one:
        answer = one.send("/api/qd130/guiHoSoXmlQD4750", b"x" * 1024 * 1024)
    assert answer.json()["maKetQua"] == "401" and answer.headers["connection"] == "close"


def test_a_call_needs_all_three_headers_of_one_login(hub, hospital):
    right = dict(hospital.headers)
    for name, value in [("accessToken", ""), ("tokenId", right["accessToken"]), ("passwordHash", "0" * 32)]:
        hospital.headers = right | {name: value}
        assert hospital.claim()["maKetQua"] == "401", name
    hospital.headers = right
    assert hospital.claim(username="01_GROUP")["maKetQua"] == "401"
    assert hub.brokers.held == []


def test_an_expired_token_is_501_so_that_the_client_logs_in_again(tmp_path):
    with running(tmp_path, gateway_token_s=0.000001) as hub, Hospital(hub.address, "any", "thing") as one:
        one.login()
        answer = one.claim()
    assert answer["maKetQua"] == "501" and "TOKEN_EXPIRED" in answer["thongDiep"]


def test_on_a_hub_without_credentials_any_account_on_this_machine_will_do(tmp_path):
    with running(tmp_path) as hub, Hospital(hub.address, "01021_BV", "anything") as one:
        assert one.login()["maKetQua"] == "200" and one.claim()["maKetQua"] == "200"


def test_passwords_travel_over_tls_or_from_this_machine_only(hub):
    """As a proxy on this machine tells it, which is where TLS may end."""
    form = {"username": "01021_BV", "password": as_sent("mat khau")}
    far = {"X-Forwarded-For": "203.0.113.7"}
    plain = httpx.post(f"{hub.address}/api/token/take", data=form, headers=far | {"X-Forwarded-Proto": "http"}).json()
    assert plain["maKetQua"] == "403" and "TLS_REQUIRED" in plain["thongDiep"]
    over_tls = httpx.post(f"{hub.address}/api/token/take", data=form, headers=far | {"X-Forwarded-Proto": "https"}).json()
    assert over_tls["maKetQua"] == "200"


# --- check-in and claim -----------------------------------------------------------------------------------------------


def test_a_claim_is_taken_with_a_transaction_that_is_its_message(hub, hospital):
    answer = hospital.claim()
    assert list(answer) == ["maKetQua", "maGiaoDich", "thoiGianTiepNhan", "thongDiep"]
    assert answer["maKetQua"] == "200" and len(answer["thoiGianTiepNhan"]) == 14
    [message], [claim] = hub.brokers.of("message-received.v1"), hub.brokers.of("claim.v1")
    assert message["message_id"] == answer["maGiaoDich"] == claim["meta"]["message_id"]
    assert (message["sender"], message["transport"], message["raw"]) == ("donglinh", "gateway", CLAIM)


@pytest.mark.parametrize(
    "path",
    ["/api/qd130/guiHoSoXmlQD4750", "/api/qd130/guiHoSoXmlQD3176", "/api/qd130/guiHoSoXmlQD130", "/API/QD130/guihosoxmlqd4750"],
)
def test_every_path_of_the_field_works_in_any_case(hospital, path):
    assert hospital.send(path, CLAIM).json()["maKetQua"] == "200"


def test_json_works_as_well_as_a_form(hub):
    with Hospital(hub.address, "01021_BV", "mat khau", as_json=True) as one:
        one.login()
        assert one.claim()["maKetQua"] == "200"


def test_events_equal_those_of_the_same_envelope_by_the_hubs_own_call(tmp_path):
    with running(tmp_path) as hub, Hospital(hub.address, "01021_BV", "anything") as one:
        one.login()
        assert one.claim()["maKetQua"] == "200"
        assert httpx.post(f"{hub.address}/v1/messages", content=CLAIM, timeout=60).status_code == 200
        by_gateway, by_http = hub.brokers.of("claim.v1")
    for event in (by_gateway, by_http):  # when it came, and under which message
        event["meta"]["revision"]["received_at"] = event["meta"]["message_id"] = None
    assert by_gateway == by_http


def test_a_resend_is_a_transaction_of_its_own_and_the_same_event(hub, hospital):
    first, second = hospital.claim(), hospital.claim()
    assert first["maKetQua"] == second["maKetQua"] == "200" and first["maGiaoDich"] != second["maGiaoDich"]
    assert len(set(event_ids(hub.brokers, "claim.v1"))) == 1
    assert {one["events"][0]["event_id"] for one in hub.brokers.of("message-received.v1")} == set(
        event_ids(hub.brokers, "claim.v1")
    )


@pytest.mark.parametrize("raw", [CHECK_IN, BARE, b"\xef\xbb\xbf" + BARE], ids=["envelope", "bare table", "bare table with BOM"])
@pytest.mark.parametrize("path", ["checkInKcbQd4750", "checkInKcbQd3176"])
def test_a_check_in_opens_the_encounter_in_an_envelope_or_bare(hub, hospital, raw, path):
    answer = hospital.send(f"/api/qd130/{path}", raw).json()
    assert answer["maKetQua"] == "200", answer
    [encounter] = hub.brokers.of("encounter.v1")
    assert (encounter["action"], encounter["ma_lk"], encounter["ma_cskcb"]) == ("OPENED", "01021.2611.0050", "01021")
    [message] = hub.brokers.of("message-received.v1")
    assert message["transport"] == "gateway-check-in"


@pytest.mark.parametrize(
    ("raw", "result", "code", "verdict"),
    [
        (b"<GIAMDINHHS><broken>", "201", "XML_MALFORMED", "quarantined"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><GIAMDINHHS>&a;</GIAMDINHHS>', "201", "XML_FORBIDDEN", "quarantined"),
        (b"PK\x03\x04 a zip", "123", "FORMAT_UNKNOWN", "quarantined"),
        (shipped(f"{SAMPLES}/claim-two-hoso.xml").read_bytes(), "202", "SEVERAL_MESSAGES", "quarantined"),
        (shipped(f"{SAMPLES}/claim-key-missing.xml").read_bytes(), "202", "FIELD_MISSING", "refused"),
        (CLAIM.replace(b"<MACSKCB>01021<", b"<MACSKCB>01731<"), "403", "FACILITY_NOT_ENTITLED", "refused"),
    ],
    ids=["broken", "entities", "zip", "two HOSO", "no MA_LK", "another facility in the file"],
)
def test_a_file_that_is_not_taken_has_its_code_and_its_bytes_are_kept(hub, hospital, raw, result, code, verdict):
    answer = hospital.claim(raw)
    assert answer["maKetQua"] == result and f"[{code}" in answer["thongDiep"]
    [message] = hub.brokers.of("message-received.v1")
    assert (message["message_id"], message["verdict"], message["raw"]) == (answer["maGiaoDich"], verdict, raw)
    assert hub.brokers.of("claim.v1") == []


def test_what_is_no_base64_is_kept_as_it_came(hub, hospital):
    answer = hospital.claim(fileHSBase64="no base64, at all")
    assert answer["maKetQua"] == "123"
    assert hub.brokers.of("message-received.v1")[0]["raw"] == b"no base64, at all"


def test_the_facility_of_the_call_must_be_the_accounts_and_a_file_of_another_is_refused_even_of_a_group(hub, hospital):
    assert hospital.claim(facility="01731")["maKetQua"] == "403"
    [message] = hub.brokers.of("message-received.v1")
    assert message["verdict"] == "refused" and message["raw"] == CLAIM
    with Hospital(hub.address, "01_GROUP", "of the group") as group:
        group.login()
        assert group.claim(facility="01021")["maKetQua"] == "200"
        mixed = group.claim(facility="01731")
    assert mixed["maKetQua"] == "403" and "MACSKCB" in mixed["thongDiep"]


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        ({"loaiHoSo": "3"}, "205"),
        ({"maCSKCB": None}, "205"),
        ({"maCSKCB": "<x/>"}, "205"),
        ({"fileHSBase64": ""}, "204"),
        ({"fileHSBase64": None}, "204"),
        ({"loaiHoSo": None, "maTinh": None}, "200"),
    ],
)
def test_parameters_are_checked_and_what_is_not_needed_may_be_missing(hospital, fields, result):
    assert hospital.claim(**fields)["maKetQua"] == result


def test_a_test_account_sends_test_traffic(hub):
    hub.brokers.held.clear()
    with Hospital(hub.address, "01021_TEST", "trial") as trial:
        trial.login()
        assert trial.claim()["maKetQua"] == "200"
    assert hub.brokers.of("claim.v1")[0]["meta"]["test"] is True


def test_too_large_a_file_is_1001_and_recorded_with_its_beginning(hub, hospital):
    large = CLAIM + b" " * 1024 * 1024
    answer = hospital.claim(large)
    assert answer["maKetQua"] == "1001"
    [message] = hub.brokers.of("message-received.v1")
    assert message["raw_size"] == len(large) and large.startswith(message["raw"]) and message["raw"]
    enormous = hospital.claim(CLAIM + b" " * 3 * 1024 * 1024)
    assert enormous["maKetQua"] == "1001"


def test_a_file_of_many_chunks_is_read_aside(hub, hospital):
    answer = hospital.claim(CLAIM + b"\n" * 400_000)
    assert answer["maKetQua"] == "200"


def test_while_the_brokers_are_away_nothing_is_taken_and_the_client_may_send_again(hub, hospital):
    hub.brokers.fail_after = 0
    answer = hospital.send("/api/qd130/guiHoSoXmlQD4750", CLAIM)
    assert answer.status_code == 503 and answer.headers["retry-after"]
    assert answer.json()["maKetQua"] == "500" and answer.json()["maGiaoDich"] == ""
    hub.brokers.fail_after = None
    assert hospital.claim()["maKetQua"] == "200"


def test_files_share_the_memory_of_all_requests_and_beyond_it_come_again(tmp_path):
    with running(tmp_path, held_bytes_max=2_000) as hub, Hospital(hub.address, "01021_BV", "anything") as one:
        one.login()
        answers = [one.send("/api/qd130/guiHoSoXmlQD4750", raw) for raw in (b"<a/>", CLAIM, b"<a/>")]
    assert [(answer.status_code, answer.json()["maKetQua"]) for answer in answers] == [(200, "123"), (503, "500"), (200, "123")]


# --- look-ups and card checks -----------------------------------------------------------------------------------------


def older(hospital, **fields):
    """How the older calls state who calls: in the address."""
    names = {"token": "accessToken", "id_token": "tokenId", "password": "passwordHash"}
    return {name: hospital.headers[header] for name, header in names.items()} | {"username": hospital.user} | fields


def test_without_the_database_look_ups_may_be_asked_again_and_claims_go_on(hospital):
    asked = older(hospital, maCSKCB="01021", maGiaoDich="3dfcdf56-e71d-5f27-937e-0bdc8fc58db3")
    answer = hospital.http.post("/api/egw/nhanChiTietLoiHS4210", params=asked)
    assert answer.status_code == 503 and answer.json()["maKetQua"] == "500" and answer.json()["dsLoi"] == []
    assert hospital.claim()["maKetQua"] == "200"


@pytest.mark.parametrize(
    ("call", "fields", "result"),
    [
        ("nhanKQTiepNhanHS4210", {"tuNgay": "01/01/2020", "denNgay": "02/01/2020"}, "205"),
        ("nhanKQTiepNhanHS4210", {"tuNgay": "2020-01-01", "denNgay": "02/01/2020"}, "205"),
        ("nhanKQTiepNhanHS4210", {"tuNgay": "02/01/2020", "denNgay": "01/01/2020"}, "205"),
        ("nhanChiTietHSNgay4210", {"ngayGui": "01/01/2020"}, "205"),
        ("nhanChiTietHSNgay4210", {"ngayGui": "01/01/2020", "loaiHoSo": "9"}, "205"),
        ("nhanChiTietHSNgay4210", {"ngayGui": "01/01/2020", "maCSKCB": "01004"}, "403"),
        ("nhanChiTietHSNgay4210", {"ngayGui": "01/01/2020", "token": "x"}, "401"),
        ("nhanChiTietLoiHS4210", {"maGiaoDich": "none"}, "205"),
        ("../his/KQDanhSachDotGiamDinh", {"thang": "13", "nam": "2026"}, "205"),
        ("../his/KQDanhSachDotGiamDinh", {"thang": "11", "nam": "2026", "maCSKCB": "01004"}, "403"),
        ("../his/KQGiamDinhHoSo", {"maDot": "27/11/2026"}, "205"),
        ("../his/KQGiamDinhHoSo", {"maDot": "20261127"}, "500"),
    ],
)
def test_a_look_up_that_asks_too_much_or_wrongly_is_told(hospital, call, fields, result):
    asked = older(hospital, **{"maCSKCB": "01021", "loaiHoSo": "3"} | fields)
    assert hospital.http.post(f"/api/egw/{call}", params=asked).json()["maKetQua"] == result


def test_without_another_gateway_a_card_check_says_so_in_two_languages(hospital):
    answer = hospital.http.post("/api/egw/KQNhanLichSuKCB2024", params=older(hospital), json={"maThe": "x"}).json()
    assert answer["maKetQua"] == "100"
    assert "HIE_CARD_CHECK_URL" in answer["ghiChu"] and "tra cứu thẻ" in answer["ghiChu"] and "card register" in answer["ghiChu"]


def test_an_account_beyond_its_quota_is_asked_to_come_again(tmp_path):
    file = tmp_path / "credentials.toml"
    file.write_text(ACCOUNTS.replace("[sender.donglinh]\n", "[sender.donglinh]\nmessages_per_minute = 1\n"))
    with running(tmp_path, credentials=file) as hub, Hospital(hub.address, "01021_BV", "mat khau") as one:
        assert one.login()["maKetQua"] == "200"
        assert one.claim()["maKetQua"] == "200"
        held = len(hub.brokers.held)
        answer = one.send("/api/qd130/guiHoSoXmlQD4750", CLAIM)
        assert (answer.status_code, answer.json()["maKetQua"]) == (503, "500") and int(answer.headers["retry-after"]) > 0
        assert len(hub.brokers.held) == held
