"""PKIs as they come: made from a seed, with what makes path building hard, and small enough that every path can be tried.

A PKI is certificates and the leaf's key; roots and intermediates, cross-signed or not, and each PKI is about one to three themes (traits.py), on some of its certificates kept
and on some broken; a bag of all of it with some missing, doubled, shuffled and strangers among them; and the roots a client trusts."""

import dataclasses
import random

from certify import EXPIRED, FUTURE, SHARED, VALID, Authority, Draft, certify, key_number, name, small_key, with_wrong_signature
from traits import ANY, CLIENT, CODE, HOST, LEAF_NAMES, SERVER, THEMES, TRAITS


@dataclasses.dataclass
class Pki:
    leaf: object
    key: object             # of the leaf
    bag: list
    anchors: list
    rules: dict             # certificate (DER's hash) to the rules it puts to the test
    shape: set              # rules that the PKI as a whole does
    usable: bool = None     # what it must come to, where that is known beforehand


class Maker:
    """Everything that is made for one PKI."""

    def __init__(self, seed):
        """A seed may end with a theme that the PKI must have: 1-17+expired."""
        self.dice, wanted = random.Random(seed), seed.partition("+")[2]
        self.numbers = iter(self.dice.sample(range(40), 40))
        self.themes = set(self.dice.sample(THEMES, self.dice.choice([1, 1, 2, 2, 3]))) | ({wanted} if wanted else set())
        self.rules, self.count = {}, 0

    def about(self, theme, odds, otherwise=0.0):
        return self.dice.random() < (odds if theme in self.themes else otherwise)

    def make(self, draft):
        made = certify(self.dice.getrandbits(120) + 1, draft)
        self.rules[made] = set(draft.rules)
        return made

    def authority(self, common):
        small = self.about("small key", 0.15)
        number = next(self.numbers)
        made = Authority(common, small_key(number) if small else key_number(number))
        if self.about("same key identifier", 0.7):
            made.mark = SHARED
            made.rules.add("same key identifier")
        elif self.about("no key identifier", 0.4, 0.03):
            made.mark = None
            made.rules.add("no key identifier")
        if small:
            made.rules.add("small key")
        return made

    def certify_authority(self, subject, issuer, odds=0.4):
        """One more certificate for this authority; what it may do differs from the one before."""
        root = subject is issuer
        draft = Draft(subject.name, subject.key.public_key(), issuer, mark=subject.mark, rules=set(subject.rules))
        for trait, change in TRAITS.items():
            rule = "root: " + trait if root else trait
            if self.about(rule, 0.75 * odds if root else odds, 0.04 if rule in ("expired", "path length") else 0.0):
                change(self.dice, draft)
                draft.rules.add(rule)
        if subject.name == issuer.name and not root:
            draft.rules.add("self-issued")
        made = self.make(draft)
        subject.certificates.append(made)
        return made

    def certify_leaf(self, issuer):
        number = next(self.numbers)
        kind = self.dice.choice(list(LEAF_NAMES)) if "leaf" in self.themes or any("names: " in t for t in self.themes) else "plain"
        draft = Draft(name(HOST), key_number(number).public_key(), issuer, basic="false", usage="leaf", purposes=[SERVER], names=LEAF_NAMES[kind], mark=Authority("", key_number(number)).mark)
        if "leaf" in self.themes:
            draft.purposes = self.dice.choice([[SERVER]] * 4 + [[SERVER, CLIENT], None, [ANY], [CLIENT], [CODE], [ANY, SERVER]])
            draft.dates = self.dice.choice([VALID] * 10 + [EXPIRED, FUTURE])
            draft.points_at = self.dice.choice(["key"] * 8 + ["none", "nobody", "serial", "wrong serial"])
        draft.rules = {"leaf"} if "leaf" in self.themes else set()
        draft.rules |= {"wildcard leaf"} if kind.startswith("wildcard") else set()
        return self.make(draft), key_number(number)


