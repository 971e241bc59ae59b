"""A profile learned from messages: it loads whatever was seen, finds the habits of a vendor, and shows no patient."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.dialects.evidence import gather
from adapters.dialects.profile import Dialect, compile_text, dialect_names, load_dialect
from adapters.dialects.render import as_hl7
from adapters.dialects.skeleton import skeleton
from adapters.formats.charset import encode
from adapters.inbound.goldens import KEYRING, RECEIVED_AT, flat
from adapters.inbound.received import Received
from adapters.inbound.translate import translate
from hub import simulate
from hub.contract.errors import HubError
from tests.adapters.dialects.goldens import FOLDER, cases, translated
from tests.adapters.dialects.learned import HEAD, events, learned
from tests.adapters.formats.samples import CORPUS, NO_CORPUS, corpus

STANDARD = load_dialect("_standard")


def differences(raws: Iterable[bytes], one: Dialect, other: Dialect) -> set[str]:
    """Fields, without numbers of rows, in which two dialects read other things out of the same messages."""
    found = set()
    for raw in raws:
        first, second = events(raw, one), events(raw, other)
        assert [record for record, _ in first] == [record for record, _ in second]
        for (_, a), (_, b) in zip(first, second, strict=True):
            left, right = flat({**a, "meta": {}}), flat({**b, "meta": {}})
            found |= {re.sub(r"\[\d+\]", "", place) for place in {**left, **right} if left.get(place) != right.get(place)}
    return found


def test_a_card_in_a_segment_of_the_senders_own_is_learned() -> None:
    body = "EVN|A04|20261123080000\rPID|1||77%d^^^01021^MR||Lê^Hoa||19900102|F\rZBH|DN401011234567%d\rPV1|1|O\r"
    raws = [(HEAD % ("HIS", "01021", "ADT^A04", number) + body % (number, number)).encode() for number in range(4)]
    _, said, text = learned(raws)
    assert "cards" not in said.get("identifiers", {}), "a number of that form may be one of the sender's own"
    [row] = [line for line in text.splitlines() if line.startswith("# cards =")]
    dialect = compile_text("mine", f'extends = "_standard"\nversion = "1"\n[identifiers]\n{row.removeprefix("# ")}\n')
    [(_, event)] = events(raws[0], dialect)
    assert "DN4010112345670" in [one["normalised"] for one in event["person"]["identifiers"]]


# --- what a dialect of the hub writes or reads --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["songhong_his", "anhduong_lis"])
def test_what_a_dialect_is_written_in_is_learned_so_that_it_reads_the_same(name: str) -> None:
    dialect = load_dialect(name)
    raws = [
        as_hl7(record, event, dialect, now=datetime(2026, 11, 23, tzinfo=UTC), control_id="C-1", receiving_facility="")
        for path in cases(FOLDER / name)
        for record, event in translated(path).events
    ]
    mine, stated, _ = learned(raws)
    assert stated.get("send", {}) == {
        key: value
        for key, value in dialect.send.model_dump().items()
        if value != load_dialect("_standard").send.model_dump()[key]
    }
    assert mine.charset == dialect.charset
    known = {  # what a person has to say: doctors by login, and what local tests are called
        "songhong_his": {"ma_bac_si"},
        "anhduong_lis": {"observations.code.alt_code", "observations.code.alt_system"},
    }
    assert differences(raws, dialect, mine) <= known[name]


def test_the_habits_of_the_hospital_are_learned_from_its_own_messages() -> None:
    raws = [path.read_bytes() for path in cases(FOLDER / "songhong_his")]
    mine, stated, text = learned(raws)
    assert stated["identifiers"] == {"untyped": True, "number_prefixes": ["CS1-", "CS2-"]}
    assert stated["person"]["ho_ten"] == {"from": "PID-5", "as": "full_name_without_age"}
    assert differences(raws, load_dialect("songhong_his"), mine) == {"ma_bac_si", "xml14.ma_bac_si"}, (
        "logins: nobody can know the licences"
    )
    assert "read by songhong_his.toml" in text


@pytest.mark.parametrize("name", ["NGUYỄN VĂN AN (34T)", "NGUYỄN^AN (34T)^VĂN", "NGUYỄN^VĂN AN 34TUOI"])
def test_ages_behind_names_are_learned_and_leave_the_name_alone(name: str) -> None:
    raw = (HEAD % ("HIS", "01021", "ADT^A04", 1) + f"EVN|A04\rPID|1||7^^^^MR||{name}||19920101|M\rPV1|1|O\r").encode()
    before = translate(Received(raw, RECEIVED_AT, "mllp"), KEYRING)
    assert ("NAME_ODD", "PID-5") in {(problem.code, problem.path) for problem in before.problems}
    mine, stated, _ = learned([raw])
    assert stated["person"]["ho_ten"] == {"from": "PID-5", "as": "full_name_without_age"}
    after = translate(Received(raw, RECEIVED_AT, "mllp"), KEYRING, mine)
    assert "NAME_ODD" not in {problem.code for problem in after.problems}
    (_, event), *_ = after.events
    assert event["person"]["ho_ten"] == "NGUYỄN VĂN AN"
    assert (
        "|NGUYỄN^AN^VĂN|"
        in as_hl7("hie.Encounter", event, STANDARD, now=RECEIVED_AT, control_id="C", receiving_facility="").decode()
    )


def test_the_local_tests_of_the_laboratory_are_a_list_to_be_completed() -> None:
    raws = [path.read_bytes() for path in cases(FOLDER / "anhduong_lis")]
    mine, stated, text = learned(raws)
    assert (mine.charset, stated["send"]["terminator"], stated["send"]["version"]) == ("tcvn3", "lf", "2.3.1")
    assert stated["tests"] == {}
    assert re.search(r'^# GLU = \{ code = "", system = "LN" \} # × 2, Glucose, mmol/L$', text, re.MULTILINE)


def test_a_code_of_loinc_that_lacks_its_system_needs_no_other_code() -> None:
    lines = (
        "OBX|1|NM|2345-7^Glucose||98|mg/dL|||||F\rOBX|2|NM|2345-8^Glucose||98|mg/dL|||||F\rOBX|3|NM|718-7^Hb^LN||140|g/L|||||F\r"
    )
    raw = (HEAD % ("LIS", "01940", "ORU^R01", 1) + f"PID|1||7^^^01021^MR||Lê^Hoa\rOBR|1|5||X\r{lines}").encode()
    _, _, text = learned([raw])
    rows = text.partition("[tests]")[2].splitlines()[2:]
    assert rows == [
        '# 2345-7 = { code = "2345-7", system = "LN" } # × 1, mg/dL; LOINC by its form: so send LN in OBX-3.3, or take the # away',
        '# 2345-8 = { code = "", system = "LN" } # × 1, mg/dL',
    ], "and one that says so needs no row"
    dialect = compile_text("mine", f'extends = "_standard"\nversion = "1"\n[tests]\n{rows[0].removeprefix("# ")}\n')
    [(_, event)] = events(raw, dialect)
    assert event["observations"][0]["code"] == {"code": "2345-7", "system": "LN", "display": "Glucose"}, "not twice"


def test_a_conclusion_is_no_test_that_lacks_a_code() -> None:
    lines = "OBX|1|TX|KL^Kết luận||Viêm||||||F\rOBX|2|TX|DGN^Kết luận||Viêm||||||F\rOBX|3|ST|IMP^Imipenem||S||||||F\r"
    raws = [
        (HEAD % ("LIS", "01940", "ORU^R01", number) + f"PID|1||{number}^^^01021^MR||Lê^Hoa\rOBR|1|5|6|X\r{lines}").encode()
        for number in range(2)
    ]
    _, stated, text = learned(raws)
    assert "DGN" in stated["conclusions"]["codes"]
    assert text.partition("[tests]")[2].splitlines()[2:] == ['# IMP = { code = "", system = "LN" } # × 2, Imipenem']


def test_codes_that_are_looked_up_in_answers_alone_are_asked_for_in_answers_alone() -> None:
    slip = "RF1|N|R|1|||GCT-%d|20261123\rPRD|RP|||||||01021\rPRD|RT|||||||01004\rPID|1||7^^^01021^MR||Lê^Hoa\r"
    for kind, asked in (("REF^I12", False), ("RRI^I12", True)):
        raws = [(HEAD % ("HIS", "01021", kind, number) + slip % number).encode() for number in range(3)]
        assert ("[codes.referral_answer]" in learned(raws)[2]) is asked


# --- a vendor of our own making -----------------------------------------------------------------------------------------


def as_vendor(raw: bytes) -> bytes:
    """A message of the hub's own form as another system would write it: MSH names the branch, sex in words, no types."""
    text = raw.decode().replace("|SIM|01731|", "|MINHTAM|PK1|")
    text = re.sub(r"\|([MF])\r", lambda found: f"|{'NAM' if found[1] == 'M' else 'NU'}\r", text)
    text = re.sub(r"BN(\d+)\^\^\^VN-CSKCB-01004\^MR~(\d+)\^\^\^BCA\^NI", r"PK1-\1^^^VN-CSKCB-01731^BN~\2^^^BCA^CD", text)
    return encode(text.replace("UNICODE UTF-8", "").replace("\r", "\n"), "tcvn3", exact=False)


