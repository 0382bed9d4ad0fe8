/* damage_log DIR WHAT N: what somebody with an editor and too much time does to a published log.
 *
 *   edit N       one letter of entry N
 *   retile N     the same, and its leaf hash in tile/0 made to fit
 *   rebuild N    the same, and every hash above it in the tiles too: only the signed root is left to tell
 *   swap N       entries N and N+1
 *   drop N       entry N gone from its bundle
 *   double N     entry N twice, N+1 not at all (the count stays) */
#include "crypto/digest.h"

#include <stdio.h>

enum { WIDTH = 256, SIZE_MAX_HERE = 65536 };

struct bundle {
	struct custos_buf entry[WIDTH];
	size_t count;
	char path[4096];
};

static void die(const char *what)
{
	fprintf(stderr, "damage_log: %s\n", what);
	exit(1);
}

static void must(custos_rc rc)
{
	if (rc != CUSTOS_OK)
		die("out of luck");
}

/* tile/WHERE/NNN or the partial form of it, whichever is there. */
static FILE *open_tile(const char *dir, const char *where, size_t n, char path[static 4096])
{
	FILE *file = NULL;
	snprintf(path, 4096, "%s/tile/%s/%03zu", dir, where, n);
	file = fopen(path, "rb");
	for (unsigned width = 1; file == NULL && width < WIDTH; width++) {
		snprintf(path, 4096, "%s/tile/%s/%03zu.p/%u", dir, where, n, width);
		file = fopen(path, "rb");
	}
	return file;
}

static void load(const char *dir, size_t n, struct bundle *bundle)
{
	FILE *file = open_tile(dir, "entries", n, bundle->path);
	uint8_t length[2], content[SIZE_MAX_HERE];
	if (file == NULL)
		die("no such bundle");
	while (bundle->count < WIDTH && fread(length, 1, 2, file) == 2) {
		size_t len = (size_t)length[0] << 8 | length[1];
		if (fread(content, 1, len, file) != len)
			die("short bundle");
		must(custos_buf_append(&bundle->entry[bundle->count++], content, len, NULL));
	}
	fclose(file);
}

static void save(const struct bundle *bundle)
{
	FILE *file = fopen(bundle->path, "wb");
	if (file == NULL)
		die("cannot write");
	for (size_t i = 0; i < bundle->count; i++) {
		const struct custos_buf *entry = &bundle->entry[i];
		const uint8_t length[2] = { (uint8_t)(entry->len >> 8), (uint8_t)(entry->len & 0xff) };
		if (fwrite(length, 1, 2, file) != 2 || fwrite(entry->ptr, 1, entry->len, file) != entry->len)
			die("cannot write");
	}
	if (fclose(file) != 0)
		die("cannot write");
}

/* Writes one hash into a tile of a level; returns the root of the tile. False when there is no such tile. */
static bool put_hash(struct custos_merkle *m, const char *dir, int level, size_t index, const uint8_t *hash, uint8_t *ret_root, bool *ret_full)
{
	char where[8], path[4096];
	custos_hash tile[WIDTH];
	snprintf(where, sizeof where, "%d", level);
	FILE *file = open_tile(dir, where, index / WIDTH, path);
	if (file == NULL)
		return false;
	size_t count = fread(tile, sizeof *tile, WIDTH, file);
	fclose(file);
	memcpy(tile[index % WIDTH], hash, sizeof *tile);
	file = fopen(path, "wb");
	if (file == NULL || fwrite(tile, sizeof *tile, count, file) != count || fclose(file) != 0)
		die("cannot write");
	*ret_full = count == WIDTH;
	must(custos_merkle_root(m, (const custos_hash *)tile, count, ret_root, NULL));
	return true;
}

static void retile(const char *dir, size_t index, const struct custos_buf *entry, int levels)
{
	struct custos_merkle *m = NULL;
	custos_hash hash, root;
	bool full = true;
	must(custos_merkle_new(&m, NULL));
	must(custos_merkle_leaf(m, custos_buf_view(entry), hash, NULL));
	for (int level = 0; level < levels && full; level++, index /= WIDTH) {
		if (!put_hash(m, dir, level, index, hash, root, &full))
			die("no such tile");
		memcpy(hash, root, sizeof hash);
	}
	custos_merkle_free(m);
}

static void edit(struct custos_buf *entry)
{
	char *operator = strstr((char *)entry->ptr, "alice");
	if (operator == NULL)
		die("no alice there");
	memcpy(operator, "mario", strlen("mario"));
}

int main(int argc, char **argv)
{
	struct bundle bundle = { 0 };
	if (argc != 4)
		die("usage: damage_log DIR WHAT N");
	const char *dir = argv[1], *what = argv[2];
	size_t n = strtoull(argv[3], NULL, 10), at = n % WIDTH;
	load(dir, n / WIDTH, &bundle);
	if (at >= bundle.count || (at + 1 >= bundle.count && (strcmp(what, "swap") == 0 || strcmp(what, "double") == 0)))
		die("no such entry");
	struct custos_buf taken = bundle.entry[at];
	if (strcmp(what, "edit") == 0 || strcmp(what, "retile") == 0 || strcmp(what, "rebuild") == 0) {
		edit(&bundle.entry[at]);
		save(&bundle);
		if (strcmp(what, "edit") != 0)
			retile(dir, n, &bundle.entry[at], strcmp(what, "rebuild") == 0 ? 8 : 1);
	} else if (strcmp(what, "swap") == 0) {
		bundle.entry[at] = bundle.entry[at + 1];
		bundle.entry[at + 1] = taken;
		save(&bundle);
	} else if (strcmp(what, "drop") == 0) {
		memmove(&bundle.entry[at], &bundle.entry[at + 1], (bundle.count - at - 1) * sizeof taken);
		bundle.count--;
		save(&bundle);
		bundle.entry[bundle.count++] = taken; /* freed below */
	} else if (strcmp(what, "double") == 0) {
		struct custos_buf replaced = bundle.entry[at + 1];
		bundle.entry[at + 1] = taken;
		save(&bundle);
		bundle.entry[at + 1] = replaced;
	} else {
		die("no such damage");
	}
	for (size_t i = 0; i < bundle.count; i++)
		custos_buf_done(&bundle.entry[i]);
	return 0;
}
