"""Alerts of failing feeds: what fails, what was announced of it, and the channels that deliver it."""
