"""Run launchers: local processes, or Celery tasks on several machines."""
