"""Reads what an author passes as SQL: a constant of their code, or ``sql`` made of such, ready to be bound."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from mcpward.sdk.database.bound_statement import BoundStatement, bind
from mcpward.sdk.database.composed import not_constant, render
from mcpward.sdk.database.constants import CONSTANTS
from mcpward.sdk.database.statement import Statement, read_statement, require_read, require_write
from mcpward.sdk.errors import StatementRefused

_MOST: Final = 1000


class PreparedStatements:
    """The statements of one database, each read once. A known constant costs one look-up."""

    def __init__(self, dialect: str, *, is_read_only: bool) -> None:
        self._dialect = dialect
        self._is_read_only = is_read_only
        self._constant: dict[str, Statement] = {}
        self._composed: dict[str, Statement] = {}

    def reading(self, sql: Any, params: Mapping[str, Any]) -> BoundStatement:
        """Return a query, bound. Raises :class:`StatementRefused`."""
        statement, is_composed = self.read(sql)
        require_read(statement)
        return bind(statement, params, self._dialect, leaves_out=is_composed)

    def changing(self, sql: Any, params: Mapping[str, Any]) -> BoundStatement:
        """Return a change, bound. Raises :class:`StatementRefused`."""
        if self._is_read_only:
            raise StatementRefused("this Database is read-only; set read_only=False to change data")
        statement, is_composed = self.read(sql)
        require_write(statement)
        return bind(statement, params, self._dialect, leaves_out=is_composed)

    def read(self, sql: Any) -> tuple[Statement, bool]:
        """Return a statement, and whether it is put together of parts.

        Raises:
            StatementRefused: its text, or that of a part, is no constant of the author's code; or it is not one
                statement that may run.
        """
        if isinstance(sql, Enum):
            sql = sql.value
        if type(sql) is not str:
            return self._read_composed(sql), True
        known = self._constant.get(sql)
        if known is None:
            own = CONSTANTS.own(sql)
            if own is None:
                raise not_constant()
            known = self._constant[own] = read_statement(own)
        return known, False

    def _read_composed(self, sql: Any) -> Statement:
        if isinstance(sql, str):  # a class of the author's own, which may say that it equals anything
            raise not_constant()
        text = render(sql, self._dialect)
        known = self._composed.get(text)
        if known is None:
            if len(self._composed) >= _MOST:
                self._composed.clear()
            known = self._composed[text] = read_statement(text)
        return known
