#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# perl: processes, signals, sockets, threads, shared memory of its own libraries, and clean-up at exit.
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use Fcntl qw(:flock);
use File::Temp qw(tempdir);
use POSIX qw(:sys_wait_h strftime);
use Socket;
use Time::HiRes qw(ualarm);
use threads;

sub check { $_[0] or die "line " . (caller)[2] . ": $!\n" }

my $child = fork // die;
exit 3 if !$child;
check(waitpid($child, 0) == $child && $? >> 8 == 3);

my $alarms = 0;
$SIG{ALRM} = sub { $alarms++ };
ualarm(20000);
select(undef, undef, undef, 5);
check($alarms == 1);

socketpair(my $left, my $right, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die;
syswrite($left, "through\n");
check(<$right> eq "through\n");

open(my $pipe, "-|", "echo", "piped") or die;
check(<$pipe> eq "piped\n");
check(close $pipe);

my @threads = map { my $n = $_; threads->create(sub { my $sum = 0; $sum += $_ for 1 .. 1000 * $n; return $sum }) } 1 .. 4;
check(join(",", map { $_->join } @threads) eq "500500,2001000,4501500,8002000");

my $folder = tempdir(CLEANUP => 1);
open(my $file, "+>", "$folder/f") or die;
flock($file, LOCK_EX | LOCK_NB) or die;
if (!($child = fork // die)) {
	open(my $other, "<", "$folder/f") or die;
	POSIX::_exit(flock($other, LOCK_EX | LOCK_NB) ? 1 : 0);
}
check(waitpid($child, 0) == $child && $? == 0);
check(md5_hex("x") eq "9dd4e461268c8034f5c8564e155c67a6");
check(strftime("%Y-%m-%d", gmtime(86400)) eq "1970-01-02");
print "ok\n";
