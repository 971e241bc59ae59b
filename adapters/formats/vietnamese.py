"""Vietnamese before Unicode: the letters, the code pages that carried them, and how a syllable is made.

Sources: TCVN 5712:1993 (VN1, and its subset VN3 that the ABC fonts use, known as TCVN3); RFC 1456 (VISCII); the VNI-Windows
fonts; VPSKeys (VPS, in browsers `x-viet-vps`). Each table was checked against the 134 accented letters: every letter once,
every byte once.
"""

import codecs
import re
import unicodedata
from typing import Final, NamedTuple

LOWER: Final = "àảãáạăằẳẵắặâầẩẫấậèẻẽéẹêềểễếệìỉĩíịòỏõóọôồổỗốộơờởỡớợùủũúụưừửữứựỳỷỹýỵđ"  # in the order of the dictionary
LETTERS: Final = LOWER + LOWER.upper()
"""The 134 letters that ASCII lacks."""

TONES: Final = "\u0300\u0309\u0303\u0301\u0323"

# TCVN3: capitals have bytes of their own only where the letter has no tone. Fonts with the suffix H show the lower-case
# bytes as capitals, so the case of other letters is not in the text: the letters of ASCII beside them may tell it.
_TCVN3: Final = dict(
    zip(
        bytes(range(0xA1, 0xAF)),
        "ĂÂÊÔƠƯĐăâêôơưđ",
        strict=True,
    )
) | dict(
    zip(
        bytes.fromhex(
            "b5b6b7b8b9 bbbcbdbec6 c7c8c9cacb cccecfd0d1 d2d3d4d5d6 d7d8dcddde dfe1e2e3e4"
            "e5e6e7e8e9 eaebecedee eff1f2f3f4 f5f6f7f8f9 fafbfcfdfe"
        ),
        "àảãáạằẳẵắặầẩẫấậèẻẽéẹềểễếệìỉĩíịòỏõóọồổỗốộờởỡớợùủũúụừửữứựỳỷỹýỵ",
        strict=True,
    )
)
# The rest of VN1: capitals in places that TCVN3 leaves free, and tones that combine with the letter before.
_VN1_CAPITALS: Final = dict(
    zip(
        bytes.fromhex(
            "808182838485868788898a8b8c8d8e8f 909192939495969798999a9b9c9d9e9f afbabfc0c1c2c3c4c5cdd9dadbe0f0ff"
            "01 02 04 05 06 11 12 13 14 15 16 17"
        ),
        "ÀẢÃÁẠẶẬÈẺẼÉẸỆÌỈĨÍỊÒỎÕÓỌỘỜỞỠỚỢÙỦŨẰẲẴẮẦẨẪẤỀỂỄẾỒỔỖỐÚỤỪỬỮỨỰỲỶỸÝỴ",
        strict=True,
    )
)
_VN1_TONES: Final = dict(zip(range(0xB0, 0xB5), TONES, strict=True))

_VISCII: Final = dict(
    zip(
        bytes.fromhex("02 05 06 14 19 1e"),
        "ẲẴẪỶỸỴ",
        strict=True,
    )
) | dict(
    zip(
        range(0x80, 0x100),
        "ẠẮẰẶẤẦẨẬẼẸẾỀỂỄỆỐỒỔỖỘỢỚỜỞỊỎỌỈỦŨỤỲÕắằặấầẩậẽẹếềểễệốồổỗỠƠộờởịỰỨỪỬơớƯÀÁÂÃẢĂẳẵÈÉÊẺÌÍĨỳĐứÒÓÔạỷừửÙÚỹỵÝỡư"
        "àáâãảăữẫèéêẻìíĩỉđựòóôõỏọụùúũủýợỮ",
        strict=True,
    )
)

