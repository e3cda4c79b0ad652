#!/usr/bin/env python3
"""The check of the house: arrows between rooms, who may see which library, names and sizes.

usage: check_house.py FOLDER    prints one line a fault; exit 0 clean, 1 faults, 2 wrong usage
"""
import os
import re
import sys

TOP_FOLDERS = {"base", "config", "storage", "ml", "workflows", "dicom_node", "tests", "docker", "docs"}
TOP_FILES = {"CMakeLists.txt", "CMakePresets.json", "README.md", "CHANGELOG.md", "LICENSE", "demo.sh", "test.sh"}
NOT_OURS = {".git", "build", "__pycache__"}
MAX_LINES = 800

# The longest prefix of a file's folder decides what it may include of ours.
ARROWS = {
    "base/core": {"base/core"},
    "base": {"base"},
    "config": {"config", "base"},
    "storage": {"storage", "base"},
    "ml": {"ml", "base/core"},
    "workflows": {"workflows", "storage", "ml", "base", "config"},
    "dicom_node": {"dicom_node", "workflows", "storage", "ml", "base", "config"},
    "tests": {"tests", "dicom_node", "workflows", "storage", "ml", "base", "config"},
}
ROOMS = ("base", "config", "storage", "ml", "workflows", "dicom_node", "tests")

# Who may include which library: pattern of the include, prefixes where it may stand.
LIBRARIES = [
    (r"(torch|ATen|c10|caffe2)/", ("ml/torch/", "tests/unit/ml/"), "LibTorch is seen in ml/torch only"),
    (r"(cairo/)?cairo[\w-]*\.h", ("ml/figures/",), "cairo is seen in ml/figures only"),
    (r"ml/torch/", ("ml/torch/", "tests/unit/ml/"), "headers of ml/torch are seen there only"),
    (r"boost/asio", ("base/asio.h",), "Boost.Asio comes through base/asio.h"),
    (r"boost/beast", ("dicom_node/http/", "tests/"), "Beast is seen in dicom_node/http only"),
    (r"spdlog/", ("base/log.cpp",), "spdlog is seen in base/log.cpp only"),
    (r"valijson/", ("config/schema_check.cpp",), "valijson is seen in config/schema_check.cpp only"),
    (r"dcmtk/", ("storage/", "workflows/", "dicom_node/", "tests/"), "DCMTK is not for this room"),
    (r"dcmtk/dcmnet/", ("dicom_node/", "tests/"), "networking is for dicom_node only"),
    (r"sys/socket\.h|netinet/|arpa/inet\.h|sys/un\.h", ("dicom_node/", "tests/"), "sockets are for dicom_node only"),
    (r"hdf5|H5\w*\.h", ("ml/weights/keras_h5.cpp", "tests/support/", "tests/fuzz/"), "HDF5 is seen in ml/weights/keras_h5.cpp only"),
    (r"SQLiteCpp/|sqlite3\.h", ("storage/", "tests/"), "SQLite is seen in storage only"),
]
SQL = re.compile(r'"\s*(SELECT\s|INSERT\s+(OR\s+\w+\s+)?INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|CREATE\s+'
                 r'(TABLE|INDEX|TRIGGER)\s|ALTER\s+TABLE\s|PRAGMA\s)')
SQL_PLACES = ("storage/index/", "storage/migrations/", "tests/")
# Written so that this file does not hold what it looks for.
MACHINE_PATH = re.compile("|".join([r"(?<![\w.])/wor" + r"k/", r"(?<![\w.])/roo" + r"t/", r"/tmp/" + r"w\b", r"(?<![\w.])/hom" + r"e/\w"]))
UNDONE = re.compile(r"\b(TO" + r"DO|FIX" + r"ME)\b")
TEST_NAME = re.compile(r'(?:TEST_CASE|TEST_CASE_FIXTURE|SCENARIO)\w*\(\s*(?:\w+\s*,\s*)?((?:"(?:[^"\\]|\\.)*"\s*)+)')
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
CODE = (".cpp", ".h", ".def")
TEXT = CODE + (".py", ".sh", ".cmake", ".txt", ".md", ".json", ".sql", ".yml", ".svg", "Dockerfile", "run")


def files_of(root):
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in NOT_OURS)
        for name in sorted(names):
            path = os.path.join(folder, name)
            yield os.path.relpath(path, root).replace(os.sep, "/"), path


def arrows_of(name):
    best = None
    for prefix in ARROWS:
        if name.startswith(prefix + "/") and (best is None or len(prefix) > len(best)):
            best = prefix
    return best


def check_includes(name, text):
    room = arrows_of(name)
    if room is None:
        return
    for match in INCLUDE.finditer(text):
        what = match.group(2)
        ours = next((r for r in ROOMS if what.startswith(r + "/")), None)
        if ours and not any(what.startswith(allowed + "/") for allowed in ARROWS[room]):
            yield f"{name}: {room} must not include {what}"
        for pattern, places, why in LIBRARIES:
            if re.match(pattern, what) and not any(name.startswith(p) for p in places):
                yield f"{name}: includes {what}: {why}"


def check_code(name, text):
    yield from check_includes(name, text)
    if not name.startswith(SQL_PLACES) and SQL.search(text):
        yield f"{name}: SQL text stands in storage/index only"
    for match in TEST_NAME.finditer(text):
        if re.search(r"[;,]", match.group(1)):
            yield f"{name}: test name with ';' or ',': {match.group(1).strip()}"


def check_file(name, path):
    if name.endswith(".dcm"):
        yield f"{name}: no DICOM files in the repository"
        return
    with open(path, "rb") as file:
        data = file.read()
    if data[128:132] == b"DICM":
        yield f"{name}: is a DICOM file"
    if not name.endswith(TEXT) or name == "LICENSE":
        return
    text = data.decode("utf-8", "replace")
    lines = text.count("\n")
    if lines > MAX_LINES and not name.endswith(".json"):
        yield f"{name}: {lines} lines, at most {MAX_LINES}"
    if MACHINE_PATH.search(text):
        yield f"{name}: holds a path of somebody's machine: {MACHINE_PATH.search(text).group(0)}"
    if UNDONE.search(text):
        yield f"{name}: {UNDONE.search(text).group(0)} belongs into an issue"
    if name.endswith(CODE):
        yield from check_code(name, text)


def check(root):
    faults = []
    for name in sorted(os.listdir(root)):
        if name in NOT_OURS or name.startswith("."):
            continue
        allowed = TOP_FOLDERS if os.path.isdir(os.path.join(root, name)) else TOP_FILES
        if name not in allowed:
            faults.append(f"{name}: not a name of the top folder")
    for room in ROOMS:
        if os.path.isdir(os.path.join(root, room)) and not os.path.isfile(os.path.join(root, room, "README.md")):
            faults.append(f"{room}: has no README.md")
    for name, path in files_of(root):
        if not os.path.islink(path):
            faults.extend(check_file(name, path))
    return faults


def main(arguments):
    if len(arguments) != 1 or not os.path.isdir(arguments[0]):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    faults = check(arguments[0])
    for fault in faults:
        print(fault)
    print(f"check_house: {len(faults)} fault{'' if len(faults) == 1 else 's'}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