def test_numbers_that_are_read_together_anyway_need_no_row() -> None:
    raws = [
        f"MSH|^~\\&|HIS|01021|HUB|HUB|20261123080000||ADT^A04|C{n}|P|2.5.1\rEVN|A04\r"
        f"PID|1|H{n}^^^01021^MR|7{n}^^^01021^MR||Lê^Hoa||19900102|F\rPV1|1|O|||||||||||||||||LK{n}\r".encode()
        for n in range(4)
    ]
    assert "identifiers" not in learned(raws)[1]


def test_numbers_in_several_fields_of_pid_are_to_be_read_together() -> None:
    raws = [
        f"MSH|^~\\&|HIS|01021|HUB|HUB|20261123080000||ADT^A04|C{n}|P|2.5.1\rEVN|A04\r"
        f"PID|1||7{n}||Lê^Hoa||19900102|F|||||||||||DN401011614900{n}\rPV1|1|O|||||||||||||||||LK{n}\r".encode()
        for n in range(4)
    ]
    raws[1] = raws[1].replace(b"||71||", b"||71|001190012345|")
    mine, stated, _ = learned(raws)
    assert stated["identifiers"] == {"lists": ["PID-3+PID-4+PID-19"], "untyped": True}
    kinds = [each["type"] for each in events(raws[1], mine)[0][1]["person"]["identifiers"]]
    assert kinds == ["MRN", "SDDCN", "BHYT_CARD", "BHXH_NUMBER"]


