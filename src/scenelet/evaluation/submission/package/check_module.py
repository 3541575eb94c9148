"""Find the faults of a package's module from its syntax tree, without importing it."""

import ast
from pathlib import Path

from scenelet.evaluation.submission.faults import Fault
from scenelet.evaluation.submission.package.form import CHECKPOINTS, FUNCTIONS, OPTIONAL

VARIABLE = "CHECKPOINT"
FOLDER = f'Path(__file__).parent / "{CHECKPOINTS}" / '


def check_module(path: Path, shown: str) -> list[Fault]:
    """Find functions and arguments that a module lacks, and another folder of models than its own.

    Args:
        path: the module.
        shown: its path in the package.
    """
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError, MemoryError) as error:
        return [Fault(shown, "", f"is not a Python module ({type(error).__name__})")]
    faults = []
    stem = f"{FOLDER}Path(__file__).stem"
    known = {ast.dump(ast.parse(text, mode="eval").body) for text in (stem, f'{FOLDER}"{path.stem}"')}
    found = _values(tree, VARIABLE)
    if not found or any(ast.dump(value) not in known for value in found):
        faults.append(Fault(shown, VARIABLE, f"must be {stem}, the folder of the module's models"))
    functions = {node.name: node.args for node in tree.body if isinstance(node, ast.FunctionDef)}
    for name, arguments in FUNCTIONS.items():
        if name not in functions:
            faults.append(Fault(shown, name, f"is missing; it must be a function of {', '.join(arguments)}"))
        elif (fault := _signature_fault(functions[name], arguments)) is not None:
            faults.append(Fault(shown, name, fault))
    return faults


def _signature_fault(found: ast.arguments, arguments: tuple[str, ...]) -> str | None:
    """Return why the challenge's call of a function fails, or None."""
    names = [argument.arg for argument in found.args]
    if found.posonlyargs or tuple(names[: len(arguments)]) != arguments:
        taken = ", ".join(argument.arg for argument in (*found.posonlyargs, *found.args)) or "no"
        by_name = ", which must not be positional-only" if found.posonlyargs else ""
        return f"must take {', '.join(arguments)}; it takes {taken}{by_name}"
    required = set(names[: len(names) - len(found.defaults)])
    required |= {
        argument.arg for argument, default in zip(found.kwonlyargs, found.kw_defaults, strict=True) if default is None
    }
    lacking = [
        name
        for name in (*names, *(argument.arg for argument in found.kwonlyargs))
        if name in required and (name in OPTIONAL or name not in arguments)
    ]
    if not lacking:
        return None
    values = [f"{name}={OPTIONAL.get(name, 'None')}" for name in lacking]
    return f"must have a default for {', '.join(lacking)}, which the challenge may leave out; write {', '.join(values)}"


def _values(tree: ast.Module, name: str) -> list[ast.expr]:
    """Return what a module assigns to a global name."""
    found = []
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        if value is not None and any(isinstance(target, ast.Name) and target.id == name for target in targets):
            found.append(value)
    return found
