"""When the sales assets are made anew: Dagster's declarative automation, in place of a schedule."""

from typing import Any

import dagster as dg

GROUP = "sales"
_SECONDS_BETWEEN_LOOKS = 30

_Condition = dg.AutomationCondition[Any]


def when_a_lot_was_loaded() -> _Condition:
    """Return the condition of what is summed lot by lot: a lot is new, was loaded again, or has never been summed.

    One that could not be summed waits for a person, or for its lot to be loaded again: it would fail again.
    """
    missing = dg.AutomationCondition.missing() & ~dg.AutomationCondition.execution_failed()
    loaded = dg.AutomationCondition.any_deps_updated().since_last_handled()
    may_run = ~dg.AutomationCondition.any_deps_missing() & ~dg.AutomationCondition.in_progress()
    return ((loaded | missing) & may_run).with_label("a lot was loaded")


def when_updated(*but: dg.AssetKey) -> _Condition:
    """Return the condition of what is made as a whole: something that it is made from has changed, but for some.

    `eager()` would wait until every lot is there, and nothing is in progress: that is the end of the campaign. What
    somebody wiped waits for it, unless a lot comes first.
    """
    updated = dg.AutomationCondition.any_deps_updated()
    if but:
        updated = updated.ignore(dg.AssetSelection.assets(*but))
    missing = dg.AutomationCondition.missing() & ~dg.AutomationCondition.any_deps_missing()
    may_run = ~dg.AutomationCondition.in_progress()
    wiped = missing & ~dg.AutomationCondition.execution_failed()
    return ((updated.since_last_handled() | wiped) & may_run).with_label("has new lots")


stale_sales = dg.AutomationConditionSensorDefinition(
    "stale_sales",
    target=dg.AssetSelection.groups(GROUP),
    description="Sums up lots that were loaded, all that are new in one run, then makes marts and report anew.",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=_SECONDS_BETWEEN_LOOKS,
    run_tags={"dagster/priority": "-1"},  # lots go first
)