def test_the_mothers_numbers_are_none_to_be_read_together_with_the_childs() -> None:
    raws = [
        (
            HEAD % ("HIS", "01021", "ADT^A04", n) + f"PID|1||7{n}^^^^MR||Lê^Hoa||20261101|F{'|' * 13}00119001234{n}\rPV1|1|O\r"
        ).encode()
        for n in range(4)
    ]
    mine, stated, _ = learned(raws)
    assert "lists" not in stated.get("identifiers", {})
    assert [each["value"] for each in events(raws[1], mine)[0][1]["person"]["guardians"][0]["identifiers"]] == ["001190012341"]


@pytest.mark.parametrize(
    ("typed", "bare", "proposed"),
    [("26002{:05}", "26003{:05}", True), ("BN{}", "26003{:05}", False), ("0012900{:05}", "0011900{:05}", False)],
    ids=["one shape", "another shape", "the shape of a citizen's"],
)
def test_bare_numbers_that_look_as_the_typed_ones_of_the_same_sender_are_its_own(typed: str, bare: str, proposed: bool) -> None:
    numbers = [f"{typed.format(n)}^^^^MR" if n % 2 else bare.format(n) for n in range(8)]
    mine, stated, _ = learned(
        (HEAD % ("HIS", "01021", "ADT^A04", n) + f"PID|1||{number}||Lê^Hoa\r").encode() for n, number in enumerate(numbers)
    )
    assert (stated.get("identifiers", {}).get("types", {}).get("PID-3") == "MRN") is proposed
    if proposed:
        assert not mine.identifiers.untyped, "none is left to be told by its shape"


def test_fields_that_are_never_filled_side_by_side_are_not_read_together() -> None:
    bodies = ["PID|1||7^^^01021^MR||Lê^Hoa\r", "PID|1|8^^^01021^MR|||Lê^Hoa\r", "PID|1|001190012345|001190012345||Lê^Hoa\r"]
    _, stated, _ = learned((HEAD % ("HIS", "01021", "ADT^A04", n) + body).encode() for n, body in enumerate(bodies))
    assert "lists" not in stated.get("identifiers", {})


@pytest.mark.parametrize(
    ("number", "sure"),
    [
        ("BN{}~001190012{:03}", True),  # a patient number, and a citizen's
        ("261123{0:06}", False),  # twelve digits of the sender's own
        ("0012345{:03}", False),  # ten digits alone are the sender's own, rather
        ("BN{}~0012345{:03}", True),
    ],
)
def test_numbers_without_types_get_one_by_shape_where_their_shapes_can_be_trusted(number: str, sure: bool) -> None:
    body = "PID|1||%s||Lê^Hoa||19900102|F\r"
    _, stated, text = learned((HEAD % ("HIS", "01021", "ADT^A04", n) + body % number.format(n, n)).encode() for n in range(9))
    assert stated.get("identifiers", {}).get("untyped", False) is sure and "untyped = true" in text


@pytest.mark.parametrize(("others", "row"), [(1, 'charset = "tcvn3"'), (5, '# charset = "tcvn3"')])
def test_of_several_charsets_all_are_told(others: int, row: str) -> None:
    body = "PID|1||{}^^^01021^MR||Nguyễn^Thị Hạnh Phước||19900102|F|||Số 5 đường Trần Hưng Đạo, phường Hàng Bài\r"
    texts = [(HEAD % ("HIS", "01021", "ADT^A04", n) + body.format(n)) for n in range(20)]
    raws = [text.encode() if n < others else encode(text, "tcvn3") for n, text in enumerate(texts)]
    [line] = [line for line in learned(raws)[2].splitlines() if "charset =" in line and "#" in line]
    assert line.startswith(row) and f"utf-8 × {others}" in line


@pytest.mark.parametrize("visit", ["", "LK"])
def test_citizen_numbers_in_the_account_are_to_be_read_as_numbers_of_the_patient(visit: str) -> None:
    raws = [
        (HEAD % ("HIS", "01021", "ADT^A04", n) + f"PID|1||7{n}^^^01021^MR||Lê^Hoa||19900102|F||||||||||00119001234{n}\r"
         f"PV1|1|O|||||||||||||||||{visit and visit + str(n)}\r").encode()
        for n in range(4)
    ]  # fmt: skip
    mine, stated, _ = learned(raws)
    assert stated["identifiers"] == {"lists": ["PID-3+PID-18"], "untyped": True}
    assert stated["encounter"]["ma_lk"] == stated["result"]["ma_lk"] == "PV1-19"
    [(_, event)] = events(raws[1], mine)
    assert ("SDDCN", "001190012341") in {(one["type"], one["normalised"]) for one in event["person"]["identifiers"]}
    assert event.get("ma_lk", "") == (visit and "LK1")
    told = translate(Received(raws[1], RECEIVED_AT, "mllp"), KEYRING, mine).problems
    assert "VISIT_IS_CITIZEN_NUMBER" not in {one.code for one in told}


@pytest.mark.parametrize(
    ("years", "asked"),
    [
        ((25, 26), '# number_prefixes = ["BL25-", "BL26-"] # BL25- × 10, BL26- × 10, of 20 patient numbers; 10 would be another\'s without it: years'),
        ((26,), '# number_prefixes = ["BL26-"] # BL26- × 10, of 10 patient numbers: years, not branches?'),
    ],
    ids=["of two years", "of one year"],
)  # fmt: skip
def test_beginnings_that_tell_numbers_apart_are_no_prefixes_but_a_question(years, asked) -> None:
    raws = [
        f"MSH|^~\\&|HIS|01021|HUB|HUB|20261123080000||ADT^A04|C{year}{n}|P|2.5.1\rEVN|A04\r"
        f"PID|1||BL{year}-00{n}^^^01021^MR||Lê^Hoa||19900102|F\rPV1|1|O|||||||||||||||||LK{n}\r".encode()
        for year in years
        for n in range(10)
    ]
    _, stated, text = learned(raws)
    assert "number_prefixes" not in stated.get("identifiers", {})
    assert asked in text


