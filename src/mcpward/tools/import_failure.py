"""The exception of an author's module while it was loaded, as one finding: the error, the author's line, the remedy.

An exception's text may hold a connection string, and a hint repeats some of it. So both are shown only through
``redact``, which takes secrets out.
"""

import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import pydantic
from pydantic.errors import PydanticUserError

import mcpward
from mcpward.core.errors import Finding
from mcpward.core.model_words import model_words
from mcpward.core.spelling import nearest
from mcpward.sdk.errors import AuthoringError, MissingSecret, SecretUnreadable
from mcpward.sdk.options import unknown_option
from mcpward.sdk.place import place_of
from mcpward.sdk.server import Server
from mcpward.sdk.signature import nearest_name
from mcpward.tools.error_text import Redact, error_text, first_line
from mcpward.tools.foreign import IMPORTS, METHODS
from mcpward.tools.origin import Origin

_CLASS: Final = re.compile(r"<class '(?:[^']*\.)?(\w+)'>")
_NOT_IN_MODULE: Final = re.compile(r"cannot import name '(\w+)' from '([\w.]+)'")
_STRUCT_OPTION: Final = re.compile(r"Unexpected keyword argument [`'](\w+)[`']")
_CALLED: Final = re.compile(r"\b([A-Z]\w+)\(")
_DECORATED: Final = re.compile(r"@([\w.]+)")
_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]+", re.ASCII)
#: What Python says of a text, bytes or number that does not end, or that it cannot read: its value may be a secret.
_OF_VALUE: Final = re.compile(r"string|literal|bytes|unicode", re.IGNORECASE)
_FROM_FOLDER: Final = "paths start at mcpward's working directory; from the file's own folder: Path(__file__).parent "
"/ …"
_LOOP: Final = "cannot be called from a running event loop"


def finding_of(error: BaseException, source: str, origin: Origin, redact: Redact | None) -> Finding:
    """Return what is wrong, where and what to do. Without ``redact`` no text of a foreign exception is shown."""
    where = origin.place(error) or source
    for kind, explain in _KINDS:
        if isinstance(error, kind):
            said = explain(error, origin)
            if said is not None:
                what, hint = said
                own = error.where if isinstance(error, AuthoringError) else ""
                shown = _clean(what, redact)
                if shown != what and isinstance(error, FileNotFoundError):
                    hint = _FROM_FOLDER  # the end of a path is not recognized as a part of the secret that it is
                if isinstance(error, SystemExit):
                    shown = first_line(shown)
                return Finding(shown, own or _syntax_place(error, where), _clean(hint, redact))
    text = "" if redact is None else error_text(error, redact)
    what = f"{type(error).__name__}: {text}" if text else f"{type(error).__name__} at import"
    return Finding(what=what, where=where, hint=f"python {_file(origin, source)} shows the whole traceback")


def _clean(text: str, redact: Redact | None) -> str:
    return text if redact is None else redact(text)


def _file(origin: Origin, source: str) -> str:
    if origin.file is None:
        return f"-m {source.partition(':')[0]}"
    return place_of(str(origin.file), 1).rpartition(":")[0]


def _syntax_place(error: BaseException, where: str) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return place_of(error.filename, error.lineno) or where
    return where


def _authoring(error: AuthoringError, _origin: Origin) -> tuple[str, str]:
    return error.what, error.hint


def _missing_secret(error: MissingSecret, _origin: Origin) -> tuple[str, str]:
    if isinstance(error, SecretUnreadable):  # it is there: no other name is meant
        return str(error), error.hint
    name = error.variable
    meant = nearest_name(name, os.environ)
    said = f"did you mean env.{meant}? else " if meant else ""
    return str(error), said + error.hint


def _syntax(error: SyntaxError, origin: Origin) -> tuple[str, str]:
    if "'await' outside" in error.msg:
        return error.msg, "await is only allowed in async def: call it in a tool"
    if error.filename and not Path(error.filename).is_file():  # eval of the environment: that line is a value
        return error.msg, "the text that is parsed there is not valid Python"
    line = _shown_line(error, origin)
    if isinstance(error, IndentationError):
        return error.msg, "indent the lines of a block by four spaces"
    return error.msg, f"correct the line, or the one before it: {line}" if line else "correct the line"


