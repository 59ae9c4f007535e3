"""The functions that members run, from what valgrind wrote down: in groups by who runs them when idle, the smallest member's first, and then
those that only busy members run."""

import glob, os, re, subprocess, sys

program, work = sys.argv[1:]
members = ["konnectivity-agent", "konnectivity-server", "kubelet", "controllers", "apiserver", "run"]
symbols = subprocess.run(["nm", program], check=True, capture_output=True, text=True).stdout
known = {line.split()[-1] for line in symbols.splitlines()}
runs = {}  # a function: who runs it, in which runs
for path in glob.glob(f"{work}/idle/*") + glob.glob(f"{work}/busy/*"):
    member = None
    for line in open(path, errors="replace"):
        if line.startswith("cmd:"):
            words = line.split()
            name = words[2] if words[1] == program else None
            member = members.index(name) if name in members else None
        called = re.match(r"c?fn=\(\d+\) (.*)$", line)
        if called and member is not None:
            function = re.sub(r"'\d+$", "", called[1])  # a number is the depth of a recursion
            if function in known:
                runs.setdefault(function, set()).add((member, os.path.basename(os.path.dirname(path)) == "busy"))
# Of C's functions for memory and texts a real processor takes other variants than valgrind's, which has no AVX-512.
variant = re.compile(r"(__\w+?)_(?:sse|ssse|avx|evex)\w*$")
of_all = {}
for function in runs:
    if one := variant.match(function):
        of_all.setdefault(one[1], set()).update(runs[function])
for function in known - set(runs):
    if (one := variant.match(function)) and one[1] in of_all:
        runs[function] = of_all[one[1]]
found = {member for who in runs.values() for member, _ in who}
if found != set(range(len(members))):
    sys.exit(f"release: nothing is known of {[m for i, m in enumerate(members) if i not in found]}")
with open(f"{work}/parts/order", "w") as order:
    idle, busy = ({f: sorted(m for m, b in who if b == is_busy) for f, who in runs.items()} for is_busy in (False, True))
    for function in sorted(runs, key=lambda f: (idle[f] or [len(members)], busy[f], f)):
        print(function, file=order)
