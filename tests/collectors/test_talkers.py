"""The accounts of who used the network: nothing counts twice, nothing is lost while the kernel tells of every end."""

from hypothesis import given
from hypothesis import strategies as st

from collectors._sockets import talkers
from collectors._sockets.inetdiag import DiagSocket
from collectors._sockets.talkers import OTHER, PATIENCE, Ledger, Owner


def tcp(cookie: int, received: int = 0, sent: int = 0, *, inode: int = 1, again: int = 0) -> DiagSocket:
    local, remote = b"\x0a\0\0\1", b"\x0a\0\0\2"
    return DiagSocket(2, 1, local, 1000, remote, 443, 0, cookie, 0, inode, None, received, sent, again, 0)


def by_inode(socket: DiagSocket) -> Owner | None:
    """Sockets of inode 0 are nobody's yet."""
    return Owner(f"process:{socket.inode}", "process") if socket.inode else None


def short(socket: DiagSocket) -> Owner:
    return Owner("short:to:443", "short", name="443")


def ledger() -> Ledger:
    return Ledger(by_inode, short, lambda socket: True)


def look(accounts: Ledger, now: float, sockets: list[DiagSocket], closed: list[DiagSocket] | None = None) -> None:
    accounts.look(sockets, now)
    accounts.close(closed or [])
    accounts.settle(now)


def moved(accounts: Ledger) -> dict[str, tuple[int, int]]:
    return {row.key: (row.received, row.sent) for row in accounts.rows(500)[0] if row.kind != OTHER}


def test_what_was_before_the_first_look_does_not_count_and_later_connections_count_whole() -> None:
    accounts = ledger()
    look(accounts, 0, [tcp(1, 10**9, 10**9)], [tcp(9, 5, 5)])
    assert moved(accounts) == {"process:1": (0, 0)}
    look(accounts, 1, [tcp(1, 10**9 + 3, 10**9), tcp(2, 40, 2, inode=7)])
    assert moved(accounts) == {"process:1": (3, 0), "process:7": (40, 2)}
    assert accounts.connections[2].moved == 42
    assert accounts.outside == [43, 2]


def test_the_rest_of_one_that_was_closed_goes_to_its_owner_and_a_short_one_to_its_port() -> None:
    accounts = ledger()
    look(accounts, 0, [])
    look(accounts, 1, [tcp(1, 10, 10, inode=5)], [])
    look(accounts, 2, [], [tcp(1, 30, 11, inode=0), tcp(2, 100, 1, inode=0), tcp(3, 100, 1, inode=0, again=1)])
    assert moved(accounts) == {"process:5": (30, 11), "short:to:443": (200, 2)}
    rows = {row.key: row for row in accounts.rows(500)[0]}
    assert rows["process:5"].connections == 0 and rows["short:to:443"].retransmitted == 1


def test_the_news_of_an_end_may_come_late_but_not_too_late() -> None:
    accounts = ledger()
    look(accounts, 0, [])
    look(accounts, 1, [tcp(1, 10, 0, inode=5), tcp(2, 10, 0, inode=5)])
    look(accounts, 2, [])
    look(accounts, 3, [], [tcp(1, 25, 0, inode=0)])
    assert moved(accounts) == {"process:5": (35, 0)}
    look(accounts, 2 + PATIENCE, [])
    assert accounts.connections == {}


def test_one_that_was_missed_in_a_look_goes_on() -> None:
    accounts = ledger()
    look(accounts, 0, [tcp(1, 100, 0)])
    look(accounts, 1, [])
    look(accounts, 2, [tcp(1, 150, 0)])
    look(accounts, 3 + PATIENCE, [tcp(1, 150, 0)])
    assert moved(accounts) == {"process:1": (50, 0)}


def test_bytes_wait_until_the_owner_is_known() -> None:
    accounts = ledger()
    look(accounts, 0, [])
    look(accounts, 1, [tcp(1, 10, 0, inode=0), tcp(2, 5, 0, inode=0)])
    assert moved(accounts) == {} and accounts.outside == [15, 0]
    look(accounts, 2, [tcp(1, 30, 0, inode=8), tcp(2, 5, 0, inode=0)])
    look(accounts, 3, [tcp(1, 30, 0, inode=8)])
    assert moved(accounts) == {"process:8": (30, 0)}
    look(accounts, 3 + PATIENCE, [tcp(1, 30, 0, inode=8)])
    assert moved(accounts) == {"process:8": (30, 0), "short:to:443": (5, 0)}


