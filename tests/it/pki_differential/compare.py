#!/usr/bin/python3
"""compare.py CUSTOS COUNT SEED ALLOWED: COUNT generated PKIs; chain and verdict of `custos cert check --trust` against openssl's and GnuTLS' verifiers.

Every path from the leaf to an anchor is tried by both verifiers, alone, with all the anchors a client has: what they make of the path that custos chose decides
whether its verdict is right, and whether there is any path both accept decides whether it missed one. Differences between the two verifiers are looked up in ALLOWED, a line each: KIND REASON. No
difference between custos and a path's verdict can be allowed. Prints what it found; exit 1 at a difference that is not allowed. A PKI that went wrong is kept in the working directory."""

import collections
import json
import pathlib
import subprocess
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from generate import generate

PATHS_MAX = 40


def pem(certificates):
    return b"".join(c.public_bytes(Encoding.PEM) for c in certificates)


def run(*command):
    return subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, capture_output=True, check=False)


def hash_of(certificate):
    return certificate.fingerprint(hashes.SHA256()).hex()


def signed(child, parent):
    if child.issuer != parent.subject:
        return False
    try:
        parent.public_key().verify(child.signature, child.tbs_certificate_bytes, ec.ECDSA(child.signature_hash_algorithm))
    except InvalidSignature:
        return False
    return True


def paths(leaf, bag, anchors):
    """Every chain without its anchor, shortest first."""
    unique = [c for c in {hash_of(c): c for c in bag}.values() if c != leaf]
    queue, found = collections.deque([[leaf]]), []
    while queue and len(found) < PATHS_MAX:
        path = queue.popleft()
        if any(signed(path[-1], a) for a in anchors):
            found.append(path)
        if len(path) >= 6:
            continue
        for c in unique:
            if c not in path and c.subject != c.issuer and signed(path[-1], c):
                queue.append(path + [c])
    return found


def openssl(path, anchors, where):
    (where / "leaf.pem").write_bytes(pem(path[:1]))
    (where / "rest.pem").write_bytes(pem(path[1:]))
    (where / "anchors.pem").write_bytes(pem(anchors))
    rest = ["-untrusted", where / "rest.pem"] if len(path) > 1 else []
    return run("openssl", "verify", "-no-CApath", "-no-CAstore", "-purpose", "sslserver", "-auth_level", "2", "-trusted", where / "anchors.pem", *rest, where / "leaf.pem").returncode == 0


def gnutls(path, anchors, where):
    (where / "chain.pem").write_bytes(pem(path))
    (where / "anchors.pem").write_bytes(pem(anchors))
    return run("certtool", "--verify", "--load-ca-certificate", where / "anchors.pem", "--infile", where / "chain.pem", "--verify-purpose", "1.3.6.1.5.5.7.3.1").returncode == 0


def custos(program, bag, anchors, where):
    (where / "bag.pem").write_bytes(pem(bag))
    (where / "anchors.pem").write_bytes(pem(anchors))
    done = run(program, "cert", "check", "--trust", where / "anchors.pem", "--json", where / "bag.pem")
    report = json.loads(done.stdout)
    if done.returncode not in (0, 6) or (done.returncode == 0) != report["usable"]:
        raise RuntimeError("exit code %d, usable %s" % (done.returncode, report["usable"]))
    by_hash = {hash_of(c): c for c in bag}
    return report["usable"], [by_hash[c["sha256"]] for c in report["chain"]], report["problems"]


def differences(program, seed, where):
    """(kind, text) of each; and which way it went."""
    leaf, bag, anchors = generate(seed)
    usable, chain, problems = custos(program, bag, anchors, where)
    alone = [(p, openssl(p, anchors, where), gnutls(p, anchors, where)) for p in paths(leaf, bag, anchors)]
    good = [p for p, by_openssl, by_gnutls in alone if by_openssl and by_gnutls]
    found = []
    if usable:
        ends = [a for a in anchors if signed(chain[-1], a)]
        if not openssl(chain, anchors, where):
            found.append(("verdict", "custos says usable, openssl refuses its chain of %d" % len(chain)))
        if not any(gnutls(chain, [end], where) for end in ends):
            found.append(("verdict", "custos says usable, certtool refuses its chain of %d" % len(chain)))
        elif not gnutls(chain, anchors, where):
            found.append(("gnutls-same-name", "certtool accepts the chain of custos with its own anchor alone"))
        if not all(signed(a, b) for a, b in zip(chain, chain[1:])) or chain[0] != leaf:
            found.append(("verdict", "the chain does not hang together"))
        if good and len(chain) > min(len(p) for p in good):
            found.append(("verdict", "a shorter chain is accepted by both: %d instead of %d" % (min(len(p) for p in good), len(chain))))
    elif good:
        said = "; ".join(p["text"] for p in problems if p["severity"] == "error")
        found.append(("verdict", "custos says unusable (%s), both accept one of %d paths" % (said, len(alone))))
    for _, by_openssl, by_gnutls in alone:
        if by_openssl != by_gnutls:
            found.append(("gnutls-refuses" if by_openssl else "openssl-refuses", "a path of the same certificates"))
    rest = [c for c in bag if c != leaf]
    if openssl([leaf] + rest, anchors, where) != bool([p for p, by_openssl, _ in alone if by_openssl]):
        found.append(("openssl-bag", "openssl verify, given the bag, does not find what it accepts alone"))
    if gnutls([leaf] + rest, anchors, where) != bool([p for p, _, by_gnutls in alone if by_gnutls]):
        found.append(("gnutls-bag", "certtool, given the bag, does not find what it accepts alone"))
    return found, usable, len(alone)


def main():
    program, count, seed, allowed_file = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
    allowed = dict(line.split(None, 1) for line in pathlib.Path(allowed_file).read_text(encoding="utf-8").splitlines() if line.strip() and not line.startswith("#"))
    if "verdict" in allowed:
        sys.exit("a difference in a chain verdict cannot be allowed")
    where, met, usable_count, path_count, bad = pathlib.Path.cwd(), collections.Counter(), 0, 0, 0
    for i in range(count):
        one = "%s-%d" % (seed, i)
        found, usable, tried = differences(program, one, where)
        usable_count, path_count = usable_count + usable, path_count + tried
        for kind in sorted({kind for kind, _ in found}):
            met[kind] += 1
            if kind not in allowed:
                bad += 1
                print("seed %s: %s: %s" % (one, kind, "; ".join(text for k, text in found if k == kind)))
                kept = where / ("kept-%s" % one)
                kept.mkdir(exist_ok=True)
                leaf, bag, anchors = generate(one)
                for file, certificates in (("leaf", [leaf]), ("bag", bag), ("anchors", anchors)):
                    (kept / (file + ".pem")).write_bytes(pem(certificates))
    print("%d PKIs of seed %s, %d paths; custos: %d usable, %d not; differences: %s" % (count, seed, path_count, usable_count, count - usable_count, dict(met) or "none"))
    never = [kind for kind in allowed if count > 500 and met[kind] == 0]
    if never:
        print("in the list of allowed differences, but never met: %s" % ", ".join(never))
    if count >= 20 and not 0 < usable_count < count:
        print("the generator makes only one kind of PKI")
        bad += 1
    sys.exit(1 if bad else 0)


main()
