"""Documents: what body they have, and what labels them."""

import base64

import pytest

from tests.adapters.dialects.said import PID, PV1, mapped, only, told

TXA = "TXA|1|DS^Giấy ra viện^L|TX|||||||||DOC-1"


def document(*rows, kind="MDM^T02", txa=TXA):
    return only(mapped(kind, PID, PV1, txa, *rows))


def test_text_of_several_rows_is_one_body():
    event = document("OBX|1|TX|A||dòng 1", "OBX|2|FT|A||dòng 2\\.br\\dòng 3", "OBX|3|NM|B||37.5", "OBX|4|CE|C||X^Có")
    assert event["text"] == "dòng 1\ndòng 2\ndòng 3\n37.5\nX Có"
    assert "contents" not in event


@pytest.mark.parametrize(
    ("sent", "media_type", "data"),
    [
        ("HIS^AP^PDF^Base64^" + base64.b64encode(b"%PDF-1.4").decode(), "application/pdf", b"%PDF-1.4"),
        ("HIS^application^pdf^base64^JVBE Rg==", "application/pdf", b"%PDF"),
        ("HIS^TEXT^PLAIN^A^Xin chào", "text/plain", "Xin chào".encode()),
        ("HIS^IM^JPEG^Hex^FFD8", "image/jpeg", b"\xff\xd8"),
        ("HIS^AP^ODT^Base64^AAAA", "application/odt", b"\0\0\0"),
    ],
)
def test_an_embedded_body_is_kept_decoded(sent, media_type, data):
    [content] = document(f"OBX|1|ED|P^Bản quét^L||{sent}")["contents"]
    assert (content["media_type"], content["data"]) == (media_type, data)


@pytest.mark.parametrize("sent", ["HIS^AP^PDF^Base64^%%%", "HIS^AP^PDF^Base64^AAA", "HIS^AP^PDF^Hex^XY"])
def test_a_body_that_is_not_what_it_says_is_told_and_the_document_goes_on(sent):
    found = mapped("MDM^T02", PID, PV1, TXA, f"OBX|1|ED|P||{sent}")
    assert ("CONTENT_UNREADABLE", "OBX-5") in told(found)
    assert only(found)["document"] == "DOC-1"


@pytest.mark.parametrize(
    ("row", "label"),
    [
        (TXA + "||||||HIV", "HIV"),
        (TXA + "||||||PSY", "MENTAL"),
        (TXA + "||||||U", None),
        (TXA.replace("Giấy ra viện", "Kết quả HIV"), "HIV"),
    ],
)
def test_confidentiality_and_names_label_a_document(row, label):
    assert document(txa=row)["meta"].get("sensitivity") == label


def test_an_ampersand_that_nobody_escaped_cuts_neither_address_nor_text():
    event = document("OBX|1|RP|P||https://pacs.vn/v?a=1&b=2^^IM^PNG", "OBX|2|CE|C||X&1^Máu & mủ^L")
    assert (event["contents"][0]["pointer"], event["text"]) == ("https://pacs.vn/v?a=1&b=2", "X&1 Máu & mủ L")


def test_each_signature_names_who_and_when():
    event = document(txa=TXA + "||||||||||012345^Đỗ^Nam^Văn^^^^^^^^^^^20261123~^Lý^Hoa")
    assert event["signatures"] == [
        {"ma_bac_si": "012345", "name": "Đỗ Văn Nam", "signed_at": "20261123"},
        {"name": "Lý Hoa"},
    ]


def test_the_same_document_has_one_key_whatever_happens_to_it():
    keys = {document(kind=f"MDM^{trigger}")["meta"]["key"] for trigger in ("T02", "T08", "T11")}
    assert len(keys) == 1
