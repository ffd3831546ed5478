# SPDX-License-Identifier: MIT
"""The machines CloudOS boots on, as command lines: QEMU (always its own translator, never KVM) and the simulator."""

from __future__ import annotations

import argparse
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import build, debian, disk, initramfs, packages
from .paths import STATE
from .ui import Failure

ARCHES = ("x86_64", "aarch64")
USERS = ("seccomp", "ptrace")
BOOTS = {"x86_64": ("direct", "bios", "uefi"), "aarch64": ("direct", "uefi"), "sim": ("direct",)}
MEMORY_MIB = 256


@dataclass
class Setup:
    """What is to run and on what."""

    machine: str = "x86_64"
    boot: str = "direct"
    smp: int = 1
    memory: int = MEMORY_MIB              # 0: what the root file system asks for
    append: str = ""
    disks: list[Path] = field(default_factory=list)
    net: str = "none"
    icount: bool = False
    cpu: str = "max"
    gic: str = "3"
    user: str = ""                        # sim: how user programs run, one of USERS; "": the faster one
    hide_host: bool = False               # sim: from programs
    compress: str = "plain"               # the initramfs: plain or one of initramfs.COMPRESSORS
    packages: tuple[str, ...] = ()        # Debian's, of which the root file system is made
    kernel: Path | None = None            # another kernel than ours (the bench's Linux)
    initrd: Path | None = None
    world: list[str] = field(default_factory=list)      # of the simulator: --seed and what belongs to it
    prefix: list[str] = field(default_factory=list)     # a command that starts the simulator, such as env(1)

    @property
    def arch(self) -> str:
        return build.NATIVE if self.machine == "sim" else self.machine


def add_arguments(parser: argparse.ArgumentParser, memory: int | None = None, smp: int = 1) -> None:
    parser.add_argument("--smp", type=int, default=smp, metavar="N", help="processors")
    parser.add_argument("--memory", type=int, default=memory, metavar="MIB",
                        help=f"by default {MEMORY_MIB}, and more if the root file system needs it")
    parser.add_argument("--rootfs", action="append", default=[], metavar="PACKAGE,...",
                        help="a root file system of these Debian packages and what they need")
    parser.add_argument("--disk", action="append", default=[], type=Path, metavar="FILE", help="a raw disk")
    parser.add_argument("--net", default="none", metavar="user|tap:NAME|none")
    parser.add_argument("--append", default="", metavar="ARGS", help="more words on the kernel's command line")
    parser.add_argument("--cpu", default="max", help="QEMU's processor model")
    parser.add_argument("--gic", default="3", choices=("2", "3"), help="aarch64's interrupt controller")
    parser.add_argument("--user", default="", choices=USERS, help="how the simulator runs user programs")
    parser.add_argument("--hide-host", action="store_true", help="in the simulator: the host's processor, from programs")
    parser.add_argument("--compress", default="plain", choices=("plain", *initramfs.COMPRESSORS), help="the initramfs")
    boot = parser.add_mutually_exclusive_group()
    for name in ("direct", "bios", "uefi"):
        boot.add_argument(f"--{name}", dest="boot", action="store_const", const=name)


def add_world_arguments(parser: argparse.ArgumentParser) -> None:
    world = parser.add_argument_group("the deterministic world (docs/SIM.md)")
    world.add_argument("--seed", type=int, metavar="N", help="one thread, virtual time; the same seed is the same run")
    world.add_argument("--scenario", type=Path, metavar="FILE", help="the same, with all that FILE says of it")
    world.add_argument("--set", action="append", default=[], metavar="LINE", help="a line of a scenario, e.g. 'fault irq.spurious 1000'")
    world.add_argument("--trace", nargs="?", const="-", metavar="FILE", help="a timeline; without FILE on standard error")


def world_options(args: argparse.Namespace, machine: str) -> list[str]:
    """What cloudos-sim is told of the world to run in."""
    if args.seed is None and args.scenario is None:
        if args.set or args.trace:
            raise Failure("--set and --trace belong to --seed or --scenario", 2)
        return []
    if machine != "sim":
        raise Failure("--seed and --scenario are the simulator's: --machine sim", 2)
    if args.scenario and not args.scenario.exists():
        raise Failure(f"--scenario: there is no {args.scenario}", 2)
    line = ["--scenario", str(args.scenario)] if args.scenario else []
    line += ["--seed", str(args.seed)] if args.seed is not None else []
    for text in args.set:
        line += ["--set", text]
    return line + (["--trace", args.trace] if args.trace else [])


def from_arguments(args: argparse.Namespace, machine: str, boot: str) -> Setup:
    chosen = args.boot or boot
    if chosen not in BOOTS[machine]:
        raise Failure(f"{machine} boots by {', '.join(BOOTS[machine])}, not by {chosen}", 2)
    names = packages.check_names([name for text in args.rootfs for name in text.split(",")])
    memory = (0 if names else MEMORY_MIB) if args.memory is None else args.memory
    if not 1 <= args.smp <= 64 or (not 8 <= memory <= 65536 and args.memory is not None):
        raise Failure("--smp takes 1 to 64, --memory 8 to 65536 MiB", 2)
    if machine != "sim" and (args.user or args.hide_host):
        raise Failure("--user and --hide-host are the simulator's (cloudos sim, or --machine sim)", 2)
    for path in args.disk:
        if not path.exists():
            raise Failure(f"--disk: there is no {path}", 2)
    return Setup(machine=machine, boot=chosen, smp=args.smp, memory=memory, append=args.append,
                 packages=names, disks=args.disk, net=args.net, cpu=args.cpu, gic=args.gic, compress=args.compress,
                 user=args.user, hide_host=args.hide_host,
                 icount=getattr(args, "icount", False),
                 world=world_options(args, machine) if hasattr(args, "seed") else [])


