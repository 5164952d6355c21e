"""What an app's servers speak."""

from enum import StrEnum


class Protocol(StrEnum):
    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    GRPC = "GRPC"

    @property
    def http2(self) -> bool:
        """Whether the routers speak HTTP/2 to the servers, without TLS and without asking first."""
        return self is not Protocol.HTTP
