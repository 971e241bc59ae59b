"""Every personal value of the demo's patients, and each form in which it might slip out."""

import base64
import hashlib
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from urllib.parse import quote, quote_plus
from xml.etree import ElementTree

from hub.contract.places import shipped

_ELEMENTS = ("MA_BN", "HO_TEN", "SO_CCCD", "NGAY_SINH", "DIA_CHI", "DIEN_THOAI", "MA_THE_BHYT", "HO_TEN_CHA", "HO_TEN_ME")
_DIGITS_SURE = 9  # a shorter number counts only where no digit stands beside it, as counts and times have many digits


@cache
def values() -> frozenset[str]:
    """Names, national and card numbers, days of birth, addresses, phones and medical record numbers, as text."""
    found: set[str] = set()
    for path in shipped("seeds/demo").iterdir():
        raw = path.read_bytes()
        if raw.startswith(b"MSH"):
            found |= _of_hl7(raw)
        elif raw.lstrip().startswith(b"<"):
            found |= _of_xml(raw)
    days = {f"{one[:4]}-{one[4:6]}-{one[6:8]}" for one in found if re.fullmatch(r"(19|20)\d{6}(0000)?", one)}
    days |= {f"{one[8:]}/{one[5:7]}/{one[:4]}" for one in days}
    return frozenset(one for one in found | days if len(one) >= 5)


def _of_hl7(raw: bytes) -> set[str]:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return set()  # in TCVN3: its person is in the other messages, and its bytes in `raw_names`
    found = set()
    for fields in (line.split("|") + [""] * 20 for line in re.split(r"[\r\n]+", text) if line.startswith("PID|")):
        found |= {one.split("^")[0] for one in fields[3].split("~")}
        for name in filter(None, fields[5].split("~")):
            family, given, middle = (*name.split("^"), "", "")[:3]
            found |= {name, f"{family} {middle} {given}", f"{family}^{given}", f"{family} {given}"}
        found |= {fields[7], *(fields[at].split("^")[0] for at in (11, 12, 13))}
    return {one.strip() for one in found}


def _of_xml(raw: bytes) -> set[str]:
    found = set()
    for element in ElementTree.fromstring(raw).iter():
        if element.tag in _ELEMENTS:
            found.add((element.text or "").strip())
        elif element.tag == "NOIDUNGFILE" and element.text:
            found |= _of_xml(base64.b64decode(element.text))
    return {part for one in found for part in one.split(";")}


@cache
def raw_names() -> frozenset[bytes]:
    """The names as the bytes of messages that are not UTF-8."""
    found = set()
    for path in shipped("seeds/demo").glob("*.hl7"):
        raw = path.read_bytes()
        for line in re.split(rb"[\r\n]+", raw):
            fields = line.split(b"|")
            if line.startswith(b"PID|") and any(byte > 127 for byte in fields[5]):
                found.add(fields[5])
    return frozenset(found)


def _plain(text: str) -> str:
    bare = "".join(one for one in unicodedata.normalize("NFD", text) if not unicodedata.combining(one))
    return bare.replace("đ", "d").replace("Đ", "D")


def _forms(value: str) -> Iterator[bytes]:
    """A value as it is written, and in other dresses."""
    for text in {value, _plain(value)}:
        for form in {unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)}:
            yield form.encode()
            yield form.encode("utf-16-le")
            yield form.encode("utf-16-be")
            yield from (quote(form).encode(), quote_plus(form).encode())
            yield form.encode("ascii", "backslashreplace")  # as JSON and Python escape it
            yield form.encode("ascii", "xmlcharrefreplace")
            yield form.encode().hex().encode()
        for encoding in ("cp1258", "latin-1"):
            yield text.encode(encoding, "ignore") if not _loses(text, encoding) else text.encode()
    if len(value) >= _DIGITS_SURE:  # a number that is hashed without a secret is found again by trying all
        for make in (hashlib.md5, hashlib.sha1, hashlib.sha256, hashlib.blake2b):
            yield make(value.encode()).hexdigest().encode()


def _loses(text: str, encoding: str) -> bool:
    return len(text.encode(encoding, "ignore")) != len(text)


def _in_base64(value: str) -> Iterator[bytes]:
    """What a value looks like inside base64, wherever it begins."""
    for text in {value, _plain(value)}:
        for shift in range(3):
            whole = base64.b64encode(b"\0" * shift + text.encode())
            inner = whole[4 if shift else 0 : len(whole) - 4]  # the ends depend on what stands beside
            if len(inner) >= 8:
                yield from (inner, inner.replace(b"+", b"-").replace(b"/", b"_"))


@cache
def _patterns() -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    exact = {form for value in values() for form in _in_base64(value)} | set(raw_names())
    loose = {form for value in values() for form in _forms(value)}
    words = []
    for form in sorted(loose, key=len, reverse=True):
        short = form.isdigit() and len(form) < _DIGITS_SURE
        words.append(rb"(?<![\d.])" + form + rb"(?!\d)" if short else re.escape(form))
    return re.compile(b"|".join(map(re.escape, sorted(exact)))), re.compile(b"|".join(words), re.IGNORECASE)


def found_in(data: bytes) -> list[bytes]:
    """The personal values in these bytes, in whatever form."""
    exact, loose = _patterns()
    return [match.group() for pattern in (exact, loose) for match in pattern.finditer(data)]
