"""Who issued a number of a person: its facility, or an authority of the nation. Source: `identifiers.md` §1–3."""

import re
from functools import lru_cache
from typing import Final

from adapters.dialects.transforms import facility_code

_FACILITYS_OWN: Final = frozenset({"MRN", "TEMP", "BIRTH_CERTIFICATE_NO"})  # numbers that mean nothing without their facility
_QUALIFIED: Final = re.compile(r"(?:VN-CSKCB-|CS)?([0-9]{5})/\s*(.+)", re.IGNORECASE)  # an authority within its facility, in CX-4
ISSUERS: Final = {  # of national issue, whatever CX-4 says: many repeat the kind there, such as BHYT or CCCD
    "SDDCN": "BCA",
    "CMND9": "BCA",
    "BHYT_CARD": "VSS",
    "BHXH_NUMBER": "VSS",
}


@lru_cache(maxsize=4096)
def issuer_of(kind: str, authority: str, facility: str, known_as: str) -> str:
    """A hospital's number always names its facility; an authority that names none is put behind the sender's.

    known_as: another name of the sender's facility; "" for none.
    """
    if kind not in _FACILITYS_OWN:
        return ISSUERS.get(kind) or authority
    authority = authority.strip()
    if (within := _QUALIFIED.fullmatch(authority)) and within[1] == facility:
        authority = within[2]
        within = _QUALIFIED.fullmatch(authority)
    if within:  # a number of another facility, as the hub passed it on: behind the sender's it would be nobody's
        return f"VN-CSKCB-{within[1]}/{within[2]}"
    if code := facility_code(authority.upper()):
        return f"VN-CSKCB-{code}"
    own = f"VN-CSKCB-{facility}"
    return f"{own}/{authority}" if authority and authority not in (facility, own, known_as) else own
