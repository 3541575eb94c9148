"""Find every fault of a whole submission: a folder or zip with `task1/<label>/` for each system, and a PDF report."""

import functools
import itertools
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from scenelet.data.download.unzip import DAMAGE
from scenelet.errors import DataError, UsageError, escape_unprintable
from scenelet.evaluation.submission.challenge import Challenge
from scenelet.evaluation.submission.faults import Fault
from scenelet.evaluation.submission.validate import Read, check_files, check_system, max_bytes, read_file

TASK_FOLDER, REPORT_ENDING, MAX_SYSTEMS = "task1", ".pdf", 4
MAX_FILES = 1000  # a submission has about thirty
FIX = "give the folder or zip of a submission"


def check_paths(paths: Sequence[Path], challenge: Challenge, partial: bool = False) -> list[Fault]:
    """Find the faults of one folder or zip as `check_submission`, or of the files of one system as `check_files`.

    Raises:
        UsageError: there are several paths, and one is a folder or zip.
        DataError: a path does not exist, or cannot be read.
    """
    for path in paths:
        if not os.path.exists(path):
            raise DataError(f"{path}: no such file or folder; {FIX}, or the files of one system")
    whole = [path for path in paths if path.is_dir() or path.suffix.lower() == ".zip"]
    if whole and len(paths) > 1:
        kind = "folder" if whole[0].is_dir() else "zip"
        raise UsageError(f"{whole[0]}: is a {kind}; give one folder or zip, or the files of one system")
    return check_submission(whole[0], challenge, partial) if whole else check_files(paths, challenge, partial)


def check_submission(path: Path, challenge: Challenge, partial: bool = False) -> list[Fault]:
    """Find the faults of a folder or zip.

    A folder without the folder `task1` is checked as the files of one system.

    Args:
        path: the folder, which corresponds to the content of the zip, or the zip.
        challenge: the year's challenge.
        partial: allow fewer rows than recordings.

    Raises:
        DataError: it cannot be read.
    """
    if path.is_dir():
        files = _folder_files(path, max_bytes(challenge))
        if not any(TASK_FOLDER in PurePosixPath(name).parts for name in files) and path.name != TASK_FOLDER:
            own = [(name, read) for name, read in files.items() if "/" not in name]
            return check_system(own, challenge, partial=partial)
        if path.name == TASK_FOLDER:
            files = {f"{TASK_FOLDER}/{name}": read for name, read in files.items()}
        return check_tree(path.name, files, challenge, partial=partial)
    try:
        with zipfile.ZipFile(path) as archive:
            files = {
                entry.filename: functools.partial(_read_entry, path, archive, entry, max_bytes(challenge))
                for entry in itertools.islice((one for one in archive.infolist() if not one.is_dir()), MAX_FILES + 1)
            }
            return check_tree(path.name, files, challenge, partial=partial, zipped=True)
    except (OSError, *DAMAGE) as error:
        raise DataError(f"{path}: cannot be read ({error}); {FIX}") from None


def check_tree(
    name: str, files: Mapping[str, Read], challenge: Challenge, *, partial: bool = False, zipped: bool = False
) -> list[Fault]:
    """Find the faults of a whole submission by the paths and contents of its files.

    Args:
        name: name of the folder or zip.
        files: path below it, with slashes -> reader.
        challenge: the year's challenge.
        partial: allow fewer rows than recordings.
        zipped: whether the paths are those of a zip, in which the place of `task1` matters.
    """
    name = escape_unprintable(name)
    if len(files) > MAX_FILES:
        return [Fault(name, "", f"has more than {MAX_FILES:,} files; it must be a submission with about thirty")]
    faults = list[Fault]()
    systems: dict[str, list[tuple[str, Read]]] = {}
    tops = set[tuple[str, ...]]()
    has_report = False
    for path, read in sorted(files.items()):
        parts = PurePosixPath(path).parts
        if zipped and _leads_out(path):
            place = "its path leads out of the zip; it must be relative, without .."
            faults.append(Fault(f"{name}/{escape_unprintable(path)}", "", place))
        if path.lower().endswith(REPORT_ENDING):
            has_report = True
        elif parts[-3:-2] == (TASK_FOLDER,):
            systems.setdefault(parts[-2], []).append((parts[-1], read))
            tops.add(parts[:-3])
        else:
            where = f"it must be in {TASK_FOLDER}/<label>/, or be deleted"
            faults.append(Fault(f"{name}/{escape_unprintable(path)}", "", f"does not belong to a system; {where}"))
    depth = 1 if challenge.nested_zip else 0
    if zipped and any(len(top) != depth for top in tops):
        place = "in one folder of the zip" if challenge.nested_zip else "at the top of the zip"
        faults.append(Fault(name, "", f"the place of the folder {TASK_FOLDER} is wrong; it must be {place}"))
    elif zipped and challenge.nested_zip and len({PurePosixPath(path).parts[:1] for path in files}) > 1:
        place = f"it must have one folder around {TASK_FOLDER}"
        faults.append(Fault(name, "", f"has several folders or files at its top; {place}"))
    if not has_report:
        faults.append(Fault(name, "", "has no technical report; a PDF must be added"))
    if not 1 <= len(systems) <= MAX_SYSTEMS:
        faults.append(Fault(name, "", f"has {len(systems)} folders of systems; it must have from 1 to {MAX_SYSTEMS}"))
    for label, own in systems.items():
        if not challenge.label_pattern.fullmatch(label):
            shown = f"{TASK_FOLDER}/{escape_unprintable(label)}"
            faults.append(Fault(shown, "", f"its name must be the system's label, {challenge.label_form}"))
        faults += check_system(own, challenge, escape_unprintable(label), partial=partial)
    return faults


def _leads_out(path: str) -> bool:
    """Return whether a path of a zip is absolute, or goes up, on some system."""
    parts = PureWindowsPath(path)  # takes both slashes
    return bool(parts.anchor) or ".." in parts.parts


def _folder_files(folder: Path, most: int) -> dict[str, Read]:
    found: dict[str, Read] = {}
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            found[path.relative_to(folder).as_posix()] = functools.partial(read_file, path, most)
            if len(found) > MAX_FILES:
                return found
    return found


def _read_entry(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> bytes:
    try:
        with archive.open(entry) as file:
            return file.read(most)
    except (OSError, *DAMAGE) as error:
        raise DataError(f"{path}: {entry.filename} cannot be read ({error}); {FIX}") from None
