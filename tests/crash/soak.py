#!/usr/bin/python3
"""soak.py CUSTODY PIN_FILE NAME SECONDS SEED: one of several who work on a token at the same time.

Gives custos commands on CUSTODY for SECONDS: keys of both classes made, requested for, drilled, destroyed. Every command has to succeed. After some of the
sign-only keys it kills custos and custos-token the moment the line is there that says the key is made. Keys are called NAME-…; those called …-kept-…, of whoever
works here, are used by all and destroyed by nobody. Prints what was done and acknowledged as one JSON document."""
import collections
import json
import os
import random
import signal
import subprocess
import sys
import time

custody, pin_file, name, seconds, seed = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), sys.argv[5]
chance = random.Random(seed + name)
base = ["custos", "-C", custody, "--pin-source", "file:" + pin_file]
done, failures, keys, destroyed, killed = collections.Counter(), [], {}, [], []


def run(what, *arguments):
    result = subprocess.run(base + list(arguments), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if result.returncode != 0:
        failures.append({"command": " ".join(arguments), "exit": result.returncode, "said": result.stderr.strip()})
    done[what] += 1
    return result.returncode == 0


def kill_helpers(pid):
    """The children of a process that is ours and not yet waited for; by descriptor, so that no other process can be hit."""
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as listed:
        children = [int(c) for c in listed.read().split()]
    for child in children:
        try:
            fd = os.pidfd_open(child)
            with open("/proc/%d/comm" % child, encoding="ascii") as comm:
                if comm.read().strip() == "custos-token":
                    signal.pidfd_send_signal(fd, signal.SIGKILL)
            os.close(fd)
        except (ProcessLookupError, FileNotFoundError):
            pass


def new_name(kept):
    return "%s-%s-%d" % (name, "kept" if kept else "own", len(keys))


def generate(kind, key_class):
    key = new_name(chance.random() < 0.5)
    if run("generate " + key_class, "key", "generate", key, "--type", kind, "--class", key_class):
        keys[key] = key_class


def generate_and_kill(kind):
    key = new_name(True)
    command = base + ["key", "generate", key, "--type", kind, "--class", "sign-only"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as p:
        said = p.stdout.readline()
        try:
            kill_helpers(p.pid)
        except FileNotFoundError:
            pass
        p.kill()
        rest = p.stderr.read()
    done["generate and kill"] += 1
    if key in said:
        keys[key] = "sign-only"
        killed.append(key)
    else:
        failures.append({"command": " ".join(command), "exit": p.returncode, "said": said + rest})


def some_kept():
    """Any key that nobody destroys, by whomever it was made."""
    listed = subprocess.run(base + ["key", "list", "--json"], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        failures.append({"command": "key list", "exit": listed.returncode, "said": listed.stderr.strip()})
        return None
    kept = [k["name"] for k in json.loads(listed.stdout) if "-kept-" in k["name"]]
    return chance.choice(kept) if kept else None


def request(_):
    key = some_kept()
    if key is not None:
        run("csr create", "csr", "create", key, "--subject", "CN=%s.example.com" % key, "--san", "dns:%s.example.com" % key)


def drill(_):
    key = some_kept()
    if key is not None:
        run("drill", "key", "drill", key)


def destroy(_):
    mine = [k for k in keys if "-own-" in k and k not in destroyed]
    if mine:
        key = chance.choice(mine)
        if run("destroy " + keys[key], "key", "destroy", key, "--reason", "soaked"):
            destroyed.append(key)


deeds = [
    (lambda _: generate(chance.choice(["ec-p256", "ec-p256", "ec-p384", "rsa-2048"]), "deployable"), 4),
    (lambda _: generate(chance.choice(["ec-p256", "ec-p256", "ed25519", "rsa-2048"]), "sign-only"), 4),
    (lambda _: generate_and_kill(chance.choice(["ec-p256", "ed25519"])), 2),
    (request, 3),
    (drill, 4),
    (destroy, 3),
]
end = time.monotonic() + seconds
while time.monotonic() < end:
    chance.choices([d for d, _ in deeds], [w for _, w in deeds])[0](None)
print(json.dumps({"name": name, "keys": keys, "destroyed": destroyed, "killed": killed, "failures": failures, "done": done}))
