"""`PostgresIOManager` with a promise broken: a class for each way, or a change of the frames that it writes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pandas as pd
import sqlalchemy as sa

from io_manager_conformance import PartitionExpr
from purchase_pipeline_tests.postgres_subject import PandasOnPostgres


@dataclass
class Broken(dg.IOManager):
    """Passes everything to the sound one."""

    sound: dg.IOManager
    engine: sa.Engine

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:  # noqa: ANN401  (of any type)
        self.sound.handle_output(context, obj)

    def load_input(self, context: dg.InputContext) -> object:
        return self.sound.load_input(context)

    def execute(self, statement: str, context: dg.OutputContext, **values: object) -> None:
        """Execute a statement about the asset's table in a transaction of its own, if there is the table."""
        table = context.asset_key.path[-1]
        with self.engine.begin() as connection:
            if sa.inspect(connection).has_table(table):
                connection.execute(sa.text(statement.format(table=table)), values)


class ClearsInAnotherTransaction(Broken):
    """Deletes the old rows in a transaction of its own."""

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:  # noqa: ANN401
        if context.has_asset_partitions:
            keys = list(context.asset_partition_keys)
            self.execute("DELETE FROM {table} WHERE shop = ANY(:keys)", context, keys=keys)
        else:
            self.execute("DELETE FROM {table}", context)
        super().handle_output(context, obj)


class ClearsOtherPartitions(Broken):
    """Deletes the rows of all other partitions."""

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:  # noqa: ANN401
        super().handle_output(context, obj)
        if context.has_partition_key:
            self.execute("DELETE FROM {table} WHERE shop <> :key", context, key=context.partition_key)


class Appends(Broken):
    """Keeps the old rows."""

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:  # noqa: ANN401
        self.execute("CREATE TABLE old AS TABLE {table}", context)
        super().handle_output(context, obj)
        if sa.inspect(self.engine).has_table("old"):
            self.execute("INSERT INTO {table} TABLE old", context)
            self.execute("DROP TABLE old", context)


class SkipsEmptyFrames(Broken):
    """Takes a frame without rows for nothing to do."""

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:  # noqa: ANN401
        if len(obj):
            super().handle_output(context, obj)


class SwallowsErrors(Broken):
    """Logs errors, and goes on."""

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:  # noqa: ANN401
        try:
            super().handle_output(context, obj)
        except Exception as error:  # noqa: BLE001  (that is what is wrong with it)
            context.log.info(str(error))


class FitsFramesToTheTable(Broken):
    """Gives columns the names of the table's, by position, and drops those beyond."""

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:  # noqa: ANN401
        inspector, table = sa.inspect(self.engine), context.asset_key.path[-1]
        if inspector.has_table(table):
            names = [column["name"] for column in inspector.get_columns(table)]
            obj = obj.iloc[:, : len(names)].set_axis(names[: obj.shape[1]], axis="columns")
        super().handle_output(context, obj)


class ReadsEveryPartition(Broken):
    """Reads the whole table, whatever is asked for."""

    def load_input(self, context: dg.InputContext) -> object:
        return pd.read_sql_table(context.asset_key.path[-1], self.engine)


@dataclass
class ChangesFrames(Broken):
    """Writes something else than it was given."""

    change: Callable[[pd.DataFrame], pd.DataFrame]

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:  # noqa: ANN401
        super().handle_output(context, self.change(obj))


def changes_values(of_type: type, change: Callable[[Any], object]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return a change of frames: of the values of one type."""

    def changed(value: object) -> object:
        return change(value) if isinstance(value, of_type) else value

    def change_frame(frame: pd.DataFrame) -> pd.DataFrame:
        columns = {name: pd.Series([changed(value) for value in frame[name]]) for name in frame}
        return pd.DataFrame(columns) if len(frame) else frame

    return change_frame


@dataclass
class BrokenOnPostgres(PandasOnPostgres):
    """A broken IO manager as a subject."""

    broken: Callable[[dg.IOManager, sa.Engine], Broken]

    def io_manager(self, schema: str | None = None, partition_expr: PartitionExpr = None) -> Any:  # noqa: ANN401
        sound = super().io_manager(schema, partition_expr)

        def broken(context: dg.InitResourceContext) -> Iterator[Broken]:
            with sound.yield_for_execution(context) as manager:
                yield self.broken(manager, self.engine)

        return dg.IOManagerDefinition(broken)  # type: ignore[arg-type]  # a generator, as for any resource
