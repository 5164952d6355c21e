"""A gRPC server without generated code, and a client of it: bytes in, bytes out."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from router.world import HOST, Server

ECHO, COUNT, FAIL, BREAK = "/shop.Cart/Echo", "/shop.Cart/Count", "/shop.Cart/Fail", "/shop.Cart/Break"


class GrpcServer(Server):
    """Echo answers what it got after its own name; Count counts to what it got; Fail ends with that status code,
    Break with INTERNAL after it has begun to answer."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._grpc: Any = None

    async def start(self) -> None:
        handlers = {
            "Echo": grpc.unary_unary_rpc_method_handler(self._echo),
            "Count": grpc.unary_stream_rpc_method_handler(self._count),
            "Fail": grpc.unary_unary_rpc_method_handler(self._fail),
            "Break": grpc.unary_stream_rpc_method_handler(self._break),
        }
        self._grpc = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        self._grpc.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Cart", handlers),))
        self._grpc.add_insecure_port(self.address)
        await self._grpc.start()

    async def stop(self) -> None:
        await self._grpc.stop(0)

    async def _echo(self, request: bytes, context: Any) -> bytes:
        self.requests += 1
        return self.name.encode() + b" " + request

    async def _count(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        """A number every 50 ms."""
        self.requests += 1
        self.active += 1
        try:
            for number in range(int(request)):
                yield str(number).encode()
                await asyncio.sleep(0.05)
        finally:
            self.active -= 1

    async def _fail(self, request: bytes, context: Any) -> bytes:
        code = next(code for code in grpc.StatusCode if code.name == request.decode())
        await context.abort(code, "as wanted")
        raise AssertionError("aborted")

    async def _break(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        self.requests += 1
        yield b"so far"
        await context.abort(grpc.StatusCode.INTERNAL, "no further")


def channel(address: str, *, authorities: bytes | None = None, host: str = HOST) -> Any:
    """To a router, as its user who asks for `host`; by TLS when the authorities (PEM) are given."""
    options = [("grpc.default_authority", host), ("grpc.ssl_target_name_override", host)]
    if authorities is None:
        return grpc.aio.insecure_channel(address, options[:1])
    return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(authorities), options[1:])


async def echo(line: Any, text: bytes = b"hello") -> bytes:
    found: bytes = await line.unary_unary(ECHO)(text, timeout=10)
    return found


async def status(line: Any, method: str, text: bytes) -> grpc.StatusCode:
    try:
        await line.unary_unary(method)(text, timeout=10)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK
