"""PKIs as they come: made from a seed, with what makes path building hard, and small enough that every path can be tried.

A PKI is certificates only; the keys are gone when it is made. Roots and intermediates, cross-signed or not, CAs of one name with different keys, limits of path
length, name constraints, expired certificates anywhere, a CA whose key may not sign, key identifiers or not; a leaf; a bag of all of it with some missing, doubled, shuffled
and strangers among them; and the roots a client trusts."""

import datetime
import random

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
KEYS = []


def key(dice):
    """Keys are slow to make and say nothing about paths: twenty are enough for all PKIs, as long as two CAs of one PKI have none in common."""
    if not KEYS:
        KEYS.extend(ec.generate_private_key(ec.SECP256R1()) for _ in range(20))
    return dice.pop()


def name(common):
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"), x509.NameAttribute(NameOID.COMMON_NAME, common)])


class Authority:
    """A name and a key; what certificates there are for it is another matter."""

    def __init__(self, common, private):
        self.name, self.key, self.certificates = name(common), private, []


def validity(dice, odds):
    now = datetime.datetime.utcnow()
    if dice.random() >= odds:
        return now - 10 * DAY, now + 80 * DAY
    return (now - 90 * DAY, now - 2 * DAY) if dice.random() < 0.7 else (now + 2 * DAY, now + 90 * DAY)


def constraints(dice):
    good, bad = x509.DNSName("example.com"), x509.DNSName("other.example")
    return dice.choice([x509.NameConstraints([good], None), x509.NameConstraints([bad], None), x509.NameConstraints(None, [good]), x509.NameConstraints(None, [bad])])


def certify(dice, subject, public, issuer, extensions, dates, identifiers=True):
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.name).public_key(public).serial_number(dice.getrandbits(120) + 1)
    builder = builder.not_valid_before(dates[0]).not_valid_after(dates[1])
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    if identifiers:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False)
    return builder.sign(issuer.key, hashes.SHA256())


def certify_authority(dice, subject, issuer):
    """One more certificate for this authority; what it may do differs from the one before."""
    is_root = subject is issuer
    length = dice.choice([None, None, None, 0, 1]) if not is_root or dice.random() < 0.2 else None
    may_sign = is_root or dice.random() > 0.04
    usage = x509.KeyUsage(not may_sign, False, False, False, False, may_sign, may_sign, False, False)
    extensions = [(x509.BasicConstraints(True, length if may_sign else None), True), (usage, True)]
    if not is_root and dice.random() < 0.15:
        extensions.append((constraints(dice), True))
    made = certify(dice, subject.name, subject.key.public_key(), issuer, extensions, validity(dice, 0.08), dice.random() > 0.15)
    subject.certificates.append(made)
    return made


def certify_leaf(dice, issuer, private):
    extensions = [
        (x509.BasicConstraints(False, None), True),
        (x509.KeyUsage(True, False, False, False, False, False, False, False, False), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName([x509.DNSName("a.example.com"), x509.DNSName("www.example.com")]), False),
    ]
    return certify(dice, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a.example.com")]), private.public_key(), issuer, extensions, validity(dice, 0.05))


def generate(seed):
    """(leaf, bag, anchors): lists of certificates, the leaf in the bag."""
    dice = random.Random(seed)
    if not KEYS:
        key([None])
    keys = list(KEYS)
    dice.shuffle(keys)
    roots = [Authority("Root %d" % (1 if dice.random() < 0.2 else i), keys.pop()) for i in range(1, dice.randint(2, 4))]
    root_certificates = [certify_authority(dice, root, root) for root in roots]
    layers, made = [roots], []
    for depth in range(dice.randint(1, 3)):
        layer = []
        for i in range(dice.randint(1, 3)):
            twin = dice.random() < 0.2
            layer.append(Authority("CA %d %d" % (depth, 1 if twin else i), keys.pop()))
            made.append(certify_authority(dice, layer[-1], dice.choice(layers[-1])))
        layers.append(layer)
    authorities = [a for layer in layers for a in layer]
    for _ in range(dice.randint(0, 5)):
        subject, issuer = dice.choice(authorities), dice.choice(authorities)
        if subject is not issuer:
            made.append(certify_authority(dice, subject, issuer))
    leaf = certify_leaf(dice, dice.choice(layers[-1]), keys.pop())
    bag = [c for c in made if dice.random() > 0.06] + [c for c in root_certificates if dice.random() < 0.4] + [leaf]
    bag += [dice.choice(bag) for _ in range(dice.randint(0, 2))]
    dice.shuffle(bag)
    anchors = [c for c in root_certificates if dice.random() < 0.7] or root_certificates[:1]
    return leaf, bag, anchors
