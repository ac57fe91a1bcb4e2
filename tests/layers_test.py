#!/usr/bin/env python3
"""Fails when a source file includes or says what its layer must not.

  layers_test.py sources ROOT                     the rules of STYLE.md, "Layers", on every tracked source
  layers_test.py mutants ROOT SIMULATOR[:TEST..] SHIPPED..
                                                  planted bugs are in the simulator, or in a test of what it does not
                                                  run, and in nothing that ships
  layers_test.py planted                          each rule must find the violation that is planted for it
"""

import os
import re
import subprocess
import sys
import tempfile

# Whom a folder may include, by the first part of the path that is written in the #include. The longest
# matching folder counts. Standard and system headers are judged by the words below.
PROJECT = ["base", "evs", "dlm", "barrier", "liblock", "lockd", "tools", "tests", "examples"]
FOLDERS = {
    "base": [],
    "evs": ["base"],
    "evs/net": ["base", "evs"],
    "dlm": ["base"],
    "barrier": ["base"],
    "liblock": ["base", "liblock"],
    "liblock/include": ["liblock"],
    "lockd": ["base", "evs", "dlm", "barrier", "liblock", "lockd"],
    "tools": ["base", "liblock", "tools"],
    "tools/relay": ["base", "tools"],
    "tests": PROJECT,
    "examples": ["liblock"],
}

# What an example includes of the ring, as a program outside the tree would: what is installed for that.
EMBEDDED = "evs/net/embedded_member.h"

# A core takes time, randomness and bytes as arguments and never waits.
PURE_WORDS = ["uv.h", "uv_now", "mbedtls", "sys/socket", "::now(", "random_device", "sleep", "std::thread"]
# Lease clocks are read after a receive, never from the loop's cache (docs/safety.md).
LOOP_CLOCKS = ["uv_now", "uv_hrtime"]
FORBIDDEN_WORDS = {
    "base": PURE_WORDS,
    "evs": PURE_WORDS,
    "evs/net": LOOP_CLOCKS,
    "dlm": PURE_WORDS,
    "barrier": PURE_WORDS,
    "liblock": ["uv.h", "uv_now", "mbedtls"],
    "liblock/protocol": PURE_WORDS,
    "lockd": LOOP_CLOCKS,
    "tools": ["uv.h", "mbedtls"],
    "tools/relay": ["mbedtls"],
    "tests": [],
    "tests/sim": ["uv.h", "sys/socket", "::now(", "random_device", "sleep"],
    "examples": [],
}

# Folders whose every file is pure. Elsewhere the pure files are those of MUTABLE libraries, since the simulator
# links these: the decisions of lockd/, the client machine of liblock/. Of evs/net/ it is the record layer.
PURE_FOLDERS = ["base", "evs", "dlm", "barrier", "liblock/protocol"]
PURE_LIBRARIES = ["lockd", "liblock"]
PURE_NOUNS = ["evs/net/aead", "evs/net/lives", "evs/net/opener", "evs/net/record", "evs/net/repeater",
              "evs/net/replay_window", "evs/net/sealer"]

SOURCE = re.compile(r"\.(h|cc|c|cpp|hpp)$")
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)
UNORDERED = re.compile(r"\bunordered_(?:multi)?(?:map|set)\s*<")
MUTANT = re.compile(r'\bMUTANT\(\s*"([^"]*)"\s*\)')
MUTANT_NAME = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)+$")


def tracked_files(root):
    """Files of the repository; of the folder, where there is no repository (an unpacked archive)."""
    try:
        answer = subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", root, "ls-files", "-z", "--cached", "--others",
             "--exclude-standard"],
            capture_output=True, check=True)
        names = [name for name in answer.stdout.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = []
        for folder, folders, files in os.walk(root):
            folders[:] = [f for f in folders if not f.startswith(("build", "."))]
            names += [os.path.relpath(os.path.join(folder, f), root) for f in files]
    return sorted(name for name in names if os.path.isfile(os.path.join(root, name)))


def read(root, name):
    with open(os.path.join(root, name), encoding="utf-8", errors="replace") as file:
        return file.read()


def without_comments(text, strings):
    """The code with comments blanked out, and with `strings` false the literals too. Lines stay where they are."""
    def blank(match):
        token = match.group(0)
        if token.startswith("/"):
            return re.sub(r"[^\n]", " ", token)
        return token if strings else token[0] + token[-1]
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|(?<!\w)\'(?:\\.|[^\'\\\n])+\'', blank, text, flags=re.S)


