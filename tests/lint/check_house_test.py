#!/usr/bin/env python3
"""The checker finds every fault that is planted, and none where none is."""
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import check_house  # noqa: E402

PLANTED = {
    "base/core/up.h": '#include "base/log.h"\n',
    "base/up.cpp": '#include "storage/index/database.h"\n',
    "config/up.cpp": '#include "workflows/node.h"\n',
    "ml/up.cpp": '#include "storage/dicom/header.h"\n',
    "ml/log.cpp": '#include "base/log.h"\n',
    "storage/sideways.cpp": '#include "ml/model.h"\n',
    "workflows/up.cpp": '#include "dicom_node/dimse/server.h"\n',
    "workflows/torch.cpp": "#include <torch/torch.h>\n",
    "ml/picture.cpp": "#include <cairo.h>\n",
    "dicom_node/app/picture.cpp": "#include <cairo/cairo-png.h>\n",
    "workflows/inner.cpp": '#include "ml/torch/encoder.h"\n',
    "dicom_node/http/asio.cpp": "#include <boost/asio.hpp>\n",
    "storage/net.cpp": "#include <dcmtk/dcmnet/scu.h>\n",
    "storage/socket.cpp": "#include <sys/socket.h>\n",
    "ml/dicom.cpp": "# include <dcmtk/dcmdata/dctk.h>\n",
    "ml/sql.cpp": "#include <SQLiteCpp/SQLiteCpp.h>\n",
    "workflows/sql.cpp": 'auto rows = db.prepare("SELECT id FROM studies");\n',
    "workflows/sql2.cpp": 'db.exec(R"(x)" "INSERT OR IGNORE INTO studies VALUES(1)");\n',
    "dicom_node/long.cpp": "\n" * 801,
    "docs/path.md": "see /wor" + "k/main\n",
    "tests/support/path.sh": "cd /roo" + "t/x\n",
    "base/later.h": "// TO" + "DO: later\n",
    "storage/picture.dcm": "anything",
    "tests/picture": "\0" * 128 + "DICM",
    "tests/unit/base/names_test.cpp": 'TEST_CASE("one, two") {}\n',
    "tests/unit/base/names2_test.cpp": 'TEST_CASE("one"\n          "two; three") {}\n',
    "scripts/x.sh": "\n",
    "notes.txt": "\n",
}
CLEAN = {
    "dicom_node/app/main.cpp": '#include "workflows/node.h"\n#include "config/settings.h"\n#include <CLI/CLI.hpp>\n',
    "workflows/node.cpp": '#include "ml/model.h"\n#include "storage/index/queue.h"\n',
    "ml/torch/model.cpp": '#include <torch/torch.h>\n#include "ml/torch/encoder.h"\n#include "base/core/result.h"\n',
    "ml/figures/canvas.cpp": "#include <cairo.h>\n",
    "storage/index/rows.cpp": 'db.prepare("SELECT id FROM studies");\n#include <SQLiteCpp/SQLiteCpp.h>\n',
    "base/asio.h": "#include <boost/asio.hpp>\n",
    "tests/unit/base/names_test.cpp": 'TEST_CASE("one and two") { f("a, b"); }\n',
    "build/release/x.dcm": "left alone",
    ".ci/run": "#!/bin/bash\n",
    "docs/words.md": "Select a study; see https://host.example/" + "work/orders and ./" + "work/x\n",
}


def plant(root, files):
    for room in check_house.ROOMS:
        os.makedirs(os.path.join(root, room), exist_ok=True)
        with open(os.path.join(root, room, "README.md"), "w") as file:
            file.write("room\n")
    for name, text in files.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)


class CheckerFinds(unittest.TestCase):
    def test_nothing_in_a_clean_house(self):
        with tempfile.TemporaryDirectory() as root:
            plant(root, CLEAN)
            self.assertEqual(check_house.check(root), [])

    def test_each_planted_fault(self):
        for name, text in PLANTED.items():
            with self.subTest(name), tempfile.TemporaryDirectory() as root:
                plant(root, {name: text})
                faults = check_house.check(root)
                self.assertTrue(any(fault.startswith(name.split("/")[0]) for fault in faults), faults)

    def test_a_room_without_a_readme(self):
        with tempfile.TemporaryDirectory() as root:
            plant(root, {})
            os.remove(os.path.join(root, "ml", "README.md"))
            self.assertEqual(check_house.check(root), ["ml: has no README.md"])


if __name__ == "__main__":
    unittest.main()
