/* Anything at all, as one input: PEM, DER, text, what is in neither. */
#include "bag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	must_read(data, size);
	return 0;
}
