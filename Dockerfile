# Pagewire, one process, as a user without rights. With DATABASE_URL it uses that PostgreSQL; without, it keeps one of its
# own in the volume. docs/operations.md says what else it wants.

FROM debian:trixie-slim AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv
WORKDIR /pagewire
COPY requirements.lock ./
RUN python3 -m venv .venv \
    && .venv/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary :all: --require-hashes -r requirements.lock

FROM debian:trixie-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --home-dir /var/lib/pagewire --shell /usr/sbin/nologin pagewire
WORKDIR /pagewire
COPY --from=build /pagewire/.venv .venv
COPY . .
RUN python3 -m compileall -q *.py accounts delivery documents edge extraction index messages postgres search upkeep
USER pagewire
ENV PATH=/pagewire/.venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    PORT=8000 \
    DATA_DIR=/var/lib/pagewire/data \
    UPLOAD_DIR=/var/lib/pagewire/uploads
VOLUME /var/lib/pagewire
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["python", "main.py"]
