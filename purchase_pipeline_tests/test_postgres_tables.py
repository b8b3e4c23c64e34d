"""Concurrent writers create a table once."""

from threading import Barrier, Thread

import sqlalchemy as sa

from purchase_pipeline.postgres.schema.tables import create_if_missing


def test_many_writers_at_once_create_a_table_and_its_schema_once(engine: sa.Engine) -> None:
    table = sa.Table("parcels", sa.MetaData(schema="depot"), sa.Column("label", sa.Text))
    writers = 8
    start, failures = Barrier(writers), list[Exception]()

    def create() -> None:
        start.wait()
        try:
            with engine.begin() as connection:
                create_if_missing(connection, [table])
        except sa.exc.SQLAlchemyError as error:
            failures.append(error)

    threads = [Thread(target=create) for _ in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert sa.inspect(engine).get_table_names("depot") == ["parcels"]
