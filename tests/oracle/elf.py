#!/usr/bin/env python3
"""Writes testdata/elf: small files that are not quite programs, each one change away from a hello that runs.

The expectation of each is a line of testdata/elf/expected: name, how Philae must end (`exit N`, or `any`:
as the kernel ends it natively, or refused with exit 126), and a word that its one line must hold.
"""
import os
import struct

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "testdata")
BASE = 0x400000
expected = []


def code(machine):
    """The hello of this machine, as the bytes of its one segment from the file header on."""
    name = {62: "hello.x86_64", 183: "hello.aarch64"}[machine]
    data = open(os.path.join(ROOT, "guest", name), "rb").read()
    offset, entry = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<Q", data, 24)[0]
    for index in range(struct.unpack_from("<H", data, 56)[0]):
        kind, flags, at, address, _, size = struct.unpack_from("<IIQQQQ", data, offset + 56 * index)
        if kind == 1 and address <= entry < address + size:
            return data[at + entry - address:at + size]
    raise SystemExit("no code in " + name)


def segment(kind=1, flags=5, offset=0, address=BASE, size=None, memory=None, align=0x1000):
    return [kind, flags, offset, address, address, size, memory, align]


def program(machine=62, segments=None, extra=b"", **header):
    """An ELF file: header, program headers, code, extra bytes. None in a segment means the file's length."""
    segments = [segment()] if segments is None else segments
    start = 64 + 56 * len(segments)
    body = code(machine) + extra
    fields = dict(klass=2, data=1, kind=2, machine=machine, entry=BASE + start, phoff=64, phentsize=56,
                  phnum=len(segments), magic=b"\x7fELF")
    fields.update(header)
    order = "<" if fields["data"] == 1 else ">"
    ident = fields["magic"] + bytes([fields["klass"], fields["data"], 1, 0]) + bytes(8)
    out = ident + struct.pack(order + "HHIQQQIHHHHHH", fields["kind"], fields["machine"], 1, fields["entry"],
                              fields["phoff"], 0, 0, 64, fields["phentsize"], fields["phnum"], 64, 0, 0)
    length = start + len(body)
    for kind, flags, offset, address, physical, size, memory, align in segments:
        size = length if size is None else size
        memory = size if memory is None else memory
        out += struct.pack(order + "IIQQQQQQ", kind, flags, offset, address, physical, size, memory, align)
    return out + body


def interpreter(path, machine=62):
    """A program that asks for this interpreter: the path's bytes follow the code."""
    at = 64 + 56 * 2 + len(code(machine))
    return program(machine, [segment(3, 4, at, BASE + at, len(path)), segment()], path)


def case(name, data, end, word="-"):
    path = os.path.join(ROOT, "elf", name)
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, 0o755)
    expected.append(f"{name}: {end}: {word}\n")


hello = program()
case("empty", b"", "exit 126")
case("text", b"neither a program nor a script\n", "exit 126")
case("header-only-magic", hello[:4], "exit 126")
case("header-truncated", hello[:40], "exit 126")
case("header-alone", hello[:64], "exit 126")
case("magic-wrong", program(magic=b"\x7fELG"), "exit 126")
case("class-32", hello[:4] + b"\1" + hello[5:18] + struct.pack("<H", 3) + hello[20:], "exit 126")
case("class-unknown", program(klass=9), "any")
case("big-endian", program(data=2), "exit 126")
case("machine-riscv", hello[:18] + struct.pack("<H", 243) + hello[20:], "exit 126")
case("machine-0", hello[:18] + struct.pack("<H", 0) + hello[20:], "exit 126")
case("type-relocatable", program(kind=1), "exit 126")
case("type-core", program(kind=4), "exit 126")
case("phnum-0", program(phnum=0), "exit 126")
case("phnum-huge", program(phnum=0xffff), "exit 126")
case("phnum-past-end", program(phnum=200), "exit 126")
case("phoff-past-end", program(phoff=1 << 20), "exit 126")
case("phoff-overflows", program(phoff=0xffffffffffffffff), "exit 126")
case("phentsize-wrong", program(phentsize=55), "exit 126")
case("segment-none-to-load", program(segments=[segment(kind=4)]), "exit 126")
case("segment-past-end", program(segments=[segment(offset=1 << 20, size=0x1000)]), "any")
case("segment-size-past-end", program(segments=[segment(size=1 << 20)]), "any")
case("segment-offset-overflows", program(segments=[segment(offset=0xfffffffffffff000, size=0x2000)]), "exit 126")
case("segment-file-over-memory", program(segments=[segment(memory=0x10)]), "exit 126")
case("segment-memory-huge", program(segments=[segment(memory=1 << 60)]), "exit 126")
case("segment-in-kernel-space", program(segments=[segment(address=0xffff800000000000)]), "exit 126")
case("segment-wraps", program(segments=[segment(address=0xfffffffffffff000, memory=0x2000)]), "exit 126")
case("segment-misaligned", program(segments=[segment(offset=0x10)]), "exit 126")
case("segments-overlapping", program(segments=[segment(), segment()]), "any")
case("segments-unsorted", program(segments=[segment(), segment(address=BASE - 0x10000)]), "any")
case("entry-outside", program(entry=0x12345678), "any")
case("entry-non-canonical", program(entry=0x8000000000000000), "any")
case("stack-executable", program(segments=[segment(), segment(kind=0x6474e551, flags=7, size=0)]), "any")
for machine, guest in ((62, "x86_64"), (183, "aarch64")):
    case("interpreter-missing." + guest, interpreter(b"/lib/ld-that-is-missing.so.9\0", machine), "exit 127",
         "/lib/ld-that-is-missing.so.9")
case("interpreter-unterminated", interpreter(b"/lib/ld-x"), "exit 126")
case("interpreter-empty", interpreter(b"\0"), "exit 126")
case("interpreter-not-elf", interpreter(b"/etc/passwd\0"), "exit 126", "/etc/passwd")
case("interpreter-past-end", program(segments=[segment(3, 4, 1 << 20, BASE, 20), segment()]), "exit 126")
case("interpreter-huge", program(segments=[segment(3, 4, 0, BASE, 1 << 50), segment()]), "exit 126")
case("script-interpreter-missing", b"#!/no/such/interpreter argument\n", "exit 127", "/no/such/interpreter")
case("script-empty-line", b"#!\n", "exit 126")
case("script-spaces", b"#!   \t \n", "exit 126")
case("script-of-itself", b"#!testdata/elf/script-of-itself\n", "exit 126")
case("script-long-line", b"#!/" + b"x" * 5000 + b"\n", "any")
with open(os.path.join(ROOT, "elf", "expected"), "w") as file:
    file.write("".join(expected))
