# SPDX-License-Identifier: MIT
"""Root file systems of packages: small packages made here, chosen by apt from an archive made here, and unpacked."""

import hashlib
import io
import stat
import struct
import subprocess
import tarfile
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from cloudos import debian, initramfs, ldcache, machine, packages, rootfs
from cloudos.tree import Tree
from cloudos.ui import Failure


def tar(entries: dict[str, object]) -> bytes:
    """Name -> content, or (attributes of the tar entry, content)."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:xz", format=tarfile.GNU_FORMAT) as archive:
        for name, what in entries.items():
            attributes, content = what if isinstance(what, tuple) else ({}, what)
            entry = tarfile.TarInfo(f"./{name}")
            entry.size, entry.mode = len(content), 0o644
            for key, value in attributes.items():
                setattr(entry, key, value)
            archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def deb(data: dict[str, object], postinst: str = "") -> bytes:
    members = {"debian-binary": b"2.0\n", "control.tar.xz": tar({"postinst": postinst.encode()} if postinst else {}),
               "data.tar.xz": tar(data)}
    body = packages.AR_MAGIC
    for name, content in members.items():
        body += f"{name:16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content + b"\n" * (len(content) % 2)
    return body


class OwnApt(debian.Apt):
    """Of an archive in a folder: name -> fields of its control file."""

    def __init__(self, folder: Path, stanzas: dict[str, dict[str, str]]) -> None:
        self.suite, self.folder = "test", folder / "apt"
        archive = folder / "archive"
        archive.mkdir()
        self.source = f"deb [trusted=yes] copy:{archive} ./"
        text = ""
        for name, fields in stanzas.items():
            content = deb({f"usr/share/{name}": name.encode()})
            fields = {"Package": name, "Version": "1", "Architecture": "amd64", **fields}
            file = f"{fields['Package']}_{fields['Version'].replace(':', '%3a')}_{fields['Architecture']}.deb"
            (archive / file.replace("%", "-")).write_bytes(content)
            fields |= {"Filename": f"./{file.replace('%', '-')}", "Size": str(len(content)),
                       "SHA256": hashlib.sha256(content).hexdigest()}
            text += "".join(f"{key}: {value}\n" for key, value in fields.items()) + "\n"
        (archive / "Packages").write_text(text)


class ClosureTest(unittest.TestCase):
    def choose(self, names: str, stanzas: dict[str, dict[str, str]], arch: str = "x86_64") -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            chosen = packages.closure(tuple(names.split()), arch, OwnApt(Path(folder), stanzas))
        return [f"{package.name}={package.version}/{package.arch}" for package in chosen]

    def test_dependencies_of_dependencies_but_no_recommendations(self) -> None:
        got = self.choose("a", {"a": {"Depends": "b", "Recommends": "d"}, "b": {"Pre-Depends": "c"}, "c": {}, "d": {}})
        self.assertEqual(sorted(got), ["a=1/amd64", "b=1/amd64", "c=1/amd64"])
        self.assertLess(got.index("c=1/amd64"), got.index("b=1/amd64"))

    def test_the_first_alternative_that_exists(self) -> None:
        self.assertIn("c=1/amd64", self.choose("a", {"a": {"Depends": "b | c | d"}, "c": {}, "d": {}}))

    def test_what_another_package_provides(self) -> None:
        self.assertIn("mta=1/amd64", self.choose("a", {"a": {"Depends": "mail"}, "mta": {"Provides": "mail"}}))

    def test_versions_with_epochs(self) -> None:
        stanzas = {"a": {"Depends": "b (>= 9)"}, "b": {"Version": "1:2"}}
        self.assertIn("b=1:2/amd64", self.choose("a", stanzas))

    def test_a_version_that_is_not_there_is_named(self) -> None:
        with self.assertRaisesRegex(Failure, r"b \(>= 2\)"):
            self.choose("a", {"a": {"Depends": "b (>= 2)"}, "b": {}})

    def test_an_unknown_package_is_named(self) -> None:
        with self.assertRaisesRegex(Failure, "nonesuch"):
            self.choose("nonesuch", {"a": {}})

    def test_another_architecture(self) -> None:
        stanzas = {"x": {"Package": "a", "Depends": "b"}, "y": {"Package": "a", "Architecture": "arm64", "Depends": "c"},
                   "b": {}, "c": {"Architecture": "all"}}
        self.assertEqual(self.choose("a", stanzas, "aarch64"), ["c=1/all", "a=1/arm64"])

    def test_names_are_checked_first(self) -> None:
        self.assertEqual(packages.check_names(["bb", "aa", "bb"]), ("aa", "bb"))
        for name in ("", "-o", "A", "AA", "../aa", "aa=1", "aa bb", "aa\n"):
            with self.assertRaises(Failure):
                packages.check_names([name])

    def test_files_are_brought_once(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            apt = OwnApt(Path(folder), {"a": {"Version": "3:1"}})
            chosen = packages.closure(("a",), "x86_64", apt)
            files = packages.bring(chosen, apt)
            with mock.patch.object(apt, "fetch", side_effect=AssertionError("downloaded again")):
                self.assertEqual(packages.bring(chosen, apt), files)
            self.assertEqual(rootfs.unpack(files, "x86_64").nodes["usr/share/a"].data, b"a")


class UnpackTest(unittest.TestCase):
    def unpack(self, *debs: bytes) -> Tree:
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / f"{number}.deb" for number in range(len(debs))]
            for file, content in zip(files, debs):
                file.write_bytes(content)
            return rootfs.unpack(files, "x86_64")

    def test_modes_owners_and_links(self) -> None:
        tree = self.unpack(deb({
            "usr/games": ({"type": tarfile.DIRTYPE, "mode": 0o2775, "gid": 60}, b""),
            "usr/games/one": ({"mode": 0o4755, "uid": 7, "mtime": 1700000000}, b"text"),
            "usr/games/two": ({"type": tarfile.LNKTYPE, "linkname": "./usr/games/one"}, b""),
            "usr/games/soft": ({"type": tarfile.SYMTYPE, "linkname": "one"}, b"")}))
        one = tree.nodes["usr/games/one"]
        self.assertEqual((one.mode, one.uid, one.mtime, one.data), (stat.S_IFREG | 0o4755, 7, 1700000000, b"text"))
        self.assertIs(tree.nodes["usr/games/two"], one)
        self.assertIs(tree.find("/usr/games/soft"), one)
        self.assertEqual((tree.nodes["usr/games"].mode, tree.nodes["usr/games"].gid), (stat.S_IFDIR | 0o2775, 60))
        body = tree.archive()
        self.assertEqual(body.count(b"text"), 1)
        at = body.index(b"usr/games/two\0") - 110
        self.assertEqual([int(body[at + field:at + field + 8], 16) for field in (38, 46, 54)], [2, 1700000000, 0])

    def test_top_folders_are_merged_into_usr(self) -> None:
        tree = self.unpack(deb({"bin": ({"type": tarfile.DIRTYPE}, b""), "bin/sh": b"x", "lib64/ld.so": b"y"}))
        self.assertEqual(tree.nodes["bin"].data, b"usr/bin")
        self.assertEqual((tree.nodes["usr/bin/sh"].data, tree.find("/lib64/ld.so").data), (b"x", b"y"))
        self.assertNotIn("bin/sh", tree.nodes)

    def test_documentation_is_left_out_but_copyright_is_not(self) -> None:
        tree = self.unpack(deb({"usr/share/doc/a/copyright": b"", "usr/share/doc/a/changelog.gz": b"", "usr/share/man/man1/a": b""}))
        self.assertIn("usr/share/doc/a/copyright", tree.nodes)
        self.assertFalse([name for name in tree.nodes if "changelog" in name or "man1" in name])

    def test_the_best_alternative_wins_with_its_slaves(self) -> None:
        def program(name: str, rank: str) -> bytes:
            return deb({f"usr/bin/{name}": b"", f"usr/share/{name}.txt": b""},
                       f"set -e\nupdate-alternatives --quiet \\\n --install /usr/bin/ed ed /usr/bin/{name} {rank} \\\n"
                       f"  --slave /usr/share/ed.txt ed.txt /usr/share/{name}.txt || true\n")
        tree = self.unpack(program("vi", "30"), program("joe", "50"), program("cat", "$RANK"))
        self.assertEqual(tree.nodes["usr/bin/ed"].data, b"/etc/alternatives/ed")
        self.assertIs(tree.find("usr/bin/ed"), tree.nodes["usr/bin/joe"])
        self.assertIs(tree.find("usr/share/ed.txt"), tree.nodes["usr/share/joe.txt"])

    def test_users_come_from_base_passwd(self) -> None:
        tree = self.unpack(deb({"usr/share/base-passwd/passwd.master": b"root:*:0:0::/root:/bin/sh\n"}))
        tree.fill(initramfs_like())
        self.assertEqual(tree.nodes["etc/passwd"].data, b"root:*:0:0::/root:/bin/sh\n")
        self.assertEqual(tree.nodes["etc/group"].data, b"filler")

    def test_hostile_packages(self) -> None:
        good = deb({"a": b"x" * 1000})
        for bad in (deb({"../a": b""}), deb({"a": ({"type": tarfile.CHRTYPE}, b"")}), deb({"a": b"", "a/b": b""}),
                    deb({"a": ({"type": tarfile.LNKTYPE, "linkname": "./nothing"}, b"")}),
                    good[:-20], good[:200], b"", b"no ar archive at all", good.replace(b"data.tar", b"dada.tar")):
            with self.subTest(bad[:300]), self.assertRaises(Failure):
                self.unpack(bad)

    def test_a_loop_of_links_leads_nowhere(self) -> None:
        tree = Tree()
        tree.link("a", "b")
        tree.link("b", "a")
        self.assertIsNone(tree.find("a"))
        self.assertIsNone(tree.find("a/b"))
        tree.link("c/d", "../../e")
        tree.file("e", b"")
        self.assertIs(tree.find("c/d"), tree.nodes["e"])


def initramfs_like() -> Tree:
    tree = Tree()
    tree.file("etc/passwd", b"filler")
    tree.file("etc/group", b"filler")
    return tree


def library(machine_number: int) -> bytes:
    return b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HH", 3, machine_number) + bytes(44)


class CacheTest(unittest.TestCase):
    def test_names_are_in_the_order_of_the_loader(self) -> None:
        names = ["libz.so", "liba.so.2", "liba.so.10", "liba.so", "lib2.so", "libA.so"]
        self.assertEqual(sorted(names, key=ldcache.order, reverse=True),
                         ["lib2.so", "libz.so", "liba.so.10", "liba.so.2", "liba.so", "libA.so"])

    def test_libraries_of_the_architecture_by_the_first_folder(self) -> None:
        tree = Tree(merged=True)
        tree.file("etc/ld.so.conf.d/own.conf", b"# comment\n/opt/own\ninclude nothing\n")
        for folder in ("opt/own", "usr/lib/aarch64-linux-gnu"):
            tree.file(f"{folder}/libtwice.so.1", library(183))
        tree.file("lib/aarch64-linux-gnu/libother.so.1.2", library(62))
        tree.file("lib/aarch64-linux-gnu/libx.so.1.2", library(183))
        tree.link("lib/aarch64-linux-gnu/libx.so.1", "libx.so.1.2")
        tree.file("usr/lib/aarch64-linux-gnu/libtext.so", b"/* GNU ld script */")
        tree.file("usr/lib/elsewhere/liby.so", library(183))
        self.assertEqual(ldcache.libraries(tree, "aarch64"), {
            "libtwice.so.1": "/opt/own/libtwice.so.1", "libx.so.1": "/lib/aarch64-linux-gnu/libx.so.1",
            "libx.so.1.2": "/lib/aarch64-linux-gnu/libx.so.1.2"})

    def test_ldconfig_reads_it(self) -> None:
        found = {f"lib{name}.so.{version}": f"/lib/lib{name}.so.{version}" for name in ("a", "b9", "zz") for version in (1, 2, 10)}
        for arch, shown in (("x86_64", "x86-64"), ("aarch64", "AArch64")):
            with tempfile.NamedTemporaryFile() as file:
                file.write(ldcache.cache(found, arch))
                file.flush()
                said = subprocess.run(["/sbin/ldconfig", "-p", "-C", file.name], capture_output=True, text=True, check=True).stdout
            lines = [line.strip() for line in said.splitlines()[1:] if "=>" in line]
            self.assertEqual(sorted(lines), sorted(f"{name} (libc6,{shown}) => {path}" for name, path in found.items()))


class MemoryTest(unittest.TestCase):
    def with_memory(self, memory: int, unpacked_mib: int) -> int:
        with tempfile.NamedTemporaryFile() as initrd, \
                mock.patch.object(initramfs, "base", lambda arch, names: range(unpacked_mib << 20)):
            setup = machine.Setup(memory=memory, packages=("a",))
            return machine._with_memory(setup, Path(initrd.name)).memory

    def test_a_root_file_system_gets_what_suits_it(self) -> None:
        self.assertGreaterEqual(self.with_memory(0, 100), 2 * 100 + machine.MEMORY_MIB)
        self.assertEqual(self.with_memory(1000, 100), 1000)

    def test_too_little_is_refused_with_what_to_say(self) -> None:
        with self.assertRaisesRegex(Failure, f"--memory {machine.suitable_memory(100)}"):
            self.with_memory(128, 100)


if __name__ == "__main__":
    unittest.main()
