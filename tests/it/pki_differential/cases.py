"""PKIs with a name: what has happened, and what is at the edge. Each says what it must come to, so that here no verifier is taken at its word.

root signs top signs low signs leaf, unless it says otherwise."""

import functools
import ipaddress
import itertools
import random

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from certify import DAY, EXPIRED, FUTURE, NOW, SHARED, Authority, Draft, certify, key_number, small_key, with_wrong_signature
from generate import Pki
from traits import ANY, CLIENT, CODE, HOST, LEAF_NAMES, SERVER

CASES = {}


def case(title, usable):
    """Declares one: the function fills a Lab."""
    def declare(build):
        def made():
            lab = Lab(title)
            build(lab)
            return lab.pki(usable)
        CASES["case: " + title] = made
        return build
    return declare


class Lab:
    def __init__(self, title):
        self.serials, self.numbers = random.Random(title), itertools.count(60)
        self.bag, self.anchors, self.leaf, self.leaf_key = [], [], None, None

    def authority(self, common, key=None):
        return Authority(common, key or key_number(next(self.numbers)))

    def certify(self, subject, issuer, **fields):
        made = certify(self.serials.getrandbits(100) + 1, Draft(subject.name, subject.key.public_key(), issuer, **{"mark": subject.mark, **fields}))
        subject.certificates.append(made)
        return made

    def root(self, common, trusted=True, key=None, **fields):
        root = self.authority(common, key)
        made = self.certify(root, root, **fields)
        if trusted:
            self.anchors.append(made)
        return root

    def below(self, issuer, common, key=None, **fields):
        """One more CA, its certificate in the bag."""
        subject = self.authority(common, key)
        self.bag.append(self.certify(subject, issuer, **fields))
        return subject

    def again(self, subject, issuer, **fields):
        """One more certificate of this CA, in the bag."""
        self.bag.append(self.certify(subject, issuer, **fields))
        return self.bag[-1]

    def end(self, issuer, **fields):
        subject = self.authority(HOST)
        self.leaf_key = subject.key
        self.leaf = self.certify(subject, issuer, **{"basic": "false", "usage": "leaf", "purposes": [SERVER], "names": LEAF_NAMES["plain"], **fields})
        self.bag.insert(len(self.bag) // 2, self.leaf)

    def pki(self, usable):
        return Pki(self.leaf, self.leaf_key, self.bag, self.anchors, {}, set(), usable)


@case("AddTrust: the cross-sign has expired, and its root, clients have the new root", True)
def _(lab):
    old, new = lab.root("AddTrust", dates=EXPIRED), lab.root("USERTrust")
    lab.again(new, old, dates=EXPIRED)
    lab.end(lab.below(new, "Sectigo"))


@case("AddTrust: clients have the old root only", False)
def _(lab):
    old, new = lab.root("AddTrust", dates=EXPIRED), lab.root("USERTrust", trusted=False)
    lab.again(new, old, dates=EXPIRED)
    lab.end(lab.below(new, "Sectigo"))


@case("AddTrust: the old root is still valid, the cross-sign is not", True)
def _(lab):
    old, new = lab.root("AddTrust"), lab.root("USERTrust")
    lab.again(new, old, dates=EXPIRED)
    lab.end(lab.below(new, "Sectigo"))


@case("DST Root X3: the cross-sign outlives its root, clients have both roots", True)
def _(lab):
    old, new = lab.root("DST Root CA X3", dates=EXPIRED), lab.root("ISRG Root X1")
    lab.again(new, old)
    lab.end(lab.below(new, "R3"))


@case("DST Root X3: clients have the expired root only", False)
def _(lab):
    old, new = lab.root("DST Root CA X3", dates=EXPIRED), lab.root("ISRG Root X1", trusted=False)
    lab.again(new, old)
    lab.end(lab.below(new, "R3"))


@case("DST Root X3: the expired root is in the bag, too", True)
def _(lab):
    old, new = lab.root("DST Root CA X3", dates=EXPIRED), lab.root("ISRG Root X1")
    lab.again(new, old)
    lab.bag += [old.certificates[0], new.certificates[0]]
    lab.end(lab.below(new, "R3"))


@case("clients have the intermediate and its root, the server sends its leaf alone", True)
def _(lab):
    low = lab.below(lab.root("Root"), "Low")
    lab.anchors += low.certificates
    lab.end(low)
    lab.bag = [lab.leaf]


@case("clients have the intermediate, but not its root", False)
def _(lab):
    low = lab.below(lab.root("Root", trusted=False), "Low")
    lab.anchors += low.certificates
    lab.end(low)


@case("the intermediate is missing", False)
def _(lab):
    lab.end(lab.below(lab.root("Root"), "Low"))
    lab.bag = [lab.leaf]


@case("root in the bag, everything twice, in the wrong order, among strangers", True)
def _(lab):
    root = lab.root("Root")
    lab.end(lab.below(lab.below(root, "Top"), "Low"))
    other = lab.root("Stranger", trusted=False)
    lab.bag += root.certificates + other.certificates + lab.below(other, "Low").certificates + lab.bag[::-1]


@case("as long as a chain may be", True)
def _(lab):
    above = lab.root("Root")
    for i in range(9):
        above = lab.below(above, "CA %d" % i)
    lab.end(above)


@case("a root with path length 0 and two below it", False)
def _(lab):
    lab.end(lab.below(lab.below(lab.root("Root", length=0), "Top"), "Low"))


@case("a root with path length 0 and one below it", False)
def _(lab):
    lab.end(lab.below(lab.root("Root", length=0), "Low"))


@case("a root with path length 0 that signs the leaf", True)
def _(lab):
    lab.end(lab.root("Root", length=0))


@case("path length exactly reached", True)
def _(lab):
    lab.end(lab.below(lab.below(lab.root("Root", length=2), "Top", length=1), "Low", length=0))


@case("the short way is too long for its limit, the long one is not", True)
def _(lab):
    root = lab.root("Root")
    top = lab.below(root, "Top", length=0)
    lab.end(lab.below(top, "Low"))
    lab.again(top, lab.below(root, "Bridge"))


def _limits(dns):
    return x509.NameConstraints([x509.DNSName(dns)], None)


for _title, _constraints, _names, _usable in (
        ("permitted, kept", _limits("example.com"), "plain", True),
        ("permitted, broken", _limits("other.example"), "plain", False),
        ("permitted, half broken", _limits("a.example.com"), "plain", False),
        ("permitted, of another kind of name", x509.NameConstraints([x509.IPAddress(ipaddress.ip_network("192.0.2.0/24"))], None), "plain", True),
        ("permitted, empty: everything", _limits(""), "plain", True),
        ("excluded, empty: nothing", x509.NameConstraints(None, [x509.DNSName("")]), "plain", False),
        ("excluded, kept", x509.NameConstraints(None, [x509.DNSName("other.example")]), "plain", True),
        ("excluded, broken", x509.NameConstraints(None, [x509.DNSName("example.com")]), "plain", False),
        ("excluded wins over permitted", x509.NameConstraints([x509.DNSName("example.com")], [x509.DNSName(HOST)]), "plain", False),
        ("permitted, a part of a label is none", _limits("ample.com"), "plain", False),
        ("permitted, wildcard kept", _limits("example.com"), "wildcard", True),
        ("permitted, wildcard broken", _limits("a.example.com"), "wildcard", False),
        ("permitted, IDN kept", x509.NameConstraints([x509.DNSName("example.com"), x509.DNSName("xn--bcher-kva.example")], None), "idn", True),
        ("permitted, IDN broken", _limits("example.com"), "idn", False),
        ("permitted, address kept", x509.NameConstraints([x509.IPAddress(ipaddress.ip_network("192.0.2.0/24"))], None), "address", True),
        ("permitted, address broken", x509.NameConstraints([x509.IPAddress(ipaddress.ip_network("198.51.100.0/24"))], None), "address", False),
        ("excluded, every address", x509.NameConstraints(None, [x509.IPAddress(ipaddress.ip_network("0.0.0.0/0"))]), "address", False),
        ("excluded, every address of the other kind", x509.NameConstraints(None, [x509.IPAddress(ipaddress.ip_network("0.0.0.0/0"))]), "address 6", True),
        ("permitted, addresses of the other kind", x509.NameConstraints([x509.IPAddress(ipaddress.ip_network("192.0.2.0/24"))], None), "address 6", False),
        ("permitted, mail kept", x509.NameConstraints([x509.RFC822Name("example.com")], None), "mail", True),
        ("permitted, mail broken", x509.NameConstraints([x509.RFC822Name("other.example")], None), "mail", False),
):
    def _build(lab, constraints, names, of_root):
        root = lab.root("Root", constraints=constraints if of_root else None)
        lab.end(lab.below(root, "Low", constraints=None if of_root else constraints), names=LEAF_NAMES[names])
    case("names, " + _title, _usable)(functools.partial(_build, constraints=_constraints, names=_names, of_root=False))
    case("names, of the root: " + _title, _usable)(functools.partial(_build, constraints=_constraints, names=_names, of_root=True))


# What is wrong with the certificate of the CA above the leaf. Each once alone, where it must be refused, and once with another, where the other must be taken.
_WRONG = {
    "has expired": {"dates": EXPIRED},
    "is not valid yet": {"dates": FUTURE},
    "was valid until a day ago": {"dates": (NOW - 400 * DAY, NOW - DAY)},
    "is for clients": {"purposes": [CLIENT]},
    "is for code": {"purposes": [CODE]},
    "has a critical extension that nobody knows": {"unknown": "critical"},
    "has no basicConstraints": {"basic": "none"},
    "is no CA": {"basic": "false"},
    "may not sign": {"usage": "other"},
    "has version 1": {"version": 1},
    "has neither basicConstraints nor key usage": {"basic": "none", "usage": "none"},
    "is signed with SHA-1": {"digest": hashes.SHA1()},
    "points at nobody": {"points_at": "nobody"},
    "points at another serial": {"points_at": "wrong serial"},
    "may not issue for the leaf": {"constraints": _limits("other.example")},
}
for _what, _fields in _WRONG.items():
    def _alone(lab, fields):
        lab.end(lab.below(lab.root("Root"), "Low", **fields))

    def _both(lab, fields):
        root = lab.root("Root")
        low = lab.below(root, "Low", **fields)
        lab.end(low)
        lab.again(low, lab.below(root, "Top"))
    case("an issuer that " + _what, False)(functools.partial(_alone, fields=_fields))
    case("an issuer that %s, and another way" % _what, True)(functools.partial(_both, fields=_fields))


@case("nested purposes: the upper CA is for clients", False)
def _(lab):
    lab.end(lab.below(lab.below(lab.root("Root"), "Top", purposes=[CLIENT]), "Low", purposes=[SERVER]))


@case("nested purposes: both are for servers", True)
def _(lab):
    lab.end(lab.below(lab.below(lab.root("Root"), "Top", purposes=[SERVER, CLIENT]), "Low", purposes=[SERVER]))


@case("keys too small: P-192 above the leaf", False)
def _(lab):
    lab.end(lab.below(lab.root("Root"), "Low", key=small_key(1)))


@case("keys too small: RSA with 1,024 bits above the leaf", False)
def _(lab):
    lab.end(lab.below(lab.root("Root"), "Low", key=small_key(0)))


@case("keys too small: the root's", False)
def _(lab):
    lab.end(lab.below(lab.root("Root", key=small_key(0)), "Low"))


@case("a root of version 1", True)
def _(lab):
    lab.end(lab.below(lab.root("Root", version=1), "Low"))


@case("a root that signed itself with SHA-1", True)
def _(lab):
    lab.end(lab.below(lab.root("Root", digest=hashes.SHA1()), "Low"))


@case("twins of every certificate with wrong signatures", True)
def _(lab):
    lab.end(lab.below(lab.below(lab.root("Root"), "Top"), "Low"))
    lab.bag = [with_wrong_signature(c) for c in lab.bag if c != lab.leaf] + lab.bag


@case("only the twin with the wrong signature", False)
def _(lab):
    lab.end(lab.below(lab.root("Root"), "Low"))
    lab.bag = [with_wrong_signature(c) if c != lab.leaf else c for c in lab.bag]


@case("a loop of cross-signs", True)
def _(lab):
    root = lab.root("Root")
    a, b = lab.below(root, "A"), lab.authority("B")
    lab.again(b, a)
    lab.again(a, b)
    c = lab.below(b, "C")
    lab.again(b, c)
    lab.end(c)


@case("a loop without a root", False)
def _(lab):
    a, b = lab.authority("A"), lab.authority("B")
    lab.again(b, a)
    lab.again(a, b)
    lab.root("Root")
    lab.end(b)


@case("CAs of one name and one key identifier with different keys", True)
def _(lab):
    root = lab.root("Root")
    ours = lab.authority("Low")
    ours.mark = SHARED
    for _i in range(5):
        other = lab.authority("Low")
        other.mark = SHARED
        lab.again(other, root)
    lab.again(ours, root)
    lab.end(ours)


@case("roots of one name with different keys, told apart by key identifiers", True)
def _(lab):
    lab.root("Root")
    lab.end(lab.below(lab.root("Root"), "Low"))
    lab.root("Root")


@case("a renewed root of the same key, the old one has expired", True)
def _(lab):
    root = lab.root("Root", dates=EXPIRED)
    lab.anchors.append(lab.certify(root, root))
    lab.end(lab.below(root, "Low"))


@case("a renewed intermediate of the same key, the old one has expired", True)
def _(lab):
    root = lab.root("Root")
    low = lab.below(root, "Low", dates=EXPIRED)
    lab.again(low, root)
    lab.end(low)
    lab.again(low, root, dates=FUTURE)


@case("a CA that changed its key, certified by itself", True)
def _(lab):
    before = lab.below(lab.root("Root"), "Low")
    after = lab.authority("Low")
    lab.again(after, before)
    lab.end(after)


@case("a self-issued certificate does not count for the path length", True)
def _(lab):
    before = lab.below(lab.root("Root"), "Low", length=0)
    after = lab.authority("Low")
    lab.again(after, before, length=0)
    lab.end(after)


@case("a CA that changed its key, certified by itself, without key identifiers", False)
def _(lab):
    before = lab.below(lab.root("Root"), "Low", mark=None)
    after = lab.authority("Low")
    before.mark = None
    lab.again(after, before, mark=None)
    lab.end(after)


for _order in 1, -1:
    @case("roots of one name with different keys, and nothing that tells them apart, %s" % ("in order" if _order == 1 else "in reverse"), None)
    def _(lab, order=_order):
        low = lab.below(lab.root("Root", mark=None), "Low", points_at="none")
        lab.root("Root", mark=None)
        lab.end(low)
        lab.anchors = lab.anchors[::order]


@case("the nearest anchor is wrong, and is certified by another", False)
def _(lab):
    far, near = lab.root("Root"), lab.root("Near", unknown="critical")
    lab.again(near, far)
    lab.end(lab.below(near, "Low"))


@case("a root for clients", False)
def _(lab):
    lab.end(lab.below(lab.root("Root", purposes=[CLIENT]), "Low"))


@case("an issuer for any purpose", False)
def _(lab):
    lab.end(lab.below(lab.root("Root"), "Low", purposes=[ANY]))


@case("a leaf for any purpose", False)
def _(lab):
    lab.end(lab.below(lab.root("Root"), "Low"), purposes=[ANY])


@case("an issuer for servers and any purpose", True)
def _(lab):
    lab.end(lab.below(lab.root("Root"), "Low", purposes=[ANY, SERVER]))


@case("directory names permit the leaf, and not the CA between", False)
def _(lab):
    mine = x509.NameConstraints([x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Example")]))], None)
    top = lab.below(lab.root("Root"), "Top", constraints=mine)
    low = Authority("Low", key_number(99), "Other")
    lab.again(low, top)
    lab.end(low)


@case("directory names exclude the CA between, and there is another way", True)
def _(lab):
    not_mine = x509.NameConstraints(None, [x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Other")]))])
    root = lab.root("Root")
    top = lab.below(root, "Top", constraints=not_mine)
    low = Authority("Low", key_number(99), "Other")
    lab.again(low, top)
    lab.again(low, lab.below(lab.below(root, "Bridge"), "Second Bridge"))
    lab.end(low)


@case("the leaf has expired", False)
def _(lab):
    lab.end(lab.below(lab.root("Root"), "Low"), dates=EXPIRED)


@case("the leaf is for clients", False)
def _(lab):
    lab.end(lab.below(lab.root("Root"), "Low"), purposes=[CLIENT])
