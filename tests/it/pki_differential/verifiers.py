"""What openssl, certtool and custos make of a chain, each asked as a program, and what two clients do at a server that serves it."""

import collections
import json
import re
import subprocess

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

PATHS_MAX, TRIES_MAX, LENGTH_MAX = 40, 600, 10
SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
PROFILE = "MEDIUM"  # what OpenSSL calls level 2: RSA with 2,048 bits, curves with 224, no SHA-1


def pem(certificates):
    return b"".join(c.public_bytes(Encoding.PEM) for c in certificates)


def run(*command, **options):
    return subprocess.run([str(c) for c in command], stdin=options.pop("stdin", subprocess.DEVNULL), capture_output=True, check=False, timeout=60, **options)


def hash_of(certificate):
    return certificate.fingerprint(hashes.SHA256()).hex()


def signed(child, parent):
    """By name and signature alone: whether the rest is right is for verifiers to say."""
    if child.issuer != parent.subject:
        return False
    key = parent.public_key()
    scheme = (padding.PKCS1v15(), child.signature_hash_algorithm) if isinstance(key, rsa.RSAPublicKey) else (ec.ECDSA(child.signature_hash_algorithm),)
    try:
        key.verify(child.signature, child.tbs_certificate_bytes, *scheme)
    except InvalidSignature:
        return False
    return True


def same_authority(one, other):
    return one.subject == other.subject and one.public_key().public_numbers() == other.public_key().public_numbers()


def paths(leaf, bag, anchors):
    """Every chain without its anchor, shortest first. None comes by one name with one key twice (RFC 4158 2.4.2): verifiers leave out what is between."""
    unique = [c for c in {hash_of(c): c for c in bag}.values() if c != leaf and not signed(c, c)]
    issuers, queue, found, tries = {}, collections.deque([[leaf]]), [], 0
    while queue and len(found) < PATHS_MAX and tries < TRIES_MAX:
        path, tries = queue.popleft(), tries + 1
        last = path[-1]
        if last not in issuers:
            issuers[last] = [c for c in unique if signed(last, c)], any(signed(last, a) for a in anchors)
        if issuers[last][1]:
            found.append(path)
        if len(path) < LENGTH_MAX:
            queue.extend(path + [c] for c in issuers[last][0] if not any(same_authority(c, before) for before in path))
    return found


def openssl(path, anchors, where):
    """None when it accepts, else its own words for what is wrong."""
    (where / "anchors.pem").write_bytes(pem(anchors))
    (where / "leaf.pem").write_bytes(pem(path[:1]))
    (where / "rest.pem").write_bytes(pem(path[1:]))
    rest = ["-untrusted", where / "rest.pem"] if len(path) > 1 else []
    return openssl_file(where / "leaf.pem", where / "anchors.pem", rest)


def openssl_file(file, anchors, rest):
    done = run("openssl", "verify", "-no-CApath", "-no-CAstore", "-purpose", "sslserver", "-auth_level", "2", "-CAfile", anchors, *rest, file)
    said = re.search(rb"error \d+ at \d+ depth lookup: (.*)", done.stdout + done.stderr)
    return None if done.returncode == 0 else said[1].decode() if said else "fails"


def gnutls(path, anchors, where):
    (where / "anchors.pem").write_bytes(pem(anchors))
    (where / "chain.pem").write_bytes(pem(path))
    done = run("certtool", "--verify", "--verify-profile", PROFILE, "--load-ca-certificate", where / "anchors.pem", "--infile", where / "chain.pem", "--verify-purpose", SERVER_AUTH)
    if done.returncode == 0:
        return None
    said = re.findall(rb"Chain verification output: Not verified\. The certificate is NOT trusted\. *(.*)", done.stdout)
    return said[-1].decode().strip() if said else "fails"


class Opinion:
    """What custos says: its report, and the file that it wrote."""

    def __init__(self, program, bag, anchors, where):
        written = where / "written.pem"
        written.unlink(missing_ok=True)
        (where / "bag.pem").write_bytes(pem(bag))
        (where / "anchors.pem").write_bytes(pem(anchors))
        done = run(program, "cert", "check", "--trust", where / "anchors.pem", "--json", "-o", written, where / "bag.pem")
        try:
            report = json.loads(done.stdout)
        except ValueError as error:
            raise RuntimeError("no report (%d): %s" % (done.returncode, done.stderr.decode(errors="replace"))) from error
        if done.returncode not in (0, 6) or (done.returncode == 0) != report["usable"]:
            raise RuntimeError("exit code %d, usable %s" % (done.returncode, report["usable"]))
        by_hash = {hash_of(c): c for c in bag}
        self.usable, self.chain = report["usable"], [by_hash[c["sha256"]] for c in report["chain"]]
        self.said = "; ".join(p["text"] for p in report["problems"] if p["severity"] == "error")
        self.file = written
        self.written = written.read_bytes() if written.exists() else None


def shake_hands(chain_file, pki, host, where, gnutls_comes):
    """Serves what custos wrote, and lets two clients that have only the anchors come; what the first that does not like it says, or None."""
    chain = split(chain_file.read_bytes())
    (where / "anchors.pem").write_bytes(pem(pki.anchors))
    (where / "served.pem").write_bytes(pem(chain[:1]))
    (where / "served-rest.pem").write_bytes(pem(chain[1:]))
    (where / "served.key").write_bytes(pki.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    rest = ["-cert_chain", where / "served-rest.pem"] if len(chain) > 1 else []
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-www", "-cert", where / "served.pem", "-key", where / "served.key", *rest]
    with subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        try:
            port = next(int(line.rsplit(b":", 1)[1]) for line in server.stdout if line.startswith(b"ACCEPT"))
            return _come(port, host, where, gnutls_comes)
        finally:
            server.terminate()


def split(text):
    end = b"-----END CERTIFICATE-----\n"
    return [x509.load_pem_x509_certificate(part + end) for part in text.split(end)[:-1]]


def _come(port, host, where, gnutls_comes):
    anchors = where / "anchors.pem"
    done = run("openssl", "s_client", "-connect", "127.0.0.1:%d" % port, "-servername", host, "-verify_hostname", host, "-verify_return_error", "-cipher", "DEFAULT@SECLEVEL=2",
               "-no-CApath", "-no-CAstore", "-CAfile", anchors)
    if done.returncode != 0:
        return "openssl s_client: " + (done.stdout + done.stderr).decode(errors="replace").replace("\n", " ")[:300]
    if not gnutls_comes:
        return None
    done = run("gnutls-cli", "--port", port, "--x509cafile", anchors, "--sni-hostname", host, "--verify-hostname", host, "--priority", "NORMAL:%%PROFILE_%s" % PROFILE, "127.0.0.1")
    if done.returncode != 0:
        return "gnutls-cli: " + (done.stdout + done.stderr).decode(errors="replace").replace("\n", " ")[-300:]
    return None
