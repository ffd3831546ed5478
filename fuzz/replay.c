/* SPDX-License-Identifier: MIT */
/*
 * Gives each file of a corpus folder to a harness, then each of them cut short: what libFuzzer found stays
 * found.
 */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX (1u << 20)
#define CUTS	  16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Hands over an exact copy, so that a sanitizer sees a read behind the end. */
static void replay(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	(void)LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static int replay_file(const char *folder, const char *name)
{
	static uint8_t data[INPUT_MAX];
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "rb");
	if (!file) {
		perror(path);
		return 1;
	}
	size_t size = fread(data, 1, sizeof(data), file);
	fclose(file);
	replay(data, size);
	for (size_t i = 0; i < CUTS; i++)
		replay(data, size * i / CUTS);
	return 0;
}

int main(int argc, char **argv)
{
	int failures = 0, files = 0;
	DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;

	if (!folder) {
		fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
		return 2;
	}
	for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
		if (entry->d_name[0] == '.')
			continue;
		failures += replay_file(argv[1], entry->d_name);
		files++;
	}
	closedir(folder);
	printf("%d inputs\n", files);
	return failures || !files;
}
