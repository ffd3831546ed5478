#!/bin/sh
# SPDX-License-Identifier: MIT
# python3: processes with shared memory, locks and queues; threads; asyncio with child processes; sqlite3 and ssl loaded.
set -e
cat > /tmp/judge.py <<'END'
import asyncio, hashlib, mmap, multiprocessing as m, os, sqlite3, ssl, subprocess, threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import shared_memory

def add(counter, lock):
    for _ in range(500):
        with lock:
            counter.value += 1

def digest(name):
    block = shared_memory.SharedMemory(name=name)
    found = hashlib.sha256(bytes(block.buf[:1000])).hexdigest()
    block.close()
    return found

async def children():
    made = [await asyncio.create_subprocess_exec("sh", "-c", f"echo {i}", stdout=subprocess.PIPE) for i in range(20)]
    return [int((await one.communicate())[0]) for one in made]

if __name__ == "__main__":
    counter, lock = m.Value("i", 0, lock=False), m.Lock()
    group = [m.Process(target=add, args=(counter, lock)) for _ in range(4)]
    for one in group: one.start()
    for one in group: one.join()
    assert counter.value == 2000
    block = shared_memory.SharedMemory(create=True, size=4096)
    block.buf[:1000] = bytes(range(250)) * 4
    with ProcessPoolExecutor(4) as pool:
        assert set(pool.map(digest, [block.name] * 8)) == {hashlib.sha256(bytes(range(250)) * 4).hexdigest()}
    block.close(); block.unlink()
    assert asyncio.run(children()) == list(range(20))
    held = []
    threads = [threading.Thread(target=lambda i=i: held.append(i)) for i in range(100)]
    for t in threads: t.start()
    for t in threads: t.join()
    assert sorted(held) == list(range(100))
    assert ssl.OPENSSL_VERSION and sqlite3.connect(":memory:").execute("select 1").fetchone() == (1,)
    print("ok")
END
[ "$(python3 /tmp/judge.py)" = ok ]
