"""Looks for secrets where they must not be. Prints one line for each finding, "WHERE: WHAT", never the secret; exit code 1 when there is one.

secrets.py watch DUMP             collects the command line and environment of every process into DUMP, as fast as it can, until SIGTERM
secrets.py once DUMP [PID]        the same, one time
secrets.py search NEEDLES PATH…   searches files, and directories on their file system, archives unpacked. NEEDLES is a directory:
                                    NAME.text   a PIN or a password: a line of its own, and base64 and hex of it
                                    NAME.key    a private key in PEM: 12-byte windows of its private numbers, raw, in base64 and in hex
                                    allowed     paths that may hold the key, one a line (an archive's member: PATH!MEMBER)
                                  PEM of any private key is a finding too
secrets.py among-others NEEDLES PATH…   the same where other people's files lie: PEM of any key is none of our business there
"""
import base64
import fcntl
import io
import os
import re
import signal
import stat
import subprocess
import sys
import tarfile

WINDOW = 12
# with something in it: programs that handle keys hold the bare line
PEM = re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+(?:[A-Za-z-]+: [^\n]*\s+)*[A-Za-z0-9+/]{32}")
LIMIT = 64 << 20


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read(LIMIT)
    except OSError:
        return b""


# --- processes ---


def collect(known):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) == os.getpid():
            continue
        for kind in ("cmdline", "environ"):
            known.add(b"%s of a process: %s" % (kind.encode(), read("/proc/%s/%s" % (pid, kind))))


def save(known, dump):
    with open(dump, "ab") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        f.write(b"\n".join(sorted(known)) + b"\n")


def watch(dump):
    known, passes, ended = set(), 0, []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
    while not ended:
        collect(known)
        passes += 1
        if passes == 1:
            print("watching", flush=True)
    save(known, dump)
    print("%d passes, %d different ones" % (passes, len(known)), flush=True)


# --- needles ---


def der(data):
    """The elements of a DER value: [(tag, content)]."""
    found = []
    while data:
        tag, length, at = data[0], data[1], 2
        if length & 0x80:
            at += length & 0x7F
            length = int.from_bytes(data[2:at], "big")
        found.append((tag, data[at:at + length]))
        data = data[at + length:]
    return found


def private_numbers(pem):
    whole = subprocess.run(["openssl", "pkey", "-outform", "DER", "-in", pem], check=True, capture_output=True).stdout
    info = der(der(whole)[0][1])
    # PKCS#8 or the traditional form: RSAPrivateKey is version, n, e, d, p, q, dp, dq, qinv
    fields = der(der(info[2][1])[0][1]) if info[1][0] == 0x30 else info
    if len(fields) == 9:
        return [content.lstrip(b"\0") for _, content in fields[3:]]
    return [fields[1][1]]


def encodings(raw):
    yield raw
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + raw)
        # the characters at the edges depend on the neighbours
        yield text[4 if shift else 0:len(text) - 4]


def needles(folder):
    found = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name.endswith(".text"):
            text = read(path).strip()
            for form in (text, base64.b64encode(text).rstrip(b"="), text.hex().encode()):
                found[form] = name
        elif name.endswith(".key"):
            for number in private_numbers(path):
                for at in range(0, len(number) - WINDOW + 1, WINDOW):
                    for form in encodings(number[at:at + WINDOW]):
                        found[form] = name
    return found


# --- files ---


def members(path, data):
    """The data itself, and what is in it when it is an archive."""
    yield path, data
    if data[:2] == b"\x1f\x8b":
        try:
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                for member in archive:
                    if member.isfile():
                        yield from members("%s!%s" % (path, member.name), archive.extractfile(member).read(LIMIT))
        except tarfile.TarError:
            pass


def files(path):
    if not os.path.isdir(path):
        yield path
        return
    device = os.stat(path).st_dev
    for folder, inner, names in os.walk(path):
        inner[:] = [d for d in inner if os.lstat(os.path.join(folder, d)).st_dev == device]
        for name in names:
            full = os.path.join(folder, name)
            try:
                if stat.S_ISREG(os.lstat(full).st_mode):
                    yield full
            except OSError:
                pass


def search(folder, paths, pem):
    wanted, found, looked = needles(folder), set(), 0
    allowed = set(read(os.path.join(folder, "allowed")).decode().splitlines())
    for path in (f for p in paths for f in files(p)):
        for place, data in members(path, read(path)):
            looked += 1
            if place in allowed:
                continue
            found.update((place, what) for needle, what in wanted.items() if needle in data)
            if pem and PEM.search(data):
                found.add((place, "PEM of a private key"))
    for place, what in sorted(found):
        print("%s: %s" % (place, what))
    print("%d files and members, %d needles" % (looked, len(wanted)), file=sys.stderr)
    return 1 if found else 0


def main():
    verb = sys.argv[1]
    if verb == "watch":
        watch(sys.argv[2])
    elif verb == "once":
        known = set()
        collect(known)
        save(known, sys.argv[2])
    else:
        sys.exit(search(sys.argv[2], sys.argv[3:], verb == "search"))


main()
