"""What is to be installed in an image: as pip's files have it, as an image can install it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from nbgraph import Graph
from nbgraph.capture.requirements import runtime_requirements
from nbgraph.errors import DeployError, ExportError, NbgraphError
from tests.lab.notebook import Notebook

HASH = "sha256:" + "a" * 64


BACKEND = """
import zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    info = "{name}-{version}.dist-info"
    with zipfile.ZipFile(folder + "/{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.write("{name}/__init__.py")
        archive.writestr(info + "/METADATA", "Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        archive.writestr(info + "/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        archive.writestr(info + "/RECORD", "")
    return "{name}-{version}-py3-none-any.whl"
"""


def graph() -> Graph:
    made = Graph("needy")
    made.to("(event)", "pass_on").respond()
    return made


def exported(folder: Path, given: Any, **options: Any) -> dict[str, str]:
    files = graph().export(folder / "x", requirements=given, **options).folder
    return {str(path.relative_to(files)): path.read_text("latin-1") for path in files.rglob("*") if path.is_file()}


def lines(folder: Path, given: Any) -> list[str]:
    """The lines of requirements.txt but those of the step's own packages."""
    return exported(folder, given)["requirements.txt"].splitlines()


def package(folder: Path, name: str = "mypack", version: str = "1.2") -> Path:
    root = folder / name
    (root / name).mkdir(parents=True)
    (root / name / "__init__.py").write_text(f"VERSION = {version!r}\n")
    (root / "pyproject.toml").write_text('[build-system]\nrequires = []\nbuild-backend = "b"\nbackend-path = ["."]\n')
    (root / "b.py").write_text(BACKEND.format(name=name, version=version))
    return root


def test_lines_come_from_a_file_and_those_that_it_names(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("idna==3.4 \\\n    ; python_version > '3'\n")
    (tmp_path / "requirements.txt").write_text("# ours\nsix==1.16.0  # old\n\n-r more.txt\n")
    wanted = ['idna==3.4; python_version > "3"', "six==1.16.0"]
    by_list = ["-r " + str(tmp_path / "requirements.txt")]
    found = [lines(tmp_path, tmp_path / "requirements.txt"), lines(tmp_path, str(tmp_path / "requirements.txt"))]
    assert [*found, lines(tmp_path, by_list)] == [wanted] * 3


def test_a_function_may_have_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("six==1.16.0\n")
    assert lines(tmp_path, {"needy": tmp_path / "r.txt"}) == ["six==1.16.0"]


def test_hashes_stay_and_pip_is_told_to_hold_to_them(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text(f"--require-hashes\nsix==1.16.0 \\\n    --hash={HASH} \\\n    --hash={HASH}\n")
    files = exported(tmp_path, tmp_path / "r.txt")
    installs = [line.partition("wheels ")[2] for line in files["Dockerfile"].splitlines() if "--find-links" in line]
    assert (files["requirements.txt"], installs) == (
        f"six==1.16.0 --hash={HASH} --hash={HASH}\n",
        ["-r runtime.txt", "--require-hashes -r requirements.txt"],
    )


def test_a_package_of_the_code_without_a_hash_beside_others_is_told(tmp_path: Path) -> None:
    notebook = Notebook()
    notebook.cell("import yaml\nfrom nbgraph import Graph\ndef read(body):\n    return yaml.safe_load(body)")
    notebook.cell("g = Graph('g')\n_ = g.to(read).respond()")
    with pytest.raises(ExportError, match="pyyaml of the code has none: add them to the file"):
        notebook["g"].export(tmp_path / "x", requirements=[f"six==1.16.0 --hash={HASH}"])


def test_folders_and_wheels_go_along_as_wheels(tmp_path: Path) -> None:
    folder = package(tmp_path)
    files = exported(tmp_path, [f"{folder}"])
    again = exported(tmp_path, [f"mypack @ {folder.as_uri()}"])
    name = "mypack-1.2-py3-none-any.whl"
    with zipfile.ZipFile(tmp_path / "x" / "wheels" / name) as archive:
        held = archive.read("mypack/__init__.py")
    wheel = tmp_path / name
    wheel.write_bytes((tmp_path / "x" / "wheels" / name).read_bytes())
    by_wheel = exported(tmp_path, [f"mypack @ {wheel.as_uri()}", f"six==1.16.0 --hash={HASH}"])
    ours = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert (files["requirements.txt"], held, files == again) == ("mypack==1.2\n", b"VERSION = '1.2'\n", True)
    assert by_wheel["requirements.txt"] == f"mypack==1.2 --hash=sha256:{ours}\nsix==1.16.0 --hash={HASH}\n"


def test_a_repository_is_recorded_as_given(tmp_path: Path) -> None:
    files = exported(tmp_path, ["git+https://example.com/pack@v1#egg=pack", "two @ git+https://example.com/two"])
    assert (
        files["requirements.txt"].splitlines(),
        "install -y --no-install-recommends git" in files["Dockerfile"],
    ) == (
        ["pack @ git+https://example.com/pack@v1", "two @ git+https://example.com/two"],
        True,
    )


WRONG = {
    "no file": ("no-such.txt", "requirements: the file no-such.txt can't be read"),
    "a login": (["a @ git+https://me:pw12345@example.com/a"], "requirements: a line holds a login"),
    "a token": (["a @ git+https://ghp_abc@example.com/a"], "requirements: a line holds a login"),
    "an index": (["--index-url https://u:p@example.com/simple"], "requirements names an index; give it by index_url="),
    "an option": (["--pre"], 'requirements: the option "--pre" is none that goes along'),
    "no name": (["git+https://example.com/pack"], 'write it as "NAME @ git+https://example.com/pack"'),
    "no folder": (["./no-such"], "no-such is not there"),
    "no line": (["six ="], 'requirements: "six =" can\'t be read'),
    "a number": (3, "requirements=3 can't be read; expected the path of a file"),
}


@pytest.mark.parametrize(("given", "said"), WRONG.values(), ids=WRONG)
def test_what_can_not_be_installed_is_refused_at_once(given: Any, said: str, tmp_path: Path) -> None:
    for refusing in (
        lambda: graph().deploy("docker", requirements=given, progress=False),
        lambda: graph().export(tmp_path / "x", requirements=given),
    ):
        with pytest.raises(NbgraphError) as refused:
            refusing()
        assert said in str(refused.value)
        assert "pw12345" not in str(refused.value)


def test_files_that_name_each_other_end(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("-r a.txt\n")
    with pytest.raises(DeployError, match=r"a\.txt is one of files that name each other"):
        graph().export(tmp_path / "x", requirements=tmp_path / "a.txt")


def test_the_index_is_written_without_its_login(tmp_path: Path) -> None:
    files = exported(tmp_path, None, index_url="https://me:secret-word@example.com:8443/simple")
    holding = [name for name, text in files.items() if "secret-word" in text]
    assert (holding, "ARG PIP_INDEX_URL=https://example.com:8443/simple\n" in files["Dockerfile"]) == ([], True)


# --- what is installed here in another way ---


def installed(folder: Path, name: str, version: str, direct: str = "") -> None:
    """A distribution on a path of its own."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text("def twice(x):\n    return 2 * x\n")
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "top_level.txt").write_text(f"{name}\n")
    (info / "RECORD").write_text(f"{name}/__init__.py,,\n{info.name}/METADATA,,\n{info.name}/RECORD,,\n")
    if direct:
        (info / "direct_url.json").write_text(direct)


def using(name: str) -> Graph:
    notebook = Notebook()
    notebook.cell(
        f"import {name}\nimport ipywidgets\nfrom nbgraph import Graph\ndef use(x):\n    return {name}.twice(x)"
    )
    notebook.cell("g = Graph('g')\n_ = g.to(use).respond()")
    found: Graph = notebook["g"]
    return found


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_a_local_version_is_written_as_the_index_has_it_and_told(site: Path, tmp_path: Path) -> None:
    installed(site, "fakecpu", "1.0+cpu")
    export = using("fakecpu").export(tmp_path / "x")
    sys.modules.pop("fakecpu")
    assert ((export.folder / "requirements.txt").read_text(), export.note.splitlines()[0]) == (
        "fakecpu==1.0  # installed here: 1.0+cpu\n",
        "fakecpu is 1.0+cpu here, and fakecpu==1.0 is asked for; where an index has that, give its address by "
        'index_url=, or another version by requirements=["fakecpu==..."].',
    )


def test_what_is_installed_editable_goes_along_as_a_wheel(site: Path, tmp_path: Path) -> None:
    source = package(tmp_path, "fakeedit", "0.3")
    (source / "fakeedit" / "__init__.py").write_text("def twice(x):\n    return 2 * x\n")
    installed(site, "fakeedit", "0.3", f'{{"url": "{source.as_uri()}", "dir_info": {{"editable": true}}}}')
    folder = using("fakeedit").export(tmp_path / "x").folder
    sys.modules.pop("fakeedit")
    assert ((folder / "requirements.txt").read_text(), [path.name for path in (folder / "wheels").glob("*.whl")]) == (
        "fakeedit==0.3\n",
        ["fakeedit-0.3-py3-none-any.whl"],
    )


def test_a_package_that_is_installed_meanwhile_is_found(site: Path, tmp_path: Path) -> None:
    graph().export(tmp_path / "before")  # what is installed has been looked at
    installed(site, "fakelate", "2.0")
    late = using("fakelate")
    text = (late.export(tmp_path / "x").folder / "requirements.txt").read_text()
    with late.deploy("process", progress=False) as running:
        answer = running.invoke(4)
    sys.modules.pop("fakelate")
    assert (text, answer) == ("fakelate==2.0\n", 8)  # and ipywidgets, which only the notebook needs, is not there


# --- another Python ---


def test_another_python_is_refused_where_the_code_can_not_be_read_there(tmp_path: Path) -> None:
    notebook = Notebook()
    notebook.cell("from nbgraph import Graph\ndef use(x):\n    return x")
    notebook.cell("g = Graph('g')\n_ = g.to(use).respond()")
    with pytest.raises(ExportError) as refused:
        notebook["g"].export(tmp_path / "x", base_image={"g": "python:3.9-slim"})
    export = notebook["g"].export(tmp_path / "x", base_image="python:3.13-slim@sha256:" + "0" * 64)
    assert (
        str(refused.value),
        f"ARG BASE=python:3.13-slim@sha256:{'0' * 64}\n" in (export.folder / "Dockerfile").read_text(),
    ) == (
        '"g" is to run on python:3.9-slim, whose Python is 3.9, and nbgraph needs 3.11 at least.',
        True,
    )


def test_pip_reads_what_is_written(tmp_path: Path) -> None:
    text = exported(tmp_path, [f"{package(tmp_path)}", "six==1.16.0; python_version < '3'"])["requirements.txt"]
    words = ["install", "--dry-run", "--no-index", "--no-deps", "--find-links", str(tmp_path / "x" / "wheels")]
    ran = subprocess.run(
        [sys.executable, "-m", "pip", *words, "--target", str(tmp_path / "t"), "-r", "/dev/stdin"],
        input=text, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, "Would install mypack-1.2" in ran.stdout) == (0, True)


ALONE = """
import sys
from importlib.abc import MetaPathFinder
from importlib.metadata import packages_distributions
owners = packages_distributions()
class Image(MetaPathFinder):  # as an image: nothing is installed but what its worker needs
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        names = {each.lower().replace("_", "-") for each in owners.get(root, ())} - {"nbgraph"}
        if names and root not in sys.stdlib_module_names and not names & set(sys.argv[1].split()):
            raise ModuleNotFoundError(f"{name} is not in images")
sys.meta_path.insert(0, Image())
import nbgraph
print([name for name in nbgraph.__all__ if getattr(nbgraph, name) is None])
"""


def test_modules_that_name_a_deployment_can_be_loaded_in_images() -> None:
    there = " ".join(pin.name for pin in runtime_requirements(["nats-py"]).pins)
    done = subprocess.run([sys.executable, "-c", ALONE, there], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
