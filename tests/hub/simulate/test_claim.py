"""Synthetic claims have right money, are repeatable, and are as many and as long as those of the nation."""

from collections import defaultdict
from datetime import timedelta

import pytest

from hub import simulate
from hub.contract.claim_tables import tables
from hub.contract.events import Event, Keyring, Origin, content_hash, decode, encode, revision_rank, sparse, stamp
from tests.money import line_faults, total_faults


def test_money_of_every_claim_is_right() -> None:
    for claim in simulate.claims(7, 200):
        assert line_faults(claim) == []
        assert total_faults(claim) == []


def test_same_seed_gives_the_same_claims_and_another_seed_others() -> None:
    assert list(simulate.claims(1, 20)) == list(simulate.claims(1, 20))
    assert {claim["meta"]["key"] for claim in simulate.claims(1, 20)}.isdisjoint(
        claim["meta"]["key"] for claim in simulate.claims(2, 20)
    )


def test_every_claim_is_another_one_and_survives_avro() -> None:
    claims = list(simulate.claims(3, 300))
    assert len({claim["meta"]["event_id"] for claim in claims}) == 300
    for claim in claims[:20]:
        back = decode("hie.Claim", encode("hie.Claim", claim))
        assert sparse(back) | {"meta": 0} == sparse(claim) | {"meta": 0}
        assert content_hash(back) == claim["meta"]["content_hash"]


def test_content_is_sparse() -> None:
    for claim in simulate.claims(4, 50):
        content = {name: value for name, value in claim.items() if name != "meta"}
        assert sparse(content) == content


@pytest.mark.parametrize("rows", [5, 26, 100])
def test_rows_of_a_claim_have_the_asked_mean(rows: int) -> None:
    claims = list(simulate.claims(5, 300, rows))
    for table, mean in simulate.MEAN_ROWS.items():
        seen = sum(len(claim.get(table, ())) for claim in claims) / len(claims)
        assert abs(seen - mean * rows / 26) < 0.15


def test_rows_have_only_official_elements_and_nearly_all_of_them() -> None:
    used: dict[str, set[str]] = {}
    for claim in simulate.claims(6, 100):
        used.setdefault("XML1", set()).update(claim["xml1"])
        for table in ("xml2", "xml3", "xml4", "xml5"):
            for row in claim.get(table, ()):
                used.setdefault(table.upper(), set()).update(row)
    for table, names in used.items():
        official = {element.field for element in tables()[table].values()}
        assert names <= official
        assert len(names) >= 0.65 * len(official)


def test_results_and_supplies_are_of_services_of_their_claim() -> None:
    for claim in simulate.claims(9, 100):
        services = {row["ma_dich_vu"] for row in claim["xml3"] if "ma_vat_tu" not in row}
        assert {row["ma_dich_vu"] for row in (*claim["xml3"], *claim["xml4"])} <= services
        images = {row["ma_dich_vu"] for row in claim["xml3"] if row["ma_nhom"] == "2"}
        assert images <= {row["ma_dich_vu"] for row in claim["xml4"] if row.get("ket_luan")}


# --- the shape of the nation ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nation() -> list[simulate.Simulated]:
    return list(simulate.nation(1, 6000))


def test_the_nation_has_short_visits_long_stays_and_the_mean_of_both(nation: list[simulate.Simulated]) -> None:
    firsts = [made.event for made in nation if not made.expected]
    lines = {
        form: [
            len(claim.get("xml2", ())) + len(claim.get("xml3", ())) for claim in firsts if claim["xml1"]["ma_loai_kcb"] == form
        ]
        for form in ("01", "03")
    }
    assert 0.08 < len(lines["03"]) / len(firsts) < 0.1
    assert max(lines["01"]) < 12 < 400 < max(lines["03"]) <= 3_010
    everything = sum(len(claim.get(table, ())) for claim in firsts for table in simulate.MEAN_ROWS)
    assert 22 < everything / len(firsts) < 30


def test_a_quarter_of_the_nation_s_claims_comes_again_as_a_later_revision_that_says_so(nation: list[simulate.Simulated]) -> None:
    seen: dict[str, list[Event]] = defaultdict(list)
    for made in nation:
        meta = made.event["meta"]
        before = seen[meta["key"]][-1]["meta"] if seen[meta["key"]] else None
        assert meta.get("supersedes", "") == (before["event_id"] if before else "")
        if before:
            assert revision_rank(before["revision"]) < revision_rank(meta["revision"])
        seen[meta["key"]].append(made.event)
    assert 0.2 < sum(len(told) > 1 for told in seen.values()) / len(seen) < 0.26
    assert 0.03 < sum(len(told) > 2 for told in seen.values()) / len(seen) < 0.06


def test_a_claim_of_the_nation_has_the_key_of_the_hub_and_an_envelope_that_comes_later_is_over_it() -> None:
    ring, later = Keyring(b"the secret of a hub"), simulate.RECEIVED_AT + timedelta(days=1)
    for made in simulate.nation(3, 400, keyring=ring, month=10):
        content = {name: part for name, part in made.event.items() if name != "meta"}
        content |= {"xml1": made.event["xml1"] | {"ghi_chu": "Sửa"}}
        origin = Origin("a message", later, {"sender": "x"}, stated_at=content["ngaylap"])
        sent = stamp(
            "hie.Claim", content, facility=content["ma_cskcb"], business_key=content["ma_lk"], origin=origin, keyring=ring
        )
        before = made.event["meta"]
        assert sent["meta"]["key"] == before["key"]
        assert revision_rank(before["revision"]) < revision_rank(sent["meta"]["revision"])
        assert not before["message_id"], "no message came"


def test_the_nation_s_money_is_right_and_its_bytes_are_those_of_the_seed(nation: list[simulate.Simulated]) -> None:
    for made in nation[:1000]:
        assert line_faults(made.event) == []
        assert total_faults(made.event) == []
    assert [made.event for made in simulate.nation(1, 50)] == [made.event for made in nation[:50]]


def test_what_was_wrong_is_mended_when_it_comes_again() -> None:
    made = list(simulate.nation(2, 400, {"X05 xml1.t_thuoc off": 1.0}))
    wrong = {one.event["meta"]["key"] for one in made if one.fault}
    mended = [one for one in made if not one.fault]
    assert mended
    assert all(total_faults(one.event) == [] and one.event["meta"]["key"] in wrong for one in mended)
