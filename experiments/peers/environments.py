"""A Python environment for each family of peers, made once, from PyPI, with the versions in `requirements/`.

In: a folder to keep them in, and optionally an interpreter that has PyTorch already. Out: the environments'
interpreters by family. A family that does not install is reported, and the others are used.
"""

import pathlib
import shutil
import subprocess
import sys

from processes import Unavailable

REQUIREMENTS = pathlib.Path(__file__).resolve().parent / "requirements"
FAMILIES = {"pytorch": ("pytorch.txt", "export.txt"), "runtimes": ("runtimes.txt",)}


def prepare(folder, family, pytorch_python=None):
    """The interpreter of a family's environment, which is made where it is missing or made from other requirements."""
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
    """Lets one environment import what another has installed, which itself stays as it is.

    Returns a file that keeps pip from putting another NumPy before the one that the lent PyTorch was built for.
    """

    def ask(python, question):
        return subprocess.run([python, "-c", question], check=True, capture_output=True, text=True).stdout

    packages = "import site; print(*site.getsitepackages(), sep='\\n')"
    pathlib.Path(ask(borrower, packages).splitlines()[0], "lent.pth").write_text(ask(lender, packages))
    constraints.write_text("numpy==" + ask(lender, "import numpy; print(numpy.__version__)"))
    return constraints