def longest(folders, name):
    """The entry of the innermost folder that holds the file, or None."""
    best = None
    for folder in folders:
        if name.startswith(folder + "/") and (best is None or len(folder) > len(best)):
            best = folder
    return best


def noun_of(name):
    """The path without what tells header and source apart."""
    return re.sub(r"\.\w+$", "", name)


def mutable_sources(cmake):
    """Sources of the MUTABLE libraries of a CMakeLists.txt, lists of its own expanded."""
    cmake = re.sub(r"#[^\n]*", "", cmake)
    lists = dict(re.findall(r"set\(\s*(\w+)\s+([^)]*)\)", cmake))
    for library in re.findall(r"ringlock_library\(\s*\w+\s+MUTABLE\s+SOURCES\s+([^)]*)\)", cmake):
        for word in re.split(r"\bLINKS\b", library)[0].split():
            variable = re.fullmatch(r"\$\{(\w+)\}", word)
            yield from lists.get(variable.group(1), "").split() if variable else [word]


def pure_files(root, names):
    """Files that have to be pure: whole folders, and the sources of mutable libraries with their headers."""
    pure = {name for name in names if longest(FOLDERS, name) in PURE_FOLDERS or
            longest(PURE_FOLDERS, name) == "liblock/protocol" or noun_of(name) in PURE_NOUNS}
    for folder in PURE_LIBRARIES:
        cmake = os.path.join(root, folder, "CMakeLists.txt")
        if not os.path.exists(cmake):
            continue
        with open(cmake, encoding="utf-8") as file:
            for source in mutable_sources(file.read()):
                path = os.path.normpath(os.path.join(folder, source))
                pure.add(path)
                pure.add(noun_of(path) + ".h")
    return pure & set(names)


def unordered_names(code):
    """Names declared with an unordered container type in this code."""
    names = set()
    for match in UNORDERED.finditer(code):
        depth, at = 1, match.end()
        while at < len(code) and depth > 0:
            depth += {"<": 1, ">": -1}.get(code[at], 0)
            at += 1
        declared = re.match(r"\s*[&*]?\s*(\w+)", code[at:])
        if declared:
            names.add(declared.group(1))
    return names


def iterations(code, names):
    """Places where a container of these names is walked: its order would be seen."""
    for name in sorted(names):
        walk = r"for\s*\([^;{}]*:\s*(?:\w+(?:\.|->))*" + name + r"\s*\)|\b" + name + r"\s*(?:\.|->)\s*c?begin\s*\("
        for match in re.finditer(walk, code):
            yield name, match.start()


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def check_sources(root):
    """All violations, each as `file:line: what`."""
    found = []
    names = tracked_files(root)
    sources = [name for name in names if SOURCE.search(name)]
    pure = pure_files(root, sources)
    code = {name: without_comments(read(root, name), strings=True) for name in sources}
    bare = {name: without_comments(read(root, name), strings=False) for name in sources}
    hashed = {}  # Unordered containers by noun: a member of foo.h is walked in foo.cc.
    for name in pure:
        hashed.setdefault(noun_of(name), set()).update(unordered_names(bare[name]))

    for name in sources:
        folder = longest(FOLDERS, name)
        if folder is None:
            found.append(f"{name}:1: a source outside the known folders")
            continue
        for match in INCLUDE.finditer(code[name]):
            quote, path = match.groups()
            where = f"{name}:{line_of(code[name], match.start())}"
            top = path.split("/")[0]
            inside = "evs/net" if path.startswith("evs/net/") else top
            if folder == "examples" and path == EMBEDDED:
                continue
            if top in PROJECT:
                own = folder if folder != "liblock/include" else "liblock"
                if inside != own and top not in FOLDERS[folder]:
                    found.append(f"{where}: {folder}/ must not include {path}")
                elif inside == "evs/net" and own not in ("evs/net", "lockd", "tests"):
                    found.append(f"{where}: {folder}/ must not include {path}")
                elif folder == "liblock/include" and not re.fullmatch(r"liblock/[\w-]+\.(h|hpp)", path):
                    found.append(f"{where}: a public header includes public headers only, not {path}")
                elif name.startswith("tests/sim/") and inside == "evs/net" and "driver" in path:
                    found.append(f"{where}: the simulator has no driver")
            elif quote == '"' and not (folder == "examples" and "/" not in path):
                found.append(f"{where}: include {path} by its path from the root")
            if path == "base/check.h" and not name.endswith(".cc"):
                found.append(f"{where}: base/check.h belongs in .cc files")
        words = FORBIDDEN_WORDS[longest(FORBIDDEN_WORDS, name)]
        for word in PURE_WORDS if name in pure else words:
            for match in re.finditer(re.escape(word), code[name] if "." in word or "/" in word else bare[name]):
                found.append(f"{name}:{line_of(code[name], match.start())}: `{word}` must not occur here")
        if name in pure:
            for container, at in iterations(bare[name], hashed[noun_of(name)]):
                found.append(f"{name}:{line_of(bare[name], at)}: the order of unordered `{container}` can be seen")
        for match in MUTANT.finditer(code[name]):
            if not MUTANT_NAME.match(match.group(1)) and not name.startswith("base/"):
                found.append(f"{name}:{line_of(code[name], match.start())}: a mutant has at least two words, "
                             f"in lower_case: {match.group(1)}")

    # Paths of the machine that somebody happened to work on.
    machine = re.compile("/" + r"(?:work|root)" + r"/\w")
    for name in names:
        for match in machine.finditer(read(root, name)):
            found.append(f"{name}:{line_of(read(root, name), match.start())}: a path of one machine")
    return found


