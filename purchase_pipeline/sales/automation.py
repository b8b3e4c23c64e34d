"""When the sales assets are updated: declarative automation conditions and their sensor."""

from typing import Any

import dagster as dg

GROUP = "sales"
_INTERVAL_SECONDS = 30

_Condition = dg.AutomationCondition[Any]


def when_batch_loaded() -> _Condition:
    """Return the condition for per-batch sums: the batch is new, was reloaded, or has never been aggregated.

    After a failure, the batch waits until it is reloaded or materialized by hand: it would fail again.
    """
    missing = dg.AutomationCondition.missing() & ~dg.AutomationCondition.execution_failed()
    loaded = dg.AutomationCondition.any_deps_updated().since_last_handled()
    may_run = ~dg.AutomationCondition.any_deps_missing() & ~dg.AutomationCondition.in_progress()
    return ((loaded | missing) & may_run).with_label("a batch was loaded")


def when_updated(*ignored: dg.AssetKey) -> _Condition:
    """Return the condition for unpartitioned assets: an upstream asset, other than those ignored, was updated.

    `eager()` would wait until every batch is loaded and none is in progress. A wiped asset waits for that, unless
    another batch is loaded first. After a failure no upstream asset is ignored: it may have been missing, as one that
    is new in this version while a run of the earlier version was still queued.
    """
    any_updated = dg.AutomationCondition.any_deps_updated()
    updated: _Condition = any_updated
    if ignored:
        after_failure = any_updated & dg.AutomationCondition.execution_failed()
        updated = any_updated.ignore(dg.AssetSelection.assets(*ignored)) | after_failure
    missing = dg.AutomationCondition.missing() & ~dg.AutomationCondition.any_deps_missing()
    may_run = ~dg.AutomationCondition.in_progress()
    wiped = missing & ~dg.AutomationCondition.execution_failed()
    return ((updated.since_last_handled() | wiped) & may_run).with_label("has new batches")


stale_sales = dg.AutomationConditionSensorDefinition(
    "stale_sales",
    target=dg.AssetSelection.groups(GROUP),
    description="Aggregates newly loaded batches, all in one run, then updates the marts and the report.",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=_INTERVAL_SECONDS,
    run_tags={"dagster/priority": "-1"},  # batches have priority
)
