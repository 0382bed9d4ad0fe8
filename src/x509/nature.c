/* The table of natures: what an input is called, which problem that is, and the way on. Severities are in the weight; what depends on more than the item is
 * said in inputs.c. */
#include "x509/nature.h"

/* The columns that most rows begin with. */
#define FINE(words, kind) words, NULL, CUSTOS_ITEM_##kind, NULL, 0, NULL
#define THIS_IS(words, rest, kind) words, "this is " words rest, CUSTOS_ITEM_##kind
#define THIS(words) THIS_IS(words, "", UNKNOWN)
#define NOTHING_IN(words) THIS_IS(words, ", there is no certificate in it", UNKNOWN)

/* The columns that they end with: weight and remedy, where several rows share them. */
#define ASIDE CUSTOS_WEIGHT_ASIDE
#define ANSWER CUSTOS_WEIGHT_ANSWER
#define CONVERTED CUSTOS_WEIGHT_FIXED, "nothing to do; servers need PEM certificates"
#define UNPACK ANSWER, "unpack it and give the files in it"
#define HOSTILE(what) ASIDE, "do not unpack this archive, and ask whoever sent it; " what
#define COPY_TEXT ANSWER, "save the certificate from it as a text file, from -----BEGIN to -----END, or get the file from the CA"
#define GET_AGAIN ANSWER, "get the file from the CA again, or copy it again, whole"
#define GET_PEM ANSWER, "leave it out, or get the certificate in PEM from the CA"
#define LEAVE_OUT ASIDE, "nothing to do; leave it out"

#define PRIVATE_KEY(words) \
	THIS_IS(words, "; it was not read and is not needed", PRIVATE_KEY), "private_key_given", ASIDE, \
		"a key in a file is in nobody's custody: remove the file, and have the certificate revoked if others could read it"

