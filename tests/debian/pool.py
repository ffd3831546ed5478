#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""python3: a pool of processes on POSIX semaphores, its C libraries, threads, asyncio with children, shared memory."""
import asyncio
import hashlib
import lzma
import multiprocessing
import sqlite3
import ssl
import subprocess
import threading
from multiprocessing import shared_memory


async def children() -> list[int]:
    async def one(status: int) -> int:
        return await (await asyncio.create_subprocess_exec("sh", "-c", f"exit {status}")).wait()
    return await asyncio.gather(*(one(status) for status in range(4)))


if __name__ == "__main__":
    with multiprocessing.Pool(4) as pool:
        assert pool.map(abs, range(-3, 3)) == [3, 2, 1, 0, 1, 2]
    assert asyncio.run(children()) == [0, 1, 2, 3]
    memory = shared_memory.SharedMemory(create=True, size=5000)
    memory.buf[:5] = b"hello"
    again = shared_memory.SharedMemory(memory.name)
    assert bytes(again.buf[:5]) == b"hello"
    again.close()
    memory.close()
    memory.unlink()
    database = sqlite3.connect(":memory:")
    assert database.execute("select sum(value) from json_each('[1,2,3]')").fetchone() == (6,)
    assert ssl.create_default_context().verify_mode == ssl.CERT_REQUIRED
    assert lzma.decompress(lzma.compress(b"x" * 100000)) == b"x" * 100000
    found: list[str] = []
    threads = [threading.Thread(target=lambda n=n: found.append(hashlib.sha256(b"%d" % n).hexdigest())) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 8
    assert subprocess.run(["cat"], input=b"y" * 300000, capture_output=True).stdout == b"y" * 300000
    print("ok")
