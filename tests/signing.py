"""Keys, certificates and signed envelopes, made when a test needs them."""

from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree
from signxml.algorithms import CanonicalizationMethod
from signxml.signer import XMLSigner

AT = datetime(2026, 11, 23, tzinfo=UTC)


class Owner:
    """Who holds a key, and the certificate for it: of his own making, or issued by another."""

    def __init__(
        self, name: str, *, by: "Owner | None" = None, authority: bool = False, days: tuple[int, int] = (-30, 300)
    ) -> None:
        self.key = _key(name)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        start, stop = (AT + timedelta(days=each) for each in days)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(by.certificate.subject if by else subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(stop)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .sign(by.key if by else self.key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def sign(self, envelope: bytes, *, chain: "tuple[Owner, ...]" = (), **more: object) -> bytes:
        """The envelope with its signature in CHUKYDONVI, as an enveloped one over the whole document."""
        root = etree.fromstring(envelope)
        holder = root.find("{*}CHUKYDONVI")
        assert holder is not None
        etree.SubElement(
            holder,
            "{http://www.w3.org/2000/09/xmldsig#}Signature",
            Id="placeholder",
            nsmap={"ds": "http://www.w3.org/2000/09/xmldsig#"},
        )
        signer = XMLSigner(c14n_algorithm=CanonicalizationMethod.CANONICAL_XML_1_0)
        certificates = b"".join(each.pem for each in (self, *chain)).decode()
        private = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return etree.tostring(signer.sign(root, key=private, cert=certificates, **more), encoding="utf-8", xml_declaration=True)


@cache
def _key(name: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)
