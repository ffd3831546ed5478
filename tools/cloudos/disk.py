# SPDX-License-Identifier: MIT
"""Boot disks without root: a GPT written here, a FAT file system by mtools, GRUB 2 for BIOS and UEFI.

    LBA 0        protective MBR, with GRUB's boot.img in front of its partition table
    LBA 1-33     GPT
    LBA 34-2047  partition 1, "BIOS boot": GRUB's core.img
    LBA 2048-    partition 2, EFI system partition (FAT): kernel, initramfs, grub.cfg, EFI/BOOT
"""

from __future__ import annotations

import struct
import subprocess
import tempfile
import threading
import uuid
import zlib
from pathlib import Path

from . import debian
from .paths import BUILD
from .ui import Failure, step

SECTOR = 512
CORE_LBA, ESP_LBA = 34, 2048
BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
EFI_SYSTEM = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
SPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "cloudos")      # identifiers are the same for every image

BIOS_MODULES = ["biosdisk", "part_gpt", "fat", "normal", "configfile", "multiboot2"]
EFI_MODULES = {"x86_64": ["part_gpt", "fat", "normal", "configfile", "multiboot2"],
               "aarch64": ["part_gpt", "fat", "normal", "configfile", "linux", "fdt"]}
EFI_FORMAT = {"x86_64": ("x86_64-efi", "BOOTX64.EFI"), "aarch64": ("arm64-efi", "BOOTAA64.EFI")}


def _tool(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"{command[0]} failed: {done.stderr.strip()[-800:]}")


def _grub_folder(arch: str, form: str) -> Path:
    if arch == "aarch64":
        return debian.package("grub-efi-arm64-bin", "aarch64") / "usr/lib/grub" / form
    return Path("/usr/lib/grub") / form


_grub_lock = threading.Lock()       # two boots side by side may be the first of their format


def _grub(arch: str, form: str, modules: list[str], early: str) -> bytes:
    """GRUB's core image of a format, with a configuration inside that finds grub.cfg. Made once."""
    folder = BUILD / "grub"
    target = folder / form
    with _grub_lock:
        if not target.exists():
            folder.mkdir(parents=True, exist_ok=True)
            # Another process may be making the same: each in a folder of its own, and the last rename wins.
            with tempfile.TemporaryDirectory(dir=folder) as own:
                config, partial = Path(own) / "early.cfg", Path(own) / form
                config.write_text(early)
                _tool(["grub-mkimage", "-d", str(_grub_folder(arch, form)), "-O", form, "-c", str(config), "-p", "/",
                       "-o", str(partial), *modules])
                partial.rename(target)
    return target.read_bytes()


def _entry(kind: uuid.UUID, name: str, first: int, last: int) -> bytes:
    return struct.pack("<16s16sQQQ72s", kind.bytes_le, uuid.uuid5(SPACE, name).bytes_le, first, last, 0,
                       name.encode("utf-16-le"))


def _header(here: int, other: int, table: int, sectors: int, entries: bytes) -> bytes:
    def pack(crc: int) -> bytes:
        return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, crc, 0, here, other, CORE_LBA, sectors - 34,
                           uuid.uuid5(SPACE, "disk").bytes_le, table, 128, 128, zlib.crc32(entries))
    return pack(zlib.crc32(pack(0))).ljust(SECTOR, b"\0")


def _write_gpt(image: Path, sectors: int) -> None:
    entries = (_entry(BIOS_BOOT, "grub", CORE_LBA, ESP_LBA - 1) + _entry(EFI_SYSTEM, "cloudos", ESP_LBA, sectors - 35))
    entries = entries.ljust(128 * 128, b"\0")
    protective = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, min(sectors - 1, 0xFFFFFFFF))
    with image.open("r+b") as file:
        file.seek(446)
        file.write(protective.ljust(64, b"\0") + b"\x55\xaa")
        file.write(_header(1, sectors - 1, 2, sectors, entries) + entries)
        file.seek((sectors - 33) * SECTOR)
        file.write(entries + _header(sectors - 1, 1, sectors - 33, sectors, entries))


def _write_bios_grub(image: Path) -> None:
    boot = bytearray(_grub_folder("x86_64", "i386-pc").joinpath("boot.img").read_bytes()[:446])
    core = bytearray(_grub("x86_64", "i386-pc", BIOS_MODULES, "set root=(hd0,gpt2)\nconfigfile (hd0,gpt2)/grub.cfg\n"))
    if len(core) > (ESP_LBA - CORE_LBA) * SECTOR:
        raise Failure("GRUB's core image does not fit in front of the first partition")
    struct.pack_into("<Q", boot, 0x5C, CORE_LBA)
    boot[0x66:0x68] = b"\x90\x90"
    # The first sector of the core loads the rest: where it is, how much, and to which segment.
    rest = (len(core) + SECTOR - 1) // SECTOR - 1
    struct.pack_into("<QHH", core, 500, CORE_LBA + 1, rest, 0x820)
    with image.open("r+b") as file:
        file.write(bytes(boot))
        file.seek(CORE_LBA * SECTOR)
        file.write(core)


def grub_config(arch: str, append: str) -> str:
    # Bare commands: a menu would cost time.
    if any(c in append for c in "\n'"):
        raise Failure("the kernel's command line cannot hold quotes or newlines when GRUB boots it", 2)
    words = append.replace("$", "\\$")
    if arch == "aarch64":
        return f"linux /kernel {words}\ninitrd /initramfs.cpio\nboot\n"
    return f"multiboot2 /kernel {words}\nmodule2 /initramfs.cpio\nboot\n"


def raw_image(arch: str, image: Path, kernel: Path, initrd: Path, append: str) -> Path:
    """A disk that boots by BIOS (x86_64) and UEFI."""
    debian.install(debian.IMAGE_PACKAGES[arch])
    with step("making a boot disk", least_s=0.5):
        need = kernel.stat().st_size + initrd.stat().st_size + (4 << 20)
        megabytes = max(36, -(-need // (1 << 20)) + 4)      # under 33 MiB no FAT driver agrees on the FAT's width
        sectors = megabytes * 2048
        with image.open("wb") as file:
            file.truncate(sectors * SECTOR)
        if arch == "x86_64":
            _write_bios_grub(image)
        _write_gpt(image, sectors)
        _fill_esp(arch, image, sectors - 34 - ESP_LBA, kernel, initrd, append)
    return image


def _fill_esp(arch: str, image: Path, sectors: int, kernel: Path, initrd: Path, append: str) -> None:
    where = f"{image}@@{ESP_LBA * SECTOR}"
    folder = image.parent
    form, name = EFI_FORMAT[arch]
    (folder / "grub.cfg").write_text(grub_config(arch, append))
    # Started by the firmware, GRUB knows the partition it came from as $root.
    (folder / name).write_bytes(_grub(arch, form, EFI_MODULES[arch], "configfile ($root)/grub.cfg\n"))
    _tool(["mformat", "-i", where, "-T", str(sectors), "-h", "16", "-s", "63", "-v", "CLOUDOS", "-N", "c10d05", "::"])
    _tool(["mmd", "-i", where, "::/EFI", "::/EFI/BOOT"])
    for source, target in ((kernel, "kernel"), (initrd, "initramfs.cpio"), (folder / "grub.cfg", "grub.cfg"),
                           (folder / name, f"EFI/BOOT/{name}")):
        _tool(["mcopy", "-i", where, str(source), f"::/{target}"])
