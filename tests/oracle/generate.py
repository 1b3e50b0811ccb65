#!/usr/bin/env python3
"""Writes testdata/insn/<guest>/<family>.insn from the templates in tests/oracle/<guest>/<family>.s.

Usage: tests/oracle/generate.py [<guest>/<family> ...]

Each template line becomes instructions, each instruction a few tests with edge and random values, and the oracle
(tests/oracle/run.c) says what they do: the processor for x86_64, an emulator for aarch64 (QEMU_AARCH64 names it; the
committed files come from qemu-aarch64 11.1.3). The random numbers depend on the text alone, so that a new template
leaves the other lines as they are.

A template is `assembly @ options`; `#` starts a comment. In the assembly
  {a|b}     stands for each alternative, in every combination;
  $r        is a variable, one letter, the same in the whole line: given as `r=w,x`, or linked as `r/s=w/x,b/h`.
            Known without being given: $r (w or x) for aarch64; $a $b $c $d $s $t $e (the registers a b c d si di r8 in
            each width) and $m (the memory operand's size) for x86_64, all linked; `w=16,32,64` restricts the width;
  ;         separates instructions that are tested together.
Options:
  n=3       tests for each instruction
  f16 f32 f64 f80   vectors (and memory, with `mem`) hold floating-point values of this width
  uses=rax,rdx      implicit registers that get a value too
  set:rcx=5         this item is as given; the value may be a list `a/b/c` to choose from
  small=rcx         a value from 0 to 70
  st=2      the x87 stack holds two values
  mem       memory at each base holds such values rather than the window's pattern
  odd       bases are not aligned
  undef=of,af       flags and registers that are undefined beside those that this program knows
"""
import itertools
import os
import random
import re
import struct
import subprocess
import sys
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
BUILD = os.path.join(ROOT, "target", "oracle")
WINDOW = 0x10000000
M64 = (1 << 64) - 1

WIDTHS = {  # $letter: names for 8, 16, 32, 64 bits
    "a": "al ax eax rax", "b": "bl bx ebx rbx", "c": "cl cx ecx rcx", "d": "dl dx edx rdx", "s": "sil si esi rsi",
    "t": "dil di edi rdi", "e": "r8b r8w r8d r8", "f": "r13b r13w r13d r13",
}
SIZES = ["byte ptr", "word ptr", "dword ptr", "qword ptr"]
PART = {}  # x86 register name -> the 64-bit register that holds it
for number, names in enumerate(["rax eax ax al ah", "rcx ecx cx cl ch", "rdx edx dx dl dh", "rbx ebx bx bl bh",
                                "rsp esp sp spl", "rbp ebp bp bpl", "rsi esi si sil", "rdi edi di dil"]):
    PART.update({name: names.split()[0] for name in names.split()})
for number in range(8, 16):
    PART.update({f"r{number}{part}": f"r{number}" for part in ["", "d", "w", "b"]})

# Undefined flags, by the start of the mnemonic. SDM volume 2, "Flags Affected".
UNDEFINED = [
    (r"(lock )?(and|or|xor|test)\b", "af"),
    (r"i?mul\b", "sf zf af pf"), (r"i?div\b", "cf of sf zf af pf"),
    (r"(shl|sal|shr|sar|shld|shrd)\b", "af"), (r"bs[fr]\b", "cf of sf af pf"),
    (r"(lock )?bt[src]?\b", "of sf af pf"), (r"[lt]zcnt\b", "of sf pf af"),
    (r"andn\b", "af pf"), (r"bextr\b", "af sf pf"), (r"bls\w+\b", "af pf"), (r"bzhi\b", "af pf"),
]
COUNTED = re.compile(r"(shl|sal|shr|sar|shld|shrd|rol|ror|rcl|rcr)\b")


