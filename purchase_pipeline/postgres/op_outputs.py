"""Outputs of ops, which have no asset key. Each has its own table, which holds the rows of the last run."""

import hashlib
from collections.abc import Iterator

import dagster as dg
import sqlalchemy as sa

from purchase_pipeline.postgres.dagster_internals import TableSlice
from purchase_pipeline.postgres.errors import OutputReplacedError, PostgresWriteError, UnusableMetadataError
from purchase_pipeline.postgres.schema.tables import LONGEST_NAME, inspector_of
from purchase_pipeline.postgres.slices.ledger import LEDGER_NAME, ledger_table

_UNNAMED = "result"  # Dagster's name for the output of an op that names none


def table_of_output(output: dg.OutputContext, reader: dg.InputContext | dg.OutputContext) -> str:
    """Return the table of an op's output: its name if unique in the job, else prefixed with its step.

    `reader` is the context of the step: the output itself, or the input that reads it.

    Raises:
        UnusableMetadataError: several outputs of the job have the same "table", and would replace each other's rows.
    """
    named = (output.definition_metadata or {}).get("table")
    if named and not _is_replace(output):
        return str(named)
    table = str(named or output.name)
    sharing = _table_names(_job_of(reader)).count(table)
    if named and sharing > 1:
        raise UnusableMetadataError(
            f'Metadata "table" is {named!r}, the table of {sharing} outputs or assets of this job, which would '
            'replace each other\'s rows. Give each a table of its own, or "write_mode": "append".'
        )
    op, bracket, mapped = output.step_key.partition("[")
    if not named and (table == _UNNAMED or sharing > 1):
        table = f"{op}.{table}"
    keys = [f"[{mapped}"] if bracket else []
    return _truncated("".join([table, *keys, f"[{output.mapping_key}]" if output.mapping_key else ""]))


def ledger_name_of_output(table: str) -> str:
    """Return an op output's name in the ledger. No asset key looks like it."""
    return f"op output: {table}"


def reject_table_of_asset(connection: sa.Connection, table_slice: TableSlice) -> None:
    """Reject an op's output whose table is written by an asset.

    Raises:
        PostgresWriteError: the table belongs to an asset.
    """
    ledger = ledger_table(table_slice.schema)
    if not inspector_of(connection).has_table(LEDGER_NAME, schema=table_slice.schema):
        return
    key = dg.AssetKey([table_slice.table]).to_escaped_user_string()
    of_asset = sa.or_(ledger.c.asset == key, ledger.c.asset.endswith(f"/{key}", autoescape=True))
    asset = connection.execute(sa.select(ledger.c.asset).where(of_asset).limit(1)).scalar()
    if asset is not None:
        raise PostgresWriteError(
            f"table {table_slice.schema}.{table_slice.table} belongs to asset {asset!r} (see {ledger}); an "
            "op's output of that name would replace its rows. Nothing was changed. Give the output another name, "
            '@op(out={"name": dg.Out()}), or another table, metadata={"table": "name"}.'
        )


def require_run(connection: sa.Connection, table_slice: TableSlice, output: dg.OutputContext) -> None:
    """Check that the rows read so far are those of the output's own run.

    Raises:
        OutputReplacedError: another run has replaced it.
    """
    if not _is_replace(output):  # readers get the rows of all runs
        return
    ledger = ledger_table(table_slice.schema)
    entry = ledger.c.asset == ledger_name_of_output(table_slice.table)
    run_id = connection.execute(sa.select(ledger.c.run_id).where(entry)).scalar()
    if run_id != output.run_id:
        raise OutputReplacedError(f"{table_slice.schema}.{table_slice.table}", output.run_id, run_id)


def _is_replace(output: dg.OutputContext) -> bool:
    return bool((output.definition_metadata or {}).get("write_mode", "replace") == "replace")


def _job_of(context: dg.InputContext | dg.OutputContext) -> dg.JobDefinition | None:
    try:
        return context.step_context.job_def
    except dg.DagsterInvariantViolationError:  # a context built by hand, in a test, has none
        return None


def _table_names(job: dg.JobDefinition | None) -> list[str]:
    """Return the default table names of a job's op outputs and assets."""
    if job is None:
        return []
    return [*_outputs_of(job.graph), *(key.path[-1] for key in job.asset_layer.executable_asset_keys)]


def _outputs_of(graph: dg.GraphDefinition) -> Iterator[str]:
    for node in graph.nodes:
        if isinstance(node.definition, dg.GraphDefinition):
            yield from _outputs_of(node.definition)
        else:
            yield from (
                str(output.metadata.get("table") or output.name) for output in node.definition.output_defs
            )


def _truncated(name: str) -> str:
    """Return a name that PostgreSQL does not truncate: a long one is cut and ends with a digest."""
    if len(name.encode()) <= LONGEST_NAME:
        return name
    digest = hashlib.blake2b(name.encode(), digest_size=6).hexdigest()
    return f"{name.encode()[: LONGEST_NAME - 13].decode(errors='ignore')}~{digest}"
