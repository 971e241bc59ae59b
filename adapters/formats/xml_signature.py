"""The signature of an envelope: an enveloped XML signature (XML-DSig, RSA with SHA-256 or longer) in CHUKYDONVI.

What counts is that it covers what the hub reads: one reference to the whole document, with no transform that could leave
a part out. Cryptography and canonical XML are `signxml`'s; which certificates are trusted is decided here.
Source: adjudication.md §1 and T03; W3C XML Signature Syntax and Processing 1.1.
"""

import base64
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import InvalidCertificate, SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from adapters.formats.xml_stream import encoding_of, in_utf8, name_of

State = Literal["VALID", "MISSING", "WRONG", "UNTRUSTED"]

_DS: Final = "{http://www.w3.org/2000/09/xmldsig#}"
_TRANSFORMS: Final = frozenset(
    {
        "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
        "http://www.w3.org/2006/12/xml-c14n11",
        "http://www.w3.org/2006/12/xml-c14n11#WithComments",
        "http://www.w3.org/2001/10/xml-exc-c14n#",
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    }
)
_METHODS: Final = frozenset({SignatureMethod.RSA_SHA256, SignatureMethod.RSA_SHA384, SignatureMethod.RSA_SHA512})
_DIGESTS: Final = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})
_TRANSFORMS_MAX: Final = 4
_IDS: Final = ("Id", "ID", "id")
_CHAIN_MAX: Final = 5
logging.getLogger("signxml").setLevel(logging.WARNING)  # at debug it writes the document down


def judge(raw: bytes, trusted: Sequence[x509.Certificate], at: datetime) -> State:
    """What the signature of an envelope is worth.

    raw:     the envelope; one that a `Reader` takes, which has refused DTDs and kept to its limits.
    trusted: certificates of the facility, or of an authority that signs for it alone.
    at:      when the envelope came: then its certificate had to be valid.
    Returns: WRONG also for a signature of another form, or over a part of the document only.
    """
    try:
        text, _ = in_utf8(raw, "")
        root = etree.fromstring(text, _parser(encoding_of(text[:8])))
        holders = [each for each in root if name_of(etree.QName(each).localname) == "CHUKYDONVI"]
        found = [each for holder in holders for each in holder if each.tag == f"{_DS}Signature"]
        if not found:
            return "WRONG" if any("".join(map(str, each.itertext())).strip() for each in holders) else "MISSING"
        if len(found) > 1 or len(holders) > 1:
            return "WRONG"
        if not _covers_all(found[0], root):  # looked at first: each reference and transform costs a copy of the document
            return "WRONG"
        certificates = _certificates(found[0]) or list(trusted)
        signer = next(
            (one for one in certificates if not any(_issued(one, other) for other in certificates if other != one)), None
        )
        if signer is None:
            return "WRONG"
        _verified(root, holders[0].tag, signer, at)
        return "VALID" if _vouched(signer, certificates, trusted, at) else "UNTRUSTED"
    except InvalidCertificate:
        return "UNTRUSTED"
    except (SignXMLException, etree.LxmlError, ValueError, TypeError, KeyError, AttributeError, UnsupportedAlgorithm):
        return "WRONG"


def _parser(encoding: str | None = None) -> etree.XMLParser:
    return etree.XMLParser(encoding=encoding, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)


def _certificates(signature: etree._Element) -> list[x509.Certificate]:
    stated = signature.findall(f"{_DS}KeyInfo/{_DS}X509Data/{_DS}X509Certificate")
    return [x509.load_der_x509_certificate(base64.b64decode("".join((each.text or "").split()))) for each in stated[:_CHAIN_MAX]]


def _verified(root: etree._Element, holder: str, signer: x509.Certificate, at: datetime) -> None:
    """Raises: SignXMLException and whatever malformed values provoke, when the signature does not fit."""
    wanted = SignatureConfiguration(
        location=f"./{holder}/",
        expect_references=1,
        signature_methods=_METHODS,
        digest_algorithms=_DIGESTS,
        verification_time=at,
    )
    XMLVerifier().verify(root, x509_cert=signer, parser=_parser(), expect_config=wanted)


def _covers_all(signature: etree._Element, root: etree._Element) -> bool:
    """Whether the one reference is to the whole document, all of it."""
    references = signature.findall(f"{_DS}SignedInfo/{_DS}Reference")
    if len(references) != 1 or len(signature.findall(f"{_DS}SignedInfo")) != 1:
        return False
    transforms = [each.get("Algorithm", "") for each in references[0].iter(f"{_DS}Transform")]
    return _is_root(references[0].get("URI"), root) and len(transforms) <= _TRANSFORMS_MAX and _TRANSFORMS.issuperset(transforms)


def _is_root(target: str | None, root: etree._Element) -> bool:
    """Whether a reference leads to the root, and could lead nowhere else: an id may stand in attributes of several names."""
    if not target:
        return target == ""
    named = root.xpath(f"//*[@*[{' or '.join(f'local-name() = {name!r}' for name in _IDS)}] = $id]", id=target.lstrip("#"))
    return target.startswith("#") and isinstance(named, list) and len(named) == 1 and named[0] is root


def _vouched(
    signer: x509.Certificate, others: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate], at: datetime
) -> bool:
    """Whether the certificate is a trusted one, or a chain of valid ones leads from it to one."""
    if not _may_sign(signer):
        return False
    one: x509.Certificate | None = signer
    for _ in range(_CHAIN_MAX):
        if one is None or not one.not_valid_before_utc <= at <= one.not_valid_after_utc:
            return False
        if one in trusted:
            return True
        below = one
        one = next((each for each in (*trusted, *others) if each != below and _is_authority(each) and _issued(each, below)), None)
    return False


def _issued(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except ValueError:
        return False
    return usage.digital_signature or usage.content_commitment
