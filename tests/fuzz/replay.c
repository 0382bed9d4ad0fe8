/* Drives a fuzz target without libFuzzer: every file of a corpus as it stands, every prefix of it, and seeded mutations of it. Each
 * input lies in an allocation of exactly its size. A second argument says how many mutations of each file; CUSTOS_SEED repeats a run, CUSTOS_ALL
 * makes it longer; an empty corpus is a failure. */
#include "fuzz.h"

#include <dirent.h>
#include <stdbool.h>
#include <string.h>

enum { SIZE_LIMIT = 200000, PREFIXES_MAX = 2048, MUTATIONS = 3000, ALL_FACTOR = 33 };

struct corpus {
	uint64_t random;
	size_t inputs, files, mutations;
};

/* xorshift64*: the same numbers on every machine. */
static uint64_t draw(struct corpus *c)
{
	c->random ^= c->random >> 12;
	c->random ^= c->random << 25;
	c->random ^= c->random >> 27;
	return c->random * 0x2545f4914f6cdd1dULL;
}

static void run(struct corpus *c, const uint8_t *data, size_t len)
{
	uint8_t *exact = malloc(len > 0 ? len : 1);
	if (exact == NULL)
		abort();
	memcpy(exact, data, len);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	c->inputs++;
}

/* One to four changes: a bit, a byte, a stretch removed, a stretch doubled. */
static size_t mutate(struct corpus *c, uint8_t *data, size_t len)
{
	static const uint8_t telling[] = { 0x00, 0x01, 0x7f, 0x80, 0xff, '\n', ':', '-', '[', '{', '&', '*' };
	for (uint64_t changes = 1 + draw(c) % 4; changes > 0 && len > 0; changes--) {
		size_t at = draw(c) % len, stretch = 1 + draw(c) % 16;
		if (stretch > len - at)
			stretch = len - at;
		switch (draw(c) % 4) {
		case 0:
			data[at] = (uint8_t)(data[at] ^ 1u << draw(c) % 8);
			break;
		case 1:
			data[at] = telling[draw(c) % sizeof telling];
			break;
		case 2:
			memmove(data + at, data + at + stretch, len - at - stretch);
			len -= stretch;
			break;
		default:
			memmove(data + at + stretch, data + at, len - at);
			len += stretch;
		}
	}
	return len;
}

static bool replay_file(struct corpus *c, const char *path)
{
	static uint8_t data[SIZE_LIMIT], changed[SIZE_LIMIT + 64];
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		return false;
	size_t len = fread(data, 1, sizeof data, file);
	fclose(file);
	run(c, data, len);
	for (size_t prefix = 0; prefix < len && prefix < PREFIXES_MAX; prefix++)
		run(c, data, prefix);
	for (size_t i = 0; i < c->mutations; i++) {
		memcpy(changed, data, len);
		run(c, changed, mutate(c, changed, len));
	}
	c->files++;
	return true;
}

int main(int argc, char **argv)
{
	const char *seed = getenv("CUSTOS_SEED");
	struct corpus c = { .random = 1 + (seed == NULL ? 1 : strtoull(seed, NULL, 10)), .mutations = argc == 3 ? strtoull(argv[2], NULL, 10) : MUTATIONS };
	DIR *dir = argc == 2 || argc == 3 ? opendir(argv[1]) : NULL;
	if (getenv("CUSTOS_ALL") != NULL)
		c.mutations *= ALL_FACTOR;
	if (dir == NULL) {
		fprintf(stderr, "usage: %s CORPUS [MUTATIONS]\n", argv[0]);
		return 2;
	}
	printf("seed %llu\n", (unsigned long long)c.random - 1);
	fflush(stdout);
	for (struct dirent *d; (d = readdir(dir)) != NULL;) {
		char path[4096];
		snprintf(path, sizeof path, "%s/%s", argv[1], d->d_name);
		if (d->d_name[0] != '.' && !replay_file(&c, path))
			return 1;
	}
	closedir(dir);
	printf("%zu inputs from %zu files\n", c.inputs, c.files);
	return c.files == 0;
}