def test_a_vendors_habits_become_rows_and_its_events_the_same() -> None:
    plain = list(simulate.referrals(3, 40))
    raws = [as_vendor(raw) for raw in plain]
    mine, stated, text = learned(raws)
    assert stated["charset"] == "tcvn3"
    assert stated["facility"]["aliases"] == [{"application": "MINHTAM", "name": "PK1", "code": "01731"}]
    assert stated["codes"]["sex"] == {"NAM": "1", "NU": "2"}
    assert stated["identifiers"]["types"] == {"CD": "SDDCN"}
    assert '# BN = "MRN" # 40 numbers' in text, "a number of any shape may be anything: a person has to say"
    mine = compile_text("mine", text.replace('# BN = "MRN"', 'BN = "MRN"'))
    for ours, theirs in zip(plain, raws, strict=True):
        [(_, expected)], [(_, event)] = events(ours, load_dialect("_standard")), events(theirs, mine)
        assert (event["slip"], event["ma_cskcb"]) == (expected["slip"], "01731")
        assert event["person"]["gioi_tinh"] == expected["person"]["gioi_tinh"]
        types = [[each["type"] for each in one["person"]["identifiers"]] for one in (event, expected)]
        assert types[0] == types[1]


@pytest.mark.parametrize(("names", "told"), [(("BVDKTV", "XNTV"), True), (("BVDKTV", "BVDKTV"), False)])
@pytest.mark.parametrize("authority", ["01021", "BVDKTV"])  # by which the facility is known, or is not
def test_several_names_of_a_facility_are_told_to_keep_numbers_apart(names: tuple[str, str], told: bool, authority: str) -> None:
    raws = [
        f"MSH|^~\\&|A{n}|{name}|HUB|HUB|20261123080000||ADT^A04|C{n}|P|2.5.1\rEVN|A04\r"
        f"PID|1||7{n}^^^{authority}^MR||Lê^Hoa||19900102|F\rPV1|1|O|||||||||||||||||LK{n}\r".encode()
        for n, name in enumerate(names)
    ]
    assert ("in CX-4 is then another's" in learned(raws)[2]) is told


def test_no_value_of_a_patient_is_in_a_proposal() -> None:
    raws = [as_vendor(raw) for raw in simulate.referrals(3, 40)] + list(simulate.results(3, 20))
    _, _, text = learned(raws)
    for message in gather(raws).messages:
        for pid in message.segments("PID"):
            for part in re.split(r"[|^~&]", "|".join([*pid.fields[3:4], *pid.fields[7:8]])):
                assert len(part) < 6 or "CSKCB" in part or part not in text
            assert " ".join(filter(None, (pid.get(5), pid.get(5, 3), pid.get(5, 2)))) not in text
            assert pid.get(5) + "^" not in text


def test_the_key_of_a_visit_is_not_proposed_as_the_number_of_an_order() -> None:
    raws = [
        (HEAD % ("HIS", "01021", kind, number) + person % number + f"ZBA|1|BA-2611-{number:04}\r").encode()
        for number in range(10)
        for kind, person in (
            ("ADT^A04", "PID|1||%s^^^^MR||A^B||1990|M\rPV1|1|O\r"),
            ("ORM^O01", "PID|1||%s^^^^MR||A^B||1990|M\rORC|NW|7\rOBR|1|7||GLU\r"),
        )
    ]
    text = learned(raws)[2]
    assert text.count('# ma_lk = "ZBA-2"') == 2
    assert "filler" not in text


def test_a_person_a_code_or_a_field_beside_a_card_is_no_number_of_an_order_or_slip() -> None:
    rows = "PID|1||7^^^01021^MR||Lê^Hoa\rORC|NW||||||||20261123|BS{0}\rOBR|1|||A\r"
    _, _, text = learned((HEAD % ("HIS", "01021", "ORM^O01", n) + rows.format(1000 + n)).encode() for n in range(9))
    assert "ORC-10" not in "".join(line for line in text.splitlines() if "filler" in line or "placer" in line)
    rows = "RF1|P|R|||||20261123\rPRD|RT||||||01004^FI\rPID|1||7^^^^MR||A^B\rZBH|DN401101234{0}||||{0}77\rZRF|GCT{0}\r"
    _, _, text = learned((HEAD % ("HIS", "01021", "REF^I12", n) + rows.format(1000 + n)).encode() for n in range(9))
    assert '# slip = "ZRF-1"' in text and '# slip = "ZBH-5"' not in text


def test_a_field_that_holds_names_where_codes_belong_gives_no_codes() -> None:
    raws = [
        (HEAD % ("HIS", "01021", "ADT^A04", number) + f"PID|1||{number}^^^^MR||A^B||1990|{name}\r").encode()
        for number, name in enumerate(["Hoa", "Minh", "Lan", "Tuấn", "Sơn", "Hải"])
    ]
    _, stated, text = learned(raws)
    assert stated["codes"]["sex"] == {}
    assert "6 of them are too varied for codes: Aaa × 4, Aaaa × 2" in text
    assert not re.search("Hoa|Minh|Lan|Tuấn", text)


def test_a_doctor_whose_name_stands_where_the_code_belongs() -> None:
    raws = [
        (
            HEAD % ("HIS", "01021", "ORM^O01", number) + f"PID|1||7\rORC|NW|{number}1||||||||||Phạm Thị Hòa^bs.hoa\rOBR|1|||X\r"
        ).encode()
        for number in range(3)
    ]
    mine, stated, _ = learned(raws)
    assert stated["order"]["ma_bac_si"] == ["ORC-12[LN]", "ORC-12.2", "OBR-16", "PV1-8"]
    assert events(raws[0], mine)[0][1]["ma_bac_si"] == "bs.hoa"


def test_times_that_no_rule_reads_get_the_transform_that_reads_them() -> None:
    raws = [
        (HEAD % ("HIS", "01021", "ADT^A04", number) + f"PID|1||7^^^^MR||A^B||{born}\rPV1|1|O\r").encode()
        for number, born in enumerate(["02/01/1990", "31/12/2001", "1/2/1985"])
    ]
    mine, stated, text = learned(raws)
    assert stated["person"]["ngay_sinh"] == {"from": "PID-7", "as": "day_first"}
    assert "3 of 3 are unread: 99/99/9999 × 2, 9/9/9999 × 1" in text
    assert events(raws[0], mine)[0][1]["person"]["ngay_sinh"] == "199001020000"
    unknown = [raw.replace(b"/", b"_") for raw in raws]
    assert "no transform reads them" in learned(unknown)[2]


def test_a_day_in_another_form_gets_the_transform_that_gives_it() -> None:
    body = "RF1|P|R||||S%d^01021|24/11/2026|24/12/2026\rPRD|RP||||||01021^FI\rPRD|RT||||||01004^FI\rPID|1||7^^^01021^MR||Lê^Hoa\r"
    raws = [(HEAD % ("HIS", "01021", "REF^I12", number) + body % number).encode() for number in range(3)]
    mine, stated, _ = learned(raws)
    assert stated["referral"] == {
        "issued_on": {"from": "RF1-7", "as": "day_first"},
        "expires_on": {"from": "RF1-8", "as": "day_first"},
    }
    slip = events(raws[0], mine)[0][1]
    assert (slip["issued_on"], slip["expires_on"]) == ("20261124", "20261224")


@pytest.mark.parametrize(("bad", "proposed"), [(1, True), (2, True), (3, False)])
def test_a_few_days_that_never_were_do_not_hide_the_transform_that_reads_the_others(bad: int, proposed: bool) -> None:
    born = ["02/01/1990"] * (10 - bad) + ["99/99/9999"] * bad
    raws = [
        (HEAD % ("HIS", "01021", "ADT^A04", number) + f"PID|1||7^^^^MR||A^B||{day}\rPV1|1|O\r").encode()
        for number, day in enumerate(born)
    ]
    _, stated, text = learned(raws)
    assert stated.get("person", {}).get("ngay_sinh") == ({"from": "PID-7", "as": "day_first"} if proposed else None)
    assert (f"10 of 10 are unread: 99/99/9999 × 10; {bad} of these stay so: 99/99/9999 × {bad}" in text) is proposed
    assert ("no transform reads them" in text) is not proposed


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_time_of_an_event_in_another_form_is_learned_beside_messages_without_events(count: int) -> None:
    body = "EVN||23/11/2026 07:30\rPID|1||7^^^01021^MR||Lê^Hoa||19900102|F\rPV1|1|O|K01||||||||||||||||V%d\r"
    raws = [(HEAD % ("HIS", "01021", "ADT^A04", number) + body % number).encode() for number in range(count)]
    result = "PID|1||7^^^01021^MR||Lê^Hoa||19900102|F\rOBR|1|5|6|X^X^L\rOBX|1|NM|X^X^L||5|||||||F\r"
    raws += [(HEAD % ("HIS", "01021", "ORU^R01", number) + result).encode() for number in range(9)]
    mine, stated, text = learned(raws)
    assert stated["encounter"]["ngay_vao_noi_tru"] == {"from": ["EVN-6", "EVN-2"], "as": "day_first"}
    assert f"{count} of {count} are unread: 99/99/9999 99:99 × {count}" in text
    done = translate(Received(raws[0], RECEIVED_AT, "mllp"), KEYRING, mine)
    assert [one.code for one in done.problems if one.path.startswith("EVN-2")] == []


@pytest.mark.parametrize(
    ("values", "row"),
    [
        (["9,8", "7", "1,234"], 'comma = "decimal" # 2 of 2 numbers with a comma are read so: 9,9 × 1, 9,999 × 1'),
        (["1,234,567", "1,234"], 'comma = "thousands" # 2 of 2 numbers with a comma are read so: 9,999,999 × 1, 9,999 × 1'),
        (["1,234", "5.6"], '# comma = "decimal" # or "thousands": 1 of 1 numbers with a comma are read so: 9,999 × 1'),
        (
            ["4.500", "4.501", "9,8"],
            '# comma = "decimal" # 1 of 1 numbers with a comma are read so: 9,9 × 1; 2 with a point could then be two numbers',
        ),
        (["1,234,567"] * 3 + ["9,8"], '# comma = "thousands" # 3 of 4 numbers with a comma are read so: 9,999,999 × 3, 9,9 × 1'),
        (["a,b", "5.6"], None),
        (["5.6"], None),
    ],
)
def test_what_a_comma_means_is_learned_where_the_numbers_tell(values: list[str], row: str | None) -> None:
    lines = "".join(f"OBX|{number}|NM|X^X^L||{value}|||||||F\r" for number, value in enumerate(values, 1))
    raw = HEAD % ("HIS", "01021", "ORU^R01", 1) + "PID|1||7^^^01021^MR||Lê^Hoa\rOBR|1|5|6|X^X^L\r" + lines
    mine, stated, text = learned([raw.encode()])
    assert [line for line in text.splitlines() if "comma =" in line] == ([row] if row else [])
    assert mine.comma == stated.get("comma", "")


