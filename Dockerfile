# One image for all commands. Build: docker build --build-arg VERSION=... --build-arg REVISION=... .
# A release pins the base: --build-arg PYTHON_IMAGE=docker.io/library/python@sha256:... --build-arg BASE_DIGEST=sha256:...
# Debian, not Alpine: confluent-kafka's wheels need glibc >= 2.28.
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
WORKDIR /src
# Two environments: what builds the wheel never reaches the final image. Both stand before the source,
# so a change of the source fetches nothing again.
COPY requirements/build.txt requirements/run.txt requirements/
RUN python3 -m venv /build \
 && /build/bin/pip install --require-hashes --only-binary :all: -r requirements/build.txt \
 && python3 -m venv --without-pip /app \
 && /build/bin/pip --python /app/bin/python install --require-hashes --only-binary :all: -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY connector connector
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /build/bin/pip --python /app/bin/python install --no-deps --no-index /wheels/*.whl

# The Python packages of the image as CycloneDX: docker build --target sbom --output type=local,dest=. .
FROM build AS inventory
COPY requirements/sbom.txt requirements/
RUN python3 -m venv --without-pip /sbom \
 && /build/bin/pip --python /sbom/bin/python install --no-compile --require-hashes --only-binary :all: -r requirements/sbom.txt \
 && /sbom/bin/cyclonedx-py environment --output-reproducible --output-file /sbom.cdx.json /app/bin/python

FROM scratch AS sbom
COPY --from=inventory /sbom.cdx.json /

FROM ${PYTHON_IMAGE}
ARG PYTHON_IMAGE
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG SOURCE=unknown
ARG BASE_DIGEST=unknown
LABEL org.opencontainers.image.title="extend-kafka-connector" \
      org.opencontainers.image.description="Document references in from Kafka, Extend runs bought once and followed, Avro results out." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}" \
      org.opencontainers.image.base.digest="${BASE_DIGEST}"
# Nothing in the image installs anything, so the base's pip goes. librdkafka carries an OpenSSL of its own, which
# needs the system's certificates: a base without them fails here and not at the first TLS connection.
RUN if python3 -m pip --version >/dev/null 2>&1; then python3 -m pip uninstall --yes --root-user-action=ignore pip; fi \
 && test -s /etc/ssl/certs/ca-certificates.crt \
 && mkdir -p /etc/extend-connector
COPY --from=build /app /app
# Bytecode was written by pip above; a read-only root could not take more. MALLOC_ARENA_MAX keeps glibc from
# holding one arena per thread.
ENV PATH=/app/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONFAULTHANDLER=1 \
    PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=2
# Where the chart mounts connector.yaml, so that the default of --config finds it in a plain `docker run` too. It is made
# above: not every builder makes it here, and a read-only root cannot take a mount point later.
WORKDIR /etc/extend-connector
# Numeric, so that Kubernetes can prove runAsNonRoot.
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["extend-connector"]
CMD ["run"]
