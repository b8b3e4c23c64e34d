"""What Dagster's UI says about the assets of a feed: what a table is, where its rows come from, what identifies one."""

from collections.abc import Iterable, Mapping

import dagster as dg
import sqlalchemy as sa

from purchase_pipeline.feeds.declaration import FeedDeclaration
from purchase_pipeline.ingest.sources.http import HttpSource

LEDGER = "`slice_ledger`"


def described(summary: str, facts: Mapping[str, str]) -> str:
    """Return a description in Markdown: a summary, which the catalog shows alone, then a list of facts."""
    listed = "\n".join(f"- **{name}:** {fact}" for name, fact in facts.items())
    return f"{summary.removesuffix('.')}.\n\n{listed}"


def names(columns: Iterable[str]) -> str:
    """Return names as a list in Markdown."""
    return ", ".join(f"`{name}`" for name in columns)


def api_description(feed: FeedDeclaration) -> str:
    """Describe where the rows come from, and how often they are requested."""
    what = "API" if isinstance(feed.source, HttpSource) else "function"
    if feed.partitions is not None:
        each = "one request, or series of pages, for each partition"
    elif feed.since is not None:
        each = f"each load continues after the greatest `{feed.since.field}` of the one before"
    else:
        each = "everything, at each load"
    return described(
        f"The {what} that the rows of {feed.name} come from",
        {"Requested": each, "Lands in": f"`{feed.raw_asset}`"},
    )


def with_raw_facts(feed: FeedDeclaration, raw: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """Add to the description of the raw partitions what depends on the feed."""
    facts = {
        "Source": f"`{feed.api_asset}`",
        "Grain": "one file for each load" if feed.partitions is None else "one file for each partition",
        "Validated into": names(table.name for table in feed.tables.both),
    }
    return raw.map_asset_specs(
        lambda spec: spec.replace_attributes(description=described(spec.description or "", facts))
    )


def table_description(feed: FeedDeclaration, table: sa.Table) -> str:
    """Describe the table of accepted rows, or the quarantine."""
    accepted, rejected = feed.tables.both
    contract = f"`{feed.tables.contract.__name__}`"
    facts = {"Source": f"`{feed.raw_asset}`, as received from `{feed.api_asset}`"}
    if table is accepted:
        unit = "key, in its last version" if feed.write.mode == "upsert" else "row received"
        facts["Grain"] = f"one row for each {unit}, if valid by the contract {contract}"
    else:
        facts["Grain"] = f"one row for each row received that is not valid by the contract {contract}"
    facts["Key"] = names(column.name for column in table.primary_key.columns)
    facts["Written"] = _how_written(feed, table)
    other, which = (rejected, "Rejected rows") if table is accepted else (accepted, "Valid rows")
    facts[which] = f"`{other.name}`"
    return described(table.comment or table.name, facts)


def _how_written(feed: FeedDeclaration, table: sa.Table) -> str:
    """Say what a load does to the rows of the table that are there."""
    together = f"in one transaction with the other table and the {LEDGER}"
    if table is feed.tables.accepted and feed.write.mode == "upsert":
        by = f", unless they are older by `{feed.write.newest}`" if feed.write.newest else ""
        return f"rows are added, or replace those with their key{by}; {together}"
    if table is feed.tables.accepted and feed.write.mode == "insert":
        return f"rows with a new key are added, others are skipped; {together}"
    if feed.partitions is not None or feed.has_increments:
        unit = "load" if feed.partitions is None else "partition"
        return f"each {unit} (`{feed.tables.partition}`) is replaced as a whole, {together}"
    return f"replaced as a whole at each load, {together}"