# VPS keeps a few letters of its western neighbours, and puts fourteen capitals below 0x20.
_VPS: Final = dict(
    zip(
        bytes.fromhex("02 03 04 05 06 10 11 12 13 14 15 19 1c 1d"),
        "ẠẬẶẸỆỊỌỘỢỤỰỴẪỮ",
        strict=True,
    )
) | dict(
    zip(
        [byte for byte in range(0x80, 0x100) if byte != 0xA0],
        "ÀẢÃẤẦẨọỗĂếềểệẮẰẲẾ‘’ỀỂỄỐỒỔỖýỷỵỚỜỞắằẳẵặỠớÙờởỡŨỨợỪổỬỲỸÍÌộỈĨÓửữÒỎÕựầÁÂấẩẫậđẻÉÊẹỉễịỹƯỦồốÔỏơÈừứÚũưÝẺßàáâãảạăçèéêẽìíîĩẴĐòóôõöƠụùúủüỶẼỳ",
        strict=True,
    )
)

# VNI-Windows writes a base letter and then a byte for its marks; a few letters have one byte. Written here as latin-1.
_VNI_MARKS: Final = {
    "a": dict(zip("ùøûõïêéèúüëâáàåãä", "áàảãạăắằẳẵặâấầẩẫậ", strict=True)),
    "e": dict(zip("ùøûõïâáàåãä", "éèẻẽẹêếềểễệ", strict=True)),
    "o": dict(zip("ùøûõïâáàåãä", "óòỏõọôốồổỗộ", strict=True)),
    "ô": dict(zip("ùøûõï", "ớờởỡợ", strict=True)),
    "u": dict(zip("ùøûõï", "úùủũụ", strict=True)),
    "ö": dict(zip("ùøûõï", "ứừửữự", strict=True)),
    "y": dict(zip("ùøûõ", "ýỳỷỹ", strict=True)),
}
_VNI_SINGLE: Final = {"ô": "ơ", "ö": "ư", "í": "í", "ì": "ì", "æ": "ỉ", "ó": "ĩ", "ò": "ị", "î": "ỵ", "ñ": "đ"}


def _vni() -> dict[str, str]:
    table = {}
    for base, marks in _VNI_MARKS.items():
        for mark, letter in marks.items():
            table[base + mark] = letter
            table[base.upper() + mark.upper()] = table[base.upper() + mark] = letter.upper()
    for single, letter in _VNI_SINGLE.items():
        table[single], table[single.upper()] = letter, letter.upper()
    return table


_VNI: Final = _vni()
_VNI_WRITTEN: Final = {letter: pair for pair, letter in _VNI.items() if pair in (pair.lower(), pair.upper())}
_VNI_FOUND: Final = re.compile("|".join(sorted(_VNI, key=len, reverse=True)))


def _table(single: dict[int, str]) -> str:
    """The 256 letters of a code page; U+FFFE stands for none, as `codecs.charmap_decode` has it."""
    return "".join(single.get(byte, chr(byte) if byte < 0x80 or byte == 0xA0 else "\ufffe") for byte in range(256))


_DECODING: Final = {
    "tcvn3": _table(_TCVN3 | _VN1_CAPITALS | _VN1_TONES),
    "viscii": _table(_VISCII),
    "vps": _table(_VPS),
}
_ENCODING: Final[dict[str, dict[str, bytes]]] = {
    # A capital that only VN1 has is written as its lower-case letter, which every TCVN3 font can show.
    "tcvn3": {letter.upper(): bytes([byte]) for byte, letter in _TCVN3.items()}
    | {letter: bytes([byte]) for byte, letter in _TCVN3.items()},
    "vn1": {letter: bytes([byte]) for byte, letter in (_TCVN3 | _VN1_CAPITALS).items()},
    "viscii": {letter: bytes([byte]) for byte, letter in _VISCII.items()},
    "vps": {letter: bytes([byte]) for byte, letter in _VPS.items()},
    "vni": {letter: pair.encode("latin-1") for letter, pair in _VNI_WRITTEN.items()},
}
_DECODING["vn1"] = _DECODING["tcvn3"]

LEGACY: Final = frozenset(_ENCODING) | {"windows-1258"}
"""The names that `decode_legacy` and `encode_legacy` take."""

LOW: Final = {
    name: re.compile(b"[" + re.escape(bytes(byte for byte in page if byte < 0x20)) + b"]")
    for name, page in (("vn1", _VN1_CAPITALS), ("viscii", _VISCII), ("vps", _VPS))
}
"""What finds the capitals of a code page that lie below 0x20: a text of such letters and no others passes for ASCII."""


