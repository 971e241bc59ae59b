"""Bytes to text and back: which character set a message is in, and a form of names that can be compared.

Decided in this order: what the sender's profile says, what MSH-18 declares, strict UTF-8, what the bytes look like (TCVN3,
windows-1258, VNI, VISCII, VPS). Text is always in NFC; the raw bytes are kept elsewhere. A declaration that the bytes
contradict, as UTF-8 or as another of those pages, is reported, and the message is read in what they fit; so is a guess that might
as well have been another.
"""

import codecs
import re
import unicodedata
from functools import cache, lru_cache
from typing import Final, NamedTuple

from adapters.formats import vietnamese
from adapters.formats.vietnamese import Weight
from hub.contract.errors import HubError, Problem, Severity


class Decoded(NamedTuple):
    """text: in NFC, without a byte order mark. charset: the name it was read in, such as `utf-8` or `tcvn3`."""

    text: str
    charset: str
    problems: tuple[Problem, ...]


_WRONG: Final = (Problem("CHARSET_DECLARED_WRONG", Severity.WARNING, "MSH-18"),)
_DOUBTFUL: Final = (Problem("CHARSET_DOUBTFUL", Severity.WARNING, "MSH-18"),)
_CANDIDATES: Final = ("tcvn3", "windows-1258", "vni", "viscii", "vps")  # the likeliest first: a tie goes to the earlier
_SURE: Final = 0.6  # of the words beyond ASCII must read as Vietnamese for a guess to hold
_CLEAR: Final = 4.0  # of weight a guess must be ahead of the profile: two words, if they are well-known, else three
_EQUAL: Final = 1e-9  # of likelihood: what sums of tenths differ by
_LOOKED_AT: Final = 64 * 1024  # bytes that a guess looks at, from the first one beyond ASCII
_HIGH: Final = re.compile(rb"[\x80-\xff]")
_MIXED: Final = re.compile("[A-Za-z][\u0400-\u0fff]|[\u0400-\u0fff][A-Za-z]")  # no word does: bytes that are UTF-8 by chance
_CONTROLS: Final = re.compile("[\x80-\x9f]")
_WIDE: Final = (  # how texts of two and four bytes a letter begin, the longer first
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"M\0\0\0", "utf-32-le"),
    (b"\0\0\0M", "utf-32-be"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"M\0S\0", "utf-16-le"),
    (b"\0M\0S", "utf-16-be"),
)

# HL7 table 0211 and what senders write instead, in lower case without blanks, dashes, slashes and underscores
_NAMES: Final = {
    "ascii": "ascii",
    "usascii": "ascii",
    "utf8": "utf-8",
    "unicodeutf8": "utf-8",
    "unicode": "utf-8",
    "isoir192": "utf-8",
    "unicodeutf16": "utf-16",
    "utf16": "utf-16",
    "utf32": "utf-32",
    "unicodeutf32": "utf-32",
    "tcvn3": "tcvn3",
    "abc": "tcvn3",
    "tcvn": "tcvn3",
    "tcvn5712": "vn1",
    "tcvn57121": "vn1",
    "vn1": "vn1",
    "vni": "vni",
    "vniwindows": "vni",
    "viscii": "viscii",
    "vps": "vps",
    "xvietvps": "vps",
    "xviettcvn5712": "vn1",
    "windows1258": "windows-1258",
    "cp1258": "windows-1258",
    "windows1252": "windows-1252",
    "cp1252": "windows-1252",
    "latin1": "iso-8859-1",
    "gb180302000": "gb18030",
    "big5": "big5",
    "ksx1001": "euc-kr",
}

CHARSETS: Final = tuple(dict.fromkeys(_NAMES.values()))
"""The hub's names of those; any other part of ISO 8859 is `iso-8859-` with its number."""


@lru_cache(maxsize=256)
def charset_name(declared: str) -> str:
    """The hub's name of a charset that a profile or MSH-18 gives; "" if it is none the hub knows.

    >>> charset_name("UNICODE UTF-8"), charset_name("8859/1"), charset_name("PRELIM")
    ('utf-8', 'iso-8859-1', '')
    """
    plain = re.sub(r"[\s/_.-]", "", declared.casefold())
    found = _NAMES.get(plain)
    if found:
        return found
    part = re.fullmatch(r"(?:iso)?8859(\d{1,2})", plain)
    if not part:
        return ""
    try:
        return codecs.lookup(f"iso-8859-{part[1]}").name.replace("iso8859", "iso-8859")
    except LookupError:
        return ""


