"""The feed that a command works on."""

from purchase_pipeline.feeds.feed import Feed
from purchase_pipeline.purchases import purchases
from purchase_pipeline.settings import Settings


def chosen_feed(settings: Settings) -> Feed:
    """Return the feed that the command line names; by default the purchases."""
    return purchases(settings)
