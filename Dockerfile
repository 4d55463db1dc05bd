# Nengliu as an image: one command, `nengliu`; docker-compose.yml says which part a container runs.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
RUN python -m venv /opt/nengliu
WORKDIR /src
COPY requirements/run.txt requirements/run.txt
RUN /opt/nengliu/bin/python -m pip install --only-binary=:all: --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY nengliu nengliu
COPY flows flows
COPY acquisition acquisition
COPY dashboards dashboards
COPY schemas schemas
RUN /opt/nengliu/bin/python -m pip install --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/nengliu --create-home nengliu
COPY --from=build /opt/nengliu /opt/nengliu
ENV PATH=/opt/nengliu/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NENGLIU_HOME=/var/lib/nengliu
USER nengliu
WORKDIR /var/lib/nengliu
VOLUME /var/lib/nengliu
EXPOSE 8501
ENTRYPOINT ["nengliu"]
CMD ["up", "--host", "0.0.0.0"]
