"""Run launchers: runs as processes of this machine, or as Celery tasks on several."""
