"""The socket that `spanwise annotate serve` listens on."""

import asyncio
import socket

from spanwise.cli.annotate_serve import _listening  # pyright: ignore[reportPrivateUsage]


async def _nodelay_of_an_answer(listener: socket.socket) -> int:
    told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    server = await asyncio.start_server(answer, sock=listener)
    _reader, writer = await asyncio.open_connection(*listener.getsockname())
    try:
        return await told
    finally:
        writer.close()
        server.close()


def test_small_answers_do_not_wait_for_an_acknowledgement():
    with _listening("127.0.0.1", 0) as listener:
        assert asyncio.run(_nodelay_of_an_answer(listener)) != 0
