"""The house rules that a script can see. Each test names the file and line of what breaks its rule."""

import re
import subprocess

import conftest

TOP = conftest.TOP
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 800
COLUMNS_MAX = 100
MESSAGE_COLUMNS_MAX = 120
TAB = 8

# Dependencies point down this list only.
LAYERS = ["cmd", "gateway", "flow", "engine", "delta", "source", "sql", "broker", "store", "net", "base"]

BANNED = {
    "strcpy": "snprintf or a struct buf", "strcat": "a struct buf", "sprintf": "snprintf", "vsprintf": "vsnprintf",
    "strtok": "strsep or strcspn", "alloca": "an arena", "system": "children.h", "gets": "read",
    "atoi": "a parser that can fail", "atol": "a parser that can fail", "atof": "a parser that can fail",
    "strncpy": "snprintf or memcpy", "tmpnam": "mkstemp", "mktemp": "mkstemp", "rand": "a seeded generator",
}


def files(*patterns):
    """Files in git, or about to be, that match."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
                            cwd=TOP, capture_output=True, text=True, check=True).stdout.split("\n")
    return sorted(TOP / name for name in set(listed) if name and (TOP / name).is_file())


def sources():
    return files("src/*.c", "src/*.h", "src/*.cc", "tools/*.c")


def all_c():
    return sources() + files("tests/*.c", "tests/*.h", "bench/*.c")


def name_of(path):
    return str(path.relative_to(TOP))


def without_comments_and_strings(text):
    """The same lines, with the insides of comments and literals gone."""
    def blank(found):
        kept = found[0][0] if found[0][0] in "\"'" else ""
        return kept + "\n" * found[0].count("\n") + kept
    return re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def report(found):
    assert not found, "\n" + "\n".join(found)


def functions(text):
    """(line, length, head) of every function: a head at the margin, then lines from { to } at the margin."""
    lines = text.split("\n")
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start:
            if not line.startswith("};"):
                yield start, number - start - 1, lines[start - 2]
            start = None


def test_lines_of_the_page_are_short():
    report([f"{name_of(path)}:{number}: {len(line)} characters" for path in files("web/*.js")
            for number, line in enumerate(path.read_text().split("\n"), 1) if len(line) > MESSAGE_COLUMNS_MAX])


def test_functions_are_short():
    report([f"{name_of(path)}:{line}: {length} lines: {head}" for path in all_c()
            for line, length, head in functions(path.read_text()) if length > FUNCTION_LINES_MAX])


def test_median_function_is_about_fifteen_lines():
    lengths = sorted(length for path in sources() for _, length, _ in functions(path.read_text()))
    assert lengths[len(lengths) // 2] <= 18


def test_files_are_short():
    report([f"{name_of(path)}: {count} lines" for path in all_c()
            if (count := len(path.read_text().splitlines())) > FILE_LINES_MAX])


def is_table_row(line):
    return re.match(r"\s*(X\(|case \w+: case |/?\*\t|\{ |\[\w+\] = )", line) or re.search(r"\bX\(", line)


def is_long(line):
    """A message is not cut in two for being long, and a table may be as wide as it is."""
    limit = MESSAGE_COLUMNS_MAX if '"' in line else COLUMNS_MAX
    return len(line.expandtabs(TAB)) > limit and not is_table_row(line)


def test_a_store_is_short():
    """What all stores share is in store.c and in decorators: a new one is what is its own."""
    assert len((TOP / "tests/backends/store_memory.c").read_text().split("\n")) <= 350


def test_lines_are_short():
    report([f"{name_of(path)}:{number}: {line.strip()}" for path in all_c()
            for number, line in enumerate(path.read_text().split("\n"), 1) if is_long(line)]
           + [f"{name_of(path)}:{number}: {line.strip()}" for path in files("*.py", "tests/run")
              for number, line in enumerate(path.read_text().split("\n"), 1) if len(line) > COLUMNS_MAX + 20])


def test_lines_of_comments_begin_with_a_star_and_a_blank():
    """A formatter that wraps them may leave a star at a word, which then is no line's beginning."""
    report([f"{name_of(path)}:{text.count(chr(10), 0, found.start()) + number}: {line.strip()}" for path in all_c()
            for text in [path.read_text()]
            for found in re.finditer(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"', text, flags=re.S) if found[0][0] == "/"
            for number, line in enumerate(found[0].split("\n")[1:], 2) if re.match(r"\s*\*[^\s/]", line)])


def test_no_banned_call():
    pattern = re.compile(r"\b(" + "|".join(BANNED) + r")\s*\(")
    report([f"{name_of(path)}:{number}: {call}(): use {BANNED[call]}" for path in all_c()
            for number, line in enumerate(without_comments_and_strings(path.read_text()).split("\n"), 1)
            for call in pattern.findall(line)])


def test_only_commands_print_and_exit():
    """Library code may only say why it aborts: "fatal: …"."""
    pattern = re.compile(r"(?<![\w.>])(printf|fprintf|puts|fputs|putchar|perror|exit|quick_exit)\s*\(")
    report([f"{name_of(path)}:{number}: {call}()" for path in files("src/*.c", "src/*.h", "src/*.cc")
            if not name_of(path).startswith("src/cmd/")
            for number, line in enumerate(path.read_text().split("\n"), 1) if '"fatal: ' not in line
            for call in pattern.findall(without_comments_and_strings(line))])


def test_dependencies_point_down():
    found = []
    for path in files("src/*.c", "src/*.h", "src/*.cc"):
        layer = path.relative_to(TOP / "src").parts[0]
        for number, line in enumerate(path.read_text().split("\n"), 1):
            include = re.match(r'#include "(\w+)/', line)
            if include and LAYERS.index(include[1]) < LAYERS.index(layer):
                found.append(f"{name_of(path)}:{number}: {layer} may not know of {include[1]}")
    report(found)


def test_backends_are_made_in_one_place():
    """Which backend an interface has is an option's to say: above the backends, setup.c alone names them."""
    makers = r"\b(broker_local_new|broker_kinds_new|journal_check|source_(?:files|generated)_new|engine_duckdb_new)\("
    report([f"{name_of(path)}: {found[1]}()" for path in files("src/cmd/*.c", "src/flow/*.c", "src/gateway/*.c")
            if path.name != "setup.c"
            for found in re.finditer(makers, without_comments_and_strings(path.read_text()))])


def test_headers_have_a_guard_and_say_what_they_are():
    found = []
    for path in files("src/*.h", "tests/*.h"):
        text = path.read_text()
        inside = path.relative_to(TOP / "src" if path.is_relative_to(TOP / "src") else TOP)
        guard = re.sub(r"\W", "_", str(inside)).upper()
        if not re.match(rf"/\*(\n \*)? {re.escape(path.name)} - \S", text):
            found.append(f"{name_of(path)}:1: begins with no \"{path.name} - what this is\"")
        if "No include guard" in text or "no include guard" in text:
            continue
        if f"#ifndef {guard}\n#define {guard}\n" not in text:
            found.append(f"{name_of(path)}: wants the guard {guard}")
    report(found)


def test_no_leftovers():
    words = "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"])
    pattern = re.compile(rf"\b({words})\b")
    report([f"{name_of(path)}:{number}: {line.strip()}" for path in files()
            if path.suffix not in (".ndjson", ".bin") and name_of(path) != "LICENSE"
            for number, line in enumerate(path.read_text(errors="replace").split("\n"), 1)
            if pattern.search(line)])


def test_nothing_is_left_of_patches_and_editors():
    report([f"{name_of(path)}: no source" for path in files()
            if path.name.endswith((".orig", ".rej", ".bak", ".swp", "~"))])


def test_c_comments_are_in_one_style():
    report([f"{name_of(path)}:{number}: {line.strip()}" for path in all_c() if path.suffix != ".cc"
            for number, line in enumerate(without_comments_and_strings(path.read_text()).split("\n"), 1)
            if "//" in line])


def test_structs_are_not_hidden_by_typedefs():
    report([f"{name_of(path)}:{number}: {line.strip()}" for path in all_c()
            for number, line in enumerate(path.read_text().split("\n"), 1)
            if re.match(r"\s*typedef\s+(struct|enum|union)\b[^(]*[a-z_]+;", line)])


def test_nothing_names_the_machine_it_was_written_on():
    pattern = re.compile(r"(?<![\w.])/(work|home/\w+|Users)/|\bartifactory\b|\bnexus\.")
    report([f"{name_of(path)}:{number}: {line.strip()}" for path in files()
            if name_of(path) not in ("tests/tidy/test_tidy.py", "LICENSE")
            for number, line in enumerate(path.read_text(errors="replace").split("\n"), 1) if pattern.search(line)])


# Only the emulator and its sources know the three tables; elsewhere a name is an example of a command. ("user" is
# a word of SQL, too.)
KNOWS_THE_TABLES = re.compile(r"src/source/|src/flow/(emulate|post_protocol)|src/cmd/cmd_emulate|config_options\.h"
                              r"|engine/infer|store/file_words")  # the last: "user." of extended attributes


