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
		                    "%s: this is a certificate request, neither a certificate nor a private key; the key stayed where the request was made", at);
}

#define UNPACK "unpack it and give the files in it"
#define COPY_TEXT "save the certificate from it as a text file, from -----BEGIN to -----END, or get the file from the CA"
/* What is not read, each with its remedy; a table, because that is all there is to say. */
static bool unread_given(const struct custos_rules *r, const struct custos_bag_item *item, const char *at)
{
	static const struct {
		const char *what, *code, *remedy;
	} unread[] = {
		{ "an encrypted archive entry", "archive_encrypted", "unpack it with its pass phrase and give the files in it" },
		{ "an archive entry whose name leads out of the archive", "archive_hostile", "do not unpack this archive, and ask whoever sent it; it was not read" },
		{ "a symbolic link in an archive", "archive_hostile", "do not unpack this archive, and ask whoever sent it; the link was not followed" },
		{ "an archive entry that is no file", "archive_hostile", "do not unpack this archive, and ask whoever sent it; it was not read" },
		{ "an archive entry that is packed in an unusual way", "archive_unread", UNPACK },
		{ "a zip archive in an archive", "archive_nested", UNPACK },
		{ "a gzip archive", "archive_unread", UNPACK },
		{ "a bzip2 archive", "archive_unread", UNPACK },
		{ "an xz archive", "archive_unread", UNPACK },
		{ "a zstd archive", "archive_unread", UNPACK },
		{ "a 7z archive", "archive_unread", UNPACK },
		{ "a RAR archive", "archive_unread", UNPACK },
		{ "a cabinet archive", "archive_unread", UNPACK },
		{ "a tar archive", "archive_unread", UNPACK },
		{ "a damaged archive entry", "archive_damaged", "get the archive from the CA again, whole" },
		{ "a damaged zip archive", "archive_damaged", "get the archive from the CA again, whole" },
		{ "an empty zip archive", "archive_empty", "get the archive from the CA again" },
		{ "a directory in a directory", "not_read", "nothing to do; name it too if the certificates are in it" },
		{ "an empty directory", "not_read", "name the directory or the files that the certificates are in" },
		{ "a file that cannot be opened", "not_read", "make it readable, if a certificate is in it" },
		{ "no regular file", "not_read", "nothing to do; it was left out" },
		{ "a PDF document", "document", COPY_TEXT },
		{ "a document in rich text", "document", COPY_TEXT },
		{ "a document of LibreOffice", "document", COPY_TEXT },
		{ "a document of Microsoft Office", "document", COPY_TEXT },
		{ "a document or message of Microsoft Office", "document", "save the certificate that is attached to it, or its text, as a file of its own, and give that" },
		{ "an e-mail message", "message", "save the files that are attached to it, and give those" },
		{ "a PEM block in the source of an e-mail (quoted-printable)", "message", "save the message's text or attachment from the mail program, not its source, and give that" },
		{ "text with a BEGIN line that was altered", "damaged", "make the line -----BEGIN CERTIFICATE----- again, five hyphens on each side, and the END line, too; or get the file from the CA" },
		{ "a picture", "not_understood", "a picture of a certificate is none: get the file from the CA" },
		{ "a web page", "not_understood", "what the browser saved is the page, not the file: log in at the CA and download the certificate again" },
		{ "a Java keystore", "not_understood", "take the certificate out of it: keytool -exportcert -rfc -alias NAME -keystore FILE" },
		{ "a keychain of macOS", "not_understood", "export the certificate from Keychain Access, as .cer or .pem" },
		{ "an OCSP response", "not_needed", "nothing to do; leave it out" },
		{ "a PGP key or message", "not_needed", "nothing to do; servers do not use it, leave it out" },
		{ "an SSH public key", "not_needed", "nothing to do; it is for logins, not for TLS, leave it out" },
	};
	for (size_t i = 0; i < sizeof unread / sizeof *unread; i++) {
		if (strcmp(item->what, unread[i].what) != 0)
			continue;
		custos_problems_add(r->problems, unread[i].code, CUSTOS_SEVERITY_WARNING, unread[i].remedy, "%s: this is %s", at, unread[i].what);
		return true;
	}
	return false;
}

