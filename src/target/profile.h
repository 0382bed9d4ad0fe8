/* A profile as it was read: the recipe for the host and the rules for the key. Private to this layer. */
#ifndef CUSTOS_TARGET_PROFILE_H
#define CUSTOS_TARGET_PROFILE_H

#include "target/plan.h"

enum { CUSTOS_PROFILE_KEYS_MAX = 12 };

struct custos_profile {
	char *key_types[CUSTOS_PROFILE_KEYS_MAX]; /* none: any */
	size_t key_type_count;
	char *keys_because;
	unsigned key_format;
	struct custos_recipe recipe;
};

#endif
