# One image for every service; the command says which one it is (`tsunagu serve referral`).

FROM python:3.11.14-slim-bookworm AS build
WORKDIR /build
COPY requirements.lock ./
# Everything the lock names is fetched and checked against its hashes …
RUN python -m pip download --quiet --require-hashes --dest /wheels --requirement requirements.lock \
 && python -m pip install --quiet --upgrade --no-index --find-links /wheels setuptools
COPY pyproject.toml README.md ./
COPY schemas schemas
COPY runtime runtime
COPY wards wards
COPY services services
COPY partners partners
COPY watch watch
COPY demo demo
# … and of that only what the services need is installed: no test tools in production.
RUN python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels . \
 && python -m venv /opt/tsunagu \
 && /opt/tsunagu/bin/python -m pip install --quiet --no-index --find-links /wheels tsunagu

FROM python:3.11.14-slim-bookworm
# Volumes mounted here take this owner.
RUN useradd --system --uid 10001 --home-dir /var/lib/tsunagu --shell /usr/sbin/nologin tsunagu \
 && install --directory --owner tsunagu --group tsunagu --mode 0700 /var/lib/tsunagu \
 && install --directory --owner tsunagu --group tsunagu --mode 0755 /var/lib/tsunagu-public
COPY --from=build /opt/tsunagu /opt/tsunagu
COPY --chmod=755 deploy/entrypoint.sh deploy/healthcheck.py /usr/local/lib/tsunagu/
ENV PATH="/opt/tsunagu/bin:${PATH}" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER tsunagu
WORKDIR /var/lib/tsunagu
ENTRYPOINT ["/usr/local/lib/tsunagu/entrypoint.sh"]
CMD ["tsunagu", "--help"]
