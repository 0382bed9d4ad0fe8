/* Tile paths. */
#include "log/tile.h"

#include <inttypes.h>
#include <stdio.h>

static void full_path(const struct custos_tile *tile, char out[static CUSTOS_TILE_PATH_MAX])
{
	enum { GROUPS = 7 }; /* 2^64 has 20 digits */
	unsigned group[GROUPS];
	int groups = 0;
	uint64_t n = tile->n;
	do {
		group[groups++] = (unsigned)(n % 1000);
		n /= 1000;
	} while (n > 0);
	int at = tile->level == CUSTOS_TILE_ENTRIES ? snprintf(out, CUSTOS_TILE_PATH_MAX, "tile/entries")
	                                            : snprintf(out, CUSTOS_TILE_PATH_MAX, "tile/%d", tile->level);
	while (groups-- > 0)
		at += snprintf(out + at, (size_t)(CUSTOS_TILE_PATH_MAX - at), groups > 0 ? "/x%03u" : "/%03u", group[groups]);
}

void custos_tile_partials_path(const struct custos_tile *tile, char out[static CUSTOS_TILE_PATH_MAX])
{
	full_path(tile, out);
	size_t at = strlen(out);
	snprintf(out + at, CUSTOS_TILE_PATH_MAX - at, ".p");
}

void custos_tile_path(const struct custos_tile *tile, char out[static CUSTOS_TILE_PATH_MAX])
{
	if (tile->width == CUSTOS_TILE_WIDTH) {
		full_path(tile, out);
		return;
	}
	custos_tile_partials_path(tile, out);
	size_t at = strlen(out);
	snprintf(out + at, CUSTOS_TILE_PATH_MAX - at, "/%u", tile->width);
}
