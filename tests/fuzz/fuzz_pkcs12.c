/* PKCS#12: a verdict, and never more work than was allowed. */
#include "crypto/pkcs12.h"

#include "bag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { ALLOWED = 5000 };
	struct custos_p12 p12 = { 0 };
	uint64_t iterations = ALLOWED;
	MUST(custos_secret_start(NULL) == CUSTOS_OK);
	MUST(custos_p12_read(CUSTOS_BYTES(data, size), NULL, &iterations, &p12, NULL) == CUSTOS_OK);
	MUST(iterations <= ALLOWED);
	MUST(p12.verdict >= CUSTOS_P12_OPENED && p12.verdict <= CUSTOS_P12_COSTLY);
	MUST(p12.certs.len <= size);
	custos_p12_done(&p12);
	must_read(data, size);
	return 0;
}
