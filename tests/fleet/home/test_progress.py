from io import StringIO
from threading import Thread

from cortex.console import Console
from cortex.fleet.home.progress import transfer_bar


def test_shows_bytes_of_all_bytes_told_from_many_threads() -> None:
    shown = StringIO()
    with transfer_bar(Console(file=shown, force_terminal=True, width=120), "demo-1", 4 * 2**20) as advance:
        threads = [Thread(target=advance, args=(2**20,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        advance(-(2**20))
    assert "demo-1" in shown.getvalue() and "3.0/4.0 MiB" in shown.getvalue()
