# SPDX-License-Identifier: Apache-2.0
"""A run folder that is open: create, resume, record a step, place an artefact, all by atomic writes."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from ..errors import BadInput, UnknownName
from .migrate import upgraded
from .records import (
    SCHEMA_VERSION,
    STEP_OF,
    STEPS,
    Artefact,
    Plain,
    R,
    Record,
    RunFile,
    Step,
    StepName,
    Steps,
    field_of,
)

RUN_FILE = "run.json"


class Run:
    """A run folder that is open. All writes are atomic: a temporary file, fsync, os.replace."""

    def __init__(self, folder: Path, file: RunFile) -> None:
        self.folder, self.file = folder, file

    @classmethod
    def create(
        cls,
        root: Path | str,
        dataset: str,
        model: str,
        config: Mapping[str, Plain],
        *,
        seeds: Mapping[str, int] | None = None,
        command: str | None = None,
    ) -> Run:
        """Make `root/<date>-<dataset>-<model>`, with -2, -3 ... behind it where the name is taken."""
        now = datetime.now(UTC).replace(microsecond=0)
        folder = _new_folder(Path(root), f"{now.date()}-{_slug(dataset)}-{_slug(model)}")
        file = RunFile(
            schema_version=SCHEMA_VERSION,
            created=now.isoformat(),
            dataset=dataset,
            model=model,
            command=command if command is not None else _command_line(),
            seeds=dict(seeds or {}),
            versions=versions(),
            config=dict(config),
            steps=Steps(),
        )
        run = cls(folder, file)
        run._save(file)
        return run

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """Open a run folder, or the run.json in it. Raise BadInput where that is missing, broken or too new."""
        folder = Path(path).parent if Path(path).name == RUN_FILE else Path(path)
        return cls(folder, _read(folder / RUN_FILE))

    @classmethod
    def latest(cls, root: Path | str, dataset: str, model: str) -> Run | None:
        """Return the newest run of this data set and model that can be opened, or None."""
        pattern = re.compile(rf"(\d{{4}}-\d\d-\d\d)-{re.escape(_slug(dataset))}-{re.escape(_slug(model))}(?:-(\d+))?")
        found = []
        for folder in Path(root).glob("*"):
            match = pattern.fullmatch(folder.name)
            if match and (folder / RUN_FILE).is_file():
                found.append((match[1], int(match[2] or 1), folder))
        for _, _, folder in sorted(found, reverse=True):
            try:
                return cls.open(folder)
            except BadInput:
                continue
        return None

    def path(self, name: str) -> Path:
        """Place a relative name in the folder. Raise BadInput for one that would leave it."""
        target = self.folder / name
        if not target.resolve().is_relative_to(self.folder.resolve()):
            raise BadInput(name, "this path leaves the run folder.", f"Use a path below {self.folder}.")
        return target

    @contextmanager
    def atomic(self, name: str) -> Iterator[Path]:
        """Lend a temporary path with the same ending; when the block ends well it becomes `name`, else it goes."""
        with atomic(self.path(name)) as temporary:
            yield temporary

    def record(self, step: StepName, record: Record, *, artefacts: Iterable[str] = (), inputs: Iterable[str] = ()) -> None:
        """Write what a step found out.

        `artefacts` are the files that it wrote, `inputs` those that it read, by their names in the folder: `done`
        is true for as long as all of them are unchanged.
        """
        assert STEP_OF[type(record)] == step, (step, type(record))
        # The bare Step would be written with the fields of Record, which are none.
        entry = Step[type(record)](  # type: ignore[operator,misc]
            record=record, artefacts=self._hashed(artefacts), inputs=self._hashed(inputs)
        )
        steps = self.file.steps.model_copy(update={field_of(step): entry})
        self._save(self.file.model_copy(update={"steps": steps}))

    def get(self, kind: type[R]) -> R | None:
        """Return the record of this type, or None where its step has not been done, or has left one of another type."""
        step: Step[Record] | None = getattr(self.file.steps, field_of(STEP_OF[kind]))
        return step.record if step is not None and isinstance(step.record, kind) else None

    def done(self, step: StepName) -> bool:
        """Say whether a step has its record and all its files are still what they were: then it need not run again."""
        if step not in STEPS:
            raise UnknownName.among("step", step, STEPS, "A run has these steps, in this order.")
        entry: Step[Record] | None = getattr(self.file.steps, field_of(step))
        return entry is not None and all(self._unchanged(a) for a in (*entry.artefacts, *entry.inputs))

    def _hashed(self, names: Iterable[str]) -> tuple[Artefact, ...]:
        return tuple(Artefact(path=name, sha256=sha256_of(self.path(name))) for name in names)

    def _unchanged(self, artefact: Artefact) -> bool:
        path = self.path(artefact.path)
        return path.is_file() and sha256_of(path) == artefact.sha256

    def _save(self, file: RunFile) -> None:
        with atomic(self.folder / RUN_FILE) as temporary:
            temporary.write_text(file.model_dump_json(indent=1, by_alias=True) + "\n", encoding="utf-8")
        self.file = file


@contextmanager
def atomic(target: Path) -> Iterator[Path]:
    """Lend a temporary path beside `target`; when the block ends well its bytes are on the disk under `target`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # The ending stays: Keras chooses the format of a file by it.
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.tmp{target.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
        _sync_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder, and renames through its journal
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """Name what can change a result: Python, the machine, and the libraries that are installed (none is imported)."""
    found = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    for library in ("puce", "numpy", "keras", "tensorflow-cpu", "tensorflow", "ai-edge-litert", "ziglang", "unicorn"):
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _command_line() -> str:
    name = Path(sys.argv[0]).name
    return shlex.join(["puce" if name == "__main__.py" else name, *sys.argv[1:]])


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unnamed"


def _new_folder(root: Path, name: str) -> Path:
    """mkdir is the lock: of two runs that start in the same instant one gets the name, the other the next number."""
    root.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = root / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1


def _read(path: Path) -> RunFile:
    remedy = "Restore the file, or start a new run with `puce run`."
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadInput(str(path), "there is no such file.", "Name a folder that `puce run` made.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(str(path), f"cannot be read ({error}).", remedy) from error
    version = document.get("schema_version") if isinstance(document, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise BadInput(
            str(path),
            f"has schema {version}; this puce reads up to {SCHEMA_VERSION}.",
            "pip install --upgrade puce",
        )
    try:
        return RunFile.model_validate(upgraded(document) if isinstance(document, dict) else document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadInput(str(path), f"is not a run of schema {SCHEMA_VERSION}: {where}: {first['msg']}.", remedy) from error