@pytest.mark.parametrize(
    ("times", "row"),
    [
        (["20/11/2026 15:02"], 'stated_at = "day_first" # MSH-7 of 1 of 1 messages'),
        (["20261120150200"] * 5 + ["20/11/2026 15:02"] * 4, 'stated_at = "day_first" # MSH-7 of 4 of 9 messages'),
        (["20/11/2026 15:02"] * 4 + ["11/20/2026 15:02"] * 4, '# stated_at = "day_first" # MSH-7 of 4 of 8 messages'),
        (["11/20/2026 15:02"], None),
        (["20261120150200", "20261120", ""], None),
    ],
)
def test_the_form_of_the_times_that_messages_state_of_themselves_is_learned(times: list[str], row: str | None) -> None:
    raw = HEAD % ("HIS", "01021", "ADT^A04", 1) + "PID|1||7^^^01021^MR||Lê^Hoa\r"
    mine, _, text = learned([raw.replace("20261123080000", said).encode() for said in times])
    assert [line[: len(row or "")] for line in text.splitlines() if "stated_at =" in line] == ([row] if row else [])
    assert mine.stated_at == ("day_first" if row and row[0] != "#" else "")


@pytest.mark.parametrize(
    ("ends", "row"),
    [
        (["\r"] * 10, "ended = true # 10 of 10 messages end their last segment"),
        (["\r"] * 9, None),
        (["\r"] * 11 + [""], "# ended = true # 11 of 12 messages end their last segment; were the other 1 cut?"),
        (
            ["\r"] * 11 + ["\n"],
            "# ended = true # 11 of 12 messages end their last segment; were the other 1 cut?",
        ),  # a log's own line end
        (["\r"] * 10 + [""] * 11, None),
    ],
)
def test_that_every_message_ends_its_last_segment_is_learned(ends: list[str], row: str | None) -> None:
    raws = [
        (HEAD % ("HIS", "01021", "ADT^A04", number) + f"PID|1||7^^^01021^MR||Lê^Hoa{end}").encode()
        for number, end in enumerate(ends)
    ]
    mine, _, text = learned(raws)
    rows = [line for line in text.splitlines() if "ended =" in line]
    assert [line[: len(row or "")] for line in rows] == ([row] if row else [])
    assert mine.ended is bool(row and row[0] != "#")
    [asked] = [
        line for line in learned([raw.replace(b"\r", b"\n") for raw in raws[:1]] * 10)[2].splitlines() if "ended =" in line
    ]
    assert asked.startswith("# ended = true") and "an editor may have written" in asked


@pytest.mark.parametrize(
    ("amounts", "row"),
    [
        (["148.480", "42.100", "500"], 'point = "thousands" # 2 of 2 amounts with a point are read so: 999.999 × 1, 99.999 × 1'),
        (["1.234.567,5"], 'point = "thousands" # 1 of 1 amounts with a point are read so: 9.999.999,9 × 1'),
        (["148.480", "42.50"], '# point = "thousands" # 1 of 2 amounts with a point are read so: 999.999 × 1, 99.99 × 1'),
        (["148480.00", "42100"], None),
    ],
)
def test_points_between_thousands_of_dong_are_learned(amounts: list[str], row: str | None) -> None:
    lines = "".join(f"FT1|{number}|||20261123||CG|X|||1|{amount}\r" for number, amount in enumerate(amounts, 1))
    _, _, text = learned([(HEAD % ("HIS", "01021", "DFT^P03", 1) + "PID|1||7^^^01021^MR||Lê^Hoa\r" + lines).encode()])
    assert [line for line in text.splitlines() if "point =" in line] == ([row] if row else [])


def test_cards_of_another_field_and_another_name_of_the_payer() -> None:
    card = "|".join(["IN1", "1", "X", "QUYBH", *[""] * 12, "DN40101161490%02d"])
    raws = [
        (HEAD % ("HIS", "01021", "ADT^A04", number) + f"PID|1||{number}^^^^MR||A^B\r" + card % number + "\r").encode()
        for number in range(5)
    ]
    mine, stated, _ = learned(raws)
    assert stated["identifiers"]["cards"][0] == "IN1-16"
    assert "QUYBH" in stated["identifiers"]["payers"]
    [(_, event)] = events(raws[0], mine)
    assert "BHYT_CARD" in [each["type"] for each in event["person"]["identifiers"]]


