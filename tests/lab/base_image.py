"""A stand-in for `python:3.X-slim`, made of the Python that runs this script, for machines that can't pull images.

    python tests/lab/base_image.py --tag python:3.11-slim

The image holds that Python with pip, a shell with a few commands, the C and C++ libraries that wheels link against,
and the CA certificates. It shows that our Dockerfile builds and runs; it can't show that the real image behaves the
same, and there is no apt in it. It is made of any Python of 3.11 on: pyenv's, python.org's, or the distribution's.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
PREFIX = Path(sys.base_prefix)
STANDARD_LIBRARY = PREFIX / "lib" / PYTHON
IS_SYSTEM = str(PREFIX) == "/usr"  # Debian's own, which looks for its parts in /usr and for packages elsewhere
HOME = "usr" if IS_SYSTEM else "usr/local"
PACKAGES = f"usr/local/lib/{PYTHON}/{'dist' if IS_SYSTEM else 'site'}-packages"
LIBRARIES = f"usr/lib/{sysconfig.get_config_var('MULTIARCH') or 'x86_64-linux-gnu'}"  # searched without ld.so.cache
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
LEFT_OUT = {"test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "__pycache__", "site-packages"}
COMMANDS = (
    "dash",
    "bash",
    "env",
    "cat",
    "ls",
    "cp",
    "mv",
    "rm",
    "ln",
    "mkdir",
    "chmod",
    "chown",
    "id",
    "sleep",
    "kill",
)
RUNTIME = (
    "libc",
    "libm",
    "libdl",
    "librt",
    "libpthread",
    "libutil",
    "libgcc_s",
    "libstdc++",
    "libresolv",
    "libnss_dns",
)
FOLDERS = ("usr/lib", "root", "proc", "sys", "dev", "run", "home", "tmp", "var/tmp")
PIP = f"#!/{HOME}/bin/{PYTHON}\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n"
TEXTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
    "usr/local/bin/pip": PIP,
}
LINKS = {
    "bin": "usr/bin",
    "lib": "usr/lib",
    "lib64": "usr/lib",
    "usr/bin/sh": "dash",
    f"{HOME}/bin/python3": PYTHON,
    f"{HOME}/bin/python": PYTHON,
}
SETTINGS = [
    f"ENV PATH=/usr/local/bin:/usr/bin LANG=C.UTF-8 SSL_CERT_FILE=/{CERTIFICATES}",
    'CMD ["python3"]',
]


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tag", default=f"{PYTHON.replace('python', 'python:')}-slim")
    tag = parser.parse_args(words).tag
    missing = not_here()
    if missing:
        print(f"{sys.executable} can't be made into an image: {missing}", file=sys.stderr)
        return 1
    changes = [word for setting in SETTINGS for word in ("--change", setting)]
    with subprocess.Popen(
        ["docker", "import", *changes, "-", tag], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as docker:
        assert docker.stdin is not None
        with tarfile.open(fileobj=docker.stdin, mode="w|") as archive:
            fill(archive)
        docker.stdin.close()
    print(f"{tag} made of {PREFIX}" if not docker.returncode else f"docker import of {tag} failed", flush=True)
    return docker.returncode


def not_here() -> str:
    """What this Python lacks; empty when it has all."""
    if not (STANDARD_LIBRARY / "os.py").is_file() or not (PREFIX / "bin" / PYTHON).is_file():
        return f"its standard library and program are not in {PREFIX}, where this script looks for them."
    if find_spec("pip") is None:
        return "it has no pip; run this with the Python of a virtual environment, or apt-get install python3-pip."
    return ""


def fill(archive: tarfile.TarFile) -> None:
    files = {f"{HOME}/bin/{PYTHON}": PREFIX / "bin" / PYTHON, **standard_library(), **pip_itself()}
    commands = {f"usr/bin/{name}": shutil.which(name, path="/usr/bin:/bin") for name in COMMANDS}
    files |= {name: Path(path) for name, path in commands.items() if path}
    binaries = [path for name, path in files.items() if "/bin/" in name or ".so" in name]
    files |= {placed(path): path for path in {*linked_to(binaries), *runtime_libraries()}}
    if Path("/", CERTIFICATES).exists():
        files[CERTIFICATES] = Path("/", CERTIFICATES)
    for name in FOLDERS:
        add(archive, name, tarfile.DIRTYPE, 0o1777 if "tmp" in name else 0o755)
    for name in sorted(files):
        add(archive, name, tarfile.REGTYPE, 0o755 if "/bin/" in name or ".so" in name else 0o644, files[name])
    for name, text in TEXTS.items():
        add(archive, name, tarfile.REGTYPE, 0o755 if "/bin/" in name else 0o644, text)
    for name, target in LINKS.items():
        add(archive, name, tarfile.SYMTYPE, 0o777, target)


def add(archive: tarfile.TarFile, name: str, kind: bytes, mode: int, content: Path | str = "") -> None:
    """An entry that belongs to root; of a path the file itself is taken, not the link to it."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    if kind == tarfile.SYMTYPE:
        entry.linkname = str(content)
    data = content.read_bytes() if isinstance(content, Path) else content.encode() * (kind == tarfile.REGTYPE)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def standard_library() -> dict[str, Path]:
    found = {}
    for path in STANDARD_LIBRARY.rglob("*"):
        parts = path.relative_to(STANDARD_LIBRARY).parts
        is_unwanted = LEFT_OUT & set(parts) or parts[0].startswith("config-") or parts[-1] == "EXTERNALLY-MANAGED"
        if path.is_file() and path.suffix != ".a" and not is_unwanted:
            found[f"{HOME}/lib/{PYTHON}/{'/'.join(parts)}"] = path
    return found


def pip_itself() -> dict[str, Path]:
    """The pip that this Python imports, wherever it lies."""
    spec = find_spec("pip")
    assert spec is not None
    assert spec.origin is not None
    packages = Path(spec.origin).parent.parent
    paths = [*packages.glob("pip/**/*"), *packages.glob("pip-*.dist-info/**/*")]
    return {
        f"{PACKAGES}/{path.relative_to(packages)}": path
        for path in paths
        if path.is_file() and "__pycache__" not in path.parts
    }


def linked_to(binaries: Iterable[Path]) -> Iterator[Path]:
    """The shared libraries that the files load, as the machine's own loader finds them."""
    listing = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=False).stdout
    return map(Path, re.findall(r"(?:=> |^\t)(/\S+\.so\S*)", listing, re.MULTILINE))


def runtime_libraries() -> Iterator[Path]:
    """All of the C and C++ runtime, since wheels link parts of it that Python itself does not."""
    for name in RUNTIME:
        yield from (path for path in Path("/", LIBRARIES).glob(f"{name}.so.*") if re.search(r"\.so\.\d+$", path.name))


def placed(library: Path) -> str:
    """Where a library lies in the image; the path of the loader is compiled into every program."""
    return f"usr/lib/{library.name}" if library.name.startswith("ld-linux") else f"{LIBRARIES}/{library.name}"


if __name__ == "__main__":
    sys.exit(main())
