"""The code in README.md does what it says, and its tables name what there is."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import rke
from stage import DEV, DOMAIN, PACKAGE

TEXT = (PACKAGE / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def adapted(code: str) -> str:
    """Code whose names stand for what is there."""
    for name, value in {
        "rke.Client()": f"rke.Client({DEV['url']!r})",
        "aio.Client()": f"aio.Client({DEV['url']!r})",
        "http://localhost:8080": DEV["url"],
        "content.example.com": DOMAIN,
        "/home/alice/wallet": DEV["wallet"],
        "/run/rke/rke.sock": DEV["unix"],
        "/var/lib/rke/token": "token",
    }.items():
        code = code.replace(name, value)
    return code


class Readme(unittest.TestCase):
    def test_the_programs_print_what_they_say(self) -> None:
        for code in BLOCKS:
            with self.subTest(code), tempfile.TemporaryDirectory() as folder:
                Path(folder, "backup.tar").write_bytes(bytes(1_000_000))
                Path(folder, "token").write_text("token\n")
                Path(folder, "program.py").write_text(adapted(code), encoding="utf-8")
                done = subprocess.run([sys.executable, "program.py"], cwd=folder, capture_output=True, text=True, timeout=60)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                says = [line for said in re.findall(r"print\(.*\)  # (.+)$", code, re.MULTILINE) for line in said.split(", ")]
                for line in says:
                    self.assertIn(f"{line}\n", done.stdout)

    def test_there_are_programs(self) -> None:
        self.assertGreaterEqual(len(BLOCKS), 7)
        self.assertGreaterEqual(sum("# Hello World!" in code for code in BLOCKS), 2)

    def test_the_tables_name_every_error_and_method(self) -> None:
        for name in rke.__all__:
            if name.endswith("Error") and name != "RkeError":
                self.assertIn(f"| `{name}` |", TEXT)
        for kind in (rke.Client, rke.Session):
            for name in vars(kind):
                if not name.startswith("_"):
                    self.assertRegex(TEXT, rf"`{name}[(`]")


if __name__ == "__main__":
    unittest.main()
