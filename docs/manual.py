#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes vpmu(3) from the public headers: their comments are its text, so the two cannot
disagree. Knows as much of C as the headers use, no more.

usage: docs/manual.py VERSION OUTPUT HEADER...
"""
import os
import re
import sys

SKIPPED = re.compile(r'#(ifndef|ifdef|endif|include)\b|#define VPMU_\w+_H$|extern "C"|}$')


class Item:
    """Declarations that stand together, and the comment above them."""

    def __init__(self, comment, code):
        self.comment = comment
        self.code = code
        self.functions = re.findall(r"^[a-z][\w *]*?\b(vpmu_\w+)\(", code, flags=re.M)
        objects = re.findall(r"^extern .*\b(vpmu_\w+);", code, flags=re.M)
        self.names = self.functions + objects


class Header:
    def __init__(self, path):
        self.name = "vpmu/" + os.path.basename(path)
        with open(path, encoding="utf-8") as file:
            self.items = list(items(file.read().splitlines()))
        # The first comment is the file's own.
        self.about = self.items.pop(0).comment
        self.about = [line for line in self.about if not line.startswith("SPDX-")]


def paragraphs(block):
    """A comment's text: a line a paragraph, but code, which is set off by tabs."""
    text = re.sub(r"^ ?/?\*+/?|\*/$", "", block, flags=re.M)
    parts = [part.strip("\n") for part in re.split(r"\n\s*\n", text) if part.strip()]
    return [re.sub(r"^\t", "", part, flags=re.M) if part.startswith("\t")
            else " ".join(part.split()) for part in parts]


def prototype(code):
    """Without the bodies of inline functions."""
    return re.sub(r"^static inline (.*?)\n{.*?^}", r"\1;", code, flags=re.S | re.M)


def items(lines):
    """Cut at empty lines, but not inside of braces."""
    blocks, depth = [[]], 0
    for line in lines:
        if not depth and SKIPPED.match(line):
            continue
        depth += line.count("{") - line.count("}")
        if line or depth:
            blocks[-1].append(line)
        else:
            blocks.append([])
    for block in filter(None, blocks):
        text = "\n".join(block)
        comment = re.match(r"/\*.*?\*/\n?", text, flags=re.S)
        code = text[comment.end():] if comment else text
        # What is named only so that others can point to it.
        if comment or not re.match(r"struct \w+;", code):
            yield Item(paragraphs(comment.group(0)) if comment else [], prototype(code))


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def prose(lines):
    for line in lines:
        yield ".PP"
        if "\n" in line:
            yield from (".RS", ".nf", escape(line), ".fi", ".RE")
        else:
            yield re.sub(r"\b(vpmu_\w+)\(\)", r"\\fB\1\\fP()", escape(line))


def code_block(code):
    code = code.expandtabs(8)
    # Members are indented by less than in the header: lines are long.
    if "{" in code:
        code = re.sub(r"^ {4}", "", code, flags=re.M)
    yield from (".PP", ".nf", "\\fB" + escape(code) + "\\fP", ".fi")


def item_text(item):
    if item.code:
        own = any("fields are the library's own" in each for each in item.comment)
        yield from code_block(re.sub(r"{.*}", "{ ... }", item.code, flags=re.S)
                              if own else item.code)
    if item.comment:
        yield ".RS"
        yield from prose(item.comment)
        yield ".RE"


def page(version, headers):
    names = ["vpmu"] + [name for each in headers for item in each.items for name in item.names]
    yield '.\\" Written by docs/manual.py from the headers; do not edit.'
    yield f'.TH VPMU 3 "" "vpmu {version}" "Library Functions Manual"'
    yield ".SH NAME"
    yield ", ".join(names) + " \\- the performance monitoring unit (PMU) of an x86 vCPU"
    yield ".SH SYNOPSIS"
    yield ".nf"
    for each in headers:
        yield f"#include <{each.name}>"
    yield ".PP"
    yield "cc \\fIfile\\fP... $(pkg\\-config \\-\\-cflags \\-\\-libs vpmu)"
    yield "cc \\fIfile\\fP... $(pkg\\-config \\-\\-cflags \\-\\-libs vpmu\\-perf\\-event)"
    yield ".fi"
    yield ".SH DESCRIPTION"
    yield from prose(headers[0].about)
    for each in headers:
        yield f".SH {each.name.upper()}"
        if each is not headers[0]:
            yield from prose(each.about)
        for item in each.items:
            yield from item_text(item)
    yield ".SH SEE ALSO"
    yield ".BR vpmu (1)"


def read(paths):
    """The library's main header first, that of another library last."""
    return [Header(path) for path in
            sorted(paths, key=lambda path: (not path.endswith("/vpmu.h"),
                                            path.endswith("/perf_event.h"), path))]


def main():
    version, output, *paths = sys.argv[1:]
    with open(output, "w", encoding="utf-8") as file:
        file.write("\n".join(page(version, read(paths))) + "\n")


if __name__ == "__main__":
    main()
