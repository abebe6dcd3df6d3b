"""One SELECT and nothing else: what a query's words must be, before any database sees them.

    SQL -> one statement (sqlglot) -> no write, lock or command in it -> functions allowed -> its binds

For SQLite the authorizer sees each operation as well (`sqlite.py`). A server has no authorizer, so for PostgreSQL and
MariaDB the words are held to more: every name before an opening bracket must be allowed, and what two readers might
read differently (comments, backslashes, dollar quotes) is refused: MariaDB runs what stands in `/*! ... */`.
"""

import functools
import itertools
from dataclasses import dataclass
from typing import Final, Literal

import sqlglot
from sqlalchemy import text
from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from agency_node.adapters.sqlite import SAFE_FUNCTIONS

Dialect = Literal["sqlite", "postgres", "mysql"]
MAX_SQL_CHARS: Final = 16_000

_BOTH: Final = (
    "abs avg cast ceil ceiling char_length coalesce concat concat_ws count cume_dist date dense_rank extract "
    "first_value floor greatest lag last_value lead least left length lower lpad ltrim max min mod nth_value ntile "
    "nullif percent_rank position rank replace right round row_number rpad rtrim sign substr substring sum trim upper"
)
_FUNCTIONS: Final[dict[Dialect, frozenset[str]]] = {
    "sqlite": SAFE_FUNCTIONS,
    "postgres": frozenset(
        # Functions that neither change nor reach anything outside the statement
        # (https://www.postgresql.org/docs/current/functions.html).
        f"{_BOTH} age array_agg bool_and bool_or btrim date_part date_trunc every initcap isfinite make_date now "
        "regexp_replace split_part string_agg strpos to_char to_date to_timestamp".split()
    ),
    "mysql": frozenset(
        # The same for MariaDB (https://mariadb.com/kb/en/built-in-functions/).
        f"{_BOTH} convert curdate date_add date_format date_sub datediff day group_concat if ifnull instr isnull lcase "
        "locate mid month now str_to_date substring_index timestampdiff ucase year".split()
    ),
}
"""The only functions that a mapping may call."""

_WORDS: Final = (
    "all and any as between by case distinct else except exists filter from group having in intersect is join lateral "
    "like limit not on or over partition select some then union using values when where with within "
    "char character decimal numeric time timestamp varchar"
)
_BEFORE_BRACKET: Final = frozenset(_WORDS.split())
"""Words of SQL that may stand before an opening bracket without being a function, and types with a length."""
_CHARACTERS: Final = {"\\": "a backslash", "$": "a dollar sign", "\x00": "a zero byte"}


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a query is not run.

    Attributes:
        told: What it is or does; follows the words "The query".
        cure: What to do.
    """

    told: str
    cure: str


_NOT_ONE: Final = Fault("is not one SELECT.", "Write one SELECT and nothing else.")


@functools.lru_cache(maxsize=256)
def fault(sql: str, dialect: Dialect) -> Fault | None:
    """Why these words are not one harmless SELECT; None when they are.

    Args:
        sql: With binds as `:name`.
        dialect: That of the database.
    """
    if len(sql) > MAX_SQL_CHARS:
        return Fault("is too long.", "Ask for a view that does the work.")
    try:
        trees = sqlglot.parse(sql, read=dialect)
        tokens = sqlglot.tokenize(sql, read=dialect)
    except (sqlglot.errors.SqlglotError, RecursionError):
        return _NOT_ONE
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        # The parser's own slips on nonsense; a text it cannot read is not a SELECT that we could vouch for.
        return _NOT_ONE
    if len(trees) != 1 or not isinstance(trees[0], exp.Select | exp.SetOperation):
        return _NOT_ONE
    tree = trees[0]
    if tree.find(exp.DML, exp.DDL, exp.Command, exp.Into, exp.Lock, exp.Pragma, exp.Attach):
        return _NOT_ONE
    if dialect == "sqlite":
        called = [str(function.this) for function in tree.find_all(exp.Anonymous)]
    else:
        found = next((what for mark, what in _CHARACTERS.items() if mark in sql), None)
        if found or any(token.comments for token in tokens):
            return Fault(
                f"holds {found or 'a comment'}, which is not allowed for a database server.",
                "Leave it out; comments may stand in the mapping file around the query.",
            )
        marks = [
            (before.token_type, name, bracket)
            for before, name, bracket in zip(tokens, tokens[1:], tokens[2:], strict=False)
        ]
        if any(dot == TokenType.DOT and bracket.token_type == TokenType.L_PAREN for dot, _, bracket in marks):
            return Fault(
                "calls a function of a named schema; what that does, only its own database knows.",
                "Use plain SQL functions such as count, max, date, coalesce, without a schema.",
            )
        called = [
            name.text
            for name, bracket in itertools.pairwise(tokens)
            if bracket.token_type == TokenType.L_PAREN
            and (
                name.token_type == TokenType.IDENTIFIER  # in quotation marks even a word of SQL is a function's name
                or ((name.text[:1].isalpha() or name.text[:1] == "_") and name.text.lower() not in _BEFORE_BRACKET)
            )
        ]
    for name in called:
        if name.lower() not in _FUNCTIONS[dialect]:
            return Fault(
                f"calls '{name.lower()[:64]}', which is not among the functions allowed.",
                "Use plain SQL functions such as count, max, date, coalesce.",
            )
    return None


@functools.lru_cache(maxsize=256)
def binds(sql: str, dialect: Dialect) -> frozenset[str]:
    """The names of the binds of a query that has no `fault`."""
    (tree,) = sqlglot.parse(sql, read=dialect)
    found = set() if tree is None else {str(node.this or "?") for node in tree.find_all(exp.Placeholder, exp.Parameter)}
    # The database layer finds binds by its own rule; both must see the same ones.
    return frozenset(found | set(text(sql).compile().params))


def tables(sql: str, dialect: Dialect) -> frozenset[str]:
    """Names of the tables that a query reads, in small letters; none when it cannot be told."""
    try:
        trees = sqlglot.parse(sql, read=dialect)
    except sqlglot.errors.SqlglotError:
        return frozenset()
    return frozenset(table.name.lower() for tree in trees if tree for table in tree.find_all(exp.Table))


@functools.lru_cache(maxsize=256)
def compared(sql: str, dialect: Dialect) -> frozenset[str]:
    """Names of the columns that say whose a row is, in small letters: compared with the bind, or with another column.

    Columns of one name count as one, whichever table they stand in; rather one too many than one too few.

    Args:
        sql: A query that has no `fault`.
        dialect: That of the database.
    """
    (tree,) = sqlglot.parse(sql, read=dialect)
    found: set[str] = set()
    if tree is None:
        return frozenset()
    for node in tree.find_all(exp.EQ, exp.NullSafeEQ, exp.In, exp.Is):
        names = {one.name.lower() for one in node.find_all(exp.Column)}
        bound = any(str(one.this) == "person_ids" for one in node.find_all(exp.Placeholder))
        columns = sum(1 for _ in node.find_all(exp.Column))
        if bound or columns > 1:
            found |= names
    for join in tree.find_all(exp.Join):
        found |= {one.name.lower() for one in join.args.get("using") or ()}
    return frozenset(found)