def test_the_number_of_the_visit_one_field_beside_its_own_is_suggested_in_every_section_that_has_it() -> None:
    body = "PID|1||7^^^^MR||A^B\rPV1|1|O||||||||||||||||26NT%06d|\r"
    raws = [(HEAD % ("HIS", "01021", "ADT^A04", number) + body % number).encode() for number in range(4)]
    raws += [
        (
            HEAD % ("HIS", "01021", "ORU^R01", number) + body % number + f"OBR|1|5|L{number}|X^X^L\rOBX|1|NM|X^X^L||5|||||||F\r"
        ).encode()
        for number in range(4)
    ]
    text = learned(raws)[2]
    rows = [line for line in text.splitlines() if "ma_lk" in line]
    assert [row.partition(" # ")[0] for row in rows] == ['# ma_lk = ["PV1-19", "PV1-18"]'] * 2
    right = [raw.replace(b"|26NT", b"||26NT") for raw in raws[:2]]
    [row] = [line for line in learned(raws[:4] + right)[2].splitlines() if "ma_lk" in line]
    assert row.startswith('# ma_lk = ["PV1-19", "PV1-18"] # PV1-19, PID-18 hold nothing in 4 of 6 messages; here 4 values')
    types = [re.sub(rb"26NT0*\d", b"BHYT1", raw) for raw in raws]
    assert "ma_lk" not in learned(types)[2], "the type of a patient is no number"


def test_a_code_that_is_a_conclusion_and_something_else_too_is_no_row() -> None:
    body = "PID|1||7^^^^MR||A^B\rOBR|1|5|6|XQ01^X\rOBX|1|TX|XQ01^Mô tả^L||Mờ||||||F\rOBX|2|TX|XQ01^Kết luận^L||Viêm||||||F\r"
    raws = [(HEAD % ("RIS", "01021", "ORU^R01", 1) + body).encode()]
    _, stated, text = learned(raws)
    assert stated.get("conclusions", {}) == {}
    assert '"XQ01"] # XQ01 is called a conclusion × 1, something else × 1' in text
    alone = [(HEAD % ("RIS", "01021", "ORU^R01", 1) + body.replace("XQ01^Mô", "XQ02^Mô")).encode()]
    assert "XQ01" in learned(alone)[1]["conclusions"]["codes"]


def test_a_key_that_stands_elsewhere_is_suggested_with_its_evidence() -> None:
    raws = [
        (HEAD % ("HIS", "01021", "ADT^A04", number) + f"PID|1||7^^^^MR||A^B\rPV1|1|O|||LK.2026.{number:04d}\r").encode()
        for number in range(6)
    ]
    _, stated, text = learned(raws)
    assert stated["encounter"] == {}, "a guess at meaning is no row"
    assert '# ma_lk = "PV1-5" # PV1-19, PID-18 hold nothing; here 6 values, 6 different, 100 % of messages: AA.9999.9999' in text


def test_a_segment_of_the_vendors_own_is_described() -> None:
    raw = (HEAD % ("HIS", "01021", "ADT^A04", 1) + "PID|1||7^^^^MR||A^B\rZBN|1|K01^Khoa Nội\r").encode()
    _, _, text = learned([raw])
    assert "# ZBN × 1: ZBN-1 9 (no rule); ZBN-2 A99^Aaaa Aaa (no rule)" in text


@pytest.mark.parametrize(
    ("values", "proposed"),
    [
        (["2{}/11/2026"], False),
        (["2026-11-2{}"], False),
        (["202611{:02}"], False),
        (["2{}112026"], False),
        (["2{}.11.2026"], False),
        (["GCT-2{}-11-2026"], True),
        (["4{}/11/2026"], True),
        (["2{}/2026"], True),
        (["9{}000001"], True),
    ],
)
def test_a_date_in_a_segment_of_the_vendors_own_is_no_slip_number(values: list[str], proposed: bool) -> None:
    rows = "RF1|P|R|||||20261123\rPRD|RT||||||01004^FI\rPID|1||7^^^^MR||A^B\rZRF|1|"
    raws = [(HEAD % ("HIS", "01021", "REF^I12", n) + rows + values[0].format(n) + "\r").encode() for n in range(1, 9)]
    assert ('# slip = "ZRF-2"' in learned(raws)[2]) is proposed


@pytest.mark.parametrize(("price", "proposed"), [("{}500", False), ("{}4.350", False), ("{}990.00", False), ("{}4353", True)])
def test_a_price_in_a_segment_of_the_vendors_own_is_no_number_of_a_result(price: str, proposed: bool) -> None:
    rows = "PID|1||7^^^^MR||A^B\rOBR|1|||GLU^G\rOBX|1|NM|GLU^G||5||||||F\rZHL|1|"
    raws = [(HEAD % ("LIS", "01021", "ORU^R01", n) + rows + price.format(n) + "\r").encode() for n in range(1, 9)]
    assert ('"ZHL-2"' in learned(raws)[2]) is proposed


def test_the_number_of_a_slip_is_sought_beside_its_place_and_is_not_that_of_the_visit() -> None:
    rows = "PRD|RT|||||||01004^FI\rPID|1||7^^^^MR||A^B\rPV1|1|O|||||||||||||||||26.{n:05d}\rZRF|1|26.{n:05d}|"
    raws = [(HEAD % ("HIS", "01021", "REF^I12", n) + f"RF1|P|R|||\r{rows}\r".format(n=n)).encode() for n in range(6)]
    assert "# slip = " not in learned(raws)[2]
    beside = [raw.replace(b"RF1|P|R|||", b"RF1|P|R|||CV26%05d" % n) for n, raw in enumerate(raws)]
    assert '# slip = ["RF1-6", "RF1-5"] # RF1-6 hold nothing' in learned(beside)[2]


def test_the_receiver_of_a_slip_is_sought_where_the_receiver_stands() -> None:
    rows = "RF1|P|R||||S{n}\rPRD|RP|||01021\rPRD|RT|||01004\rPID|1||7^^^^MR||A^B\r"
    raws = [(HEAD % ("HIS", "01021", "REF^I12", n) + rows.format(n=n)).encode() for n in range(6)]
    text = learned(raws)[2]
    assert '# ma_cskcb_den = "PRD[RT]-4" # ' in text and '"PRD-4"' not in text