def _shown_line(error: SyntaxError, origin: Origin) -> str:
    """Return the line of the author's that is wrong, unless a text may stand on it: that may be a password."""
    line = (error.text or "").partition("#")[0].strip()
    is_code = not (_OF_VALUE.search(error.msg) or "'" in line or '"' in line)
    return line if is_code and error.filename and origin.holds(error.filename) else ""


def _no_module(error: ModuleNotFoundError, _origin: Origin) -> tuple[str, str]:
    name = (error.name or "").partition(".")[0]
    what = f"there is no module named {error.name!r}"
    if name == "fastmcp":
        return what, "this is a file for FastMCP: write from mcpward import Server, the decorators are the same"
    if name == "mcpward":
        inner = nearest(error.name or "", (one for one in sys.modules if one.startswith("mcpward.")))
        return (
            what,
            f"did you mean {inner!r}? the public names are in mcpward itself" if inner else "import from mcpward",
        )
    meant = nearest(name, _importable())
    said = f"did you mean {meant!r}? else " if meant and meant != name else ""
    return what, f"{said}install it beside mcpward: pip install {name}"


def _importable() -> Iterable[str]:
    from importlib.metadata import packages_distributions  # slow, and only for this error

    return {*sys.stdlib_module_names, *packages_distributions()}


def _import(error: ImportError, _origin: Origin) -> tuple[str, str] | None:
    text = str(error)
    if "relative import" in text:
        return text, "write import db: the file's folder is on the path; or serve a package: mcpward serve shop.tools"
    found = _NOT_IN_MODULE.match(text)
    if found is None:
        return None
    name, module = found[1], found[2]
    what = f"cannot import {name!r} from {module!r}"
    if "circular import" in text:
        return f"{what}: the two files import each other", "move shared code into a third file"
    known = mcpward.__all__ if module == "mcpward" else vars(sys.modules.get(module, mcpward))
    if module == "mcpward" and name in IMPORTS:
        return what, IMPORTS[name]
    meant = nearest_name(name, known)
    return (
        what,
        f"did you mean {meant!r}?"
        if meant
        else f"list the names of {module}: python -c 'import {module}; help({module})'",
    )


def _name(error: NameError, origin: Origin) -> tuple[str, str]:
    known: set[str] = set(dir(__builtins__)) | set(mcpward.__all__)
    for frame, _line in traceback.walk_tb(error.__traceback__):
        if origin.holds(frame.f_code.co_filename):
            known |= {*frame.f_globals, *frame.f_locals}
    name = str(error.name)
    if name in mcpward.__all__:
        return f"the name {name!r} is not defined", f"write from mcpward import {name}"
    meant = nearest_name(name, known)
    return f"the name {name!r} is not defined", f"did you mean {meant!r}?" if meant else "define or import it above"


def _attribute(error: AttributeError, _origin: Origin) -> tuple[str, str] | None:
    owner, name = error.obj, error.name or ""
    if isinstance(owner, Server):
        what = f"a Server has no {name!r}"
        if name in METHODS:
            return what, METHODS[name]
    elif owner is None:
        return None
    else:
        kind = owner.__name__ if hasattr(owner, "__name__") else type(owner).__name__
        what = f"{kind} has no {name!r}"
    meant = nearest(name, [one for one in dir(owner) if not one.startswith("_")])
    if meant is None and not isinstance(owner, Server):
        return None
    return what, f"did you mean {meant!r}?" if meant else "it has tool, resource, prompt and completion"


def _key(error: KeyError, origin: Origin) -> tuple[str, str] | None:
    name = error.args[0] if error.args else ""
    frame = origin.frame(error)
    if not isinstance(name, str) or not _VARIABLE.fullmatch(name) or "environ" not in ((frame and frame.line) or ""):
        return None
    hint = f"export {name}=…; for a secret write env.{name}, and save it: mcpward secret set {name}"
    return f"the environment variable {name} is not set", hint


