"""A type checker takes what the types allow, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from stage import PACKAGE
from test_readme import BLOCKS

PROGRAM = PACKAGE / "tests" / "typed_program.py"


def mypy(*arguments: str) -> str:
    """What mypy says under `strict`."""
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-m", "mypy", "--strict", "--python-version", "3.9", "--cache-dir", cache, *arguments]
        return subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True).stdout


class Types(unittest.TestCase):
    def test_the_package_is_strictly_typed(self) -> None:
        self.assertRegex(mypy(), "^Success: no issues found in [0-9]{2} source files")

    def test_the_programs_of_the_readme_are_well_typed(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder, f"program{at}.py") for at in range(len(BLOCKS))]
            for file, code in zip(files, BLOCKS):
                file.write_text(code, encoding="utf-8")
            self.assertRegex(mypy(*map(str, files)), "^Success")

    def test_wrong_programs_are_refused_where_they_are_wrong(self) -> None:
        wrong = [at for at, line in enumerate(PROGRAM.read_text().splitlines(), 1) if line.endswith("# wrong")]
        said = [int(line) for line in re.findall(r"typed_program\.py:(\d+): error", mypy(str(PROGRAM)))]
        self.assertEqual(sorted(set(said)), wrong)


if __name__ == "__main__":
    unittest.main()
