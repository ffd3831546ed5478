# SPDX-License-Identifier: MIT
"""cloudos image: a disk or CD image that boots CloudOS to its shell, on BIOS and UEFI machines."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from pathlib import Path

from . import build, debian, disk, initramfs, machine
from .paths import BUILD
from .ui import Failure, step

SUMMARY = "make an image that boots to the shell"


def _iso(arch: str, target: Path, kernel: Path, initrd: Path, append: str, folder: Path) -> None:
    if arch != "x86_64":
        raise Failure("ISO images are made for x86_64; aarch64 boots from --format raw or qcow2", 2)
    debian.install({**debian.IMAGE_PACKAGES[arch], "xorriso": "/usr/bin/xorriso"})
    tree = folder / "iso"
    (tree / "boot/grub").mkdir(parents=True)
    shutil.copyfile(kernel, tree / "kernel")
    shutil.copyfile(initrd, tree / "initramfs.cpio")
    (tree / "boot/grub/grub.cfg").write_text(disk.grub_config(arch, append))
    modules = "normal multiboot2 iso9660 part_gpt fat configfile"
    done = subprocess.run(["grub-mkrescue", "-o", str(target), f"--install-modules={modules}", "--locales=", "--fonts=",
                           "--themes=", str(tree)], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"grub-mkrescue failed: {done.stderr.strip()[-800:]}")


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="cloudos image", description=SUMMARY)
    parser.add_argument("--arch", choices=machine.ARCHES, default="x86_64")
    parser.add_argument("--format", choices=("raw", "iso", "qcow2"), default="raw")
    parser.add_argument("--output", type=Path, help="the file to write")
    parser.add_argument("--append", default="", help="words for the kernel's command line")
    args = parser.parse_args(words)
    suffix = {"raw": "img", "iso": "iso", "qcow2": "qcow2"}[args.format]
    target = args.output or BUILD / f"cloudos-{args.arch}.{suffix}"
    kernel, initrd = build.kernel(args.arch), initramfs.default(args.arch)
    folder = machine.fresh_folder("image")
    try:
        with step(f"making {target}"):
            if args.format == "iso":
                _iso(args.arch, target, kernel, initrd, args.append, folder)
            else:
                raw = disk.raw_image(args.arch, folder / "disk.img", kernel, initrd, args.append)
                if args.format == "raw":
                    shutil.move(raw, target)
                else:
                    debian.install({"qemu-utils": "/usr/bin/qemu-img"})
                    subprocess.run(["qemu-img", "convert", "-c", "-O", "qcow2", str(raw), str(target)], check=True)
    finally:
        machine.forget(folder)
    print(target)
    return 0