def fp(bits, rng):
    """A floating-point value of this width, as an integer: edges, NaNs with payloads, ordinary numbers."""
    exponent, fraction = {16: (5, 10), 32: (8, 23), 64: (11, 52)}[bits]
    top = (1 << exponent) - 1
    bias = top >> 1
    sign = rng.getrandbits(1) << (bits - 1)
    def make(e, f):
        return sign | e << fraction | f & ((1 << fraction) - 1)
    kind = rng.randrange(20)
    if kind == 0: return make(0, 0)
    if kind == 1: return make(top, 0)
    if kind == 2: return make(top, 1 << (fraction - 1) | rng.getrandbits(fraction - 1))  # quiet NaN
    if kind == 3: return make(top, rng.getrandbits(fraction - 1) | 1)  # signalling NaN
    if kind == 4: return make(0, rng.getrandbits(fraction))  # subnormal
    if kind == 5: return make(1, 0)
    if kind == 6: return make(top - 1, -1)  # the largest
    if kind == 7: return make(bias, 0)
    if kind == 8: return make(bias - 1, 0)  # one half: ties in rounding
    if kind == 9: return make(bias + rng.randrange(1, 5), 1 << (fraction - rng.randrange(1, min(fraction, 6))))
    if kind == 10: return make(min(bias + rng.choice([15, 31, 32, 63, 64]), top - 1), rng.choice([0, 1, -1]))
    if kind == 11: return make(rng.randrange(1, top), rng.getrandbits(fraction))
    if kind == 12: return make(bias + rng.randrange(-2, 3), -1)
    return make(min(top - 1, max(0, bias + rng.randrange(-8, 12))), rng.getrandbits(fraction))


def fp80(rng):
    kind = rng.randrange(14)
    sign = rng.getrandbits(1) << 79
    if kind == 0: return sign
    if kind == 1: return sign | 0x7fff8000000000000000
    if kind == 2: return sign | 0x7fffc000000000000000 | rng.getrandbits(61)
    if kind == 3: return sign | 0x7fff8000000000000000 | rng.getrandbits(61) | 1
    if kind == 4: return sign | rng.getrandbits(62) | 1
    if kind == 5: return sign | (16383 + rng.randrange(64)) << 64 | 1 << 63
    if kind == 6: return sign | rng.randrange(1, 0x7fff) << 64 | 1 << 63 | rng.getrandbits(63)
    if kind == 7: return sign | 0x3ffe << 64 | 1 << 63
    return sign | (16383 + rng.randrange(-10, 40)) << 64 | 1 << 63 | rng.getrandbits(63)


def integer(rng):
    kind = rng.randrange(8)
    if kind == 0: return rng.choice([0, 1, 2, M64, 1 << 63, (1 << 63) - 1])
    if kind == 1: return rng.choice([0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff])
    if kind == 2: return rng.getrandbits(rng.randrange(1, 64))
    if kind == 3: return M64 ^ rng.getrandbits(rng.randrange(1, 64))
    return rng.getrandbits(64)


def vector(option, rng):
    bits = next((bits for bits in (16, 32, 64) if f"f{bits}" in option), 0)
    if bits:
        return sum(fp(bits, rng) << at for at in range(0, 128, bits))
    if rng.randrange(3):
        return rng.getrandbits(128)
    edges = [0, 0xff, 0x80, 0x7f, 1, 0xfe]
    return sum(rng.choice(edges) << at for at in range(0, 128, 8))


def expand_braces(text):
    match = re.search(r"\{([^{}]*)\}", text)
    if not match:
        return [text]
    return [line for choice in match.group(1).split("|")
            for line in expand_braces(text[:match.start()] + choice + text[match.end():])]


def hide_lists(text):
    """AArch64's register lists `{v0.16b}` are written with << >> in templates."""
    return text.replace("<<", "\x01").replace(">>", "\x02")


def show_lists(text):
    return text.replace("\x01", "{").replace("\x02", "}")


def variables(guest, text, options):
    """The values of the variables: a list of dictionaries."""
    axes, given = [], set()
    for option in options:
        name, equals, value = option.partition("=")
        if equals and re.fullmatch(r"[A-Za-z](/[A-Za-z])*", name) and name not in ("n", "w"):
            letters = name.split("/")
            given.update(letters)
            axes.append([dict(zip(letters, choice.split("/"))) for choice in value.split(",")])
    used = set(re.findall(r"\$([A-Za-z])", text)) - given
    if guest == "aarch64":
        if "r" in used:
            axes.append([{"r": "w"}, {"r": "x"}])
    elif used:
        wanted = next((o[2:] for o in options if o.startswith("w=")), "8,16,32,64").split(",")
        axes.append([dict({letter: names.split()[i] for letter, names in WIDTHS.items()}, m=SIZES[i])
                     for i, bits in enumerate(["8", "16", "32", "64"]) if bits in wanted])
    return [{k: v for choice in combination for k, v in choice.items()} for combination in itertools.product(*axes)]


def instructions(guest, line):
    """One template: (assembly, options) for each instruction that it stands for."""
    text, _, options = line.partition("@")
    options = options.split()
    seen = {}
    for values in variables(guest, text, options):
        replaced = re.sub(r"\$([A-Za-z])", lambda match: values[match.group(1)], hide_lists(text.strip()))
        for one in expand_braces(replaced):
            seen[re.sub(r"\s+", " ", show_lists(one)).strip().rstrip(",")] = options
    return list(seen.items())


