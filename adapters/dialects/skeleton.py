"""A profile that differs in nothing yet, for a vendor without samples."""

from typing import Final


def skeleton(name: str, extends: str) -> str:
    """The text of a profile that differs in nothing yet: what vendors differ in most, to be taken from behind its #."""
    return _SKELETON.format(name=name, extends=extends)


_SKELETON: Final = """\
# The dialect {name}: only what differs from {extends}.toml. How rules and places are written is said in _standard.toml.
# Take the # away from what applies and delete the rest. Whatever is wrong here is named, with its place, when it is read.
extends = "{extends}"
version = "1" # raise it when a change alters what comes out
about = "{name}: whose system this is, which version of HL7, over what."
# charset = "tcvn3" # where MSH-18 does not tell: tcvn3, vni, viscii, windows-1258, utf-8
# comma = "decimal"   # numbers are written 9,8; "thousands" where 1,234 is 1234
# point = "thousands" # amounts are written 148.480 for 148480 VND
# stated_at = "day_first" # MSH-7 and EVN-2 are written 20/11/2026 15:02
# ended = true        # every message ends its last segment too, with CR: one that does not was cut, and is refused

# [facility] # where MSH-4 is not the MA_CSKCB: MSH-3, MSH-4, and the code that they stand for
# aliases = [{{ application = "MYHIS", name = "CS1", code = "01234" }}]

# [identifiers]
# untyped = true              # PID-3 has no types (CX-5): told by their shape
# number_prefixes = ["CS1-"]  # stand before patient numbers
# lists = ["PID-3+PID-4+PID-19"] # numbers of the patient stand in several fields of PID: all of them are read

# [identifiers.types] # your CX-5, and what it is: SDDCN, CMND9, BHYT_CARD, BHXH_NUMBER, MRN, PASSPORT, TEMP
# BN = "MRN"
# PID-19 = "BHYT_CARD" # or a field of `lists`: what its numbers are, where CX-5 is empty

# [person] # a field of the record, and the place of its value
# ho_ten = {{ from = "PID-5", as = "full_name_without_age" }}
# ngay_sinh = {{ from = "PID-7", as = "day_first" }} # 02/01/1990, or the year alone

# [observation]
# flags = {{ from = "OBX-8", as = "list", codes = "flags", unknown = "keep" }}

# [codes.flags] # your words in OBX-8, and those of HL7 table 0078: H, L, HH, LL, N, A
# CAO = "H"
# THAP = "L"

# [codes.sex] # your code in PID-8, in capitals or not, and GIOI_TINH: 1 male, 2 female, 3 other
# NAM = "1"
# NU = "2"

# [tests] # your test code in OBX-3, and what the country calls it
# GLU = {{ code = "14749-6", system = "LN", display = "Glucose" }}

# [send] # how you want to be written to
# version = "2.3.1"
# terminator = "lf"
# charset = "tcvn3"
"""