def declared_charset(raw: bytes) -> str:
    """MSH-18 as it stands in the bytes, its repetitions parted by `~`; "" if there is none. Works before the charset is known."""
    start = raw.find(b"MSH", 0, 256)
    separator = raw[start + 3 : start + 4]
    if start < 0 or not separator:
        return ""
    stop = raw.find(b"\r", start)
    line = raw[start : stop if 0 < stop < start + 8192 else start + 8192]
    if b"\n" in line:
        line = line[: line.index(b"\n")]
    fields = line.split(separator, 18)
    if len(fields) <= 17:
        return ""
    repetition = fields[1][1:2] or b"~"
    return fields[17].replace(repetition, b"~").decode("latin-1").strip()


def is_wide(raw: bytes) -> bool:
    """Whether a message is in UTF-16 or UTF-32, by its first bytes."""
    return (
        raw.startswith(tuple(mark for mark, _ in _WIDE)) if raw[:1] in (b"\xff", b"\xfe", b"\0") or raw[1:2] == b"\0" else False
    )


def has_low_letters(raw: bytes, charset: str) -> bool:
    """Whether bytes below 0x20 are letters in that charset, so that a text of ASCII bytes is not ASCII."""
    page = vietnamese.LOW.get(charset_name(charset))
    return page is not None and page.search(raw) is not None


def ends_within_letter(raw: bytes) -> bool:
    """Whether all of it is UTF-8 but for its last letter, of which bytes are missing."""
    try:
        raw.decode()
    except UnicodeDecodeError as wrong:
        return wrong.reason == "unexpected end of data"
    return False


def decode(raw: bytes, profile: str | None = None, declared: str | None = None) -> Decoded:
    """Read the bytes of one message.

    profile:  the charset that the sender's dialect names; None or "" if it names none.
    declared: what the message itself declares, repetitions parted by `~`: the first is what it is in, the others are what
              it may change to, so any of them is a right declaration. None: look for MSH-18 in the bytes.
    Raises:   HubError(CHARSET_UNREADABLE) when nothing fits.
    """
    wide = _wide(raw) if is_wide(raw) else None
    if wide is not None:
        return wide
    if declared is None:
        declared = declared_charset(raw)
    first = profile or next((each for each in declared.split("~") if charset_name(each)), declared)
    if raw.isascii() and not has_low_letters(raw, first):
        return Decoded(raw.decode("ascii"), "ascii", ())
    name = charset_name(first)
    wrong = _WRONG if first and not name else ()
    if name.startswith(("utf-16", "utf-32")):
        name, wrong = "", _WRONG  # it does not begin as such a text does
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return _single_byte(raw, name, trusted=bool(profile), problems=wrong)
    if text[0] == "\ufeff":
        text = text[1:]
    if name in ("", "utf-8"):
        guess = _guess(_part(raw))[0] if not name and _MIXED.search(text) else ""
        if guess and _reads_better(other := vietnamese.decode_legacy(raw, guess), text):
            return Decoded(other, guess, wrong)
        return Decoded(_nfc(text), "utf-8", wrong)
    # Bytes that are valid UTF-8 beyond ASCII are UTF-8, whatever was declared: in other charsets they hardly ever make
    # words. Hardly: so the other reading stands if it is the better Vietnamese.
    declared_text = _read(raw, name)
    if declared_text is not None and (raw.isascii() or _CONTROLS.search(text) or _reads_better(declared_text, text)):
        return Decoded(declared_text, name, wrong)
    return Decoded(_nfc(text), "utf-8", () if any(charset_name(each) == "utf-8" for each in declared.split("~")) else _WRONG)


def _reads_better(other: str, text: str) -> bool:
    """Whether it is the better Vietnamese."""
    return vietnamese.likelihood(text[:_LOOKED_AT]) < vietnamese.likelihood(other[:_LOOKED_AT])


