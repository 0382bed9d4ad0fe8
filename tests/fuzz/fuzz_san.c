/* Alternative names: as a person asks for them, and as a certificate has them. */
#include "x509/name.h"
#include "x509/private.h"
#include "x509/san.h"

#include "bag.h"

static void must_show(const GENERAL_NAMES *names)
{
	CUSTOS_AUTO(custos_json) *shown = custos_name_alts_json(names);
	MUST(custos_json_count(shown) == (names == NULL ? 0 : (size_t)sk_GENERAL_NAME_num(names)));
	for (size_t i = 0; i < custos_json_count(shown); i++)
		must_be_a_line(custos_json_string_value(custos_json_at(shown, i)));
	for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++)
		(void)custos_private_reason(sk_GENERAL_NAME_value(names, i));
}

static void ask_for(const char *text)
{
	GENERAL_NAME *name = NULL;
	const char *why = NULL, *remedy = NULL;
	struct custos_err err = { 0 };
	MUST(custos_san_parse(text, &name, &why, &remedy, &err) == CUSTOS_OK);
	MUST(name != NULL || (why != NULL && remedy != NULL));
	if (name == NULL) {
		must_be_a_line(why);
		must_be_a_line(remedy);
		return;
	}
	CUSTOS_AUTO_STR *shown = custos_name_alt_text(name);
	must_be_a_line(shown);
	MUST(custos_san_equal(name, name));
	const char *private = custos_private_reason(name);
	if (private != NULL)
		must_be_a_line(private);
	GENERAL_NAME_free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const unsigned char *p = data;
	GENERAL_NAMES *names = size == 0 ? NULL : d2i_GENERAL_NAMES(NULL, &p, (long)size);
	must_show(names);
	GENERAL_NAMES_free(names);
	custos_x509_drain();
	char *text = malloc(size + 1);
	MUST(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	ask_for(text);
	free(text);
	return 0;
}
