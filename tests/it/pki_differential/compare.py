#!/usr/bin/python3
"""compare.py CUSTOS COUNT SEED ALLOWED KEEP [PKI]: COUNT generated PKIs and all the named ones (or only that one): chain and verdict of `custos cert check --trust` against those of
openssl's and GnuTLS' verifiers.

Every path from the leaf to an anchor is tried by both verifiers, alone, with all the anchors a client has: what they make of the path that custos chose decides
whether its verdict is right, and whether there is any path both accept decides whether it missed one. Differences between the two verifiers are looked up in ALLOWED, a line each:
KIND: REASON. No difference between custos and a path's verdict can be allowed. Prints what it found and how often each rule was met; exit 1 at a difference that is not allowed. A PKI that
went wrong is kept below KEEP, with what repeats it."""

import collections
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from cases import CASES
from deviations import kind_of
from generate import generate
from traits import HOST, THEMES
from verifiers import Opinion, gnutls, openssl, openssl_file, paths, pem, shake_hands, signed

WORKERS = min(2, os.cpu_count() or 1)
FULL = 1000           # from so many PKIs on, every rule must have been met: those that are not get more
HANDSHAKES_EVERY = 20
LEAST = 8             # PKIs of each side, for every rule
MORE = 20             # for every rule that was met too rarely, so many at a time
UNEXPLAINED = {"openssl-refuses", "gnutls-refuses"}
UNEXPLAINED_EVERY = 400


def pki_of(which):
    return CASES[which]() if which in CASES else generate(which)


