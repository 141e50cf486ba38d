"""The proxy between workers and brokers: it passes on what it should, and holds or loses what it is told to."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.chaos.proxy import END_TXN, PRODUCE, TXN_OFFSET_COMMIT, KafkaProxy, Request, Rule, head_of
from tests.ports import HOST

SECONDS = 10.0


def request(api_key: int, correlation_id: int, client_id: str = "worker") -> bytes:
    name = client_id.encode()
    head = api_key.to_bytes(2, "big") + (1).to_bytes(2, "big") + correlation_id.to_bytes(4, "big")
    return head + len(name).to_bytes(2, "big") + name + b"body"


def framed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def read_frame(connection: socket.socket) -> bytes:
    with connection.makefile("rb", buffering=0) as file:
        length = int.from_bytes(_exactly(file.read, 4), "big")
        return _exactly(file.read, length)


def _exactly(read: Callable[[int], bytes | None], count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = read(count - len(data))
        if not part:
            raise EOFError
        data += part
    return data


class FakeBroker:
    """Answers every request with its correlation id, and remembers what it got."""

    def __init__(self) -> None:
        self.got: list[Request] = []
        self._listener = socket.create_server((HOST, 0))
        self.port = self._listener.getsockname()[1]
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._answer, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            while True:
                try:
                    head = head_of(read_frame(connection))
                    self.got.append(head)
                    connection.sendall(framed(head.correlation_id.to_bytes(4, "big") + b"answer"))
                except (EOFError, OSError):
                    return

    def drop_clients(self) -> None:
        for connection in self._connections:
            connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(SECONDS)


@pytest.fixture
def broker() -> Iterator[FakeBroker]:
    broker = FakeBroker()
    yield broker
    broker.close()


@pytest.fixture
def proxy(broker: FakeBroker) -> Iterator[KafkaProxy]:
    with KafkaProxy(1) as proxy:
        proxy.aim([broker.port])
        yield proxy


@pytest.fixture
def client(proxy: KafkaProxy) -> Iterator[socket.socket]:
    with socket.create_connection((HOST, proxy.ports[0]), SECONDS) as client:
        yield client


def ask(client: socket.socket, api_key: int, correlation_id: int) -> None:
    client.sendall(framed(request(api_key, correlation_id)))


def answered(client: socket.socket) -> int:
    return int.from_bytes(read_frame(client)[:4], "big")


def test_the_head_of_a_request_is_read() -> None:
    assert head_of(request(END_TXN, 7, "worker-1")) == Request(END_TXN, 1, 7, "worker-1")
    assert head_of(b"\0\x12\0\3\0\0\0\1\xff\xff") == Request(18, 3, 1, "")


def test_what_no_rule_names_passes_both_ways(proxy: KafkaProxy, broker: FakeBroker, client: socket.socket) -> None:
    proxy.add(Rule(END_TXN, "lose request"))
    for number in range(3):
        ask(client, PRODUCE, number)
        assert answered(client) == number

    assert [each.api_key for each in broker.got] == [PRODUCE] * 3
    assert proxy.hits == []
    assert proxy.seen == {PRODUCE: 3}
    assert proxy.last_broker == {PRODUCE: 1}


def test_a_lost_request_never_arrives_and_the_next_one_does(
    proxy: KafkaProxy,
    broker: FakeBroker,
    client: socket.socket,
) -> None:
    proxy.add(rule := Rule(TXN_OFFSET_COMMIT, "lose request"))
    ask(client, TXN_OFFSET_COMMIT, 1)
    ask(client, TXN_OFFSET_COMMIT, 2)

    assert answered(client) == 2
    assert [each.correlation_id for each in broker.got] == [2]
    assert [hit.request.correlation_id for hit in proxy.hit_by(rule)] == [1]


def test_a_lost_answer_was_carried_out(proxy: KafkaProxy, broker: FakeBroker, client: socket.socket) -> None:
    proxy.add(Rule(END_TXN, "lose answer"))
    ask(client, END_TXN, 1)
    ask(client, PRODUCE, 2)

    assert answered(client) == 2
    assert [each.correlation_id for each in broker.got] == [1, 2]


def test_a_held_request_holds_what_follows_it(proxy: KafkaProxy, broker: FakeBroker, client: socket.socket) -> None:
    proxy.add(Rule(END_TXN, "delay", seconds=0.5))
    begun = time.monotonic()
    ask(client, END_TXN, 1)
    ask(client, PRODUCE, 2)

    assert [answered(client), answered(client)] == [1, 2]
    assert time.monotonic() - begun >= 0.5
    assert [each.correlation_id for each in broker.got] == [1, 2]


def test_a_held_request_arrives_although_its_client_has_given_up(
    proxy: KafkaProxy,
    broker: FakeBroker,
    client: socket.socket,
) -> None:
    proxy.add(rule := Rule(END_TXN, "delay", seconds=0.5))
    ask(client, END_TXN, 1)
    wait_until(lambda: bool(proxy.hit_by(rule)))
    client.close()
    assert broker.got == []

    wait_until(lambda: bool(broker.got))


def test_a_spent_or_dropped_rule_hits_nothing(proxy: KafkaProxy, broker: FakeBroker, client: socket.socket) -> None:
    proxy.add(Rule(END_TXN, "lose answer", count=2))
    proxy.add(Rule(PRODUCE, "lose request"))
    for number in range(3):
        ask(client, END_TXN, number)
    assert answered(client) == 2
    proxy.clear()
    ask(client, PRODUCE, 3)

    assert answered(client) == 3
    assert len(broker.got) == 4


def test_a_client_hears_that_its_broker_is_gone(proxy: KafkaProxy, broker: FakeBroker, client: socket.socket) -> None:
    ask(client, PRODUCE, 1)
    assert answered(client) == 1
    broker.drop_clients()
    with pytest.raises((EOFError, ConnectionError)):
        read_frame(client)

    proxy.aim([1])  # nobody listens there
    with (
        socket.create_connection((HOST, proxy.ports[0]), SECONDS) as another,
        pytest.raises((EOFError, ConnectionError)),
    ):
        read_frame(another)


def wait_until(holds: Callable[[], bool], within: float = SECONDS) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
