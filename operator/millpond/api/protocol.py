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


GRPC_FAILURES = (2, 4, 12, 13, 14, 15)
"""Statuses of calls of gRPC that are the server's fault, since `google/rpc/code.proto` maps them to 5xx: UNKNOWN,
DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS."""