class Case:
    """One PKI, and everything that was found out about it."""

    def __init__(self, which, program, where, handshake):
        self.which, self.found, self.pki = which, [], pki_of(which)
        self.where = where
        self.opinion, self.alone, self.rules, self.shook_hands, self.gnutls_comes = None, [], set(), False, True
        try:
            self.opinion = Opinion(program, self.pki.bag, self.pki.anchors, where)
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            self.wrong("custos gives no answer: %s" % error)
            return
        self.alone = [(p, openssl(p, self.pki.anchors, where), gnutls(p, self.pki.anchors, where)) for p in paths(self.pki.leaf, self.pki.bag, self.pki.anchors)]
        self.rules = self.pki.shape.union(*(self.pki.rules.get(c, ()) for c in self.pki.bag + self.pki.anchors))
        self.judge_verdict()
        if self.opinion.usable:
            self.judge_chain()
            self.judge_file(handshake or which in CASES)
        self.note_verifiers()

    def wrong(self, text):
        self.found.append(("verdict", text))

    def judge_verdict(self):
        """Is a path missed that both accept, and is the one that was chosen the shortest?"""
        good = [p for p, by_openssl, by_gnutls in self.alone if by_openssl is None and by_gnutls is None]
        if self.pki.usable is not None and self.opinion.usable != self.pki.usable:
            self.wrong("custos says %s (%s), which is not what this PKI was made for" % ("usable" if self.opinion.usable else "unusable", self.opinion.said))
        if good and not self.opinion.usable:
            self.wrong("custos says unusable (%s), both accept one of %d paths" % (self.opinion.said, len(self.alone)))
        elif not self.opinion.usable and any(by_openssl is None for _, by_openssl, _ in self.alone):
            self.wrong("custos says unusable (%s), openssl accepts one of %d paths" % (self.opinion.said, len(self.alone)))
        shortest = min((len(p) for p in good), default=0)
        if self.opinion.usable and good and len(self.opinion.chain) > shortest:
            self.wrong("a shorter chain is accepted by both: %d instead of %d" % (shortest, len(self.opinion.chain)))

    def judge_chain(self):
        """Usable: of the chain that was chosen both must say so, too."""
        chain, anchors, where = self.opinion.chain, self.pki.anchors, self.where
        if not all(signed(a, b) for a, b in zip(chain, chain[1:])) or chain[0] != self.pki.leaf:
            self.wrong("the chain does not hang together")
        by_openssl = openssl(chain, anchors, where)
        if by_openssl is not None:
            self.wrong("custos says usable, openssl refuses its chain of %d: %s" % (len(chain), by_openssl))
        by_gnutls = gnutls(chain, anchors, where)
        if by_gnutls is not None:
            ends = [a for a in anchors if signed(chain[-1], a)]
            alone = [gnutls(chain, [end], where) for end in ends]
            if None in alone:
                self.found.append(("gnutls-same-name", "certtool accepts the chain of custos with its own anchor alone"))
            elif kind_of(chain, anchors, by_openssl, by_gnutls).endswith("-refuses"):
                self.wrong("custos says usable, certtool refuses its chain of %d: %s" % (len(chain), by_gnutls))
            self.gnutls_comes = False

    def judge_file(self, handshake):
        """What was written is that chain, openssl takes it as it is, and clients do."""
        if self.opinion.written != pem(self.opinion.chain):
            self.wrong("what custos wrote is not the chain that it reports")
            return
        (self.where / "anchors.pem").write_bytes(pem(self.pki.anchors))
        refused = openssl_file(self.opinion.file, self.where / "anchors.pem", ["-untrusted", self.opinion.file])
        if refused is not None:
            self.wrong("openssl verify -untrusted refuses the file that custos wrote: %s" % refused)
        if handshake:
            refused = shake_hands(self.opinion.file, self.pki, HOST, self.where, self.gnutls_comes)
            self.shook_hands = True
            if refused is not None:
                self.wrong("what custos wrote is served, and not accepted: %s" % refused)

    def note_verifiers(self):
        """How the two differ from each other, and each from itself."""
        for path, by_openssl, by_gnutls in self.alone:
            if (by_openssl is None) != (by_gnutls is None):
                text = "a path of %d: openssl: %s, certtool: %s" % (len(path), by_openssl or "accepts", by_gnutls or "accepts")
                self.found.append((kind_of(path, self.pki.anchors, by_openssl, by_gnutls), text))
        rest = [c for c in self.pki.bag if c != self.pki.leaf]
        if (openssl([self.pki.leaf] + rest, self.pki.anchors, self.where) is None) != any(o is None for _, o, _ in self.alone):
            self.found.append(("openssl-bag", "openssl verify, given the bag, does not find what it accepts alone"))
        if (gnutls([self.pki.leaf] + rest, self.pki.anchors, self.where) is None) != any(g is None for _, _, g in self.alone):
            self.found.append(("gnutls-bag", "certtool, given the bag, does not find what it accepts alone"))


def keep(case, kept, program):
    """Everything to look into it, and to do it again."""
    kept.mkdir(parents=True, exist_ok=True)
    for file, certificates in (("leaf", [case.pki.leaf]), ("bag", case.pki.bag), ("anchors", case.pki.anchors)):
        (kept / (file + ".pem")).write_bytes(pem(certificates))
    for i, (path, by_openssl, by_gnutls) in enumerate(case.alone):
        (kept / ("path-%d.pem" % i)).write_bytes(pem(path))
        (kept / ("path-%d.txt" % i)).write_text("openssl: %s\ngnutls: %s\n%s\n" % (by_openssl or "accepts", by_gnutls or "accepts", "\n".join(
            "%s < %s %s" % (c.subject.rfc4514_string(), c.issuer.rfc4514_string(), sorted(case.pki.rules.get(c, ()))) for c in path)), encoding="utf-8")
    (kept / "found.txt").write_text("".join("%s: %s\n" % difference for difference in case.found), encoding="utf-8")
    print("    kept in %s: custos cert check --trust anchors.pem bag.pem" % kept)
    print("    again: CUSTOS_PKI=\"%s\" CUSTOS_BUILD=%s bats tests/it/pki_differential.bats" % (case.which, os.path.dirname(os.path.abspath(program))))