static void unknown_given(const struct custos_rules *r, const struct custos_bag_item *item, const char *at)
{
	if (strcmp(item->what, "key parameters") == 0 || unread_given(r, item, at))
		return; /* parameters stand before many a key */
	if (strcmp(item->what, "empty") == 0)
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

static void p12_given(const struct custos_rules *r, const struct custos_bag_item *item, const char *at)
{
	if (strstr(item->what, "with a pass phrase") != NULL)
		custos_problems_add(r->problems, "pkcs12_locked", CUSTOS_SEVERITY_WARNING, "give its pass phrase with --pass-phrase, or the certificates as PEM",
		                    "%s: this is a PKCS#12 container, and its pass phrase is not empty; its certificates were not read", at);
	else if (strstr(item->what, "outdated") != NULL)
		custos_problems_add(r->problems, "pkcs12_outdated", CUSTOS_SEVERITY_WARNING, "take the certificates out of it: openssl pkcs12 -legacy -nokeys -in FILE -out FILE.pem",
		                    "%s: this is a PKCS#12 container in an outdated form (such as RC2), which is not opened", at);
	else if (strstr(item->what, "slow") != NULL)
		custos_problems_add(r->problems, "pkcs12_costly", CUSTOS_SEVERITY_WARNING, "give its certificates as PEM",
		                    "%s: this PKCS#12 container asks for more work or memory than one with certificates needs; it was not opened", at);
	else if (strstr(item->what, "damaged") != NULL)
		custos_problems_add(r->problems, "damaged", CUSTOS_SEVERITY_WARNING, "get the file again, or copy it again, whole", "%s: this is %s", at, item->what);
	else if (strstr(item->what, "without") != NULL)
		custos_problems_add(r->problems, "pkcs12_empty", CUSTOS_SEVERITY_WARNING, "ask the CA for the certificate itself", "%s: this is %s", at, item->what);
	else
		custos_problems_add(r->problems, "pkcs12_converted", CUSTOS_SEVERITY_FIXED, "nothing to do; servers need PEM certificates",
		                    "%s: this is a PKCS#12 container, no server of this kind takes it as a certificate file; converted", at);
}

static void key_given(const struct custos_rules *r, const struct custos_bag_item *item, const char *at)
{
	custos_problems_add(r->problems, "private_key_given", CUSTOS_SEVERITY_WARNING,
	                    "a key in a file is in nobody's custody: remove the file, and have the certificate revoked if others could read it",
	                    "%s: this is %s; it was not read and is not needed", at, item->what);
}

static void revocations_given(const struct custos_rules *r, const char *at)
{
	custos_problems_add(r->problems, "not_needed", CUSTOS_SEVERITY_WARNING, "nothing to do; leave it out", "%s: this is a list of revoked certificates (CRL), not a certificate", at);
}

static void public_key_given(const struct custos_rules *r, const char *at)
{
	custos_problems_add(r->problems, "public_key_given", CUSTOS_SEVERITY_WARNING,
	                    "nothing to do; leave it out", "%s: this is a public key, not a certificate", at);
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

/* What a file is becomes the answer where there is no certificate at all; else it is beside the point. */
static void answer_by_files(struct custos_problems *problems, size_t from)
{
	static const char *const codes[] = {
		"archive_encrypted", "archive_unread", "archive_nested", "archive_damaged", "archive_empty", "document", "message", "not_understood", "damaged",
		"pkcs7_empty", "pkcs12_locked", "pkcs12_outdated", "pkcs12_costly", "pkcs12_empty",
	};
	for (size_t i = from; i < problems->count; i++)
		for (size_t k = 0; k < sizeof codes / sizeof *codes; k++)
			if (strcmp(problems->items[i].code, codes[k]) == 0)
				problems->items[i].severity = CUSTOS_SEVERITY_ERROR;
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
			break;
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
			p12_given(r, item, at);
		else if (item->kind == CUSTOS_ITEM_CRL)
			revocations_given(r, at);
		else if (item->kind == CUSTOS_ITEM_UNKNOWN)
			unknown_given(r, item, at);
		armour(r, item, at);
	}
	if (custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE) == 0)
		answer_by_files(r->problems, before);
}