def _single_byte(raw: bytes, name: str, trusted: bool, problems: tuple[Problem, ...]) -> Decoded:
    text, (begin, end) = _read(raw, name), _looked_at(raw)
    part = raw[begin:end]
    if text is None:
        guess, found = _guess(part)
        if not guess:
            raise HubError("CHARSET_UNREADABLE")
        told = _WRONG if name else problems
        return Decoded(vietnamese.decode_legacy(raw, guess), guess, told or (_DOUBTFUL if _is_tie(part, guess, found) else ()))
    # A declared charset that decodes stands, unless the bytes read as Vietnamese in another and not in it.
    vietnamese_page = name in vietnamese.LEGACY
    declared = _weight(vietnamese.decode_legacy(part, name) if vietnamese_page else text[begin:end], name)
    if declared.bad < 1 and (trusted or vietnamese_page):
        return Decoded(text, name, problems)  # every word is a syllable, as in nearly all texts that fit
    guess, found = _guess(part)
    better = _is_clearer(found, declared) if trusted else found.likelihood > declared.likelihood
    if not guess or not better:
        return Decoded(text, name, problems)
    return Decoded(vietnamese.decode_legacy(raw, guess), guess, _WRONG)


def _looked_at(raw: bytes) -> tuple[int, int]:
    """What a guess looks at. What stands before it is ASCII, so it is the same part of the text in any charset."""
    first = _HIGH.search(raw)
    assert first is not None  # else it were ASCII
    return max(first.start() - 64, 0), first.start() + _LOOKED_AT


def _part(raw: bytes) -> bytes:
    begin, end = _looked_at(raw)
    return raw[begin:end]


def _is_clearer(found: Weight, declared: Weight) -> bool:
    """Whether a guess goes before the charset of the profile, which decodes the bytes too.

    Only by what that one misreads, and by two words or more: names and abbreviations that are no syllables (`Kđăm`, `GĐ`)
    may be some in another page by chance.
    """
    if found.bad + 1 > declared.bad or found.bad * 2 >= declared.bad:
        return False
    return (found.good - found.bad) - (declared.good - declared.bad) >= _CLEAR


def _guess(raw: bytes) -> tuple[str, Weight]:
    """The Vietnamese code page that the bytes fit best, and how well; "" if none."""
    best, best_weight = "", Weight(0.0, 0.0)
    for name in _CANDIDATES:
        weight = _weight(vietnamese.decode_legacy(raw, name), name)
        if weight.likelihood > best_weight.likelihood:
            best, best_weight = name, weight
    return (best, best_weight) if best_weight.likelihood >= _SURE else ("", Weight(0.0, 0.0))


def _is_tie(raw: bytes, guess: str, found: Weight) -> bool:
    """Whether the bytes make as good Vietnamese, and another, in a second code page: then the guess is one by order alone."""
    text = vietnamese.decode_legacy(raw, guess).casefold()
    for name in _CANDIDATES:
        other = vietnamese.decode_legacy(raw, name)
        if other.casefold() != text and _weight(other, name).likelihood > found.likelihood - _EQUAL:
            return True
    return False


def _weight(text: str, name: str) -> Weight:
    return vietnamese.weight(text, cased=name not in ("tcvn3", "vn1"))


def _read(raw: bytes, name: str) -> str | None:
    """The text if the charset can read every byte of it, else None."""
    if not name or name in ("utf-8", "ascii"):
        return None  # they were tried before
    if name in vietnamese.LEGACY:
        text = vietnamese.decode_legacy(raw, name)
        return None if "\ufffd" in text else text
    try:
        return _nfc(raw.decode(name))
    except UnicodeError:
        return None


def _wide(raw: bytes) -> Decoded | None:
    """None where no mark says so, and only the first bytes looked like it."""
    order = next(order for mark, order in _WIDE if raw.startswith(mark))
    name = order.removesuffix("-le").removesuffix("-be")
    try:
        text = _nfc(raw.decode(order))
    except UnicodeDecodeError:
        if order == name:  # by its mark
            raise HubError("CHARSET_UNREADABLE") from None
        return None
    declared = declared_charset(text[:8192].encode("latin-1", "replace"))
    right = not declared or any(charset_name(each) == name or each == "UNICODE" for each in declared.split("~"))
    return Decoded(text.removeprefix("\ufeff"), name, () if right else _WRONG)