def test_no_table_is_known_by_name():
    """A table is a file of models/clean: a fourth must work as the three do."""
    pattern = re.compile(r"(?<![a-zA-Z])(pins?|geo)(?![a-zA-Z])|(?<=[-._\"<])users?(?=[-._\">])")
    example = re.compile(r"\.examples|\.user_agent|^\s*\"(pinpipe|http)")
    found = []
    for path in files("src/*.c", "src/*.h"):
        if KNOWS_THE_TABLES.search(name_of(path)):
            continue
        for number, line in enumerate(path.read_text().split("\n"), 1):
            if pattern.search(line) and not example.search(line) and "->user" not in line:
                found.append(f"{name_of(path)}:{number}: {line.strip()}")
    report(found)


def test_a_static_function_has_one_home():
    """A grep finds one thing: statics carry their file's noun where another file has the same word."""
    homes = {}
    for path in files("src/*.c"):
        for name in re.findall(r"^static (?!inline)(?:[^\n;={()]*?[ *])(\w+)\s*\(", path.read_text(), re.M):
            homes.setdefault(name, set()).add(name_of(path))
    report([f"{name}() is in {', '.join(sorted(where))}" for name, where in sorted(homes.items()) if len(where) > 1])


def test_every_source_is_built():
    found = []
    for path in files("src/*.c", "src/*.cc"):
        build = path.parent / "meson.build"
        if path.name != "main.c" and f"'{path.name}'" not in build.read_text():
            found.append(f"{name_of(path)} is not in {name_of(build)}")
    listed = (TOP / "tests" / "meson.build").read_text()
    found += [f"{name_of(path)} is not in tests/meson.build" for path in files("tests/*/test_*.c")
              if f"'{path.parent.name}/{path.stem}'" not in listed]
    report(found)


def test_every_command_is_documented():
    names = re.findall(r"^\tX\((\w+)\)", (TOP / "src/cmd/cmd.h").read_text(), re.M)
    readme = (TOP / "README.md").read_text() if (TOP / "README.md").exists() else None
    reference = (TOP / "docs/reference.md").read_text()
    assert names
    report([f"{name} is not in docs/reference.md" for name in names if f"### pinpipe {name}\n" not in reference]
           + [f"{name} is not in README.md" for name in names
              if readme and name != "version" and not re.search(rf"\b{name}\b", readme)])


def documents():
    return files("*.md")


def test_functions_that_documents_name_are_there():
    """`name()` in a document is a function of src/; `name()` (file.c) is one of that file."""
    code = {path: without_comments_and_strings(path.read_text()) for path in files("src/*.c", "src/*.h", "src/*.cc")}
    found = []
    for path in [path for path in documents() if path.parent in (TOP, TOP / "docs")]:
        for number, line in enumerate(path.read_text().split("\n"), 1):
            for name, _, place in re.findall(r"`(\w+)\(\)`( \((?:in )?`?([\w/]+\.c)`?\))?", line):
                homes = [text for home, text in code.items() if str(home).endswith("/" + place)] if place \
                    else code.values()
                definition = rf"^\w[^\n;]*\b{name}\(" if place else rf"\b{name}\s*\("
                if not any(re.search(definition, text, re.M) for text in homes):
                    found.append(f"{name_of(path)}:{number}: {name}(){' in ' + place if place else ''} is not there")
    report(found)


def test_links_in_documents_lead_somewhere():
    report([f"{name_of(path)}:{number}: {link}" for path in documents()
            for number, line in enumerate(path.read_text().split("\n"), 1)
            for link in re.findall(r"\]\((?!https?:)([^)#\s]+)", line) if not (path.parent / link).exists()])


def test_scripts_can_be_run():
    report([name_of(path) for path in files("tools/*", "tests/run", ".ci/run")
            if path.read_bytes().startswith(b"#!") and not path.stat().st_mode & 0o111])


def test_text_files_end_in_one_newline():
    found = []
    for path in files("*.c", "*.h", "*.cc", "*.py", "*.md", "*.sql", "*.yaml*", "*.build", "Makefile",
                      "web/*"):
        text = path.read_text()
        if text and (not text.endswith("\n") or text.endswith("\n\n")):
            found.append(name_of(path))
        found += [f"{name_of(path)}:{number}: blanks at the end" for number, line in enumerate(text.split("\n"), 1)
                  if line != line.rstrip()]
    report(found)
