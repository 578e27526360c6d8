# SPDX-License-Identifier: BSD-2-Clause
"""A kernel module that hangs a CPU with interrupts off: one of the kernel's own, with other code."""
import struct

import linux_guest

# The guest may have loaded it already.
NAME, OTHER_NAME = b"virtio_blk\0", b"hanging_it\0"
SIGNED = b"~Module signature appended~\n"
SYMBOLS, RELOCATIONS = 2, 4  # types of sections
# CLI, and an endless loop that takes its time.
CODE = b"\xfa" + b"\x90" * 60 + b"\xeb" + struct.pack("b", -62)


def unsigned(data):
    """The signature does not fit what follows; it need not be there."""
    if not data.endswith(SIGNED):
        return data
    size, = struct.unpack_from(">I", data, len(data) - len(SIGNED) - 4)
    return data[:-len(SIGNED) - 12 - size]


def sections(data):
    """(name, type, flags, address, offset, size, link, info, ...) of an ELF file's sections."""
    table, = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    return [struct.unpack_from("<IIQQQQIIQQ", data, table + i * size) for i in range(count)]


def symbol(data, wanted):
    """The section that it is in, and where there."""
    rows = sections(data)
    for row in rows:
        if row[1] != SYMBOLS:
            continue
        strings = rows[row[6]][4]
        for at in range(row[4], row[4] + row[5], 24):
            name, _, _, section, value = struct.unpack_from("<IBBHQ", data, at)
            start = strings + name
            if data[start:data.index(b"\0", start)] == wanted:
                return section, value
    raise ValueError("no such symbol")


def drop_relocations(data, section, first, last):
    for row in sections(data):
        if row[1] != RELOCATIONS or row[7] != section:
            continue
        for at in range(row[4], row[4] + row[5], 24):
            offset, _, _ = struct.unpack_from("<QQq", data, at)
            if first <= offset < last:
                struct.pack_into("<QQq", data, at, offset, 0, 0)  # R_X86_64_NONE


def write(kernel, path):
    with open(linux_guest.module(kernel, "drivers/block/virtio_blk"), "rb") as file:
        data = bytearray(unsigned(file.read()).replace(NAME, OTHER_NAME))
    section, first = symbol(data, b"init_module")
    row = sections(data)[section]
    # The call of __fentry__, five bytes, is the tracer's and stays; so does ENDBR64.
    start = row[4] + first
    first += 9 if data[start:start + 4] == b"\xf3\x0f\x1e\xfa" else 5
    assert first + len(CODE) <= row[5], "the section is too short"
    drop_relocations(data, section, first, first + len(CODE))
    data[row[4] + first:row[4] + first + len(CODE)] = CODE
    with open(path, "wb") as file:
        file.write(data)
