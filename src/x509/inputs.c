/* What people give instead of a certificate, named in their words: requests, keys, bundles, archives, empty files. The words are nature.c's; here is
 * what depends on more than the item: what else was given, how the file is called, the armour around it. */
#include "x509/nature.h"
#include "x509/rules.h"

#include <stdio.h>
#include <strings.h>

static bool ends_with(const char *text, const char *suffix)
{
	size_t a = strlen(text), b = strlen(suffix);
	return a >= b && strcasecmp(text + a - b, suffix) == 0;
}

static const char *place(const struct custos_bag_item *item, char out[static 320])
{
	if (item->line > 0)
		snprintf(out, 320, "%.300s:%u", item->file, item->line);
	else
		snprintf(out, 320, "%.300s", item->file);
	return out;
}

/* `alone`: there is no certificate at all, so what was given instead is the answer. */
static enum custos_severity severity_of(enum custos_weight weight, bool alone)
{
	if (weight == CUSTOS_WEIGHT_FIXED)
		return CUSTOS_SEVERITY_FIXED;
	return weight == CUSTOS_WEIGHT_ANSWER && alone ? CUSTOS_SEVERITY_ERROR : CUSTOS_SEVERITY_WARNING;
}

static void adapt_request(struct custos_nature_row *row, const char *file, bool alone)
{
	if (ends_with(file, ".key")) {
		row->code = "request_as_key";
		row->text = "this is a certificate request, not a private key; the key never left the token or the host that made the request";
		row->remedy = "no key file is needed: the key is delivered from the token; leave this file out";
	} else if (alone) {
		row->remedy = "send the request to the CA and give the certificate that comes back";
	}
}

static void tell(const struct custos_rules *r, const struct custos_bag_item *item, bool alone, const char *at)
{
	struct custos_nature_row row = *custos_nature_row(item->nature);
	if (item->nature == CUSTOS_NATURE_REQUEST)
		adapt_request(&row, item->file, alone);
	if (item->nature == CUSTOS_NATURE_PKCS7 && (item->quirks & CUSTOS_QUIRK_LABEL))
		row.text = "this is a PKCS#7 container (in the armour of a certificate), no server takes it as a certificate file; converted";
	if (row.code != NULL)
		custos_problems_add(r->problems, row.code, severity_of(row.weight, alone), row.remedy, "%s: %s", at, row.text);
}

static void armour(const struct custos_rules *r, const struct custos_bag_item *item, const char *at)
{
	bool kept = item->kind == CUSTOS_ITEM_CERTIFICATE || item->kind == CUSTOS_ITEM_PKCS7; /* of the others nothing is put right */
	if (kept && (item->quirks & CUSTOS_QUIRK_GLUED))
		custos_problems_add(r->problems, "glued", CUSTOS_SEVERITY_FIXED, "nothing to do; files joined by hand need a newline in between",
		                    "%s: the BEGIN line is glued to what stands before it, which servers refuse; fixed", at);
	if ((item->quirks & CUSTOS_QUIRK_LABEL) && item->kind == CUSTOS_ITEM_CERTIFICATE)
		custos_problems_add(r->problems, "wrong_label", CUSTOS_SEVERITY_FIXED, "nothing to do",
		                    "%s: a certificate in the armour of '%s'; fixed", at, item->label);
	if (kept && (item->quirks & CUSTOS_QUIRK_UTF16))
		custos_problems_add(r->problems, "utf16_converted", CUSTOS_SEVERITY_FIXED, "nothing to do; servers need one byte a character",
		                    "%s: the text is in UTF-16, as Windows writes it, which servers refuse; converted", at);
	if (item->kind == CUSTOS_ITEM_CERTIFICATE && item->form == CUSTOS_FORM_BASE64)
		custos_problems_add(r->problems, "armour_missing", CUSTOS_SEVERITY_FIXED, "nothing to do; servers need PEM, with its BEGIN and END lines",
		                    "%s: a certificate without its BEGIN and END lines; added", at);
	if (item->kind == CUSTOS_ITEM_CERTIFICATE && item->form == CUSTOS_FORM_DER)
		custos_problems_add(r->problems, "der_converted", CUSTOS_SEVERITY_FIXED, "nothing to do; servers need PEM",
		                    "%s: a certificate in binary form (DER); converted", at);
}

void custos_rules_inputs(const struct custos_rules *r, const struct custos_bag *bag)
{
	enum { NAMED_MAX = 100 };
	const bool alone = custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE) == 0;
	size_t before = r->problems->count;
	for (size_t i = 0; i < custos_bag_count(bag); i++) {
		const struct custos_bag_item *item = custos_bag_at(bag, i);
		char at[320];
		place(item, at);
		if (r->problems->count - before >= NAMED_MAX) {
			custos_problems_add(r->problems, "and_more", CUSTOS_SEVERITY_WARNING,
			                    "give only the files that the CA sent for this certificate", "%s: more of this kind, not listed", at);
			break;
		}
		tell(r, item, alone, at);
		armour(r, item, at);
	}
}
