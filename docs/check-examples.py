#!/usr/bin/env python3
"""Checks that the JSON examples in the book are what they say: whole manifests, or configurations of the gateway that their chapter is about.

Usage: check-examples.py VALIDATE, the path of the softwarecontainer-validate program.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

BOOK = pathlib.Path(__file__).parent / "src"

# Chapters outside of gateways/ with configurations of a gateway.
GATEWAY_OF = {"shared-memory": "file", "traffic-shaping": "cgroups"}


def manifest_of(example, chapter):
    """The example as a manifest: a whole one, a gateway with its ID, or a configuration alone; None if it is something else (the argument of Create)."""
    if isinstance(example, dict) and "id" not in example:
        return example
    if isinstance(example, list):
        gateway = chapter.stem if chapter.parent.name == "gateways" else GATEWAY_OF.get(chapter.stem)
        if gateway is None:
            return None
        example = {"id": gateway, "config": example}
    gateways = [example]
    return {"version": "1", "capabilities": [{"name": "org.example", "gateways": gateways}]}


def main():
    failures = []
    checked = 0
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory, "example.json")
        for chapter in sorted(BOOK.rglob("*.md")):
            for text in re.findall(r"^```json\n(.*?)^```", chapter.read_text(), re.S | re.M):
                try:
                    manifest = manifest_of(json.loads(text), chapter)
                except ValueError as error:
                    failures.append(f"{chapter}: {error}:\n{text}")
                    continue
                if manifest is None:
                    continue
                checked += 1
                file.write_text(json.dumps(manifest))
                command = [sys.argv[1], "--quiet", "--strict", str(file)]
                result = subprocess.run(command, stderr=subprocess.PIPE, text=True)
                if result.returncode != 0:
                    failures.append(f"{chapter}: {result.stderr}{text}")
    if not checked:
        failures.append("no examples found")
    print("\n".join(failures) or f"{checked} examples are valid")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
