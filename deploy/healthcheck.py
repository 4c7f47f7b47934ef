"""Is the service in this container doing its part? Exit 0 if it says so: ``healthcheck.py referral``.

The services without HTTP answer ``status`` on the bus; this asks as intake's /metrics does, so it
also fails when the service lives and the way to it does not.
"""

import asyncio
import sys

import nats

from runtime.settings import Settings
from schemas.queries import AskStatus, ServiceStatus
from schemas.subjects import query, replies
from wards.load import bundled_ward, load_ward


async def is_ready(service: str, settings: Settings) -> bool:
    ward = load_ward(settings.ward or bundled_ward())
    connection = await nats.connect(
        settings.nats_url.split(","),
        user=service,
        password=settings.nats_password(service),
        inbox_prefix=replies(service).encode(),
        connect_timeout=2,
        allow_reconnect=False,
    )
    try:
        subject = query(ward.code, service, "status")
        reply = await connection.request(subject, AskStatus().to_json(), timeout=2)
        return ServiceStatus.model_validate_json(reply.data).ready
    finally:
        await connection.close()


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(is_ready(sys.argv[1], Settings.from_environment())) else 1)
