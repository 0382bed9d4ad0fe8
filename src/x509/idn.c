/* The one place that calls libidn2. */
#include "x509/idn.h"

#include <idn2.h>
#include <string.h>

enum { INPUT_MAX = 1024 };

static void drop_idn(char **p)
{
	idn2_free(*p);
}

custos_rc custos_idn_to_ascii(const char *host, char **ret_ascii, struct custos_err *err)
{
	CUSTOS_CLEANUP(drop_idn) char *ascii = NULL;
	*ret_ascii = NULL;
	/* UTS #46 would map, and drop what has no width: a request would ask for another name than the one that was typed */
	int rc = strlen(host) > INPUT_MAX ? IDN2_TOO_BIG_DOMAIN : idn2_to_ascii_8z(host, &ascii, IDN2_NO_TR46 | IDN2_NFC_INPUT);
	CUSTOS_REQUIRE(rc != IDN2_MALLOC, err, CUSTOS_E_SYSTEM, "out of memory");
	if (rc != IDN2_OK)
		return CUSTOS_OK;
	*ret_ascii = strdup(ascii);
	CUSTOS_REQUIRE(*ret_ascii != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	return CUSTOS_OK;
}

bool custos_idn_is_whole(const char *ascii)
{
	CUSTOS_CLEANUP(drop_idn) char *decoded = NULL;
	return strlen(ascii) <= INPUT_MAX && idn2_to_unicode_8z8z(ascii, &decoded, 0) == IDN2_OK;
}
