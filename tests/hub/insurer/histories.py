"""Claims of people who come again, and a ledger that holds them as granted."""

import random
from datetime import datetime, timedelta
from decimal import Decimal

import polars as pl

from hub.contract.events import Origin, stamp
from hub.insurer.ledger import Ledger
from hub.simulate import KEYRING, RECEIVED_AT, claims
from tests.hub.insurer.made import claim_of, line
from tests.hub.insurer.test_ledger import batch

TOPIC = "topic-a"
_PERFORMERS = ("A.HD.01021", "A.CG.01731", "A.TX.01004", *(f"{number:06d}/HNO-CCHN" for number in range(40)))
FACILITIES = ("01004", "01021", "01731", "30009")


def stamped(content, key, *, version=0, minutes=0, action="SUBMITTED"):
    """The event of a claim, received that long after the others."""
    content = {name: value for name, value in content.items() if name != "meta"} | {"ma_lk": key, "action": action}
    origin = Origin(
        f"m-{key}-{version}",
        RECEIVED_AT + timedelta(minutes=minutes),
        {"sender": "simulation"},
        stated_at="20261123",
        version=version,
    )
    return stamp("hie.Claim", content, facility=content["ma_cskcb"], business_key=key, origin=origin, keyring=KEYRING)


def drug(stt=1, **given):
    usual = {
        "ma_thuoc": "40.807",
        "duong_dung": "1.01",
        "lieu_dung": "1 viên * 2 lần * 5 ngày [2 viên/ngày]",
        "ngay_yl": "202611100800",
        "ngay_th_yl": "",
    }
    return line("xml2", stt=stt, **usual | given)


def service(stt=1, **given):
    usual = {
        "ma_dich_vu": "23.0075.1494",
        "ten_dich_vu": "Glucose",
        "ngay_yl": "202611100800",
        "ngay_th_yl": "",
        "ngay_kq": "202611100900",
    }
    return line("xml3", stt=stt, **usual | given)


def examination(stt=1, **given):
    return service(
        stt, **{"ma_dich_vu": "02.1896", "ten_dich_vu": "Khám Nội", "ma_nhom": "13", "ma_bac_si": "000123/HNO-CCHN"} | given
    )


def visit(key, drugs=(), services=(), *, facility="01004", minutes=0, version=0, action="SUBMITTED", **summary):
    """A visit of one person on 10 November 2026, from 8 to 10, unless told otherwise."""
    usual = {
        "so_cccd": "001085012345", "ngay_sinh": "198501010000", "ngay_vao": "202611100800", "ngay_ra": "202611101000", "ma_loai_kcb": "01",
        "nam_nam_lien_tuc": "20300101", "ma_doituong_kcb": "1.1", "ma_cskcb": facility, "ma_dkbd": facility,
    }  # fmt: skip
    lines = services if drugs or services else (service(),)
    content = claim_of(drugs, lines, **usual | summary) | {"ma_cskcb": facility, "ngaylap": "20261123"}
    return stamped(content, key, version=version, minutes=minutes, action=action)


def stay(key, start, end, **more):
    return visit(key, ngay_vao=start, ngay_ra=end, ma_loai_kcb="03", **more)