static const struct custos_nature_row rows[CUSTOS_NATURE_COUNT] = {
	[CUSTOS_NATURE_NONE] = { FINE("nothing that is known", UNKNOWN) },
	[CUSTOS_NATURE_CERTIFICATE] = { FINE("a certificate", CERTIFICATE) },
	[CUSTOS_NATURE_REQUEST] = { THIS_IS("a certificate request", ", neither a certificate nor a private key; the key stayed where the request was made", REQUEST),
	                            "request_given", ANSWER, "nothing to do; the request is not needed here" },
	[CUSTOS_NATURE_PUBLIC_KEY] = { THIS_IS("a public key", ", not a certificate", PUBLIC_KEY), "public_key_given", LEAVE_OUT },
	[CUSTOS_NATURE_PUBLIC_KEY_RSA] = { "an RSA public key", "this is a public key, not a certificate", CUSTOS_ITEM_PUBLIC_KEY, "public_key_given", LEAVE_OUT },
	[CUSTOS_NATURE_CRL] = { "a revocation list", "this is a list of revoked certificates (CRL), not a certificate", CUSTOS_ITEM_CRL, "not_needed", LEAVE_OUT },

	[CUSTOS_NATURE_KEY] = { PRIVATE_KEY("an unencrypted private key") },
	[CUSTOS_NATURE_KEY_ENCRYPTED] = { PRIVATE_KEY("an encrypted private key") },
	[CUSTOS_NATURE_KEY_RSA] = { PRIVATE_KEY("an unencrypted RSA private key") },
	[CUSTOS_NATURE_KEY_RSA_ENCRYPTED] = { PRIVATE_KEY("an encrypted RSA private key") },
	[CUSTOS_NATURE_KEY_EC] = { PRIVATE_KEY("an unencrypted EC private key") },
	[CUSTOS_NATURE_KEY_EC_ENCRYPTED] = { PRIVATE_KEY("an encrypted EC private key") },
	[CUSTOS_NATURE_KEY_TRUNCATED] = { PRIVATE_KEY("a truncated private key") },
	[CUSTOS_NATURE_KEY_OPENSSH] = { PRIVATE_KEY("an OpenSSH private key") },
	[CUSTOS_NATURE_KEY_SSH] = { PRIVATE_KEY("an SSH private key") },
	[CUSTOS_NATURE_KEY_PUTTY] = { PRIVATE_KEY("a PuTTY private key") },
	[CUSTOS_NATURE_KEY_PGP] = { PRIVATE_KEY("a PGP private key") },
	[CUSTOS_NATURE_KEY_PARAMETERS] = { FINE("key parameters", UNKNOWN) }, /* they stand before many a key */

	[CUSTOS_NATURE_PKCS7] = { THIS_IS("a PKCS#7 container", ", no server takes it as a certificate file; converted", PKCS7), "pkcs7_converted", CONVERTED },
	[CUSTOS_NATURE_PKCS7_EMPTY] = { THIS_IS("a PKCS#7 container without certificates", "", PKCS7), "pkcs7_empty", ANSWER, "ask the CA for the certificate itself" },
	[CUSTOS_NATURE_PKCS12] = { THIS_IS("a PKCS#12 container", ", no server of this kind takes it as a certificate file; converted", PKCS12), "pkcs12_converted", CONVERTED },
	[CUSTOS_NATURE_PKCS12_EMPTY] = { THIS_IS("a PKCS#12 container without certificates", "", PKCS12), "pkcs12_empty", ANSWER, "ask the CA for the certificate itself" },
	[CUSTOS_NATURE_PKCS12_LOCKED] = { "a PKCS#12 container with a pass phrase", "this is a PKCS#12 container, and its pass phrase is not empty; its certificates were not read",
	                                  CUSTOS_ITEM_PKCS12, "pkcs12_locked", ANSWER, "give its pass phrase with --pass-phrase, or the certificates as PEM" },
	[CUSTOS_NATURE_PKCS12_OUTDATED] = { THIS_IS("a PKCS#12 container in an outdated form", " (such as RC2), which is not opened", PKCS12), "pkcs12_outdated", ANSWER,
	                                    "take the certificates out of it: openssl pkcs12 -legacy -nokeys -in FILE -out FILE.pem" },
	[CUSTOS_NATURE_PKCS12_COSTLY] = { "a PKCS#12 container that is made to be slow",
	                                  "this PKCS#12 container asks for more work or memory than one with certificates needs; it was not opened",
	                                  CUSTOS_ITEM_PKCS12, "pkcs12_costly", ANSWER, "give its certificates as PEM" },
	[CUSTOS_NATURE_PKCS12_DAMAGED] = { THIS_IS("a damaged PKCS#12 container", "", PKCS12), "damaged", ANSWER, "get the file again, or copy it again, whole" },

	[CUSTOS_NATURE_ENTRY_ENCRYPTED] = { THIS("an encrypted archive entry"), "archive_encrypted", ANSWER, "unpack it with its pass phrase and give the files in it" },
	[CUSTOS_NATURE_ENTRY_LEADS_OUT] = { THIS("an archive entry whose name leads out of the archive"), "archive_hostile", HOSTILE("it was not read") },
	[CUSTOS_NATURE_ENTRY_LINK] = { THIS("a symbolic link in an archive"), "archive_hostile", HOSTILE("the link was not followed") },
	[CUSTOS_NATURE_ENTRY_NO_FILE] = { THIS("an archive entry that is no file"), "archive_hostile", HOSTILE("it was not read") },
	[CUSTOS_NATURE_ENTRY_PACKING] = { THIS("an archive entry that is packed in an unusual way"), "archive_unread", UNPACK },
	[CUSTOS_NATURE_ENTRY_DAMAGED] = { THIS("a damaged archive entry"), "archive_damaged", ANSWER, "get the archive from the CA again, whole" },
	[CUSTOS_NATURE_ZIP_DAMAGED] = { THIS("a damaged zip archive"), "archive_damaged", ANSWER, "get the archive from the CA again, whole" },
	[CUSTOS_NATURE_ZIP_EMPTY] = { THIS("an empty zip archive"), "archive_empty", ANSWER, "get the archive from the CA again" },
	[CUSTOS_NATURE_ZIP_NESTED] = { THIS("a zip archive in an archive"), "archive_nested", UNPACK },
	[CUSTOS_NATURE_GZIP] = { THIS("a gzip archive"), "archive_unread", UNPACK },
	[CUSTOS_NATURE_BZIP2] = { THIS("a bzip2 archive"), "archive_unread", UNPACK },
	[CUSTOS_NATURE_XZ] = { THIS("an xz archive"), "archive_unread", UNPACK },
	[CUSTOS_NATURE_ZSTD] = { THIS("a zstd archive"), "archive_unread", UNPACK },
	[CUSTOS_NATURE_7Z] = { THIS("a 7z archive"), "archive_unread", UNPACK },
	[CUSTOS_NATURE_RAR] = { THIS("a RAR archive"), "archive_unread", UNPACK },
	[CUSTOS_NATURE_CABINET] = { THIS("a cabinet archive"), "archive_unread", UNPACK },
	[CUSTOS_NATURE_TAR] = { THIS("a tar archive"), "archive_unread", UNPACK },

	[CUSTOS_NATURE_DIRECTORY_NESTED] = { THIS("a directory in a directory"), "not_read", ASIDE, "nothing to do; name it too if the certificates are in it" },
	[CUSTOS_NATURE_DIRECTORY_EMPTY] = { THIS("an empty directory"), "not_read", ASIDE, "name the directory or the files that the certificates are in" },
	[CUSTOS_NATURE_FILE_UNOPENED] = { THIS("a file that cannot be opened"), "not_read", ASIDE, "make it readable, if a certificate is in it" },
	[CUSTOS_NATURE_FILE_IRREGULAR] = { THIS("no regular file"), "not_read", ASIDE, "nothing to do; it was left out" },
	[CUSTOS_NATURE_EMPTY] = { "empty", "this file is empty", CUSTOS_ITEM_UNKNOWN, "not_understood", ANSWER, "get the file from the CA again" },

	[CUSTOS_NATURE_PDF] = { THIS("a PDF document"), "document", COPY_TEXT },
	[CUSTOS_NATURE_RICH_TEXT] = { THIS("a document in rich text"), "document", COPY_TEXT },
	[CUSTOS_NATURE_LIBREOFFICE] = { THIS("a document of LibreOffice"), "document", COPY_TEXT },
	[CUSTOS_NATURE_OFFICE] = { THIS("a document of Microsoft Office"), "document", COPY_TEXT },
	[CUSTOS_NATURE_OFFICE_OLD] = { THIS("a document or message of Microsoft Office"), "document", ANSWER,
	                               "save the certificate that is attached to it, or its text, as a file of its own, and give that" },
	[CUSTOS_NATURE_MESSAGE] = { THIS("an e-mail message"), "message", ANSWER, "save the files that are attached to it, and give those" },
	[CUSTOS_NATURE_PICTURE] = { THIS("a picture"), "not_understood", ANSWER, "a picture of a certificate is none: get the file from the CA" },
	[CUSTOS_NATURE_WEB_PAGE] = { THIS("a web page"), "not_understood", ANSWER,
	                             "what the browser saved is the page, not the file: log in at the CA and download the certificate again" },
	[CUSTOS_NATURE_JAVA_KEYSTORE] = { THIS("a Java keystore"), "not_understood", ANSWER, "take the certificate out of it: keytool -exportcert -rfc -alias NAME -keystore FILE" },
	[CUSTOS_NATURE_KEYCHAIN] = { THIS("a keychain of macOS"), "not_understood", ANSWER, "export the certificate from Keychain Access, as .cer or .pem" },
	[CUSTOS_NATURE_OCSP] = { THIS("an OCSP response"), "not_needed", LEAVE_OUT },
	[CUSTOS_NATURE_PGP] = { THIS("a PGP key or message"), "not_needed", ASIDE, "nothing to do; servers do not use it, leave it out" },
	[CUSTOS_NATURE_SSH_PUBLIC_KEY] = { THIS("an SSH public key"), "not_needed", ASIDE, "nothing to do; it is for logins, not for TLS, leave it out" },

	[CUSTOS_NATURE_BLOCK_QUOTED] = { THIS("a PEM block in the source of an e-mail (quoted-printable)"), "message", ANSWER,
	                                 "save the message's text or attachment from the mail program, not its source, and give that" },
	[CUSTOS_NATURE_BLOCK_NOT_BASE64] = { THIS("a damaged PEM block (not base64)"), "damaged", GET_AGAIN },
	[CUSTOS_NATURE_BLOCK_UNKNOWN] = { THIS("a PEM block whose content is damaged or unknown"), "damaged", GET_AGAIN },
	[CUSTOS_NATURE_BLOCK_TRUNCATED] = { THIS("a truncated PEM block (its END line is missing)"), "damaged", GET_AGAIN },
	/* who armours a certificate means one, so this one is damaged; without armour it is anything, see OVERSIZED */
	[CUSTOS_NATURE_BLOCK_OVERSIZED] = { THIS("something signed that is larger than any certificate"), "damaged", GET_AGAIN },
	[CUSTOS_NATURE_BEGIN_ALTERED] = { THIS("text with a BEGIN line that was altered"), "damaged", ANSWER,
	                                  "make the line -----BEGIN CERTIFICATE----- again, five hyphens on each side, and the END line, too; or get the file from the CA" },
	[CUSTOS_NATURE_STRAY_BYTES] = { THIS("bytes that do not belong there"), "damaged", GET_AGAIN },
	[CUSTOS_NATURE_DER_DAMAGED] = { THIS("damaged or truncated DER data"), "damaged", GET_AGAIN },

	[CUSTOS_NATURE_OVERSIZED] = { NOTHING_IN("something signed that is larger than any certificate"), "not_understood", GET_PEM },
	[CUSTOS_NATURE_CERTIFICATE_DAMAGED] = { NOTHING_IN("a damaged certificate"), "not_understood", GET_PEM },
	[CUSTOS_NATURE_TEXT] = { NOTHING_IN("text"), "not_understood", GET_PEM },
	[CUSTOS_NATURE_TEXT_UTF16] = { NOTHING_IN("UTF-16 text"), "not_understood", GET_PEM },
	[CUSTOS_NATURE_BINARY] = { NOTHING_IN("binary data"), "not_understood", GET_PEM },
};

const struct custos_nature_row *custos_nature_row(enum custos_nature nature)
{
	return &rows[(size_t)nature < CUSTOS_NATURE_COUNT ? nature : CUSTOS_NATURE_NONE];
}
