"""What a signature is worth: only one over all that the hub reads, by a certificate that is on record."""

import re
from functools import cache

import pytest
from lxml import etree

from adapters.formats import xml_signature
from adapters.formats.claim_xml import Reader, write
from adapters.formats.xml_signature import judge
from hub.contract.claim_tables import tables
from tests.signing import AT, Owner

CLAIMS = [{"XML1": [{"MA_LK": "LK1", "HO_TEN": "Nguyễn Thị Mẫu", "MA_CSKCB": "01004", "T_BHTT": "100000.00"}]}]
SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"


def envelope(*, nested: bool = True) -> bytes:
    return write(CLAIMS, tables(), ma_cskcb="01004", ngaylap="20261123", nested=nested)


@cache
def owner(name: str = "01004") -> Owner:
    return Owner(name)


@cache
def signed(nested: bool = True) -> bytes:
    return owner().sign(envelope(nested=nested))


def worth(raw: bytes, *trusted: Owner) -> str:
    return judge(raw, [each.certificate for each in trusted or (owner(),)], AT)


@pytest.mark.parametrize("nested", [True, False])
def test_a_signature_of_the_facility_over_the_whole_envelope_is_valid(nested: bool) -> None:
    assert worth(signed(nested)) == "VALID"
    (hoso,) = Reader(signed(nested), tables())
    assert hoso.problems == () and hoso.tables["XML1"][0]["HO_TEN"] == "Nguyễn Thị Mẫu"


def test_the_root_may_be_named_by_its_id_and_have_a_namespace() -> None:
    raw = envelope().replace(b"<GIAMDINHHS>", b'<GIAMDINHHS xmlns="urn:vss" Id="all">')
    assert worth(owner().sign(raw, reference_uri="all")) == "VALID"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_bytes_and_declaration_may_change_as_long_as_the_text_does_not(encoding: str) -> None:
    text = signed().decode().replace("encoding='utf-8'", "encoding='windows-1252'")
    assert worth(text.encode(encoding)) == "VALID"


def test_without_a_signature_it_is_missing_and_other_text_is_none() -> None:
    assert worth(envelope()) == "MISSING"
    for kind in ("c2lnbmVk", "<SIG>x</SIG>"):
        assert worth(envelope().replace(b"<CHUKYDONVI></CHUKYDONVI>", f"<CHUKYDONVI>{kind}</CHUKYDONVI>".encode())) == "WRONG"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"100000.00", b"900000.00"),
        (b"<MACSKCB>01004", b"<MACSKCB>01021"),
        (b"</DANHSACHHOSO>", b"<HOSO/></DANHSACHHOSO>"),
        (b"<GIAMDINHHS>", b"<GIAMDINHHS a='1'>"),
        (b"2001/04/xmldsig-more#rsa-sha256", b"2000/09/xmldsig#rsa-sha1"),
        (b"<ds:DigestValue>", b"<ds:DigestValue>x"),
        (b"<ds:SignatureValue>", b"<ds:SignatureValue>AA"),
        (b"<ds:X509Certificate>", b"<ds:X509Certificate>AA"),
    ],
)
def test_whatever_is_changed_after_signing_is_wrong(old: bytes, new: bytes) -> None:
    assert old in signed()
    assert worth(signed().replace(old, new)) == "WRONG"


def test_a_certificate_of_nobody_or_of_another_facility_is_untrusted() -> None:
    assert worth(signed(), owner("another")) == "UNTRUSTED"
    assert judge(signed(), [], AT) == "UNTRUSTED"


def test_an_authority_vouches_for_those_it_issued_and_for_nobody_else() -> None:
    authority = Owner("root", authority=True)
    middle = Owner("middle", by=authority, authority=True)
    facility = Owner("facility", by=middle)
    raw = facility.sign(envelope(), chain=(middle,))
    assert worth(raw, authority) == worth(raw, middle) == worth(raw, facility) == "VALID"
    assert worth(facility.sign(envelope()), authority) == "UNTRUSTED", "the chain is not there"
    assert worth(Owner("below", by=facility).sign(envelope(), chain=(facility, middle)), authority) == "UNTRUSTED"


@pytest.mark.parametrize("days", [(-300, -1), (1, 300)])
def test_a_certificate_has_to_be_valid_when_the_envelope_comes(days: tuple[int, int]) -> None:
    late = Owner("late", days=days)
    assert worth(late.sign(envelope()), late) == "UNTRUSTED"
    authority = Owner("old", authority=True, days=days)
    assert worth(Owner("young", by=authority).sign(envelope()), authority) == "UNTRUSTED"


def wrapped(change: str) -> bytes:
    """A validly signed part, moved aside, with a forged envelope around it."""
    raw = owner().sign(envelope().replace(b"<HOSO>", b'<HOSO Id="part">'), reference_uri="part")
    if change == "part":  # signed as it stands, but only a part
        return raw
    root = etree.fromstring(raw)
    if change == "whole":  # the signed envelope inside another, under the id it was signed by
        inner = etree.fromstring(owner().sign(envelope().replace(b"<GIAMDINHHS>", b'<GIAMDINHHS Id="all">'), reference_uri="all"))
        signature = inner.find(f".//{SIGNATURE}")
        outer = etree.fromstring(envelope().replace(b"100000.00", b"900000.00"))
        holder = outer.find("CHUKYDONVI")
        assert holder is not None and signature is not None
        holder.append(signature)
        outer.append(inner)
        return etree.tostring(outer)
    signature = root.find(f".//{SIGNATURE}")
    assert signature is not None
    if change == "other attribute":  # the root has the id too, in an attribute that is looked at later
        root.set("id", "part")
        return etree.tostring(root)
    if change == "elsewhere":
        root.insert(0, signature)
    else:
        parent = signature.getparent()
        assert parent is not None
        parent.append(etree.fromstring(etree.tostring(signature)))
    return etree.tostring(root)


@pytest.mark.parametrize("change", ["part", "whole", "elsewhere", "twice", "other attribute"])
def test_a_signature_over_something_else_than_what_is_read_is_never_valid(change: str) -> None:
    assert worth(wrapped(change)) != "VALID"


@pytest.mark.parametrize("part", ["Reference", "Transform"])
def test_many_references_or_transforms_are_wrong_before_any_is_worked_off(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each costs a copy of the document, and whoever sends it may have made the certificate himself."""
    root = etree.fromstring(signed())
    one = root.find(f".//{{http://www.w3.org/2000/09/xmldsig#}}{part}")
    assert one is not None
    for _ in range(9):
        one.addnext(etree.fromstring(etree.tostring(one)))

    def verified(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(xml_signature, "_verified", verified)
    assert worth(etree.tostring(root)) == "WRONG"


def test_a_transform_that_could_leave_a_part_out_is_wrong() -> None:
    odd = re.sub(
        rb"http://www.w3.org/2000/09/xmldsig#enveloped-signature", b"http://www.w3.org/TR/1999/REC-xpath-19991116", signed()
    )
    assert worth(odd) == "WRONG"


def test_text_broken_up_by_comments_reads_as_it_was_signed() -> None:
    raw = signed().replace(b"100000.00", b"100<!-- x -->000.00")
    assert worth(raw) == "VALID"
    (hoso,) = Reader(raw, tables())
    assert hoso.tables["XML1"][0]["T_BHTT"] == "100000.00"
