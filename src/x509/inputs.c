/* What people give instead of a certificate, named in their words: requests, keys, bundles, archives, empty files. */
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

static void request_given(const struct custos_rules *r, const struct custos_bag *bag, const struct custos_bag_item *item, const char *at)
{
	bool nothing_else = custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE) == 0;
	enum custos_severity severity = nothing_else ? CUSTOS_SEVERITY_ERROR : CUSTOS_SEVERITY_WARNING;
	if (ends_with(item->file, ".key"))
		custos_problems_add(r->problems, "request_as_key", severity, "no key file is needed: the key is delivered from the token; leave this file out",
		                    "%s: this is a certificate request, not a private key; the key never left the token or the host that made the request", at);
	else
		custos_problems_add(r->problems,
		                    "request_given", severity, nothing_else ? "send the request to the CA and give the certificate that comes back" : "nothing to do; the request is not needed here",
		                    "%s: this is a certificate request, neither a certificate nor a private key; the key never left the token", at);
}

static void unknown_given(const struct custos_rules *r, const struct custos_bag_item *item, const char *at)
{
	if (strcmp(item->what, "key parameters") == 0)
		return;
	if (strcmp(item->what, "a zip archive") == 0)
		custos_problems_add(r->problems, "not_understood", CUSTOS_SEVERITY_WARNING, "unpack it and give the files in it", "%s: this is a zip archive", at);
	else if (strcmp(item->what, "empty") == 0)
		custos_problems_add(r->problems, "not_understood", CUSTOS_SEVERITY_WARNING, "get the file from the CA again", "%s: this file is empty", at);
	else if (strncmp(item->what, "bytes", 5) == 0 || item->label[0] != '\0' || strncmp(item->what, "damaged", 7) == 0)
		custos_problems_add(r->problems, "damaged", CUSTOS_SEVERITY_WARNING,
		                    "get the file from the CA again, or copy it again, whole", "%s: this is %s", at, item->what);
	else
		custos_problems_add(r->problems, "not_understood", CUSTOS_SEVERITY_WARNING, "leave it out, or get the certificate in PEM from the CA",
		                    "%s: this is %s, there is no certificate in it", at, item->what);
}

static void container_given(const struct custos_rules *r, const struct custos_bag_item *item, const char *at)
{
	if (strstr(item->what, "without") != NULL)
		custos_problems_add(r->problems, "pkcs7_empty", CUSTOS_SEVERITY_WARNING, "ask the CA for the certificate itself", "%s: this is %s", at, item->what);
	else
		custos_problems_add(r->problems, "pkcs7_converted", CUSTOS_SEVERITY_FIXED, "nothing to do; servers need PEM certificates",
		                    "%s: this is a PKCS#7 container%s, no server takes it as a certificate file; converted", at,
		                    item->quirks & CUSTOS_QUIRK_LABEL ? " (in the armour of a certificate)" : "");
}

static void key_given(const struct custos_rules *r, const struct custos_bag_item *item, const char *at)
{
	custos_problems_add(r->problems, "private_key_given", CUSTOS_SEVERITY_WARNING,
	                    "a key in a file is in nobody's custody: remove the file, and have the certificate revoked if others could read it",
	                    "%s: this is %s; it was not read and is not needed", at, item->what);
}

static void public_key_given(const struct custos_rules *r, const char *at)
{
	custos_problems_add(r->problems, "public_key_given", CUSTOS_SEVERITY_WARNING,
	                    "nothing to do; leave it out", "%s: this is a public key, not a certificate", at);
}

static void armour(const struct custos_rules *r, const struct custos_bag_item *item, const char *at)
{
	if (item->quirks & CUSTOS_QUIRK_GLUED)
		custos_problems_add(r->problems, "glued", CUSTOS_SEVERITY_FIXED, "nothing to do; files joined by hand need a newline in between",
		                    "%s: the BEGIN line is glued to what stands before it, which servers refuse; fixed", at);
	if ((item->quirks & CUSTOS_QUIRK_LABEL) && item->kind == CUSTOS_ITEM_CERTIFICATE)
		custos_problems_add(r->problems, "wrong_label", CUSTOS_SEVERITY_FIXED, "nothing to do",
		                    "%s: a certificate in the armour of '%s'; fixed", at, item->label);
	if (item->kind == CUSTOS_ITEM_CERTIFICATE && item->form == CUSTOS_FORM_DER)
		custos_problems_add(r->problems, "der_converted", CUSTOS_SEVERITY_FIXED, "nothing to do; servers need PEM",
		                    "%s: a certificate in binary form (DER); converted", at);
}

void custos_rules_inputs(const struct custos_rules *r, const struct custos_bag *bag)
{
	enum { NAMED_MAX = 100 };
	size_t before = r->problems->count;
	for (size_t i = 0; i < custos_bag_count(bag); i++) {
		const struct custos_bag_item *item = custos_bag_at(bag, i);
		char at[320];
		place(item, at);
		if (r->problems->count - before >= NAMED_MAX) {
			custos_problems_add(r->problems, "and_more", CUSTOS_SEVERITY_WARNING,
			                    "give only the files that the CA sent for this certificate", "%s: more of this kind, not listed", at);
			return;
		}
		if (item->kind == CUSTOS_ITEM_REQUEST)
			request_given(r, bag, item, at);
		else if (item->kind == CUSTOS_ITEM_PRIVATE_KEY)
			key_given(r, item, at);
		else if (item->kind == CUSTOS_ITEM_PKCS7)
			container_given(r, item, at);
		else if (item->kind == CUSTOS_ITEM_PUBLIC_KEY)
			public_key_given(r, at);
		else if (item->kind == CUSTOS_ITEM_PKCS12)
			custos_problems_add(r->problems, "pkcs12_given", CUSTOS_SEVERITY_WARNING, "export its certificates as PEM and give those",
			                    "%s: this is a PKCS#12 container, which is not opened", at);
		else if (item->kind == CUSTOS_ITEM_UNKNOWN)
			unknown_given(r, item, at);
		armour(r, item, at);
	}
}
