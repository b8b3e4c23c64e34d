"""What Dagster reads in the local stack's configuration: what it retries, how many runs at once, and for how long."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from purchase_pipeline.settings import Settings
from purchase_pipeline.stack.dagster_instance import dagster_environment, open_instance


def test_a_dead_run_is_retried_twice_and_a_failed_step_never_and_none_lasts_for_ever(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = SecretStr(database_url)
    settings = Settings(home=tmp_path / "home", database_url=url, dagster_postgres_url=url)
    for name, value in dagster_environment(settings).items():
        monkeypatch.setenv(name, value)  # opening sets them too

    with open_instance(settings) as instance:
        retries = (instance.run_retries_max_retries, instance.run_retries_retry_on_asset_or_op_failure)
        concurrency = instance.get_concurrency_config()
        runs = concurrency.run_queue_config
        monitoring = instance.get_settings("run_monitoring")

    assert instance.run_retries_enabled
    assert retries == (2, False)
    assert runs is not None
    assert runs.max_concurrent_runs == concurrency.pool_config.default_pool_limit == 2
    assert (monitoring["enabled"], monitoring["max_runtime_seconds"]) == (True, 900)