def _running_loop(error: RuntimeError, origin: Origin) -> tuple[str, str] | None:
    if _LOOP not in str(error):
        return None
    for frame_of, _line in traceback.walk_tb(error.__traceback__):
        for value in frame_of.f_locals.values():
            if inspect.iscoroutine(value):
                value.close()  # no code will await it, and Python would warn of that later
    frame = origin.frame(error)
    called = re.search(r"([\w.]+)\(", (frame and frame.line) or "")
    what = (
        f"{called[1] if called else 'asyncio.run'}() at import: the file is loaded within the event loop that serves it"
    )
    return what, "call it in a tool, or remove it: a tool may be async def, and mcpward awaits it"


def _exit(error: SystemExit, _origin: Origin) -> tuple[str, str]:
    said = f": {str(error).strip()}" if error.code not in {None, 0} else ""
    return f"SystemExit at import{said}", 'put code for the terminal below if __name__ == "__main__":'


def _no_file(error: FileNotFoundError, _origin: Origin) -> tuple[str, str] | None:
    if error.filename is None:
        return None
    name = Path(str(error.filename)).name
    return f"there is no file {str(error.filename)!r}", _FROM_FOLDER.replace("…", repr(name))


def _validation(error: pydantic.ValidationError, _origin: Origin) -> tuple[str, str]:
    """A ValidationError quotes the value: path and rule say enough."""
    first = error.errors(include_url=False, include_input=False)[0]
    path = ".".join(map(str, first["loc"]))
    rule = model_words(first["type"], first.get("ctx", {})) or first["type"]
    return f"{error.title}{f'.{path}' if path else ''}: {rule}", "correct the value, or the model"


def _model(error: PydanticUserError, _origin: Origin) -> tuple[str, str] | None:
    text = str(error).strip().partition("\n")[0]
    found = _CLASS.search(text)
    if found is None or "schema" not in text:
        return None
    name = found[1]
    return (
        f"{name} is a class without a schema",
        f"make it a dataclass (@dataclass above class {name}) or a pydantic BaseModel",
    )


def _struct(error: TypeError, origin: Origin) -> tuple[str, str] | None:
    """Values of ours that are made while tools run have no slower check than Python's own."""
    option, frame = _STRUCT_OPTION.search(str(error)), origin.frame(error)
    for called in _CALLED.findall((frame and frame.line) or "") if option else ():
        kind: Any = getattr(mcpward, called, None) if called in mcpward.__all__ else None
        fields = getattr(kind, "__struct_fields__", ())
        if fields and option is not None:
            return _authoring(unknown_option(called, option[1], fields), origin)
    return None


def _not_called(error: TypeError, origin: Origin) -> tuple[str, str] | None:
    """``@server``, or ``@server.tools``: the list of what is declared."""
    frame = origin.frame(error)
    written = _DECORATED.match((frame and frame.line) or "")
    if written is None or "is not callable" not in str(error):
        return None
    if str(error).startswith(f"'{Server.__name__}' "):
        return f"@{written[1]} is not a decorator", f"write @{written[1]}.tool above the function"
    known = ("tool", "resource", "prompt", "completion")
    kind = nearest(written[1].rpartition(".")[2], known)
    return (f"@{written[1]} is not a decorator", f"write @{written[1].rpartition('.')[0]}.{kind}") if kind else None


_Explain = Callable[[Any, Origin], tuple[str, str] | None]
_KINDS: Final[tuple[tuple[type[BaseException], _Explain], ...]] = (
    (AuthoringError, _authoring),
    (MissingSecret, _missing_secret),
    (SyntaxError, _syntax),
    (ModuleNotFoundError, _no_module),
    (ImportError, _import),
    (NameError, _name),
    (AttributeError, _attribute),
    (KeyError, _key),
    (pydantic.ValidationError, _validation),
    (PydanticUserError, _model),
    (TypeError, _not_called),
    (TypeError, _struct),
    (RuntimeError, _running_loop),
    (SystemExit, _exit),
    (FileNotFoundError, _no_file),
)
