/* What a process can see of itself: flags of a mapping, and a search of all its writable memory for bytes that must not be there. The
 * needle is kept masked, so that the search does not find itself. Does not work under a sanitizer, which keeps copies. */
#ifndef CUSTOS_TESTS_OWNMEMORY_H
#define CUSTOS_TESTS_OWNMEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { NEEDLE_MASK = 0x5a, MAPPINGS_MAX = 512 };

struct mapping {
	uintptr_t low, high;
	bool readable, writable, locked, undumped, wiped_on_fork, not_forked;
};

/* Reads /proc/self/smaps into `to`; a stack array, so that reading does not change the heap it reports. */
static inline size_t read_mappings(struct mapping *to, size_t room)
{
	static char line[512];
	size_t count = 0;
	FILE *f = fopen("/proc/self/smaps", "r");
	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		unsigned long low, high;
		char mode[8];
		if (sscanf(line, "%lx-%lx %7s ", &low, &high, mode) == 3 && count < room)
			to[count++] = (struct mapping){ .low = low, .high = high, .readable = mode[0] == 'r', .writable = mode[0] == 'r' && mode[1] == 'w' };
		if (strncmp(line, "VmFlags:", 8) == 0 && count > 0) {
			to[count - 1].locked = strstr(line, " lo") != NULL;
			to[count - 1].undumped = strstr(line, " dd") != NULL;
			to[count - 1].wiped_on_fork = strstr(line, " wf") != NULL;
			to[count - 1].not_forked = strstr(line, " dc") != NULL;
		}
	}
	if (f != NULL)
		fclose(f);
	return count;
}

static inline struct mapping mapping_of(const void *p)
{
	static struct mapping all[MAPPINGS_MAX];
	size_t count = read_mappings(all, MAPPINGS_MAX);
	for (size_t i = 0; i < count; i++)
		if ((uintptr_t)p >= all[i].low && (uintptr_t)p < all[i].high)
			return all[i];
	return (struct mapping){ 0 };
}

/* How often any 8-byte window of the masked needle stands in writable memory that is locked, or that is not. */
static inline size_t count_windows(const uint8_t *masked, size_t len, bool in_locked)
{
	static struct mapping all[MAPPINGS_MAX];
	size_t count = read_mappings(all, MAPPINGS_MAX), found = 0;
	for (size_t m = 0; m < count; m++) {
		if (!all[m].writable || all[m].locked != in_locked)
			continue;
		for (const uint8_t *p = (const uint8_t *)all[m].low; p + 8 <= (const uint8_t *)all[m].high; p++)
			for (size_t at = 0; at + 8 <= len; at++) {
				size_t i = 0;
				while (i < 8 && (uint8_t)(p[i] ^ NEEDLE_MASK) == masked[at + i])
					i++;
				found += i == 8;
			}
	}
	return found;
}

#endif