class Tally:
    """What was met, how often, on which side."""

    def __init__(self):
        self.count = self.usable = self.paths = self.chains = self.handshakes = self.unexplained = self.bad = 0
        self.kinds, self.sides, self.refusals = collections.Counter(), collections.Counter(), collections.Counter()

    def add(self, case):
        self.count += 1
        self.usable += bool(case.opinion and case.opinion.usable)
        self.paths += len(case.alone)
        self.handshakes += case.shook_hands
        self.kinds.update({kind for kind, _ in case.found})
        self.sides.update((rule, case.opinion.usable) for rule in case.rules if case.opinion)
        self.refusals.update({by_openssl for _, by_openssl, _ in case.alone if by_openssl is not None})

    def print(self, seconds):
        print("%d PKIs, %d paths tried, %d handshakes, %.0f s; custos: %d usable, %d not; differences: %s" % (
            self.count, self.paths, self.handshakes, seconds, self.usable, self.count - self.usable, dict(self.kinds) or "none"))
        print("%-32s %7s %7s" % ("PKIs with", "usable", "not"))
        for rule in sorted({rule for rule, _ in self.sides}):
            print("%-32s %7d %7d" % (rule, self.sides[rule, True], self.sides[rule, False]))
        print("%-54s %7s" % ("openssl says of a path", "PKIs"))
        for said, times in self.refusals.most_common():
            print("%-54s %7d" % (said, times))

    def lacking(self):
        """Rules that were not put to the test often enough, on either side."""
        return sorted(rule for rule in THEMES if min(self.sides[rule, True], self.sides[rule, False]) < LEAST)


def read_allowed(file):
    lines = [line for line in pathlib.Path(file).read_text(encoding="utf-8").splitlines() if line.strip() and not line.startswith("#")]
    allowed = dict(line.split(": ", 1) for line in lines)
    if any(kind.startswith("verdict") for kind in allowed):
        sys.exit("a difference in a chain verdict cannot be allowed")
    return allowed


def examine(program, which, handshake):
    with tempfile.TemporaryDirectory(dir=".") as where:
        return Case(which, program, pathlib.Path(where), handshake)


def examine_all(program, those, allowed, tally, kept):
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for case in pool.map(lambda job: examine(program, job[1], job[0] % HANDSHAKES_EVERY == 0), enumerate(those)):
            tally.add(case)
            kinds = {kind for kind, _ in case.found if kind not in allowed}
            if kinds:
                tally.bad += not kinds <= UNEXPLAINED
                tally.unexplained += kinds <= UNEXPLAINED
                print("%s: %s" % (case.which, "; ".join("%s: %s" % (kind, text) for kind, text in case.found if kind in kinds)), flush=True)
                keep(case, kept / case.which.replace(" ", "-"), program)


def main():
    program, count, seed, allowed_file, kept = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], pathlib.Path(sys.argv[5])
    allowed, tally, began = read_allowed(allowed_file), Tally(), time.monotonic()
    those = sys.argv[6:] or list(CASES) + ["%s-%d" % (seed, i) for i in range(count)]
    examine_all(program, those, allowed, tally, kept)
    for more in range(count, 2 * count if count >= FULL else count, MORE):
        those = ["%s-%d+%s" % (seed, more + i, rule) for rule in tally.lacking() for i in range(MORE)]
        examine_all(program, those, allowed, tally, kept)
    tally.print(time.monotonic() - began)
    never = [kind for kind in allowed if tally.kinds[kind] == 0]
    if tally.unexplained > max(1, tally.count // UNEXPLAINED_EVERY):
        print("openssl and certtool differ about paths of %d PKIs, and nobody knows why" % tally.unexplained)
        tally.bad += 1
    if count >= FULL and never:
        print("in the list of allowed differences, but never met: %s" % ", ".join(never))
        tally.bad += 1
    if count >= FULL and tally.lacking():
        print("met by fewer than %d PKIs on one side: %s" % (LEAST, ", ".join(tally.lacking())))
        tally.bad += 1
    if count >= 20 and not 0 < tally.usable < tally.count:
        print("the generator makes only one kind of PKI")
        tally.bad += 1
    sys.exit(1 if tally.bad else 0)


main()