def _network(net: str) -> list[str]:
    if net == "none":
        return []
    if net == "user":
        return ["-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0"]
    if net.startswith("tap:"):
        return ["-netdev", f"tap,id=n0,ifname={net[4:]},script=no,downscript=no,vhost=off",
                "-device", "virtio-net-pci,netdev=n0"]
    raise Failure(f"--net {net}: say user, tap:NAME or none", 2)


def _drives(setup: Setup) -> list[str]:
    line = []
    for number, path in enumerate(setup.disks):
        line += ["-drive", f"file={path},if=none,id=d{number},format=raw",
                 "-device", f"virtio-blk-pci,drive=d{number}"]
    return line


def _boot_disk(setup: Setup, folder: Path, kernel: Path, initrd: Path, append: str) -> list[str]:
    image = disk.raw_image(setup.machine, folder / "boot.img", kernel, initrd, append)
    drive = ["-drive", f"file={image},if=none,id=boot,format=raw,snapshot=on",
             "-device", "virtio-blk-pci,drive=boot,bootindex=0"]
    if setup.boot == "uefi":
        debian.install(debian.FIRMWARE_PACKAGES[setup.machine])
        code = next(iter(debian.FIRMWARE_PACKAGES[setup.machine].values()))
        store = code.replace("CODE", "VARS")
        drive += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}",
                  "-drive", f"if=pflash,format=raw,unit=1,snapshot=on,file={store}",
                  "-boot", "menu=on,splash-time=0"]
    return drive


def qemu(setup: Setup, folder: Path, kernel: Path, initrd: Path, append: str) -> list[str]:
    arm = setup.machine == "aarch64"
    debian.install(debian.QEMU_PACKAGES[setup.machine])
    options = [f"virt,gic-version={setup.gic}" + (",acpi=off" if setup.boot == "uefi" else "") if arm else "q35"]
    cpu = "max,pauth-impdef=on" if arm and setup.cpu == "max" else setup.cpu
    line = [f"qemu-system-{setup.machine}", "-accel", "tcg", "-M", *options, "-cpu", cpu, "-smp", str(setup.smp),
            "-m", str(setup.memory), "-display", "none", "-nodefaults", "-no-reboot"]
    if setup.icount:
        line += ["-icount", "shift=0,sleep=off"]
    if setup.boot == "direct":
        line += ["-kernel", str(kernel), "-initrd", str(initrd), "-append", append]
    else:
        line += _boot_disk(setup, folder, kernel, initrd, append)
    return line + _drives(setup) + _network(setup.net)


def simulator(setup: Setup, kernel: Path, initrd: Path, append: str) -> list[str]:
    if setup.icount:
        raise Failure("--icount counts QEMU's instructions; the simulator runs on the host's processor", 2)
    line = [*setup.prefix, str(kernel), "--initrd", str(initrd), "--append", append, "--smp", str(setup.smp),
            "--memory", str(setup.memory)]
    if setup.user:
        line += ["--user", setup.user]
    if setup.hide_host:
        line.append("--hide-host")
    for path in setup.disks:
        line += ["--disk", str(path)]
    if setup.net.startswith("tap:"):
        line += ["--tap", setup.net[4:]]
    return line + setup.world


def suitable_memory(unpacked: int) -> int:
    """MiB of memory with which programs have at least the usual ones to themselves beside a root file system of so many."""
    return -(-(_least_memory(unpacked) + MEMORY_MIB) // 64) * 64


def _least_memory(unpacked: int) -> int:
    """MiB without which it does not come to be: the initramfs, and the tmpfs at /, which takes at most half of memory."""
    return 2 * unpacked + 16


def _with_memory(setup: Setup, initrd: Path) -> Setup:
    """With as much as the Debian packages of its root file system want."""
    unpacked = max(len(initramfs.base(setup.arch, setup.packages)), initrd.stat().st_size) >> 20
    if setup.memory and setup.memory < _least_memory(unpacked):
        raise Failure(f"--memory {setup.memory}: the root file system takes {unpacked} MiB and cannot be unpacked in that. "
                      f"Say --memory {suitable_memory(unpacked)}, or leave it out", 2)
    return replace(setup, memory=setup.memory or suitable_memory(unpacked))


def command_line(setup: Setup, folder: Path, command: list[str] | None = None,
                 added: list[tuple[Path, str]] | None = None, words: str = "") -> list[str]:
    """Builds what is to boot into `folder` and gives the program that boots it, less its serial line's options."""
    kernel = setup.kernel or build.kernel(setup.machine)
    initrd = setup.initrd or initramfs.make(setup.arch, folder / "initramfs.cpio", command, added, setup.compress,
                                            setup.packages)
    if setup.packages:
        setup = _with_memory(setup, initrd)
    append = " ".join(word for word in (words, setup.append) if word)
    if setup.machine == "sim":
        return simulator(setup, kernel, initrd, append)
    return qemu(setup, folder, kernel, initrd, append)


def fresh_folder(name: str) -> Path:
    """A folder for one machine's files; those of long ago go."""
    STATE.mkdir(parents=True, exist_ok=True)
    number = 0
    while True:
        folder = STATE / (f"{name}-{number}" if number else name)
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1


def forget(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