_WITHOUT_SMALL: Final = re.compile(r"(?<![^\W\d_])[^\W\d_a-z]{3,}+(?![a-z])")


def _raised(word: re.Match[str]) -> str:
    return word[0].upper() if sum(map(str.isupper, word[0])) > 1 else word[0]


_NAME_WITHOUT_SMALL: Final = re.compile(r"(?<![^|~^\r\n])[^\W\d_a-z]++(?:(?: |\^{1,2})[^\W\d_a-z]++)+(?![^|~^\r\n])")


def _raised_name(name: re.Match[str]) -> str:
    words = name[0].replace("^", " ").split()
    told = any(len(word) > 1 and word.isupper() and any(map(str.isascii, word)) for word in words)
    return name[0].upper() if told else name[0]


def decode_legacy(raw: bytes, charset: str) -> str:
    """Text in NFC; a byte that the code page lacks becomes U+FFFD.

    A word of `tcvn3` with two capitals and no small letter of ASCII is one in capitals: `TUYếT` is TUYẾT. Of `Vũ` nothing tells, but
    beside such a word, in a field or components of nothing but such words: `Lý^THị^Hà` is LÝ^THỊ^HÀ.
    """
    if charset == "vni":
        text = _VNI_FOUND.sub(lambda found: _VNI[found[0]], raw.decode("latin-1"))
    elif charset == "windows-1258":
        text = raw.decode("cp1258", "replace")
    else:
        text, _ = codecs.charmap_decode(raw, "replace", _DECODING[charset])
    text = unicodedata.normalize("NFC", text)
    return _NAME_WITHOUT_SMALL.sub(_raised_name, _WITHOUT_SMALL.sub(_raised, text)) if charset == "tcvn3" else text


def encode_legacy(text: str, charset: str) -> tuple[bytes, int]:
    """The bytes, and how many characters the code page lacks: those are written without marks, else as `?`.

    text is taken in NFC. `tcvn3` keeps no case of letters with a tone (see above); the other pages keep every letter.
    """
    lost = 0
    table = _ENCODING.get(charset)
    out: list[bytes] = []
    for character in unicodedata.normalize("NFC", text):
        written = _written(character, table)
        if written is None:
            lost += 1
            plain = unicodedata.normalize("NFKD", character)[:1]
            written = plain.encode("ascii") if plain.isascii() else b"?"
        out.append(written)
    return b"".join(out), lost


def _written(character: str, table: dict[str, bytes] | None) -> bytes | None:
    if character.isascii():
        return character.encode()
    if table is not None:
        return table.get(character)
    # windows-1258 has the letters without tone, and tones that follow the letter.
    marks = unicodedata.normalize("NFD", character)
    tone = "".join(mark for mark in marks if mark in TONES)
    letter = unicodedata.normalize("NFC", "".join(mark for mark in marks if mark not in TONES))
    for way in (character, letter + tone):
        try:
            return way.encode("cp1258")
        except UnicodeEncodeError:
            continue
    return None


# How likely a text is Vietnamese: what a wrong code page makes of a word is hardly ever a syllable.

