"""Homes of earlier versions: how to make one, and those that `test_upgrades.py` opens."""
