/* What people give that holds no certificate we could read, told by how it begins: archives, pictures, documents, messages, and keys in the formats of other
 * programs. Only looked at, never decoded; a key is told from the rest, so that it is reported as one. */
#include "x509/read.h"

#include <strings.h>

struct form {
	size_t at;
	const char *magic;
	size_t len;
	const char *what;
	enum custos_item_kind kind;
};
#define BYTES(literal) (literal), sizeof(literal) - 1

static const struct form binary[] = {
	{ 0, BYTES("PK\x03\x04"), "a zip archive in an archive", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("PK\x05\x06"), "an empty zip archive", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("\x1f\x8b"), "a gzip archive", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("BZh"), "a bzip2 archive", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("\xfd" "7zXZ"), "an xz archive", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("\x28\xb5\x2f\xfd"), "a zstd archive", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("7z\xbc\xaf"), "a 7z archive", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("Rar!\x1a\x07"), "a RAR archive", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("MSCF"), "a cabinet archive", CUSTOS_ITEM_UNKNOWN },
	{ 257, BYTES("ustar"), "a tar archive", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("%PDF"), "a PDF document", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "a document or message of Microsoft Office", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("{\\rtf"), "a document in rich text", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("\x89PNG\r\n\x1a\n"), "a picture", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("\xff\xd8\xff"), "a picture", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("GIF8"), "a picture", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("\xff\xfe"), "UTF-16 text", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("\xfe\xff"), "UTF-16 text", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("\xfe\xed\xfe\xed"), "a Java keystore", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("\xce\xce\xce\xce"), "a Java keystore", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("kych"), "a keychain of macOS", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("SSH PRIVATE KEY FILE FORMAT"), "an SSH private key", CUSTOS_ITEM_PRIVATE_KEY },
};

/* Of text, what stands behind the first white space and in any case. */
static const struct form words[] = {
	{ 0, BYTES("PuTTY-User-Key-File-"), "a PuTTY private key", CUSTOS_ITEM_PRIVATE_KEY },
	{ 0, BYTES("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY"), "an SSH private key", CUSTOS_ITEM_PRIVATE_KEY },
	{ 0, BYTES("---- BEGIN SSH2 PUBLIC KEY"), "an SSH public key", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("ssh-"), "an SSH public key", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("ecdsa-sha2-"), "an SSH public key", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("sk-ssh-"), "an SSH public key", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("sk-ecdsa-sha2-"), "an SSH public key", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("<!doctype"), "a web page", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("<html"), "a web page", CUSTOS_ITEM_UNKNOWN },
	{ 0, BYTES("<head"), "a web page", CUSTOS_ITEM_UNKNOWN },
};

/* Zip archives that are a document: the first entry's name, and of OpenDocument its content, stand at a fixed place. */
static const struct form documents[] = {
	{ 30, BYTES("[Content_Types].xml"), "a document of Microsoft Office", CUSTOS_ITEM_UNKNOWN },
	{ 30, BYTES("mimetypeapplication/vnd.oasis"), "a document of LibreOffice", CUSTOS_ITEM_UNKNOWN },
};

static bool stands_at(struct custos_bytes input, const struct form *form)
{
	return input.len >= form->at + form->len && memcmp(input.ptr + form->at, form->magic, form->len) == 0;
}

struct custos_bytes custos_foreign_skip_space(struct custos_bytes text)
{
	while (text.len > 0 && (*text.ptr == ' ' || *text.ptr == '\t' || *text.ptr == '\r' || *text.ptr == '\n'))
		text = CUSTOS_BYTES(text.ptr + 1, text.len - 1);
	return text;
}

const char *custos_foreign_document(struct custos_bytes input)
{
	for (size_t i = 0; i < sizeof documents / sizeof *documents; i++)
		if (stands_at(input, &documents[i]))
			return documents[i].what;
	return NULL;
}

const char *custos_foreign_look(struct custos_bytes input)
{
	size_t blank = 0;
	for (size_t i = 0; i < input.len; i++) {
		uint8_t c = input.ptr[i];
		if ((c < 0x20 && c != '\n' && c != '\r' && c != '\t' && c != '\f') || c == 0x7f)
			return "binary data";
		blank += c <= 0x20;
	}
	return blank == input.len ? "empty" : "text";
}

enum { HEADER_MAX = 16384 };

/* RFC 5322: it begins with a field, and one of the first is about MIME or the way the message went. */
static bool is_message(struct custos_bytes text)
{
	static const char *const fields[] = { "mime-version:", "content-type:", "received:", "message-id:" };
	size_t len = text.len, name = 0;
	if (len > HEADER_MAX)
		len = HEADER_MAX;
	while (name < len && text.ptr[name] > 0x20 && text.ptr[name] < 0x7f && text.ptr[name] != ':')
		name++;
	bool mailbox = len > 5 && memcmp(text.ptr, "From ", 5) == 0;
	if (!mailbox && (name == 0 || name == len || text.ptr[name] != ':'))
		return false;
	for (size_t i = 0; i < len; i++)
		for (size_t f = 0; (i == 0 || text.ptr[i - 1] == '\n') && f < sizeof fields / sizeof *fields; f++)
			if (len - i >= strlen(fields[f]) && strncasecmp((const char *)text.ptr + i, fields[f], strlen(fields[f])) == 0)
				return true;
	return false;
}

/* As word processors leave it: other dashes, other cases. */
static bool tells_begin(struct custos_bytes text)
{
	static const char line[] = "BEGIN CERTIFICATE";
	for (size_t i = 0; i + sizeof line - 1 <= text.len; i++)
		if ((text.ptr[i] == 'B' || text.ptr[i] == 'b') && strncasecmp((const char *)text.ptr + i, line, sizeof line - 1) == 0)
			return true;
	return false;
}

const char *custos_foreign_name(struct custos_bytes input, enum custos_item_kind *ret_kind)
{
	*ret_kind = CUSTOS_ITEM_UNKNOWN;
	for (size_t i = 0; i < sizeof binary / sizeof *binary; i++)
		if (stands_at(input, &binary[i])) {
			*ret_kind = binary[i].kind;
			return binary[i].what;
		}
	struct custos_bytes text = custos_foreign_skip_space(input);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (text.len >= words[i].len && strncasecmp((const char *)text.ptr, words[i].magic, words[i].len) == 0) {
			*ret_kind = words[i].kind;
			return words[i].what;
		}
	const char *look = custos_foreign_look(input);
	if (strcmp(look, "text") == 0 && is_message(text))
		return "an e-mail message";
	if (strcmp(look, "text") == 0 && tells_begin(text))
		return "text with a BEGIN line that was altered";
	bool der = input.len > 2 && input.ptr[0] == 0x30 && (input.ptr[1] & 0x80) != 0;
	return der && strcmp(look, "binary data") == 0 ? "damaged or truncated DER data" : look;
}
