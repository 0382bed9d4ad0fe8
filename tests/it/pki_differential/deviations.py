"""Where openssl and certtool do not agree about one and the same path, why: told by what is in its certificates, whatever the generator meant. A kind for each, whose reason is in the file
`allowed`; what fits none is a difference that nobody has looked into yet."""

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from verifiers import signed

CONSTRAINED = "violates the signer's constraints"


def _has(certificate, kind):
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _constrained(certificates):
    """What the constraints of all of them speak of."""
    for c in certificates:
        limits = _has(c, x509.NameConstraints)
        if limits:
            yield from (limits.permitted_subtrees or []) + (limits.excluded_subtrees or [])


def _other_family(leaf, certificates):
    """Addresses of one version are constrained, and the leaf has one of the other."""
    limited = {n.value.version for n in _constrained(certificates) if isinstance(n, x509.IPAddress)}
    return any(isinstance(n, x509.IPAddress) and limited - {n.value.version} for n in _has(leaf, x509.SubjectAlternativeName) or [])


def _any_purpose_only(certificate):
    purposes = _has(certificate, x509.ExtendedKeyUsage) or []
    return ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in purposes and ExtendedKeyUsageOID.SERVER_AUTH not in purposes


def _other_purpose(certificate):
    purposes = _has(certificate, x509.ExtendedKeyUsage) or []
    return purposes and ExtendedKeyUsageOID.SERVER_AUTH not in purposes


def _by_serial(certificate):
    points_at = _has(certificate, x509.AuthorityKeyIdentifier)
    return points_at and points_at.authority_cert_serial_number


def _may_have_issued(anchor, certificate):
    """By name and key identifiers, where there are any."""
    own, wanted = _has(anchor, x509.SubjectKeyIdentifier), getattr(_has(certificate, x509.AuthorityKeyIdentifier), "key_identifier", None)
    return anchor.subject == certificate.issuer and (own is None or wanted is None or own.digest == wanted)


def _several_of_one_name(path, anchors):
    """More than one anchor may be it, and nothing but a signature tells which it is."""
    return any(len([a for a in anchors if _may_have_issued(a, c)]) > 1 for c in path)


def _ends_early(path, anchors):
    """There is an anchor before the end: what stands above it is needless, and OpenSSL does not look at it."""
    return any(c in anchors or any(signed(c, a) for a in anchors) for c in path[:-1])


def _self_issued_below_limit(path):
    limited = any((_has(c, x509.BasicConstraints) or x509.BasicConstraints(True, None)).path_length is not None for c in path)
    return limited and any(c.subject == c.issuer for c in path)


def _looks_self_signed(certificate):
    """Same subject and issuer, and no key identifiers that say that there are two keys."""
    identifiers = _has(certificate, x509.SubjectKeyIdentifier), getattr(_has(certificate, x509.AuthorityKeyIdentifier), "key_identifier", None)
    return certificate.subject == certificate.issuer and (None in identifiers or identifiers[0].digest == identifiers[1])


def kind_of(path, anchors, by_openssl, by_gnutls):
    """Of a path that one accepts and the other refuses."""
    whole = path + [a for a in anchors if signed(path[-1], a)]
    odd_names = {x509.DirectoryName, x509.UniformResourceIdentifier} & {type(n) for n in _constrained(whole)}
    if by_gnutls is None:
        if not all(signed(a, a) for a in whole[len(path):]):
            return "openssl-intermediate-anchor"
        if by_openssl == "unable to get local issuer certificate" and any(_by_serial(c) for c in path):
            return "openssl-serial"
        if by_openssl == "unsuitable certificate purpose" and any(_any_purpose_only(c) for c in whole):
            return "openssl-any-purpose"
        if by_openssl == "unsuitable certificate purpose" and any(_other_purpose(a) for a in whole[len(path):]):
            return "gnutls-purpose-of-roots"
        if by_openssl == "self-signed certificate in certificate chain" and any(_looks_self_signed(c) for c in path):
            return "openssl-self-issued"
        if "subtree violation" in by_openssl and _other_family(path[0], whole):
            return "gnutls-address-families"
        if "subtree violation" in by_openssl and odd_names:
            return "gnutls-no-such-constraints"
        if _ends_early(path, anchors):
            return "openssl-first-anchor"
        return "openssl-same-name" if _several_of_one_name(path, anchors) else "openssl-refuses"
    if _ends_early(path, anchors):
        return "gnutls-whole-list"
    if CONSTRAINED in by_gnutls and _self_issued_below_limit(path):
        return "gnutls-self-issued"
    if CONSTRAINED in by_gnutls and odd_names:
        return "gnutls-no-such-constraints"
    return "gnutls-same-name" if _several_of_one_name(path, anchors) else "gnutls-refuses"
