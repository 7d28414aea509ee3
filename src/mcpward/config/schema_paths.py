"""The tree of settings as a tree: the place and type of each key. Everything here is read off the model."""

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from msgspec import Struct
from pydantic.fields import FieldInfo

from mcpward.config.model import Settings
from mcpward.config.section import Section

ANY_NAME = "<name>"
Path = tuple[str, ...]


class Key(Struct, frozen=True):
    """One setting: its place in the tree (``<name>`` for any name of the operator's choice) and its declaration."""

    path: Path
    field: FieldInfo

    @property
    def dotted(self) -> str:
        """The name as people write it: ``site.listen``."""
        return ".".join(self.path)

    @property
    def is_secret(self) -> bool:
        """Whether the value is masked wherever it is shown."""
        extra = self.field.json_schema_extra
        return isinstance(extra, dict) and bool(extra.get("secret"))


def section_of(field: FieldInfo) -> type[Section] | None:
    """Return the section that a field holds, or None if it holds a value."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def table_of(field: FieldInfo) -> type[Section] | None:
    """Return the section of which a field holds any number, each by a name; None if it holds something else."""
    arguments = get_args(field.annotation) if get_origin(field.annotation) is dict else ()
    kind = arguments[1] if len(arguments) == 2 else None
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def section_at(path: Path) -> type[Section] | None:
    """Find the section at a path; None for a value, a table of named sections, or an unknown path."""
    section: type[Section] = Settings
    rest = list(path)
    while rest:
        field = section.model_fields.get(rest.pop(0))
        inner = section_of(field) if field else None
        if field is not None and inner is None and rest:
            inner = table_of(field)
            rest.pop(0)
        if inner is None:
            return None
        section = inner
    return section


def names_at(path: Path) -> tuple[str, ...]:
    """Return the keys that a section has; none for what is not a section."""
    section = section_at(path)
    return tuple(section.model_fields) if section else ()


def field_at(path: Path) -> FieldInfo | None:
    """Find the declaration of a value by its path; None for sections and unknown paths."""
    section = section_at(path[:-1])
    field = section.model_fields.get(path[-1]) if section and path else None
    return None if field is None or section_of(field) or table_of(field) else field


def every_key() -> Iterator[Key]:
    """List all settings in the order of the model; those of named sections under ``servers.<name>`` and the like."""
    yield from _walk(Settings, ())


def _walk(section: type[Section], path: Path) -> Iterator[Key]:
    for name, field in section.model_fields.items():
        if inner := section_of(field):
            yield from _walk(inner, (*path, name))
        elif table := table_of(field):
            yield from _walk(table, (*path, name, ANY_NAME))
        else:
            yield Key((*path, name), field)


def general(path: Path) -> Path:
    """Return a path with ``<name>`` in the place of each name of the operator's choice."""
    section: type[Section] | None = Settings
    told: list[str] = []
    is_name = False
    for part in path:
        told.append(ANY_NAME if is_name else part)
        field = section.model_fields.get(part) if section and not is_name else None
        table = table_of(field) if field else None
        if not is_name:
            section = table or (section_of(field) if field else None)
        is_name = table is not None
    return tuple(told)


def holds(field: FieldInfo, kind: type) -> bool:
    """Return whether a value of a field may be of a type, looking through unions."""
    return any(one is kind or get_origin(one) is kind for one in _alternatives(field.annotation))


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    several = get_args(annotation) if get_origin(annotation) in {Union, UnionType} else (annotation,)
    return tuple(get_args(one)[0] if get_origin(one) is Annotated else one for one in several)