def mutants_of(root):
    names = set()
    for name in tracked_files(root):
        if SOURCE.search(name) and not name.startswith("tests/"):
            names.update(MUTANT.findall(without_comments(read(root, name), strings=True)))
    return sorted(names)


def check_mutants(root, planted, shipped):
    """`planted`: the programs of which one has to know each mutant."""
    found = []
    mutants = mutants_of(root)
    if not mutants:
        return ["no mutant in the sources: nothing was checked"]
    image = b""
    for program in planted:
        with open(program, "rb") as file:
            image += file.read()
    found += [f"{', '.join(planted)}: knows nothing of mutant {name}" for name in mutants if name.encode() not in image]
    for program in shipped:
        with open(program, "rb") as file:
            image = file.read()
        found += [f"{program}: contains mutant {name}" for name in mutants if name.encode() in image]
    return found


# File, text, and what the complaint must say. Words are joined here so that this file is clean itself.
PLANTED = [
    ("evs/a.cc", '#include "dlm/mode.h"\n', "must not include dlm/mode.h"),
    ("evs/a.cc", '#include "evs/net/driver.h"\n', "must not include evs/net/driver.h"),
    ("evs/a.cc", "#include <uv.h>\n", "`uv.h`"),
    ("evs/a.h", "auto t = std::chrono::steady_clock::now();\n", "`::now(`"),
    ("evs/net/a.cc", "auto t = uv_now(loop);\n", "`uv_now`"),
    ("evs/net/a.cc", "auto t = uv_hrtime();\n", "`uv_hrtime`"),
    ("evs/net/sealer.cc", "auto t = Clock::now();\n", "`::now(`"),
    ("evs/net/a.cc", '#include "lockd/config.h"\n', "must not include lockd/config.h"),
    ("dlm/a.cc", '#include "evs/node.h"\n', "must not include evs/node.h"),
    ("dlm/a.cc", "#include <sys/socket.h>\n", "`sys/socket`"),
    ("dlm/a.cc", "std::random_device seed;\n", "`random_device`"),
    ("dlm/a.cc", "std::unordered_map<int, std::set<int>> all;\nvoid f() { for (auto& x : all) {} }\n", "unordered `all`"),
    ("dlm/a.cc", "std::unordered_set<int> all_;\nauto i = all_.begin();\n", "unordered `all_`"),
    ("dlm/a.cc", "std::thread worker;\n", "`std::thread`"),
    ("barrier/a.cc", "usleep(3);\n", "`sleep`"),
    ("barrier/a.cc", '#include "dlm/mode.h"\n', "must not include dlm/mode.h"),
    ("base/a.cc", '#include "evs/node.h"\n', "must not include evs/node.h"),
    ("liblock/a.cc", '#include "evs/node.h"\n', "must not include evs/node.h"),
    ("liblock/a.cc", "#include <uv.h>\n", "`uv.h`"),
    ("liblock/include/liblock/a.h", '#include "base/ids.h"\n', "must not include base/ids.h"),
    ("liblock/include/liblock/a.h", '#include "liblock/protocol/codec.h"\n', "public headers only"),
    ("liblock/protocol/a.cc", "auto t = Clock::now();\n", "`::now(`"),
    ("lockd/pure.h", "void f() { nanosleep(); }\n", "`sleep`"),
    ("lockd/plain.cc", "std::random_device seed;\n", "`random_device`"),
    ("tools/a.cc", '#include "lockd/config.h"\n', "must not include lockd/config.h"),
    ("tests/sim/a.cc", "#include <uv.h>\n", "`uv.h`"),
    ("examples/a.cc", '#include "base/ids.h"\n', "must not include base/ids.h"),
    ("examples/a.cc", '#include "evs/net/member.h"\n', "must not include evs/net/member.h"),
    ("liblock/a.cc", '#include "examples/a/b.h"\n', "must not include examples/a/b.h"),
    ("evs/a.h", '#include "base/check.h"\n', "base/check.h belongs in .cc files"),
    ("evs/a.cc", '#include "node.h"\n', "by its path from the root"),
    ("evs/a.cc", 'bool b = MUTANT("Short");\n', "a mutant has at least two words"),
    ("misc/a.cc", "int a;\n", "outside the known folders"),
    ("docs/a.md", "see /" + "work/main/evs\n", "a path of one machine"),
]
INNOCENT = [
    ("evs/a.cc", '// The timer must not sleep; see uv.h.\n#include <map>\n#include "base/ids.h"\n#include "evs/node.h"\n'),
    ("evs/net/a.cc", '#include <uv.h>\n#include <sys/socket.h>\n#include "evs/node.h"\n'),
    ("dlm/a.cc", "std::unordered_map<int, int> all;\nbool f() { return all.find(1) != all.end(); }\n"),
    ("dlm/a.cc", 'const char* text = "we sleep well";\nint n = 1\'000;\n'),
    ("lockd/shell.cc", "#include <uv.h>\n#include <sys/socket.h>\nauto t = Clock::now();\n"),
    ("liblock/include/liblock/a.hpp", '#include "liblock/lock.h"\n#include <mutex>\n'),
    ("tools/a.cc", '#include <liblock/lock.h>\n#include "base/time.h"\n'),
]


