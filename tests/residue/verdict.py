"""What a report of residue_scan (JSON) means. Exit code 1, with the reasons, when it does not hold.

verdict.py clean JSON BACKEND [no-key|orphans|glimpse]…   no byte where it must not be, and the key where it must be
    no-key: none came. orphans: the keeper was killed, so it left others behind.
    glimpse: it was there for so short a time that it need not have been seen
verdict.py dirty JSON           bytes of the key outside locked pages were found
verdict.py line NAME JSON…      the figures of one or several runs, in one line
verdict.py keep NAME JSON…      the same runs, as lines of JSON for
verdict.py total FILE…          one line over everything that was kept; what NAME calls a "control: …" is told apart
verdict.py number JSON PATH     one figure, such as courier.random
"""
import json
import sys

KEEPER_NEVER = ("unlocked", "locked", "registers_section", "registers_after", "left_unlocked", "left_locked", "left_registers", "pin", "pin_registers")
COURIER_NEVER = ("unlocked", "dirty", "locked_after", "registers_after", "left_unlocked", "left_locked", "left_registers", "pin", "pin_registers")


def clean(report, backend, ways):
    courier, keeper, wrong = report["courier"], report["keeper"], []

    def want(condition, what):
        if not condition:
            wrong.append(what)

    for name in KEEPER_NEVER:
        want(keeper[name] == 0, "keeper: %d bytes %s" % (keeper[name], name))
    for name in COURIER_NEVER:
        want(courier[name] == 0, "courier: %d %s" % (courier[name], name))
    want(report["backend"] == backend, "the backend is %s" % report["backend"])
    want(courier["ends"] == courier["processes"], "%d couriers, %d ends seen" % (courier["processes"], courier["ends"]))
    want(keeper["ends"] == keeper["processes"] or "orphans" in ways, "the keeper's end was not seen")
    want(report["token_gone"] or "orphans" in ways, "custos-token is still there")
    want(report["key_seen"] != ("no-key" in ways), "a key came" if report["key_seen"] else "no key came")
    if backend == "mlock" and report["key_seen"] and "glimpse" not in ways:
        want(courier["locked"] > 0, "the key was not found in the locked pages either: nothing was proven")
    if backend == "memfd_secret":
        want(courier["unreadable"] >= 1 << 16 and courier["locked"] == 0, "the secret pages can be read")
    return wrong


def line(name, reports):
    def add(role, figure):
        return sum(r[role][figure] for r in reports)

    def most(role, *figures):
        return max(sum(r[role][f] for f in figures) for r in reports)

    return "%s: %d releases, %d windows, %d mappings, %d KiB, %d samples (%d at random); unlocked %d, left %d, locked %d, unreadable %d KiB; registers %d in the section, %d after, %d left; keeper %d samples, key %d, PIN %d; token's own %d" % (
        name, len(reports), max(r["windows"] for r in reports), add("courier", "mappings"), add("courier", "bytes") // 1024, add("courier", "samples"),
        add("courier", "random"), most("courier", "unlocked"), most("courier", "left_unlocked", "left_locked"), most("courier", "locked"),
        most("courier", "unreadable") // 1024, most("courier", "registers_section"), most("courier", "registers_after"), most("courier", "left_registers"),
        add("keeper", "samples"), most("keeper", "unlocked", "locked", "registers_section", "registers_after", "left_registers"), most("keeper", "pin", "pin_registers"), most("token", "unlocked", "locked"))


def keep(name, report):
    courier = report["courier"]
    figures = {f: courier[f] for f in ("mappings", "bytes", "samples", "random", "unlocked", "left_unlocked", "left_locked", "registers_after", "left_registers")}
    return json.dumps({"name": name, "windows": report["windows"], "keeper": sum(report["keeper"][f] for f in KEEPER_NEVER), **figures})


def total(lines):
    kept = [json.loads(text) for text in lines]
    runs = [r for r in kept if not r["name"].startswith("control: ")]
    controls = ["%s %d" % (r["name"][len("control: "):], r["unlocked"]) for r in kept if r not in runs]

    def add(figure):
        return sum(r[figure] for r in runs)

    return "residue: %d releases, %d mappings (%d MiB), %d windows, %d samples (%d at random); bytes found unlocked %d, left at the end %d, in registers after the section %d, in the keeper %d; controls found: %s" % (
        len(runs), add("mappings"), add("bytes") >> 20, max([r["windows"] for r in runs], default=0), add("samples"), add("random"), add("unlocked"),
        add("left_unlocked") + add("left_locked") + add("left_registers"), add("registers_after"), add("keeper"), ", ".join(controls) or "none yet")


def load(path):
    with open(path) as f:
        return json.load(f)


def main():
    verb, arguments = sys.argv[1], sys.argv[2:]
    if verb == "clean":
        report = load(arguments[0])
        wrong = clean(report, arguments[1], arguments[2:])
        if wrong:
            print("\n".join(wrong))
            for finding in report["findings"]:
                print(finding)
            sys.exit(1)
    elif verb == "dirty":
        courier = load(arguments[0])["courier"]
        if courier["unlocked"] == 0 or courier["dirty"] == 0:
            sys.exit("nothing was found outside locked pages")
    elif verb == "line":
        print(line(arguments[0], [load(path) for path in arguments[1:]]))
    elif verb == "keep":
        print("\n".join(keep(arguments[0], load(path)) for path in arguments[1:]))
    elif verb == "total":
        print(total([text for path in arguments for text in open(path)]))
    else:
        value = load(arguments[0])
        for part in arguments[1].split("."):
            value = value[part]
        print(value)


main()
