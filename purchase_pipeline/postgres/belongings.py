"""What belongs to a table beside its rows: what can be handed on to a table in its place, and what cannot."""

from typing import Literal

import sqlalchemy as sa
from psycopg import sql

from purchase_pipeline.postgres.statements import Name, execute, execute_text, quoted

_Kind = Literal["INDEX", "SEQUENCE", "TABLE"]
_SPARE_END = "_old"

# Whatever PostgreSQL says depends on the table, save its own parts, its views, and what CREATE TABLE ... LIKE copies.
_IN_THE_WAY = """
    SELECT pg_describe_object(classid, objid, objsubid)
    FROM pg_depend LEFT JOIN pg_constraint ON classid = 'pg_constraint'::regclass AND pg_constraint.oid = objid
    WHERE refclassid = 'pg_class'::regclass AND refobjid = to_regclass(%(table)s) AND objid <> refobjid AND (
        classid IN ('pg_policy'::regclass, 'pg_publication_rel'::regclass, 'pg_proc'::regclass)
        OR (classid = 'pg_trigger'::regclass AND NOT EXISTS (
            SELECT FROM pg_trigger WHERE pg_trigger.oid = objid AND tgfoid = to_regproc(%(besides)s)
        ))
        OR contype = 'f'
        OR (classid = 'pg_class'::regclass AND EXISTS (
            SELECT FROM pg_class WHERE oid = objid
            AND (relkind = 'S' AND deptype = 'a' OR relkind IN ('r', 'f', 'p') AND NOT relispartition)
        ))
    )
    UNION
    SELECT CASE ev_class WHEN refobjid THEN pg_describe_object(classid, objid, 0)
        ELSE pg_describe_object('pg_class'::regclass, ev_class, 0) END
    FROM pg_depend JOIN pg_rewrite ON pg_rewrite.oid = objid JOIN pg_class ON pg_class.oid = ev_class
    WHERE classid = 'pg_rewrite'::regclass AND refobjid = to_regclass(%(table)s)
    AND (relkind <> 'v' OR relowner <> (SELECT relowner FROM pg_class WHERE oid = to_regclass(%(table)s)))
    UNION
    SELECT 'its row security' FROM pg_class WHERE oid = to_regclass(%(table)s) AND relrowsecurity
    UNION
    SELECT 'its being a partition of ' || inhparent::regclass FROM pg_inherits WHERE inhrelid = to_regclass(%(table)s)
    ORDER BY 1
"""

_COMMENT_AND_GRANTS = """
    SELECT 1, concat(
        'COMMENT ON TABLE ', new.oid::regclass, ' IS ', quote_nullable(obj_description(old.oid, 'pg_class'))
    )
    FROM pg_class AS old, pg_class AS new WHERE old.oid = to_regclass(%(old)s) AND new.oid = to_regclass(%(new)s)
    UNION ALL
    SELECT 2, concat('REVOKE ALL ON ', oid::regclass, ' FROM ', who)
    FROM pg_class, aclexplode(relacl), LATERAL (
        SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END
    ) AS named (who)
    WHERE oid = to_regclass(%(new)s) AND grantee <> relowner
    UNION ALL
    SELECT 3, concat(
        'GRANT ', privilege_type, columns, ' ON ', to_regclass(%(new)s), ' TO ',
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
        CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END
    )
    FROM (
        SELECT '' AS columns, relacl AS acl FROM pg_class WHERE oid = to_regclass(%(old)s)
        UNION ALL
        SELECT concat(' (', quote_ident(attname), ')'), attacl FROM pg_attribute WHERE attrelid = to_regclass(%(old)s)
    ) AS granted, aclexplode(acl)
    WHERE grantee <> (SELECT relowner FROM pg_class WHERE oid = to_regclass(%(old)s))
    ORDER BY 1
"""

_VIEWS = """
    SELECT DISTINCT concat(
        'CREATE OR REPLACE VIEW ', ev_class::regclass, ' WITH (' || array_to_string(reloptions, ', ') || ')',
        ' AS ', pg_get_viewdef(ev_class)
    )
    FROM pg_depend JOIN pg_rewrite ON pg_rewrite.oid = objid JOIN pg_class ON pg_class.oid = ev_class
    WHERE classid = 'pg_rewrite'::regclass AND refobjid = to_regclass(%s) AND relkind = 'v'
"""

# Of several that are defined alike, the first is the first of the other table's.
_INDEXES = """
    SELECT concat(definition, ' ', row_number() OVER (PARTITION BY definition ORDER BY indexrelid)), relname
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid, LATERAL (
        SELECT concat(indisprimary, indisunique, substring(pg_get_indexdef(indexrelid) from ' USING .*'))
    ) AS described (definition)
    WHERE indrelid = to_regclass(%s)
"""

_SEQUENCES = """
    SELECT attname, relname
    FROM pg_depend
    JOIN pg_class ON pg_class.oid = objid AND relkind = 'S'
    JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
    WHERE refobjid = to_regclass(%s) AND deptype = 'i'
"""


def in_the_way(connection: sa.Connection, table: Name, trigger_function: Name) -> list[str]:
    """Return, described, what depends on the table and could not be handed on; triggers of a function do not count."""
    values = {"table": quoted(table), "besides": quoted(trigger_function)}
    return list(connection.exec_driver_sql(_IN_THE_WAY, values).scalars())


def hand_on_comment_and_grants(connection: sa.Connection, old: Name, new: Name) -> None:
    """Give a table the comment and the grants of another, and no other grants."""
    found = connection.exec_driver_sql(_COMMENT_AND_GRANTS, {"old": quoted(old), "new": quoted(new)})
    for _, statement in found.all():
        execute_text(connection, statement)


def statements_of_views(connection: sa.Connection, table: Name) -> list[str]:
    """Return the statements that make the table's views read whichever table has its name then."""
    return list(connection.exec_driver_sql(_VIEWS, (quoted(table),)).scalars())


def put_in_place(connection: sa.Connection, old: Name, new: Name, kept_as: str) -> None:
    """Give the old table another name, and its own to the new one; indexes and sequences likewise.

    The new table's sequences go on where the old ones' stood.
    """
    kinds: tuple[tuple[str, _Kind], ...] = ((_INDEXES, "INDEX"), (_SEQUENCES, "SEQUENCE"))
    for query, kind in kinds:
        olds, news = (_named(connection, query, table) for table in (old, new))
        for what, name in olds.items():
            if kind == "SEQUENCE":
                execute(
                    connection,
                    "SELECT setval(%s, last_value, is_called) FROM {old}",
                    [quoted(new.beside(news[what]))],
                    old=old.beside(name),
                )
            _rename(connection, kind, old.beside(name), name + _SPARE_END)
            _rename(connection, kind, new.beside(news[what]), name)
    _rename(connection, "TABLE", old, kept_as)
    _rename(connection, "TABLE", new, old.name)


def _named(connection: sa.Connection, query: str, table: Name) -> dict[str, str]:
    return dict(map(tuple, connection.exec_driver_sql(query, (quoted(table),))))


def _rename(connection: sa.Connection, kind: _Kind, of: Name, name: str) -> None:
    execute(connection, "ALTER {kind} {of} RENAME TO {name}", kind=sql.SQL(kind), of=of, name=name)