def assemble(guest, texts):
    source, binary = os.path.join(BUILD, "batch.s"), os.path.join(BUILD, "batch.o")
    lines = [".intel_syntax noprefix"] if guest == "x86_64" else [".arch armv8.6-a+crypto+fp16+fp16fml+sha3+sm4+flagm+pauth"]
    for number, text in enumerate(texts):
        lines.append(f"L{number}: {text if guest == 'aarch64' else text.replace('#', '')}")
    lines.append(f"L{len(texts)}:")
    with open(source, "w") as file:
        file.write("\n".join(lines) + "\n")
    tool = f"{guest}-linux-gnu-"
    result = subprocess.run([tool + "as", "-o", binary, source], capture_output=True, text=True)
    if result.returncode:
        for message in result.stderr.splitlines():
            match = re.search(r":(\d+): (.*)", message)
            if match:
                print(f"{lines[int(match.group(1)) - 1]}: {match.group(2)}", file=sys.stderr)
        sys.exit(1)
    symbols = subprocess.run([tool + "nm", binary], capture_output=True, text=True, check=True).stdout.split("\n")
    at = {words[2]: int(words[0], 16) for words in map(str.split, symbols) if len(words) == 3}
    subprocess.run([tool + "objcopy", "-O", "binary", "-j", ".text", binary, binary + ".bin"], check=True)
    with open(binary + ".bin", "rb") as file:
        code = file.read()
    return [code[at[f"L{i}"]:at[f"L{i + 1}"]] for i in range(len(texts))]


def registers(guest, text):
    """The general registers, base registers, index registers and vectors that the text names."""
    inside = " ".join(re.findall(r"\[([^\]]*)\]", text))
    if guest == "aarch64":
        general = {f"x{n}" for n in re.findall(r"\b[wx](\d+)\b", text)}
        bases = {match for match in re.findall(r"\[\s*(x\d+)", text)}
        index = {f"x{n}" for n in re.findall(r"\b[wx](\d+)\b", inside)} - bases
        vectors = {f"v{n}" for n in re.findall(r"\b[vbhsdq](\d+)\b", text)}
    else:
        words = re.findall(r"\b[a-z]\w*\b", text)
        general = {PART[word] for word in words if word in PART}
        memory = [PART[word] for word in re.findall(r"\b[a-z]\w*\b", inside) if word in PART]
        bases, index = set(memory[:1]), set(memory[1:])
        vectors = {word for word in words if re.fullmatch(r"xmm\d+", word)}
    return general - bases - index, bases, index, vectors


def before(guest, text, options, rng):
    """The values that a test starts from."""
    general, bases, index, vectors = registers(guest, text)
    general.discard("rsp")
    items = {}
    plain = {o.split("=")[0]: o.split("=")[1] for o in options if "=" in o and not o.startswith("set:")}
    general |= set(filter(None, plain.get("uses", "").split(",")))
    for name in sorted(general, key=lambda name: (len(name), name)):
        items[name] = integer(rng)
    for name in sorted(bases):
        items[name] = WINDOW + 0x1000 + 16 * rng.randrange(32) + (rng.randrange(16) if "odd" in options else 0)
    for name in sorted(index):
        word = guest == "aarch64" and re.search(r"\bw" + name[1:] + r"\b", text)
        items[name] = rng.getrandbits(32) << 32 | rng.randrange(64) if word else rng.randrange(-64, 64) & M64
    for name in filter(None, plain.get("small", "").split(",")):
        items[name] = rng.randrange(71)
    for name in sorted(vectors, key=lambda name: (len(name), name)):
        items[name] = vector(options, rng)
    names = ["n", "z", "c", "v"] if guest == "aarch64" else ["cf", "pf", "af", "zf", "sf", "of"]
    if rng.randrange(3):
        items.update({name: 1 for name in names if rng.getrandbits(1)})
    if "mem" in options:
        for name in sorted(bases):
            bits = 80 if "f80" in options else 0
            data = fp80(rng).to_bytes(10, "little") if bits else vector(options, rng).to_bytes(16, "little")
            items[f"[{items[name]:x}]"] = data
    depth = int(plain.get("st", 0))
    if depth or "st=0" in options:
        top = (8 - depth) & 7
        items["x87_status"], items["x87_tags"] = top << 11, (0xff << (8 - depth)) & 0xff
        for number in range(8 - depth, 8):
            items[f"st_{number}"] = fp80(rng)
    for option in options:
        if option.startswith("set:"):
            name, _, value = option[4:].partition("=")
            choice = rng.choice(value.split("/"))
            items[name] = bytes.fromhex(choice) if name[0] == "[" else int(choice, 16)
    return items


