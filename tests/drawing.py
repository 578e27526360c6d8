# SPDX-License-Identifier: BSD-2-Clause
"""What tests of drawings share: whether any can be made, and what is in one."""
import json
import os
import subprocess
import xml.etree.ElementTree as ElementTree

from tap import check, skip

# VPMU_BUILD: the build folder (default: build).
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PLOT = os.path.abspath(os.environ.get("VPMU_BUILD", ROOT + "/build")) + "/bench/figures/plot"
SVG = "{http://www.w3.org/2000/svg}"


def why_not():
    """None, or why nothing can be drawn here."""
    done = subprocess.run([PLOT, "--check"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=300)
    return None if done.returncode == 0 else done.stderr.strip().replace("\n", " ")


class Drawing:
    def __init__(self, root):
        self.is_svg = root.tag == SVG + "svg"
        self.texts = ["".join(element.itertext()) for element in root.iter(SVG + "text")]
        self.bars = [element.get("id") for element in root.iter()
                     if element.get("id", "").startswith("bar-")]


def read(path):
    return Drawing(ElementTree.parse(path).getroot())


def parse(text):
    return Drawing(ElementTree.fromstring(text))


def check_bars(sentence, result, bars, labels):
    """The drawing of what vpmu bench has printed as JSON: how many bars, and texts that it has."""
    reason = why_not()
    if reason:
        skip(sentence, reason)
        return
    done = subprocess.run([PLOT], input=json.dumps(result), capture_output=True, text=True,
                          timeout=300)
    picture = parse(done.stdout)
    check(sentence, len(picture.bars) == bars and set(labels) <= set(picture.texts), picture.bars,
          done.stderr)