_SYLLABLE: Final = re.compile(
    # how it begins depends on the vowel that follows; some vowels do not end a syllable, and some only end it
    r"(?:(?:ngh|gh|k)(?=[eêiy])|(?:ng|c)(?![eêiy])|g(?![eê])|nh|n|ch|kh|gi|ph|p|th|tr|t|qu|[bdđhlmrsvx])?"
    r"(?:(?:uyê|iê|yê|uô|ươ|oă|oo|uâ|[ăâ])(?:ch|c|k|m|nh|ng|n|p|t)"
    r"|(?:oa|oe|uê|uy|uơ|[aeêioôơuưy])(?:ch|c|k|m|nh|ng|n|p|t)?"
    r"|uôi|ươi|ươu|iêu|yêu|oai|oay|oao|oeo|uây|uyu|uya|ai|ao|au|ay|âu|ây|eo|êu|ia|iu|oi|ôi|ơi|ua|ui|ưa|ưi|ưu|ue|uao|uai)"
)
_STOPPED: Final = ("c", "ch", "p", "t")  # a syllable that ends so has one of two tones
_BARE: Final = re.compile(r"(?:[^\W\d_]|[\u0300-\u036f])+")
_WORDS: Final = (
    "nguyễn trần lê phạm hoàng huỳnh phan vũ võ đặng bùi đỗ hồ ngô dương lý văn thị đức hữu ngọc thúy hồng phương hà hải hùng "
    "dũng tuấn minh hạnh hiền loan bệnh viện khoa xét nghiệm kết quả máu nước tiểu bình thường âm tính dương phòng khám bác sĩ "
    "người việt nam nội hồ chí quận huyện xã phường tỉnh thành phố đường số đau sốt chẩn đoán điều trị thuốc viên ngày lần uống "
    "và của không có được là với tại đến từ theo hóa học đường huyết "
    "tạ tô đào đoàn đinh trịnh mạc lương lưu lâm tống quách châu thái phùng vương triệu quốc công xuân thế bá mỹ như diễm tường đình "
    "bích khánh phượng yến phúc quý bảo đạt ngân sơn tâm thảo thắng tiến trâm trí tú việt nghĩa cường"
)
_COMMON: Final = frozenset(_WORDS.split())
_UNIT: Final = re.compile(r"µ[A-Za-z]*|[°±×≥≤][A-Za-z]*|[cdkmn]?m[²³]")
_LOST: Final = re.compile(r"[\x01-\x08\x0e-\x1b\x1d-\x1f]")
_SYMBOLS: Final = frozenset("°±²³µ·×÷½¼¾–—‘’“”…•™®©€«»≥≤\u00a0")


def is_syllable(word: str) -> bool:
    """Whether a word of letters, in any case and normal form, is built as Vietnamese syllables are."""
    marks = unicodedata.normalize("NFD", word.casefold())
    tones = [mark for mark in marks if mark in TONES]
    letters = unicodedata.normalize("NFC", "".join(mark for mark in marks if mark not in TONES))
    if len(tones) > 1 or (letters.endswith(_STOPPED) and tones not in (["\u0301"], ["\u0323"])):
        return False
    composed = len(unicodedata.normalize("NFC", marks)) == len(letters)  # else a tone stands on what is no vowel
    return composed and _SYLLABLE.fullmatch(letters) is not None


class Weight(NamedTuple):
    """What a text has of words beyond ASCII that read as Vietnamese, and of those that do not."""

    good: float
    bad: float

    @property
    def likelihood(self) -> float:
        """0 to 1."""
        return self.good / (self.good + self.bad) if self.good + self.bad else 0.0


def likelihood(text: str, words_max: int = 400, *, cased: bool = True) -> float:
    """How well a decoded text reads as Vietnamese, 0 to 1, judged by its words with letters beyond ASCII."""
    return weight(text, words_max, cased=cased).likelihood


def weight(text: str, words_max: int = 400, *, cased: bool = True) -> Weight:
    """The words with letters beyond ASCII, each once and at most `words_max`, by how they read.

    A well-known word is better evidence than one that is merely a syllable; what is neither a syllable nor a usual symbol
    counts against the text, and so does a control character that no text has.
    cased: whether the charset knows the case of every letter, as all but TCVN3 do: then a word that mixes cases is none.
    """
    good, bad = 0.0, float(len(_LOST.findall(text)))
    for word in dict.fromkeys(re.findall(r"[^\x00-\x40\[-`{-\x7f]+", text)):
        if word.isascii():
            continue
        if all(letter in _SYMBOLS or letter.isascii() for letter in word):
            good, bad = (good + 0.5, bad) if _is_unit(word) else (good, bad + 1)
        elif not (_BARE.fullmatch(word) and is_syllable(word) and (_one_case(word) or not cased)):
            bad += 1
        elif word.casefold() in _COMMON:
            good += 2
        else:
            good += 1
            bad += 0.1
        words_max -= 1
        if not words_max:
            break
    return Weight(good, bad)


def _one_case(word: str) -> bool:
    return word in (word.lower(), word.upper(), word.capitalize())


def _is_unit(word: str) -> bool:
    """`µmol`, `°C`, `m²`, or symbols alone: not letters with a symbol among them, as misread text has."""
    return _UNIT.fullmatch(word) is not None or not any(letter.isascii() for letter in word)