def line(code, text, items):
    def show(value):
        return value.hex() if isinstance(value, bytes) else f"{value:x}"
    values = " ".join(f"{name}={show(value)}" for name, value in items.items())
    return f"[{' '.join(f'{byte:02x}' for byte in code)}] {text} | {values}".rstrip()


def operand_bits(operand):
    """The width of an x86 operand, from its register's name or its size in words."""
    sizes = {"byte": 8, "word": 16, "dword": 32, "qword": 64}
    name = operand.split()[0]
    if name in sizes: return sizes[name]
    if name[0] == "r" and name[-1] not in "bwd": return 64
    if name[0] == "e" or name[-1] == "d": return 32
    return 8 if name[-1] in "lhb" else 16


def undefined(text, items, options):
    """The flags that the manual leaves undefined for this instruction and these values."""
    names = [name for pattern, flags in UNDEFINED if re.match(pattern, text) for name in flags.split()]
    if "lock" not in text and re.match(r"(and|or|xor|test)", text) and "ps" in text.split()[0]:
        names = []
    match = COUNTED.match(text)
    if match:
        last = text.split(",")[-1].strip()
        count = items.get("rcx", 0) & 0xff if last == "cl" else int(last, 0)
        bits = operand_bits(text[match.end():].split(",")[0].strip())
        count &= 63 if bits == 64 else 31
        if count == 0:
            return []
        if count != 1:
            names.append("of")
        if count >= bits and match.group(1) in ("shl", "sal", "shr", "shld", "shrd"):
            names.append("cf")
        if count > bits and match.group(1) in ("shld", "shrd"):
            return None  # the result is undefined too
    return names + undefined_by(options)


def undefined_by(options):
    """What the options say is undefined."""
    return [name for option in options if option.startswith("undef=") for name in option[6:].split(",")]


def mark(result, names):
    """Replaces the values of undefined flags by `?`."""
    if not names or "fault=" in result:
        return result
    head, _, after = result.rpartition("|")
    kept = [word for word in after.split() if word.split("=")[0] not in names]
    return f"{head}| {' '.join(kept + [f'{name}=?' for name in dict.fromkeys(names)])}"


def oracle(guest, lines):
    runner = os.path.join(BUILD, f"run.{guest}")
    subprocess.run([f"{guest}-linux-gnu-gcc", "-O1", "-static", "-o", runner, os.path.join(HERE, "run.c")], check=True)
    command = [runner]
    if guest == "aarch64":
        # Without SVE: with it the emulator takes the vectors of a signal frame from elsewhere.
        # tests/oracle/fetch-qemu puts it there.
        command = [os.environ.get("QEMU_AARCH64", os.path.join(BUILD, "qemu-aarch64")), "-cpu", "max,sve=off,sme=off", runner]
    output = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True, check=True).stdout
    return output.splitlines()


def family(guest, name):
    tests = []
    with open(os.path.join(HERE, guest, name + ".s")) as file:
        for text in file:
            text = text.split("# ")[0].strip() if not text.startswith("#") else ""
            if text:
                tests += instructions(guest, text)
    codes = assemble(guest, [text for text, _ in tests])
    lines, marks = [], []
    for (text, options), code in zip(tests, codes):
        rng = random.Random(zlib.crc32(text.encode()))
        count = next((int(option[2:]) for option in options if option.startswith("n=")), 3)
        for _ in range(count):
            items = before(guest, text, options, rng)
            names = undefined(text, items, options) if guest == "x86_64" else undefined_by(options)
            if names is not None:
                lines.append(line(code, text, items))
                marks.append(names)
    results = [mark(result, names) for result, names in zip(oracle(guest, lines), marks)]
    assert len(results) == len(lines), (name, len(results), len(lines))
    path = os.path.join(ROOT, "testdata", "insn", guest, name + ".insn")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write("\n".join(dict.fromkeys(results)) + "\n")
    faults = sum("fault=sigill" in result for result in results)
    print(f"{guest}/{name}: {len(tests)} instructions, {len(results)} lines, {faults} undefined")


def main():
    os.makedirs(BUILD, exist_ok=True)
    wanted = sys.argv[1:]
    for guest in ("aarch64", "x86_64"):
        for file in sorted(os.listdir(os.path.join(HERE, guest))):
            name = file.removesuffix(".s")
            if not wanted or f"{guest}/{name}" in wanted:
                family(guest, name)


main()
