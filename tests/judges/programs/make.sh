#!/bin/sh
# SPDX-License-Identifier: MIT
# make -j4 of 40 C files and a program of all of them: twice, the second time with nothing to do; then one file changes.
set -e
rm -rf /tmp/make && mkdir /tmp/make && cd /tmp/make
objects=
for i in $(seq 40); do
	printf '#include <stdio.h>\n#include <string.h>\nint f%d(int n) { char text[64]; snprintf(text, sizeof(text), "%%d", n * %d); return strlen(text); }\n' $i $i > f$i.c
	objects="$objects f$i.o"
done
{
	for i in $(seq 40); do echo "int f$i(int);"; done
	echo '#include <stdio.h>'
	echo 'int main(void) { int sum = 0;'
	for i in $(seq 40); do echo "sum += f$i(1000);"; done
	echo 'printf("%d\n", sum); }'
} > main.c
printf 'program: main.o%s\n\tgcc -o $@ $^\n%%.o: %%.c\n\tgcc -O2 -c -o $@ $<\n' "$objects" > Makefile
make -s -j4
[ "$(./program)" = "$(for i in $(seq 40); do printf $((i * 1000)); done | wc -c)" ]
[ "$(make -j4)" = "make: 'program' is up to date." ]
sleep 1; touch f7.c
[ "$(make -j4 | wc -l)" = 2 ]
