#!/bin/sh
# SPDX-License-Identifier: MIT
# One file of perl's own tests, t/$1 of its source, under Debian's perl and its modules. The first that a machine runs unpacks them all.
if [ ! -d /tmp/perl ]; then
	mkdir /tmp/perl && cd /tmp/perl && tar xf /sources/perl_*.orig.tar.xz --strip-components=1 perl-5.36.0/t perl-5.36.0/lib perl-5.36.0/ext \
		perl-5.36.0/dist perl-5.36.0/cpan perl-5.36.0/regen perl-5.36.0/MANIFEST || exit 1
	for modules in /usr/share/perl/5.36 /usr/lib/*/perl/5.36 /usr/lib/*/perl-base; do
		cp -r $modules/. lib/ || exit 1
	done
	ln -s /usr/bin/perl t/perl
fi
export PERL_SKIP_TTY_TEST=1 # nothing here has a terminal
cd /tmp/perl/t && exec prove "$1"
