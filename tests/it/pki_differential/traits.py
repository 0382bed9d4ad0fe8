"""What may be special about a certificate, one function a rule: it changes a draft, so that the rule is kept or broken. THEMES are the rules that a PKI is made about."""

import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose

from certify import EXPIRED, FUTURE, name

SERVER, CLIENT, ANY, CODE = Purpose.SERVER_AUTH, Purpose.CLIENT_AUTH, Purpose.ANY_EXTENDED_KEY_USAGE, Purpose.CODE_SIGNING

# What a leaf is called, whatever it is called besides: the constraints below permit or exclude some of it.
HOST = "a.example.com"
LEAF_NAMES = {
    "plain": [x509.DNSName(HOST), x509.DNSName("www.example.com")],
    "wildcard": [x509.DNSName("*.example.com")],
    "wildcard and plain": [x509.DNSName("example.com"), x509.DNSName("*.example.com")],
    "idn": [x509.DNSName(HOST), x509.DNSName("www.xn--bcher-kva.example")],
    "address": [x509.DNSName(HOST), x509.IPAddress(ipaddress.ip_address("192.0.2.7"))],
    "address 6": [x509.DNSName(HOST), x509.IPAddress(ipaddress.ip_address("2001:db8::7"))],
    "mail": [x509.DNSName(HOST), x509.RFC822Name("admin@example.com")],
    "uri": [x509.DNSName(HOST), x509.UniformResourceIdentifier("https://a.example.com/")],
}

_network = ipaddress.ip_network
CONSTRAINTS = {
    "dns": [x509.DNSName(text) for text in ("example.com", HOST, "other.example", "com", "ample.com", "EXAMPLE.com")],
    "dns, leading dot": [x509.DNSName(text) for text in (".example.com", ".com", ".other.example", "." + HOST)],
    "dns, empty": [x509.DNSName("")],
    "dns, idn": [x509.DNSName(text) for text in ("xn--bcher-kva.example", "www.xn--bcher-kva.example", "example")],
    "ip": [x509.IPAddress(_network(text)) for text in ("192.0.2.0/24", "192.0.2.7/32", "198.51.100.0/24", "0.0.0.0/0", "2001:db8::/32", "2001:db8:1::/48", "::/0")],
    "mail": [x509.RFC822Name(text) for text in ("example.com", "other.example", ".example.com", "admin@example.com", "other@example.com")],
    "directory name": [x509.DirectoryName(n) for n in (
        x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Example")]), x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Other")]), name(HOST))],
    "uri": [x509.UniformResourceIdentifier(text) for text in ("a.example.com", ".example.com", "other.example")],
}


def _constrained(kind):
    def change(dice, draft):
        chosen = dice.sample(CONSTRAINTS[kind], min(len(CONSTRAINTS[kind]), dice.choice([1, 1, 2])))
        if dice.random() < 0.6:
            draft.constraints = x509.NameConstraints(chosen, None)
        elif dice.random() < 0.7 or len(chosen) == 1:
            draft.constraints = x509.NameConstraints(None, chosen)
        else:
            draft.constraints = x509.NameConstraints(chosen[:1], chosen[1:])
    return change


def _set(**changes):
    def change(_, draft):
        for field, value in changes.items():
            setattr(draft, field, value)
    return change


def _one_of(field, *values):
    def change(dice, draft):
        setattr(draft, field, dice.choice(values))
    return change


TRAITS = {
    "expired": _set(dates=EXPIRED),
    "not yet valid": _set(dates=FUTURE),
    "path length": _one_of("length", 0, 0, 1, 1, 2, 3),
    "purpose": _one_of("purposes", [SERVER], [SERVER, CLIENT], [CLIENT], [CODE]),
    "any purpose": _one_of("purposes", [ANY], [CLIENT, ANY], [ANY, SERVER], [ANY, SERVER, CLIENT]),
    "unknown extension": _one_of("unknown", "critical", "critical", "plain"),
    "no basicConstraints": _set(basic="none"),
    "not a CA": _set(basic="false"),
    "may not sign": _set(usage="other"),
    "no key usage": _set(usage="none"),
    "version 1": _set(version=1),
    "sha-1": lambda dice, draft: setattr(draft, "digest", hashes.SHA1()),
    "points at nobody": _set(points_at="nobody"),
    "points at a serial": _one_of("points_at", "serial", "serial", "wrong serial"),
    "points at nothing": _set(points_at="none"),
    "no key identifier": _set(mark=None),
}
TRAITS.update({"names: " + kind: _constrained(kind) for kind in CONSTRAINTS})

# Of the shape of a PKI rather than of one certificate; generate.py knows what they are.
SHAPES = ["cross-signs", "loops", "same name", "same name and key", "wrong signature", "same key identifier", "small key", "an intermediate as anchor", "self-issued", "long", "strangers",
          "the same root twice", "leaf"]
THEMES = list(TRAITS) + ["root: " + trait for trait in TRAITS if trait not in ("points at nobody", "points at nothing", "points at a serial", "no key identifier")] + SHAPES
