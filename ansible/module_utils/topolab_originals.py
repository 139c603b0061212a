"""What a host had before the lab changed it: noted before each change, so that a crash at any moment loses nothing."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

RECORD = "/var/lib/topolab/originals.json"
SYSCTL_DROP_IN = "/etc/sysctl.d/60-topolab.conf"

SYSCTL_ROOTS = (Path("/etc"), Path("/run"), Path("/usr/local/lib"), Path("/usr/lib"))  # the first hides the others

Keys = Mapping[str, Mapping[str, Any]]  # of a JSON file: {"default-ulimits": {"nofile": {...}}}


class Refused(Exception):
    """Something is in the way: where, what, and what to type. Nothing was changed."""


def spaced(value: object) -> str:
    """A kernel value as it is compared: "1024 65535", whatever stands between the numbers."""
    return " ".join(str(value).split())


def replace(path: Path, content: bytes, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Writes a file in one step: a reader, or a power cut, finds the old one or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        if owner and os.geteuid() == 0:
            os.chown(name, *owner)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise


def edited(content: bytes | None, keys: Keys, path: Path) -> bytes:
    """A JSON file with these second-level keys set, or with None taken out; everything else in it stays."""
    try:
        document = json.loads(content) if content and content.strip() else {}
        if not isinstance(document, dict):
            raise ValueError("it holds no object")
    except ValueError as error:
        raise Refused(f"{path} is not valid JSON ({error}): mend it, then run this again") from None
    before = json.dumps(document)
    for section, values in keys.items():
        held = document.get(section) or {}
        if not isinstance(held, dict):
            raise Refused(f"{path}: {section} is not an object: mend it, then run this again")
        document[section] = {key: value for key, value in {**held, **values}.items() if value is not None}
        if not document[section]:
            del document[section]
    if content is not None and json.dumps(document) == before:
        return content
    return (json.dumps(document, indent=2) + "\n").encode()


class Originals:
    """The record, and every change that goes through it.

    With `check` nothing is written: what would change is only told, in `changed` and `diff`.
    """

    def __init__(self, path: Path, *, check: bool = False, sysctls: Path = Path("/proc/sys")) -> None:
        self.path = path
        self.check = check
        self.changed: list[str] = []  # in words
        self.notes: list[str] = []
        self.diff: list[dict[str, str]] = []
        self._proc_sys = sysctls
        try:
            self.data: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError:
            self.data = {}
        except ValueError as error:
            raise Refused(
                f"{path} is damaged ({error}): it says what this host had before. Restore it from a backup "
                "or, if that does not matter, remove it"
            ) from None
        for part in ("sysctls", "files", "given", "asked"):
            self.data.setdefault(part, {})
        self.data.setdefault("directories", [])

    @property
    def empty(self) -> bool:
        return not (self.data["sysctls"] or self.data["files"])

    def save(self) -> None:
        """On disk before this returns; a record that holds nothing is removed."""
        if self.check:
            return
        if self.empty:
            self.path.unlink(missing_ok=True)
            self._remove_directories()
            return
        self._note_directories(self.path.parent)
        self.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        replace(self.path, (json.dumps(self.data, indent=1) + "\n").encode(), 0o600)

    # kernel values

    def live(self, name: str) -> str | None:
        try:
            return spaced(self._sysctl(name).read_text())
        except OSError:
            return None

    def number(self, name: str) -> int | str | None:
        """The live value as it is shown: a number where it is one."""
        value = self.live(name)
        return int(value) if value and value.lstrip("-").isdecimal() else value

    def note_sysctls(self, values: Iterable[Mapping[str, Any]]) -> None:
        """Before they are set: what they were, what they are going to be, and why."""
        known = json.dumps(self.data)
        for value in values:
            entry = self.data["sysctls"].setdefault(value["name"], {"original": self.live(value["name"]), "ours": []})
            entry.update(why=value["why"], source=value["source"])
            asked = spaced(value["value"])
            if asked in entry["ours"]:
                entry["ours"].remove(asked)
            entry["ours"].append(asked)  # the last one is what holds now
        if json.dumps(self.data) != known:
            self.save()

    def set_sysctl(self, name: str, value: str) -> str | None:
        """Sets a live value that differs; returns what went wrong."""
        before = self.live(name)
        if before == value:
            return None
        if not self.check:
            try:
                self._sysctl(name).write_text(value)
            except OSError as error:
                return error.strerror or str(error)
        self._told(f"{name}: {before} -> {value}", f"{name} (live)", f"{before}\n", f"{value}\n")
        return None

    def give_back_sysctl(self, name: str) -> None:
        """The live value that was there before, unless somebody else has set another one since."""
        entry = self.data["sysctls"][name]
        live, original = self.live(name), entry["original"]
        if live in entry["ours"] and original is not None and live != original:
            problem = self.set_sysctl(name, original)
            if problem:
                raise Refused(f"{name} can't go back from {live} to {original}: {problem}")
        elif live != original:
            self.notes.append(
                f"{name} is {live}, which is neither the lab's nor the {original} before it: left as it is"
            )
        del self.data["sysctls"][name]

    # files

    def write(self, path: Path, content: bytes | None, *, mode: int = 0o644) -> bool:
        """Writes, or with None removes, a file that is the lab's alone. Whether that changes it."""
        before = _read(path)
        if content is None:
            self.data["files"].pop(str(path), None)
            return before is not None and self._remove(path, before)
        if before == content and str(path) in self.data["files"] and path.stat().st_mode & 0o7777 == mode:
            return False
        self._note_file(path, {})
        self._replace(path, before, content, mode, (0, 0))
        return True

    def merge(self, path: Path, keys: Keys) -> bool:
        """Sets these second-level keys, and no others, in a JSON file that others write as well. Whether it changed."""
        if not keys:
            return str(path) in self.data["files"] and self._unmerge(path)
        before = _read(path)
        entry = self.data["files"].get(str(path)) or {"original": _stored(path), "ours": [], "before": {}}
        content = edited(before, _both(entry["before"], keys), path)
        if before == content:
            return False
        document = json.loads(before) if before and before.strip() else {}
        for section, values in keys.items():
            for key in values:
                entry["before"].setdefault(section, {}).setdefault(key, (document.get(section) or {}).get(key))
        entry["ours"].append(hashlib.sha256(content).hexdigest())
        self._note_file(path, entry)
        stat = path.stat() if path.exists() else None
        owner = (stat.st_uid, stat.st_gid) if stat else (0, 0)
        self._replace(path, before, content, stat.st_mode & 0o7777 if stat else 0o644, owner)
        return True

    def give_back_file(self, path: Path) -> bool:
        """The file as it was before, to the byte. Whether that changes it."""
        return self._unmerge(path) if self.data["files"][str(path)] else self.write(path, None)

    def _unmerge(self, path: Path) -> bool:
        entry = self.data["files"].pop(str(path))
        content, original = _read(path), entry["original"]
        if content is None:
            return False
        if hashlib.sha256(content).hexdigest() in entry["ours"]:
            if original is None:
                return self._remove(path, content)
            restored = base64.b64decode(original["content"])
            self._replace(path, content, restored, original["mode"], (original["uid"], original["gid"]))
            return True
        if original is not None and content == base64.b64decode(original["content"]):
            return False
        try:
            cleaned = edited(content, entry["before"], path)
        except Refused as error:
            self.notes.append(f"{path} was edited since, and is left as it is: {error}")
            return False
        self.notes.append(f"{path} was edited since: only the lab's own keys were taken out")
        stat = path.stat()
        self._replace(path, content, cleaned, stat.st_mode & 0o7777, (stat.st_uid, stat.st_gid))
        return True

    def _note_file(self, path: Path, entry: dict[str, Any]) -> None:
        self.data["files"][str(path)] = entry
        self._note_directories(path.parent)
        self.save()

    def _note_directories(self, directory: Path) -> None:
        missing = [str(each) for each in (directory, *directory.parents) if not each.exists()]
        self.data["directories"] = sorted({*self.data["directories"], *missing})

    def _replace(
        self, path: Path, before: bytes | None, content: bytes, mode: int, owner: tuple[int, int] | None
    ) -> None:
        if not self.check:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            replace(path, content, mode, owner)
        self._told(str(path), str(path), _shown(before), _shown(content))

    def _remove(self, path: Path, before: bytes) -> bool:
        if not self.check:
            path.unlink()
        self._told(f"{path} removed", str(path), _shown(before), "")
        return True

    def _remove_directories(self) -> None:
        for name in sorted(self.data["directories"], key=len, reverse=True):
            with contextlib.suppress(OSError):  # gone, or somebody else's files are in it
                Path(name).rmdir()

    def _told(self, words: str, header: str, before: str, after: str) -> None:
        self.changed.append(words)
        self.diff.append({"before_header": header, "after_header": header, "before": before, "after": after})

    def _sysctl(self, name: str) -> Path:
        return self._proc_sys / name.replace(".", "/")


