#!/usr/bin/env python3
"""The documents name what is there: every `folder/`, every `path/file.cc`, every `path/file.cc: function`."""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
DOCUMENTS = ["README.md", "ARCHITECTURE.md", "STYLE.md"]
NAME = re.compile(r"`((?:[\w.-]+/)+(?:[\w-]+\.(?:h|hpp|cc|py|md|toml))?)(?:: (\w+))?`|`(\w+\.md)`")


def complaints(document):
    with open(os.path.join(ROOT, document), encoding="utf-8") as file:
        text = file.read()
    for match in NAME.finditer(text):
        path, function = match.group(1) or match.group(3), match.group(2)
        where = f"{document}:{text.count(chr(10), 0, match.start()) + 1}"
        full = os.path.join(ROOT, path)
        if not os.path.exists(full):
            yield f"{where}: there is no {path}"
        elif function:
            with open(full, encoding="utf-8") as file:
                if not re.search(rf"\b{function}\([^;{{}}]*\)[^;{{}}]*\{{", file.read()):
                    yield f"{where}: {function}() is not defined in {path}"
    if not NAME.search(text):
        yield f"{document}: names nothing, so nothing was checked"


found = [complaint for document in DOCUMENTS for complaint in complaints(document)]
print("\n".join(found))
sys.exit(1 if found else 0)