def check_planted():
    found = []
    with tempfile.TemporaryDirectory() as root:
        def complaints(name, text):
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            answer = check_sources(root)
            os.remove(path)
            return answer

        os.makedirs(os.path.join(root, "lockd"))
        with open(os.path.join(root, "lockd/CMakeLists.txt"), "w", encoding="utf-8") as file:
            file.write("set(CORE # The core.\n  pure.cc\n)\nringlock_library(core MUTABLE\n"
                       "  SOURCES ${CORE} plain.cc LINKS base)\nringlock_library(shell SOURCES shell.cc LINKS core)\n")
        open(os.path.join(root, "lockd/pure.cc"), "w", encoding="utf-8").close()
        for name, text, expected in PLANTED:
            answer = complaints(name, text)
            if len(answer) != 1 or expected not in answer[0]:
                found.append(f"planted in {name}: {text!r}: expected `{expected}`, got {answer}")
        for name, text in INNOCENT:
            answer = complaints(name, text)
            if answer:
                found.append(f"innocent {name}: {text!r}: got {answer}")

        with open(os.path.join(root, "lockd/pure.cc"), "w", encoding="utf-8") as file:
            file.write('bool b = MUTANT("told_too_early") || MUTANT("only_in_source");\n')
            file.write('bool c = MUTANT("only_in_test");\n')
        for name, image in (("simulator", b"..told_too_early\0.."), ("test", b"only_in_test"), ("clean", b"...."),
                            ("leaky", b"told_too_early")):
            with open(os.path.join(root, name), "wb") as file:
                file.write(image)
        answer = check_mutants(root, [os.path.join(root, "simulator"), os.path.join(root, "test")],
                               [os.path.join(root, "clean"), os.path.join(root, "leaky")])
        if len(answer) != 2 or "only_in_source" not in answer[0] or "leaky" not in answer[1]:
            found.append(f"mutants: got {answer}")
    return found


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "sources":
        found = check_sources(arguments[1])
    elif len(arguments) > 3 and arguments[0] == "mutants":
        found = check_mutants(arguments[1], arguments[2].split(":"), arguments[3:])
    elif arguments == ["planted"]:
        found = check_planted()
    else:
        sys.exit(__doc__)
    for violation in found:
        print(violation)
    sys.exit(1 if found else 0)


main(sys.argv[1:])
