/* Lists of keys that are not to be certified: whatever the text, an error with its line, or a list that finds what stands in it. */
#include "x509/blocklist.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CUSTOS_AUTO(custos_blocklist) *list = NULL;
	struct custos_err err = { 0 };
	custos_rc rc = custos_blocklist_parse(CUSTOS_BYTES(data, size), "list", &list, &err);
	MUST((rc == CUSTOS_OK) == (list != NULL));
	MUST(rc == CUSTOS_OK || (rc == CUSTOS_E_INPUT && strncmp(err.msg, "list:", 5) == 0 && strchr(err.msg, '\n') == NULL));
	if (rc != CUSTOS_OK)
		return 0;
	/* an SPKI of Ed25519, RFC 8410 10.1; its SHA-256 stands in the corpus */
	static const uint8_t spki[44] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00, 0x19, 0xbf, 0x44, 0x09, 0x69, 0x84, 0xcd, 0xfe, 0x85, 0x41,
		                          0xba, 0xc1, 0x67, 0xdc, 0x3b, 0x96, 0xc8, 0x50, 0x86, 0xaa, 0x30, 0xb6, 0xb6, 0xcb, 0x0c, 0x5c, 0x38, 0xad, 0x70, 0x31, 0x66, 0xe1 };
	bool found = false;
	MUST(custos_blocklist_find(list, CUSTOS_BYTES(spki, sizeof spki), &found, &err) == CUSTOS_OK);
	/* it cannot be found where there is no room for it */
	MUST(!found || size >= 64);
	return 0;
}
