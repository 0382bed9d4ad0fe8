/* Internal to this layer: decisions without a branch or a table, for encoders of what is secret. */
#ifndef CUSTOS_CRYPTO_CONSTANT_H
#define CUSTOS_CRYPTO_CONSTANT_H

#include <stdint.h>

/* All ones when v >= n, else 0; both below 2^31. */
static inline uint32_t custos_constant_at_least(uint32_t v, uint32_t n)
{
	return ((v - n) >> 31) - 1;
}

/* All ones when low <= v <= high, else 0; all below 2^31. */
static inline uint32_t custos_constant_within(uint32_t v, uint32_t low, uint32_t high)
{
	return custos_constant_at_least(v, low) & ~custos_constant_at_least(v, high + 1);
}

#endif