def _nfc(text: str) -> str:
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def encode(text: str, charset: str = "utf-8", exact: bool = True) -> bytes:
    """Write text in a recipient's charset.

    exact:  refuse characters that the charset lacks; else signs of values and units become what is typed for them (`≥` is `>=`), letters
            lose their marks, and the rest is `?`.
    Raises: HubError(CHARSET_UNREADABLE) for an unknown charset, HubError(CHARSET_LACKS_LETTER) when exact.
    Source: `vietnamese.encode_legacy` says what TCVN3 cannot keep (the case of letters with a tone).
    """
    name = charset_name(charset)
    if not name:
        raise HubError("CHARSET_UNREADABLE", "charset of the recipient")
    if not exact and not name.startswith("utf-"):
        text = text if _has(name, "⁹") else _POWER_OF_TEN.sub("*", text)
        text = _SIGN.sub(lambda found: found[0] if _has(name, found[0]) else _IN_ASCII[found[0]], text)
    if text.isascii() and not name.startswith("utf-"):
        return text.encode("ascii")
    if name not in vietnamese.LEGACY:
        try:
            return text.encode(name)
        except UnicodeEncodeError:
            if exact:
                raise HubError("CHARSET_LACKS_LETTER", name) from None
            bare = "".join(
                c for c in unicodedata.normalize("NFD", text.translate(_LOOKALIKES)) if unicodedata.category(c) != "Mn"
            )
            return bare.encode(name, "replace")
    raw, lost = vietnamese.encode_legacy(text, name)
    if lost and exact:
        raise HubError("CHARSET_LACKS_LETTER", name)
    return raw


_IN_ASCII: Final = {
    "≥": ">=", "≤": "<=", "≠": "<>", "±": "+/-", "×": "x", "÷": "/", "µ": "u", "μ": "u", "α": "alpha", "β": "beta", "γ": "gamma", "°": "o",
    "–": "-", "—": "-", "−": "-", "“": '"', "”": '"', "‘": "'", "’": "'", "…": "...", "•": "-", "→": "->", "½": "1/2", "¼": "1/4", "¾": "3/4",
    **dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-", strict=True)),
}  # fmt: skip
"""What people type where a charset lacks a sign of a value or unit: a `?` in its place would change what is said. Nothing of HL7's delimiters."""
_POWER_OF_TEN: Final = re.compile("(?<=10)(?=[⁰¹²³⁴⁵⁶⁷⁸⁹⁻])")  # 10⁹ is 10*9, as UCUM writes it; m² is m2
_SIGN: Final = re.compile(f"[{''.join(_IN_ASCII)}]")


@cache
def _has(name: str, sign: str) -> bool:
    try:
        encode(sign, name)
    except HubError:
        return False
    return True


_LOOKALIKES: Final = {ord(a): b for a, b in (("Đ", "D"), ("đ", "d"), ("Ð", "D"), ("ð", "d"), ("Ɖ", "D"), ("ɖ", "d"))}
_DROPPED: Final = {ord(c): None for c in ".-'’`"}
AGE: Final = re.compile(
    r"(?!\s+\d{1,3}\s?TUAN$)"  # Tuấn without marks, rather
    r"[\s(\[–-]{1,4}(?:\d{1,3}\s?(?:T(?:U[OỔ]I|U[AẦ]N|H(?:[AÁ]NG)?)?|N(?:G[AÀ]Y|T)?|GI[OỜ])[\s,]{0,2}){1,5}(?:TU[OỔ]I)?[)\]]?$",  # (34T), - 8TH, 2T6TH, 12 ngày tuổi
    re.IGNORECASE,
)
"""An age behind a name, with its marks or without (NFC): years (T, tuổi), months (TH, tháng), weeks (tuần), days (N, NT, ngày), hours (giờ)."""


def without_marks(text: str) -> str:
    """A text as it is typed without Vietnamese letters.

    >>> without_marks("Trầm cảm, đã điều trị")
    'Tram cam, da dieu tri'
    """
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn").translate(_LOOKALIKES)


def fold(text: str) -> str:
    """A name in the form in which two spellings of it are equal: no case, tones, marks, look-alike letters or points.

    An age that some systems append to names (`(34T)`, `45TH` months, `12NT` days) is left off.
    Source: identifiers.md §11.

    >>> fold("Nguyễn  Thị-Đào"), fold("NGUYEN THIDAO 12NT")
    ('nguyen thidao', 'nguyen thidao')
    """
    whole = text if text.isascii() else unicodedata.normalize("NFC", text)
    return " ".join(without_marks(AGE.sub("", whole.strip())).casefold().translate(_DROPPED).split())
