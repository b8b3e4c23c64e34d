"""Tests of the running stack of docker-compose.yml: `make compose-test`."""
