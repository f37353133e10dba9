"""Creates a Python environment for each family of peers, once, from PyPI, with the versions in `requirements/`.

Input: a folder for the environments, and optionally a Python interpreter that already has PyTorch. Output: the Python
interpreter of each environment. A family whose installation fails is reported, and the other families are used.
"""

import pathlib
import shutil
import subprocess
import sys

from processes import Unavailable

REQUIREMENTS = pathlib.Path(__file__).resolve().parent / "requirements"
FAMILIES = {"pytorch": ("pytorch.txt", "export.txt"), "runtimes": ("runtimes.txt",)}


def prepare(folder, family, pytorch_python=None):
    """Returns the interpreter of a family's environment; creates it if it is missing or has other requirements."""
    given = pytorch_python.absolute() if pytorch_python and family == "pytorch" else None
    files = [REQUIREMENTS / name for name in (("export.txt",) if given else FAMILIES[family])]
    made_from = f"PyTorch of {given}\n" * bool(given) + "".join(file.read_text() for file in files)
    environment = folder / (f"{family}-lent" if given else family)
    log = environment.with_suffix(".log")
    python, stamp = environment / "bin/python", environment / "made-from.txt"
    if stamp.exists() and stamp.read_text() == made_from:
        return python
    print(f"installing {', '.join(file.name for file in files)} into {environment}", file=sys.stderr, flush=True)
    requirements = [word for file in files for word in ("--requirement", file)]
    shutil.rmtree(environment, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    with open(log, "w") as output:

        def do(*command):
            subprocess.run(list(map(str, command)), check=True, stdout=output, stderr=output)

        try:
            do(given or sys.executable, "-m", "venv", environment)
            if given:
                requirements += ["--constraint", lend_packages(given, python, environment / "constraints.txt")]
            do(python, "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", *requirements)
        except (OSError, subprocess.CalledProcessError) as error:
            reason = (log.read_text().strip().splitlines() or [str(error)])[-1]
            raise Unavailable(f"{', '.join(file.name for file in files)}: {reason} (see {log})") from error
    stamp.write_text(made_from)
    return python


def lend_packages(lender, borrower, constraints):
    """Makes the packages of one environment importable in another, and leaves the first unchanged.

    Returns a constraints file that keeps pip from installing a NumPy other than the one that PyTorch was built with.
    """

    def ask(python, question):
        return subprocess.run([python, "-c", question], check=True, capture_output=True, text=True).stdout

    packages = "import site; print(*site.getsitepackages(), sep='\\n')"
    pathlib.Path(ask(borrower, packages).splitlines()[0], "lent.pth").write_text(ask(lender, packages))
    constraints.write_text("numpy==" + ask(lender, "import numpy; print(numpy.__version__)"))
    return constraints
