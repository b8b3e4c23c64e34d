"""An empty Dagster run: two assets that do nothing, one after the other."""

import dagster as dg


@dg.asset
def first() -> None:  # noqa: D103  # Dagster would parse it at every run
    pass


@dg.asset(deps=[first])
def second() -> None:  # noqa: D103
    pass


defs = dg.Definitions(
    assets=[first, second],
    jobs=[dg.define_asset_job("empty", dg.AssetSelection.assets(first, second))],
    executor=dg.in_process_executor,
)
