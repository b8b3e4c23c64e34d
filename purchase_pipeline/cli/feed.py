"""The feed that a command works on: `-m` and `--feed` of the command line."""

import click

from purchase_pipeline.cli.outcome import chosen_module
from purchase_pipeline.feeds.feed import Feed
from purchase_pipeline.feeds.find import find_feed
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


def unknown_batch(feed: Feed, key: str) -> click.UsageError:
    """Return the error of a batch that a feed does not have."""
    keys = feed.partitions.get_partition_keys() if feed.partitions else []
    known = f"it has {keys[0]} to {keys[-1]}" if keys else "it has none"
    return click.UsageError(f"Unknown batch {key!r}; {feed.name} has no such partition: {known}.")
