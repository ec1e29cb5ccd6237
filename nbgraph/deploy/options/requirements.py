"""Requirement lines: what a person wants installed, as pip's own files have it, and as an image can install it.

A folder or a wheel of this machine is none of the image's, so it goes along as a wheel, and its line names that. What
comes from a repository or a URL is recorded as given.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from nbgraph.capture.requirements import LOCAL
from nbgraph.deploy.project.wheel import built_wheel
from nbgraph.errors import DeployError, ExportError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

HASH = " --hash"
_COMMENT = re.compile(r"(^|\s+)#.*$")
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9._-]+)")
_LOGIN = re.compile(r"://[^/\s@]*:?[^/\s@]*@")
_REPOSITORY = ("git+", "hg+", "svn+", "bzr+")
_DEEPEST = 10  # files that name files


@dataclass(frozen=True, slots=True)
class RequirementLines:
    """Lines that an image can install, and the wheels that go along for it, by file name."""

    lines: tuple[str, ...] = ()
    wheels: Mapping[str, bytes] = field(default_factory=dict)


def lines_of(given: Any, where: str) -> tuple[str, ...]:
    """The lines of a list, or of a file and those that it names; a path in them is a whole one.

    >>> lines_of(["scipy>=1.11", "  # nothing"], "requirements")
    ('scipy>=1.11',)
    """
    if isinstance(given, str | Path):
        return tuple(_of_file(Path(given).expanduser(), where))
    if not isinstance(given, list | tuple | set | frozenset) or not all(isinstance(one, str | Path) for one in given):
        raise DeployError(
            f'{where}={given!r} can\'t be read; expected the path of a file, ["scipy>=1.11"] for all functions, or '
            '{"score": ["scipy>=1.11"]}.'
        )
    ordered = sorted(map(str, given)) if isinstance(given, set | frozenset) else map(str, given)
    return tuple(_read(ordered, Path.cwd(), where))


def wanted_of(lines: Iterable[str]) -> RequirementLines:
    """What becomes of the lines in an image; folders are built."""
    from packaging.utils import parse_wheel_filename

    found: list[str] = []
    wheels: dict[str, bytes] = {}
    for line in lines:
        place = _place(line)
        if place is None:
            found.append(line)
            continue
        name, content = _wheel(place, line)
        distribution, version, *_ = parse_wheel_filename(name)
        extras, marker = _around(line)
        found.append(f"{distribution}{extras}=={version}{marker}")
        wheels[name] = content
    return RequirementLines(tuple(found), wheels)


def hashed(text: str, wheels: Mapping[str, bytes]) -> str:
    """A list with a hash for every package, as pip wants it where one has any; wheels that go along get theirs here."""
    from packaging.utils import canonicalize_name, parse_wheel_filename

    if HASH not in text:
        return text
    ours = {parse_wheel_filename(name)[0]: hashlib.sha256(content).hexdigest() for name, content in wheels.items()}
    lines, without = [], []
    for line in text.splitlines():
        written, space, remark = line.partition("  #")
        name = canonicalize_name(_parsed(written).name)
        if HASH not in written and name not in ours:
            without.append(name)
        own = f"{HASH}=sha256:{ours[name]}" if HASH not in written and name in ours else ""
        lines.append(f"{written}{own}{space}{remark}\n")
    if without:
        raise ExportError(
            f"requirements has hashes, and pip then wants one for every package; {', '.join(without)} of the code has "
            "none: add them to the file (pip-compile --generate-hashes writes all)."
        )
    return "".join(lines)


def lines_in(text: str) -> list[str]:
    """The lines of a list without the remarks behind them."""
    return sorted({line.partition("  #")[0] for line in text.splitlines() if line})


def remarks_in(text: str) -> list[str]:
    """What is to be said of a list: versions that are installed here under a name that no index has.

    >>> remarks_in("torch==2.3.0  # installed here: 2.3.0+cpu; via timm\\nsix==1.16.0\\n")
    ['torch is 2.3.0+cpu here, and torch==2.3.0 is asked for; where an index has that, ...']
    """
    found = []
    for line in text.splitlines():
        written, _, remark = line.partition("  # ")
        if remark.startswith(LOCAL):
            here = remark.removeprefix(LOCAL).partition(";")[0]
            name = _parsed(written).name
            found.append(
                f"{name} is {here} here, and {written} is asked for; where an index has that, give its address by "
                f'index_url=, or another version by requirements=["{name}==..."].'
            )
    return found


def without_urls(text: str) -> str:
    """The same list by names alone, for where the wheels of what lies at a URL were fetched before.

    >>> without_urls("pack[fast] @ git+https://example.com/pack\\nsix==1.16.0  # via pack\\n")
    'pack[fast]\\nsix==1.16.0  # via pack\\n'
    """
    found = []
    for line in text.splitlines():
        requirement = _parsed(line.partition("  #")[0])
        if requirement.url is not None:
            extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
            marker = f"; {requirement.marker}" if requirement.marker else ""
            line = f"{requirement.name}{extras}{marker}"
        found.append(f"{line}\n")
    return "".join(found)


def _of_file(path: Path, where: str, depth: int = 0) -> Iterator[str]:
    if depth > _DEEPEST:
        raise DeployError(f"{where}: {path} is one of files that name each other.")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise DeployError(
            f'{where}: the file {path} can\'t be read: {reason}; packages are named in a list: ["{path.name}"].'
        ) from None
    yield from _read(re.sub(r"\\\r?\n", " ", text).splitlines(), path.resolve().parent, where, depth)


def _read(lines: Iterable[str], folder: Path, where: str, depth: int = 0) -> Iterator[str]:
    for written in lines:
        line = " ".join(_COMMENT.sub("", re.sub(r"\\\r?\n", " ", written)).split())
        word, _, rest = line.replace("=", " ", 1).partition(" ") if line.startswith("-") else ("", "", "")
        if not line:
            continue
        if word in ("-r", "--requirement"):
            yield from _of_file(folder / Path(rest.strip()).expanduser(), where, depth + 1)
        elif word in ("-e", "--editable"):
            yield _whole(rest.strip(), folder, where)
        elif word in ("-i", "--index-url"):
            raise DeployError(f"{where} names an index; give it by index_url=, so that no login of it is written down.")
        elif word == "--require-hashes":
            continue  # that is so wherever a line has one
        elif word:
            raise DeployError(f'{where}: the option "{word}" is none that goes along; leave it out of the file.')
        else:
            yield _whole(line, folder, where)


def _whole(line: str, folder: Path, where: str) -> str:
    """The line with a whole path, and with the name of what a repository holds."""
    if _LOGIN.search(line) and not line.startswith("git+ssh"):
        raise DeployError(
            f"{where}: a line holds a login, and lines are written into files; take it out and let git or pip know it "
            "(~/.netrc, a credential helper), or give an index by index_url=."
        )
    if line.startswith(_REPOSITORY):
        egg = _EGG.search(line)
        if egg is None:
            raise DeployError(f'{where}: "{line}" does not say what it is; write it as "NAME @ {line}".')
        return f"{egg[1]} @ {_EGG.sub('', line)}"
    if line.startswith((".", "/", "~")) or (line.endswith(".whl") and " " not in line):
        bare, bracket, extras = line.partition("[")
        place = (folder / Path(bare).expanduser()).resolve()
        if not place.exists():
            raise DeployError(f"{where}: {place} is not there.")
        return f"{place}{bracket}{extras}"
    try:
        parsed = _parsed(line)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise DeployError(f'{where}: "{line}" can\'t be read: {reason}. Write it as pip does: "name==1.2".') from None
    place_of = _path(parsed.url)
    if place_of is not None and not place_of.exists():
        raise DeployError(f"{where}: {place_of} is not there.")
    return line


def _parsed(line: str) -> Requirement:
    """The line without its hashes, taken apart."""
    from packaging.requirements import Requirement  # not in images, where modules that name a deployment are loaded too

    return Requirement(line.partition(HASH)[0])


def _place(line: str) -> Path | None:
    """The folder or file of this machine that a line means."""
    if line.startswith("/"):
        return Path(line.partition("[")[0])
    return _path(_parsed(line).url)


def _path(url: str | None) -> Path | None:
    parts = urlsplit(url or "")
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _around(line: str) -> tuple[str, str]:
    """The extras and the marker of a line."""
    if line.startswith("/"):
        _, bracket, extras = line.partition("[")
        return f"{bracket}{extras}", ""
    parsed = _parsed(line)
    extras = f"[{','.join(sorted(parsed.extras))}]" if parsed.extras else ""
    return extras, f"; {parsed.marker}" if parsed.marker else ""


def _wheel(place: Path, line: str) -> tuple[str, bytes]:
    if place.is_dir():
        return built_wheel(place)
    if place.suffix != ".whl":
        raise DeployError(f'"{line}" is neither a folder nor a wheel; build one of it: pip wheel --no-deps {place}.')
    return place.name, place.read_bytes()
