/* Zip archives: whatever they say of themselves, an entry that is read was inside, and what leads out is not read. */
#include "bag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	must_read(data, size);
	return 0;
}