@pytest.mark.parametrize(
    ("addressee", "row"),
    [
        ("01004", '# orderer = "MSH-6" # OBR-2.2, ORC-2.2, ORC-21.10, ORC-21.3 hold nothing; here 6 values, 1 different'),
        ("01021", "# orderer: OBR-2.2, ORC-2.2, ORC-21.10, ORC-21.3 hold nothing, nor does another field hold a facility"),
        ("HUB", "# orderer: OBR-2.2, ORC-2.2, ORC-21.10, ORC-21.3 hold nothing, nor does another field hold a facility"),
    ],
    ids=["another facility", "the sender itself", "no facility"],
)
def test_who_ordered_may_be_the_one_whom_the_message_is_for(addressee: str, row: str) -> None:
    rows = "PID|1||7^^^^MR||A^B\rOBR|1|P1||GLU^G\rOBX|1|NM|GLU^G||5||||||F\r"
    raws = [(HEAD % ("LIS", "01021", "ORU^R01", n) + rows).replace("|HUB|HUB|", f"|HUB|{addressee}|").encode() for n in range(6)]
    assert row in learned(raws)[2]


@pytest.mark.parametrize(
    ("kinds", "version", "proposed"),
    [
        (["ORM^O01", "ORM^O01"], "2.5", True),
        (["ORM^O01", "ADT^A04"], "2.5.1", True),
        (["ORM^O01", "OML^O21"], "2.5", False),
        (["ORM^O01"], "2.4", False),
        (["ADT^A04"], "2.5", False),
    ],
    ids=["its orders", "beside visits", "both", "as the version says", "no orders"],
)
def test_who_sends_its_orders_as_orm_gets_those_of_others_so(kinds: list[str], version: str, proposed: bool) -> None:
    raws = [
        (HEAD % ("HIS", "01021", kind, n) + f"PID|1||{n}^^^^MR||Lê^Hoa\rORC|NW|P{n}\rOBR|1|P{n}||GLU\r")
        .replace("|2.5.1\r", f"|{version}\r")
        .encode()
        for n, kind in enumerate(kinds)
    ]
    mine, stated, _ = learned(raws)
    assert (stated.get("send", {}).get("orders", "") == mine.send.orders == "ORM") is proposed


def test_a_row_is_proposed_only_for_what_the_sender_sends() -> None:
    rows = "PID|1||7^^^^MR||A^B\rOBR|1|P1||GLU^G|||23/11/2026 08:05\rOBX|1|NM|GLU^G||5||||||F\r"
    _, stated, _ = learned((HEAD % ("LIS", "01021", "ORU^R01", n) + rows).encode() for n in range(6))
    assert stated["result"]["sampled_at"]["as"] == "day_first"
    assert stated.keys().isdisjoint({"report", "encounter", "order", "xml13", "xml14", "document"})


def test_no_table_is_proposed_that_no_rule_looks_anything_up_in() -> None:
    raws = [(HEAD % ("HIS", "01021", "DFT^P03", n) + "PID|1||7^^^^MR||A^B\rPV1|1|NGT\r").encode() for n in range(4)]
    mine, stated, _ = learned(raws)
    assert "patient_class" not in stated.get("codes", {}) and mine.unused == ()


# --- it loads, whatever was seen ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("raws", [[], [b""], [b"\xff\xfe\x00"], [b"MSH|"], [b"MSH|^~\\&\rPID\r"]])
def test_without_anything_to_learn_it_is_a_profile_all_the_same(raws: list[bytes]) -> None:
    mine, stated, _ = learned(raws)
    assert stated["extends"] == "_standard"
    assert mine.plans == load_dialect("_standard").plans


@pytest.mark.parametrize("parent", dialect_names())
def test_a_skeleton_is_what_it_extends(parent: str) -> None:
    assert compile_text("mine", skeleton("mine", parent)).plans == load_dialect(parent).plans


def test_every_row_of_the_skeleton_loads_once_its_mark_is_away() -> None:
    text = re.sub(r"^# (?=\[|[\w]+ = )", "", skeleton("mine", "_standard"), flags=re.MULTILINE)
    mine = compile_text("mine", text)
    assert (mine.charset, mine.identifiers.untyped, mine.tests["GLU"].code) == ("tcvn3", True, "14749-6")


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n|"), max_size=12), min_size=7, max_size=7))
def test_whatever_a_sender_writes_the_proposal_loads(parts: list[str]) -> None:
    application, facility, kind, sex, code, name, unit = parts
    raw = (
        HEAD % (application, facility, "ORU^R01", 1)
        + f"PID|1||7^^^X^{kind}||A^B||1990|{sex}\rOBR|1|5||X\rOBX|1|NM|{code}^{name}||5|{unit}\rZ9Z|{name}\r"
    ).encode()
    try:
        learned([raw, raw])
    except HubError as wrong:
        pytest.fail(str(wrong))


@pytest.mark.skipif(not Path(CORPUS).is_dir(), reason=NO_CORPUS)
def test_messages_written_by_others_give_a_profile_that_loads() -> None:
    raws = [raw for number, (_, raw) in enumerate(corpus()) if number % 25 == 0]
    mine, stated, _ = learned(raws)
    assert mine.plans["person"]
    assert stated["extends"] == "_standard"
