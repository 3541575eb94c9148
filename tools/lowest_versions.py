"""Print the lowest version of each dependency that pyproject.toml allows, as constraints for pip.

The tools of development and the packages of the documentation are left out: users do not install them.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

NOT_FOR_USERS = ("dev", "docs")


def lowest_versions(project: dict[str, Any]) -> list[str]:
    """Return `NAME==VERSION` for each dependency `NAME>=VERSION`.

    Args:
        project: the table `project` of pyproject.toml.
    """
    extras = project["optional-dependencies"]
    groups = [project["dependencies"], *(extras[name] for name in extras if name not in NOT_FOR_USERS)]
    requirements = sorted({requirement for group in groups for requirement in group if "scenelet" not in requirement})
    found = [re.match(r"([\w.-]+)(?:\[[\w,]+\])?>=([\w.]+)", requirement) for requirement in requirements]
    assert all(found), f"a dependency has no lowest version: {requirements}"
    return [f"{match[1]}=={match[2]}" for match in found if match]


if __name__ == "__main__":
    print(*lowest_versions(tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]), sep="\n")
