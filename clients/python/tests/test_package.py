"""The package as it is installed: from the folder, and from a wheel that was built there."""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import venv
import zipfile
from pathlib import Path
from typing import Any

import rke
from stage import PACKAGE
from test_readme import BLOCKS, adapted

#: What the folder is built with where pip gets it by itself. The others are in requirements.txt.
SETUPTOOLS = re.findall("^setuptools==[0-9.]+", (PACKAGE / "tests" / "requirements.txt").read_text(), re.MULTILINE)


def run(folder: str, *command: Any, **environment: str) -> str:
    """What a program prints that knows nothing of the sources here. It has to end well."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "RKE_CONFORMANCE")}
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env={**inherited, **environment}, capture_output=True, text=True, timeout=300
    )
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


class Package(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        # A build leaves files in its folder.
        self.source = Path(folder.name, "source")
        shutil.copytree(PACKAGE, self.source, ignore=shutil.ignore_patterns("__pycache__", ".*", "build", "*.egg-info"))

    def check_installed(self, *what: Any, **environment: str) -> None:
        """Installs something into a new environment, and uses it there."""
        there = Path(self.folder, "there")
        venv.create(there, with_pip=True)
        python = there / "bin" / "python"
        run(self.folder, python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *what, **environment)
        version, file = run(self.folder, python, "-c", "import rke.aio; print(rke.__version__, rke.__file__)").split()
        self.assertEqual(version, rke.__version__)
        self.assertTrue(Path(file).is_relative_to(there) and Path(file).with_name("py.typed").exists(), file)
        for code in BLOCKS[:2]:
            self.assertEqual(run(self.folder, python, "-c", adapted(code)), "Hello World!\n")

    def test_it_installs_from_the_folder(self) -> None:
        self.assertEqual(len(SETUPTOOLS), 1)
        constraint = Path(self.folder, "constraint.txt")
        constraint.write_text(SETUPTOOLS[0])
        # Newer versions of pip heed the second name only.
        self.check_installed(self.source, PIP_CONSTRAINT=str(constraint), PIP_BUILD_CONSTRAINT=str(constraint))

    def test_it_installs_from_a_wheel_that_holds_what_it_should(self) -> None:
        run(self.folder, sys.executable, "-m", "build", "--no-isolation", "--outdir", self.folder, self.source)
        (wheel,) = Path(self.folder).glob("*.whl")
        (archive,) = Path(self.folder).glob("*.tar.gz")
        self.assertEqual(archive.name, f"rke-{rke.__version__}.tar.gz")
        with zipfile.ZipFile(wheel) as opened:
            names = set(opened.namelist())
            metadata = email.message_from_bytes(opened.read(f"rke-{rke.__version__}.dist-info/METADATA"))
        sources = {str(each.relative_to(PACKAGE / "src")) for each in PACKAGE.glob("src/rke/**/*.*")}
        sources = {name for name in sources if "__pycache__" not in name}
        self.assertEqual({name for name in names if name.startswith("rke/")}, sources)
        self.assertEqual(sum("LICENSE-" in name for name in names), 2)
        self.assertEqual((metadata["Name"], metadata["License-Expression"]), ("rke", "MIT OR Apache-2.0"))
        self.assertEqual((metadata["Requires-Python"], metadata["Requires-Dist"]), (">=3.9", None))
        self.check_installed("--no-index", wheel)


if __name__ == "__main__":
    unittest.main()
