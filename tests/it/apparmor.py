#!/usr/bin/python3
"""Would a profile have allowed what was done? For kernels without AppArmor.

apparmor.py PROFILE RECORD [PROGRAM…]   PROFILE: a file for apparmor_parser; RECORD: what opens(1) of the tests wrote down, for programs with a
                                        profile and others; each PROGRAM must be in it. Prints every file that the profile of its program does not allow and
                                        exits with 1, else says how much was compared

A program started with "px -> A//&B" needs the permission of A and of B. Rules with a permission that is not one of files are for
apparmor_parser alone to judge.
"""
import re
import subprocess
import sys

RULE = re.compile(r"^(?P<owner>owner\s+)?(?P<path>[/@]\S*)\s+(?P<rights>[a-zA-Z]+)(\s+->\s+(?P<target>\S+))?\s*,$")
OTHER = re.compile(r"^(abi|network|signal|unix|capability|ptrace|dbus|mount|umount|pivot_root|set|change_profile)\b.*,$")


class Profile:
    def __init__(self, name, attached):
        self.name, self.attached, self.rules = name, attached, []


def expand(text, variables):
    """Variables become alternations, as the parser does."""
    while True:
        found = re.search(r"@\{(\w+)\}", text)
        if not found:
            return re.sub(r"//+", "/", text)
        values = variables[found.group(1)]
        text = text[:found.start()] + ("{%s}" % ",".join(values) if len(values) > 1 else values[0]) + text[found.end():]


def glob(text):
    """AppArmor's globs: * stays within a directory, ** does not; behind a slash and at an end they stand for one character or more."""
    out, at, depth = "", 0, 0
    while at < len(text):
        c = text[at]
        if text.startswith("**", at) or c == "*":
            stars = 2 if text.startswith("**", at) else 1
            rest = text[at + stars:]
            some = text[at - 1:at] == "/" and (rest[:1] == "" or (stars == 1 and rest[:1] == "/"))
            out += ("[^/]" if some else "") + ("[^\0]*" if stars == 2 else "[^/\0]*")
            at += stars
            continue
        if c == "[":
            end = text.index("]", at)
            out += text[at:end + 1]
            at = end
        elif c == "\\":
            at += 1
            out += re.escape(text[at])
        elif c == "{":
            depth += 1
            out += "(?:"
        elif c == "}":
            depth -= 1
            out += ")"
        elif c == "," and depth:
            out += "|"
        else:
            out += "[^/\0]" if c == "?" else re.escape(c)
        at += 1
    return out


def matcher(text, variables):
    # slashes that come together only in one branch of an alternation are one, too
    return re.compile("^" + re.sub(r"/(\(\?:)/", r"/\1", glob(expand(text, variables))) + "$")


def parse(path):
    done = subprocess.run(["apparmor_parser", "-p", path], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("apparmor.py: error: %s" % done.stderr.strip())
    variables, profiles, lines = {}, [], []
    for line in done.stdout.splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        found = re.match(r"^@\{(\w+)\}\s*(\+?=)\s*(.*)$", line)
        if found:
            values = [v.strip('"') for v in found.group(3).split()]
            variables[found.group(1)] = (variables.get(found.group(1), []) if found.group(2) == "+=" else []) + values
        elif line:
            lines.append(line)
    current = None
    for line in lines:
        header = re.match(r"^profile\s+(\S+)(?:\s+(/\S+))?\s*\{$", line)
        rule = RULE.match(line)
        if header and current is None:
            current = Profile(header.group(1), header.group(2))
            profiles.append(current)
        elif line == "}" and current is not None:
            current = None
        elif rule and current is not None:
            current.rules.append((bool(rule.group("owner")), matcher(rule.group("path"), variables), rule.group("rights"), rule.group("target")))
        elif not OTHER.match(line):
            # what is not understood must not pass for allowed
            sys.exit("apparmor.py: error: this is not understood: %s" % line)
    return profiles


def allowed(profile, path, own):
    rights = set()
    for owner, pattern, granted, _ in profile.rules:
        if pattern.match(path) and (own or not owner):
            rights.update("x" if "x" in granted else "")
            rights.update(granted.replace("px", "").replace("cx", "").replace("ix", ""))
    return rights


def label(program, profiles):
    """The profiles that hold a program: its own by its path, or what it was started with."""
    named = {p.name: p for p in profiles}
    held = []
    for p in profiles:
        if p.attached == program:
            held.append(p.name)
        for _, pattern, granted, target in p.rules:
            if target and "x" in granted and pattern.match(program):
                held += target.split("//&")
    return [named[name] for name in dict.fromkeys(held)]


def main():
    profiles = parse(sys.argv[1])
    wanted, compared, missing, held = set(sys.argv[3:]), 0, [], {}
    with open(sys.argv[2], encoding="utf-8") as f:
        for line in f:
            program, rights, owner, path = line.rstrip("\n").split("\t")
            held.setdefault(program, label(program, profiles))
            for profile in held[program]:
                compared += 1
                lacks = set(rights) - allowed(profile, path, owner == "own")
                if lacks:
                    missing.append("%s: profile %s does not allow %s %s" % (program, profile.name, "".join(sorted(lacks)), path))
    for program in sorted(wanted - {p for p in held if held[p]}):
        missing.append("%s: it has no profile, or was not run" % program)
    print("\n".join(missing + ["%d permissions of %d programs compared with %d rules" % (
        compared, len([p for p in held if held[p]]), sum(len(p.rules) for p in profiles))]))
    sys.exit(1 if missing else 0)


main()
