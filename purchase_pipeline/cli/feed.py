"""The feed that a command works on: `-m` and `--feed` of the command line."""

import click

from purchase_pipeline.cli.outcome import chosen_module
from purchase_pipeline.feeds.feed import Feed
from purchase_pipeline.feeds.find import find_feed, find_feeds
from purchase_pipeline.purchases import purchases
from purchase_pipeline.settings import Settings


def chosen_feed(settings: Settings) -> Feed:
    """Return the feed that the command line names; by default the purchases.

    Raises:
        UnknownFeedError: there is no such feed.
    """
    module, name = chosen_module(), click.get_current_context().find_root().params.get("feed")
    own = purchases(settings)
    if module is None and name in {None, own.name}:
        return own
    return find_feed(module or "purchase_pipeline.definitions", name)


def chosen_feeds(settings: Settings) -> list[Feed]:
    """Return the feed that the command line names, or else all feeds of its module.

    Raises:
        UnknownFeedError: there is no such feed.
    """
    module, name = chosen_module(), click.get_current_context().find_root().params.get("feed")
    return [chosen_feed(settings)] if module is None or name is not None else find_feeds(module)


def require_partition(feed: Feed, key: str) -> None:
    """Refuse a partition that the feed does not have.

    Raises:
        click.UsageError: there is no such partition.
    """
    if not feed.has_partition(key):
        keys = feed.partitions.get_partition_keys() if feed.partitions else []
        known = f"it has {keys[0]} to {keys[-1]}" if keys else "it has none"
        raise click.UsageError(f"Unknown batch {key!r}; {feed.name} has no such partition: {known}.")