def test_a_socket_that_is_handed_on_counts_for_the_other_from_then() -> None:
    accounts = ledger()
    look(accounts, 0, [tcp(1, 0, 0, inode=5)])
    accounts.look([tcp(1, 10, 0, inode=6)], 1)
    assert moved(accounts) == {"process:5": (10, 0)}
    accounts.look([tcp(1, 30, 0, inode=6)], 2, anew=True)
    assert moved(accounts) == {"process:5": (10, 0), "process:6": (20, 0)}


def test_what_no_connection_accounts_for_never_falls_and_waits_for_news_of_ends() -> None:
    accounts = Ledger(by_inode, short, lambda socket: socket.cookie != 3)

    def other(received: int, sent: int) -> tuple[int, int]:
        accounts.beyond(received, sent)
        row = accounts.rows(500)[0][-1]
        assert (row.key, row.kind, row.name, row.pid) == ("other", "other", "", None)
        return row.received, row.sent

    look(accounts, 0, [])
    assert other(0, 0) == (0, 0)
    look(accounts, 1, [tcp(1, 1000, 10), tcp(3, 10**6, 10**6)])
    assert other(1500, 5) == (0, 0)
    assert other(1500, 5) == (500, 0)
    # It moved more, and is gone: until its end is told of, nobody knows whose these bytes were.
    look(accounts, 2, [])
    assert other(5000, 30) == other(5000, 30) == (500, 0)
    look(accounts, 3, [], [tcp(1, 4400, 10, inode=0)])
    assert other(5000, 30) == other(5000, 30) == (600, 20)
    assert other(4000, 20) == other(4000, 20) == (600, 20)
    # Nor does it hold what a connection moved that no look saw, if the news come at the next one.
    assert other(9000, 30) == (600, 20)
    look(accounts, 4, [], [tcp(9, 4000, 0, inode=0)])
    assert other(9000, 30) == (600, 20)


def test_tables_and_accounts_are_bounded_and_the_busiest_stay() -> None:
    accounts = ledger()
    look(accounts, 0, [])
    look(accounts, 1, [tcp(n, n, 0, inode=n) for n in range(1, talkers.ACCOUNTS + 11)])
    rows, left = accounts.rows(500)
    assert len(rows) == 500 and rows[0].received == talkers.ACCOUNTS + 10 and rows[-1].kind == "other"
    assert left == talkers.ACCOUNTS + 10 - 499
    look(accounts, 2, [tcp(1, 1, 0, inode=1)])
    look(accounts, 3, [tcp(1, 1, 0, inode=1)])
    assert len(moved(accounts)) == 499 and accounts.rows(10**6)[1] == 0
    # Ten had to go: those that moved least, but for the one that is open.
    keys = {row.key for row in accounts.rows(10**6)[0]}
    assert len(keys) == talkers.ACCOUNTS + 1 and "process:1" in keys and "process:11" not in keys


steps = st.lists(
    st.tuples(st.sampled_from(["open", "move", "close", "look", "accept"]), st.integers(0, 9), st.integers(0, 10**6)),
    max_size=60,
)


@given(steps)
def test_every_byte_after_the_first_look_is_booked_once(actions: list[tuple[str, int, int]]) -> None:
    accounts = ledger()
    look(accounts, 0, [])
    living: dict[int, list[int]] = {}
    ended: list[DiagSocket] = []
    total, cookie = 0, 0
    for now, (action, which, amount) in enumerate(actions, start=1):
        chosen = list(living)[which % len(living)] if living else None
        if action == "open":
            cookie += 1
            living[cookie] = [0, which % 3]  # bytes, inode
        elif action == "look":
            look(accounts, now / 10, [tcp(each, pair[0], 0, inode=pair[1]) for each, pair in living.items()], ended)
            ended = []
        elif chosen is not None and action == "move":
            living[chosen][0] += amount
            total += amount
        elif chosen is not None and action == "accept":
            living[chosen][1] = living[chosen][1] or 1
        elif chosen is not None:
            ended.append(tcp(chosen, living.pop(chosen)[0], 0, inode=0))
    look(accounts, 100, [tcp(each, pair[0], 0, inode=pair[1] or 1) for each, pair in living.items()], ended)
    look(accounts, 200, [])
    assert sum(received for received, _ in moved(accounts).values()) == total == accounts.outside[0]