def overruled(values: Mapping[str, str], own: Path, roots: Sequence[Path] = SYSCTL_ROOTS) -> list[str]:
    """Who sets one of these to something else at boot, after our own drop-in: sysctl.d(5) reads files by name."""
    files: dict[str, Path] = {}
    for root in reversed(roots):  # a file of /etc hides the one with its name in /usr/lib
        files.update({path.name: path for path in (root / "sysctl.d").glob("*.conf")})
    later = [files[name] for name in sorted(files) if name > own.name]
    if (roots[0] / "sysctl.conf").is_file() and not any(
        path.is_symlink() for path in later if path.name == "99-sysctl.conf"
    ):
        later.append(roots[0] / "sysctl.conf")  # procps reads it last; systemd only by that link
    found: dict[str, str] = {}
    for path in later:
        for number, line in enumerate((_read(path) or b"").decode(errors="replace").splitlines(), 1):
            key, equals, value = line.strip().lstrip("-").partition("=")
            name = key.strip().replace("/", ".")
            if equals and not line.lstrip().startswith(("#", ";")) and name in values:
                found.pop(name, None)
                if spaced(value) != values[name]:
                    found[name] = f"{path.resolve()} line {number} sets {name} to {spaced(value)}"
    return list(found.values())


def _both(first: Keys, second: Keys) -> dict[str, dict[str, Any]]:
    return {section: {**first.get(section, {}), **second.get(section, {})} for section in {**first, **second}}


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _stored(path: Path) -> dict[str, Any] | None:
    """A file as the record keeps it."""
    content = _read(path)
    if content is None:
        return None
    stat = path.stat()
    return {
        "content": base64.b64encode(content).decode(),
        "mode": stat.st_mode & 0o7777,
        "uid": stat.st_uid,
        "gid": stat.st_gid,
    }


def _shown(content: bytes | None) -> str:
    return (content or b"").decode(errors="replace")
