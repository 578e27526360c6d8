# SPDX-License-Identifier: BSD-2-Clause
"""A second reader of traces, written after docs/trace.md, to test the first.

As a script it prints a trace: tests/tracefile.py FILE
"""
import sys
from collections import namedtuple

KINDS = ["reset", "rdmsr", "wrmsr", "rdpmc", "pmi"]
Record = namedtuple("Record", "kind fault vcpu time index value")
Config = namedtuple("Config", "version general general_width fixed fixed_width full_width nested "
                              "events vendor event_registers debug_bits")


def load(path):
    """The configuration and the records; ValueError if the file is damaged."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:8] != b"VPMUTRC\n" or data[8] != 2:
        raise ValueError("no trace of version 2")
    config = Config(*data[9:14], bool(data[14] & 1), bool(data[14] & 2),
                    int.from_bytes(data[15:19], "little"), data[19], data[20],
                    int.from_bytes(data[21:29], "little"))
    at = 29

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    records = []
    time = 0
    try:
        while data[at] != 7:
            first = data[at]
            at += 1
            kind, fault, vcpu = KINDS[first & 7], bool(first & 8), first >> 4
            if vcpu == 15:
                vcpu += varint()
            time += varint()
            index = varint() if kind in ("rdmsr", "wrmsr", "rdpmc") else 0
            read = kind in ("rdmsr", "rdpmc")
            value = varint() if kind in ("wrmsr", "pmi") or read and not fault else 0
            records.append(Record(kind, fault, vcpu, time, index, value))
        at += 1
        if varint() != len(records) or at != len(data):
            raise ValueError("another end than its records say")
    except IndexError:
        raise ValueError("cut short") from None
    return config, records


def main():
    config, records = load(sys.argv[1])
    print(config)
    for record in records:
        print(f"{record.time / 1e9:12.6f} vcpu {record.vcpu} {record.kind} "
              f"{record.index:#x} {record.value:#x}{' #GP' if record.fault else ''}")


if __name__ == "__main__":
    main()
