/* Where things lie in a published log (C2SP tlog-tiles): `tile/L/N` holds 256 hashes of level L, `tile/entries/N` 256 entries, each with
 * its length in 16 bits before it; what is not full yet has its width behind it, `tile/L/N.p/W`. N is written in groups of three digits, all but
 * the last with an x before it. */
#ifndef CUSTOS_LOG_TILE_H
#define CUSTOS_LOG_TILE_H

#include "base/bytes.h"

enum { CUSTOS_TILE_WIDTH = 256, CUSTOS_TILE_ENTRIES = -1 /* in place of a level */, CUSTOS_TILE_PATH_MAX = 96 };
#define CUSTOS_BUNDLE_MAX ((size_t)CUSTOS_TILE_WIDTH * (2 + 65535))

struct custos_tile {
	int level;
	uint64_t n;
	unsigned width; /* 1 to 256 */
};
/* Name in errors and path below the published directory. */
void custos_tile_path(const struct custos_tile *tile, char out[static CUSTOS_TILE_PATH_MAX]);
/* The directory that holds the partial forms of a tile. */
void custos_tile_partials_path(const struct custos_tile *tile, char out[static CUSTOS_TILE_PATH_MAX]);

#endif
