"""The stack of docker-compose.yml, run: `make compose-test`."""