def _layers(m):
    dice = m.dice
    roots = [m.authority("Root %d" % (1 if m.about("same name", 0.6, 0.1) else i)) for i in range(1, dice.randint(2, 4))]
    root_certificates = [m.certify_authority(root, root) for root in roots]
    layers, made = [roots], []
    for depth in range(dice.randint(4, 7) if "long" in m.themes else dice.randint(1, 3)):
        layer = []
        for i in range(dice.randint(1, 2) if "long" in m.themes else dice.randint(1, 3)):
            layer.append(m.authority("CA %d %d" % (depth, 1 if m.about("same name", 0.6, 0.1) else i)))
            made.append(m.certify_authority(layer[-1], dice.choice(layers[-1])))
        layers.append(layer)
    return layers, root_certificates, made


def _crosses(m, layers):
    """More certificates for those who have one: by others, by each other, by a predecessor of their own name, once more by the same."""
    dice, made = m.dice, []
    authorities = [a for layer in layers for a in layer]
    rooted = any(theme.startswith("root: ") for theme in m.themes)
    for _ in range(dice.randint(2, 5) if "cross-signs" in m.themes or rooted else dice.randint(0, 3)):
        subject, issuer = dice.choice(authorities), dice.choice(authorities)
        if subject is not issuer:
            made.append(m.certify_authority(subject, issuer))
    if "loops" in m.themes:
        for low, high in zip(layers[1], layers[-1]):
            if low is not high:
                made += [m.certify_authority(low, high), m.certify_authority(high, low)]
    if "same name and key" in m.themes:
        for layer in layers[1:]:
            for subject in layer:
                made.append(m.certify_authority(subject, dice.choice(layers[layers.index(layer) - 1])))
                again = Draft(subject.name, subject.key.public_key(), dice.choice(layers[0]), mark=subject.mark, dates=dice.choice([EXPIRED, FUTURE]), rules={"same name and key"})
                made.append(m.make(again))
    if "self-issued" in m.themes:
        for layer in layers:
            for subject in layer:
                if dice.random() < 0.5:
                    continue
                before = m.authority("")
                before.name = subject.name
                made.append(m.certify_authority(before, subject))
                if dice.random() < 0.7:
                    layer[layer.index(subject)] = before
    return made


def _shape(m, layers):
    shape = {t for t in m.themes if t in ("cross-signs", "loops", "strangers", "long")}
    names = [a.name for layer in layers for a in layer]
    return shape | ({"same name"} if len(set(names)) < len(names) else set())


def generate(seed):
    m = Maker(seed)
    dice = m.dice
    layers, root_certificates, made = _layers(m)
    made += _crosses(m, layers)
    if "the same root twice" in m.themes:
        root_certificates += [m.make(Draft(r.name, r.key.public_key(), r, mark=r.mark, dates=dice.choice([VALID, EXPIRED, FUTURE]), rules={"the same root twice"})) for r in layers[0]]
    leaf, key = m.certify_leaf(dice.choice(layers[-1]))
    bag = [c for c in made if dice.random() > 0.06] + [c for c in root_certificates if dice.random() < 0.4] + [leaf]
    shape = _shape(m, layers)
    if "wrong signature" in m.themes:
        bag += [with_wrong_signature(c) for c in made if dice.random() < 0.7]
        shape.add("wrong signature")
    if "strangers" in m.themes:
        stranger = Authority("Stranger", key_number(next(m.numbers)))
        bag += [m.make(Draft(name("Stranger %d" % i), stranger.key.public_key(), stranger, mark=stranger.mark)) for i in range(dice.randint(1, 9))]
        bag += [dice.choice(bag) for _ in range(9)]
    bag += [dice.choice(bag) for _ in range(dice.randint(0, 2))]
    dice.shuffle(bag)
    anchors = [c for c in root_certificates if dice.random() < 0.7] or root_certificates[:1]
    if "an intermediate as anchor" in m.themes and made:
        anchors = [c for c in anchors if dice.random() < 0.75] + [dice.choice(made)]
        shape.add("an intermediate as anchor")
    dice.shuffle(anchors)
    return Pki(leaf, key, bag, anchors, m.rules, shape)
