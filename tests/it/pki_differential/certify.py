"""One certificate, right or wrong in any way: what a CA would write, and what none should.

A Draft says what is to be in it; certify() signs it. Each carries the names of the rules that it puts to the test, so that it can be counted which were. Keys are the same
for every seed, and worth nothing: what is found with a seed is found again with it."""

import dataclasses
import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.utcnow().replace(microsecond=0)
VALID, EXPIRED, FUTURE = (NOW - 10 * DAY, NOW + 80 * DAY), (NOW - 90 * DAY, NOW - 2 * DAY), (NOW + 2 * DAY, NOW + 90 * DAY)
UNKNOWN = x509.ObjectIdentifier("1.3.6.1.4.1.32473.1")  # of the arc for documentation
NOBODY = bytes(range(20))
SHARED = b"\x5a" * 20

_keys, _small = {}, []


def key_number(n):
    if n not in _keys:
        _keys[n] = ec.derive_private_key(0x1D1FF000 + n, ec.SECP256R1())
    return _keys[n]


def small_key(n):
    """Less than a client wants: the curve P-192, or RSA with 1,024 bits (which cannot be made from a seed; one is enough)."""
    if n % 2:
        return ec.derive_private_key(0x1D1FF000 + n, ec.SECP192R1())
    if not _small:
        _small.append(rsa.generate_private_key(65537, 1024))
    return _small[0]


def name(common, organization="Example"):
    return x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, organization), x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])


class Authority:
    """A name and a key; what certificates there are for it is another matter. `mark` is the key identifier that those below it are given."""

    def __init__(self, common, key, organization="Example"):
        self.name, self.key, self.certificates = name(common, organization), key, []
        self.mark = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest
        self.rules = set()


@dataclasses.dataclass
class Draft:
    subject: x509.Name
    public: object
    issuer: Authority
    mark: bytes = None              # subject key identifier; None: there is none
    points_at: str = "key"          # authority key identifier: key, nobody, serial, wrong serial, none
    dates: tuple = VALID
    basic: str = "ca"               # basicConstraints: ca, false, none
    length: int = None
    usage: str = "sign"             # key usage: sign, other, leaf, none
    purposes: list = None
    constraints: x509.NameConstraints = None
    unknown: str = None             # an extension that nobody knows: critical, plain
    names: list = None
    digest: hashes.HashAlgorithm = dataclasses.field(default_factory=hashes.SHA256)
    version: int = 3
    rules: set = dataclasses.field(default_factory=set)


def _usage(kind):
    signs = kind == "sign"
    return x509.KeyUsage(not signs, False, False, False, False, signs, signs, False, False)


def _authority_key(draft):
    if draft.points_at == "nobody":
        return x509.AuthorityKeyIdentifier(NOBODY, None, None)
    if draft.points_at in ("serial", "wrong serial") and draft.issuer.certificates:
        of = draft.issuer.certificates[0]
        return x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(of.issuer)], of.serial_number + (draft.points_at != "serial"))
    return None if draft.points_at == "none" or draft.issuer.mark is None else x509.AuthorityKeyIdentifier(draft.issuer.mark, None, None)


def _extensions(draft):
    if draft.basic != "none":
        yield x509.BasicConstraints(draft.basic == "ca", draft.length if draft.basic == "ca" and draft.usage == "sign" else None), True
    if draft.usage != "none":
        yield _usage(draft.usage), True
    if draft.purposes:
        yield x509.ExtendedKeyUsage(draft.purposes), False
    if draft.constraints:
        yield draft.constraints, True
    if draft.unknown:
        yield x509.UnrecognizedExtension(UNKNOWN, b"\x05\x00"), draft.unknown == "critical"
    if draft.names:
        yield x509.SubjectAlternativeName(draft.names), False
    if draft.mark:
        yield x509.SubjectKeyIdentifier(draft.mark), False
    points_at = _authority_key(draft)
    if points_at:
        yield points_at, False


def certify(serial, draft):
    builder = x509.CertificateBuilder().subject_name(draft.subject).issuer_name(draft.issuer.name).public_key(draft.public).serial_number(serial)
    builder = builder.not_valid_before(draft.dates[0]).not_valid_after(draft.dates[1])
    for extension, critical in _extensions(draft):
        builder = builder.add_extension(extension, critical)
    made = builder.sign(draft.issuer.key, draft.digest)
    return as_version_1(made, draft.issuer.key) if draft.version == 1 else made


def sign(key, data):
    return key.sign(data, padding.PKCS1v15(), hashes.SHA256()) if isinstance(key, rsa.RSAPrivateKey) else key.sign(data, ec.ECDSA(hashes.SHA256()))


def _wrap(tag, body):
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8 or 1, "big")
    return bytes([tag]) + (length if len(body) < 128 else bytes([0x80 | len(length)]) + length) + body


def _children(der):
    """The parts of a constructed value, each with its tag and length."""
    def body_at(at):
        if der[at + 1] < 128:
            return at + 2, der[at + 1]
        size = der[at + 1] & 127
        return at + 2 + size, int.from_bytes(der[at + 2:at + 2 + size], "big")
    at, parts = body_at(0)[0], []
    while at < len(der):
        start, length = body_at(at)
        parts.append(der[at:start + length])
        at = start + length
    return parts


def as_version_1(certificate, key):
    """The same without version and extensions, as roots of the nineties are."""
    parts = [p for p in _children(certificate.tbs_certificate_bytes) if p[0] not in (0xA0, 0xA3)]
    tbs = _wrap(0x30, b"".join(parts))
    return x509.load_der_x509_certificate(_wrap(0x30, tbs + parts[1] + _wrap(0x03, b"\x00" + sign(key, tbs))))


def with_wrong_signature(certificate):
    """Same names, same key identifiers; nobody signed it."""
    der = bytearray(certificate.public_bytes(x509.base.serialization.Encoding.DER))
    der[-1] ^= 1
    return x509.load_der_x509_certificate(bytes(der))