def lived(seed, count):
    """Claims of few people at few places over two months: whatever the rules look for happens often."""
    chance = random.Random(seed)  # repeatable, nothing secret
    people = [f"{number:09d}" for number in range(max(4, count // 6))]
    made = []
    for number, event in enumerate(claims(seed, count, 20)):
        one, facility = event["xml1"], chance.choice(FACILITIES)
        start = datetime(2026, 10, 1) + timedelta(minutes=chance.randrange(60 * 24 * 30) + chance.choice((0, 60 * 24 * 30)))
        form = chance.choices(("01", "03", "04", "05", "09"), (60, 15, 5, 15, 5))[0]
        hours = chance.randrange(24, 500) if form in ("03", "04") else chance.randrange(1, 4)
        end = min(start + timedelta(hours=hours), datetime(2026, 11, 30, 23, 59))
        who = chance.choice(people)
        identity = chance.choices(("cccd", "card", "ten", "place", "zeros"), (60, 15, 15, 5, 5))[0]
        one |= {
            "so_cccd": f"001{who}" if identity == "cccd" else "0" * 12 if identity == "zeros" else "",
            "ma_the_bhyt": {"card": f"GD401{who}7", "ten": f"{who}7"}.get(identity, ""),
            "ma_bn": f"BN{who}",
            "ngay_sinh": f"{1950 + int(who) % 40}01010000",
            "ngay_vao": f"{start:%Y%m%d%H%M}", "ngay_ra": f"{end:%Y%m%d%H%M}", "ma_loai_kcb": form,
            "ma_doituong_kcb": chance.choice(("1.1", "1.3", "1.5", "2", "3.1")), "ma_noi_di": chance.choice(("", *FACILITIES[:2])),
            "giay_chuyen_tuyen": f"S{chance.randrange(3)}", "ket_qua_dtri": chance.choices("1258", (50, 45, 3, 2))[0],
            "nam_nam_lien_tuc": chance.choice(("20200101", "20261015", "", "20300101")),
        }  # fmt: skip
        for row in (*event.get("xml2", ()), *event.get("xml3", ())):
            at = start + timedelta(minutes=chance.randrange(max(1, int((end - start).total_seconds()) // 60)))
            row |= {"ngay_yl": f"{at:%Y%m%d%H%M}", "ngay_th_yl": chance.choice((f"{at:%Y%m%d%H%M}", ""))}
        for row in event.get("xml2", ()):
            row |= {"lieu_dung": chance.choice((row["lieu_dung"], "ngày uống 2 lần", "1 * 3 * 12 ngày [1,5 viên/ngày]"))}
            row |= {"ma_cskcb_thuoc": chance.choices(("", "K.01021"), (30, 1))[0]}
        for row in event.get("xml3", ()):
            if not row.get("ma_vat_tu") and row["ma_nhom"] != "13":
                row |= {"ma_nhom": chance.choices(("1", "2", "8", "18"), (8, 8, 1, 1))[0]}
                row |= {"ngay_kq": f"{at + timedelta(minutes=chance.randrange(1, 240)):%Y%m%d%H%M}"}
                row |= {"nguoi_thuc_hien": ";".join(chance.choices(_PERFORMERS, k=2))}
                row |= {"ten_dich_vu": chance.choices((row["ten_dich_vu"], "Thận nhân tạo chu kỳ"), (40, 1))[0]}
                row |= {"ma_dich_vu": row["ma_dich_vu"] + chance.choices(("", ".K.01021"), (40, 1))[0]}
            elif row["ma_nhom"] == "13" and facility == FACILITIES[0] and number % 2:
                row |= {"ngay_yl": f"20261110{chance.randrange(7, 17):02d}{chance.randrange(60):02d}", "ngay_th_yl": ""}
        if chance.random() < 0.05:
            one["t_bncct"] = Decimal(chance.randrange(9_000_000, 20_000_000))
        made.append(stamped(event | {"ma_cskcb": facility}, f"L{number}", minutes=chance.randrange(3)))
    return made


def write(folder, events, rejected=(), first=0):
    """Put events into a ledger, granted as claimed; `first`: the offset of the first one."""
    events = list(events)
    frames = batch(events, [(0, first + number) for number in range(len(events))], TOPIC)
    refused = pl.col("event_id").is_in(list(rejected))
    frames["decisions"] = frames["decisions"].with_columns(
        verdict=pl.when(refused).then(pl.lit("REJECTED")).otherwise(pl.lit("ACCEPTED")),
        t_bhtt_gd=pl.when(refused).then(pl.lit(0).cast(pl.Decimal(18, 2))).otherwise(pl.col("t_bhtt")),
    )
    frames["findings"] = frames["findings"].clear()
    Ledger(folder, TOPIC).append(frames, {0: first + len(events)})
