"""The operator with certificates that live for seconds, for tests that can't wait for months.

    python shortlived.py KUBECONFIG XDS HEALTH

Everything else is as `millpond operator` has it.
"""

import asyncio
import logging
import sys
from pathlib import Path

from millpond.lead.bootstrap import Operator
from millpond.lead.settings import Settings
from millpond.router.trust.authority import Lives

LEAF_S, ANNOUNCE_S, AUTHORITY_S = 18.0, 4.0, 3600.0


def settings(kubeconfig: str, xds: str, health: str) -> Settings:
    host, _, port = health.rpartition(":")
    return Settings(
        kubeconfig=Path(kubeconfig),
        xds=xds,
        lives=Lives(leaf_s=LEAF_S, announce_s=ANNOUNCE_S, authority_s=AUTHORITY_S),
        connection_age_s=1.0,
        certificates_every_s=0.5,
        health_host=host,
        health_port=int(port),
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(Operator(settings(*sys.argv[1:])).run())
