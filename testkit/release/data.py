"""A linker's script that puts first, and beside each other, the constants that the tunnel's members read: by what valgrind wrote down of their
loads, and by the linker's map of the program that they ran. Of a page of constants, too, each has something for everybody."""

import bisect, glob, os, re, sys

map_of_linker, traces, script = sys.argv[1:]
pieces = []  # of the section .rodata: where it starts, where it ends, the linker's words for it
for line in open(map_of_linker):
    # What is merged from many files (<internal>) has no place of its own.
    piece = re.match(r" *([0-9a-f]+) +[0-9a-f]+ +([0-9a-f]+) +\d+ +([^\s<]\S*):\((\.rodata[^)]*)\)$", line)
    if piece:
        start, size = (int(number, 16) for number in piece.groups()[:2])
        member = re.match(r"(.*)\((.*)\)$", piece[3])  # of an archive
        file = f"{os.path.basename(member[1])}:{member[2]}" if member else os.path.basename(piece[3])
        pieces.append((start, start + size, f"*{file}({piece[4]})"))
pieces.sort()
starts = [start for start, _, _ in pieces]
found, read = set(), set()
for path in glob.glob(f"{traces}/*"):
    with open(path, errors="replace") as trace:
        command = next((line for line in trace if " Command: " in line), "")
        member = re.search(r" konnectivity-(agent|server) ", command)
        if not member:
            continue
        found.add(member[1])
        for load in trace:
            if load.startswith((" L ", " M ")):
                address, _, size = load[3:].partition(",")
                read.update(range(int(address, 16) & ~7, int(address, 16) + int(size), 8))
if len(found) != 2:
    sys.exit(f"release: only the loads of {found} are known")
wanted = set()
for word in read:
    i = bisect.bisect_right(starts, word + 7) - 1
    if i >= 0 and word < pieces[i][1]:
        wanted.add(pieces[i])
with open(script, "w") as out:
    print("SECTIONS { .rodata.first : {", *(words for _, _, words in sorted(wanted)), "} } INSERT BEFORE .rodata;", sep="\n", file=out)
