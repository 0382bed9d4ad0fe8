/* What people give that holds no certificate we could read, told by how it begins: archives, pictures, documents, messages, and keys in the formats of other
 * programs. Only looked at, never decoded; a key is told from the rest, so that it is reported as one. */
#include "x509/read.h"

#include <strings.h>

struct form {
	size_t at;
	const char *magic;
	size_t len;
	enum custos_nature nature;
};
#define BYTES(literal) (literal), sizeof(literal) - 1

static const struct form binary[] = {
	{ 0, BYTES("PK\x03\x04"), CUSTOS_NATURE_ZIP_NESTED },
	{ 0, BYTES("PK\x05\x06"), CUSTOS_NATURE_ZIP_EMPTY },
	{ 0, BYTES("\x1f\x8b"), CUSTOS_NATURE_GZIP },
	{ 0, BYTES("BZh"), CUSTOS_NATURE_BZIP2 },
	{ 0, BYTES("\xfd" "7zXZ"), CUSTOS_NATURE_XZ },
	{ 0, BYTES("\x28\xb5\x2f\xfd"), CUSTOS_NATURE_ZSTD },
	{ 0, BYTES("7z\xbc\xaf"), CUSTOS_NATURE_7Z },
	{ 0, BYTES("Rar!\x1a\x07"), CUSTOS_NATURE_RAR },
	{ 0, BYTES("MSCF"), CUSTOS_NATURE_CABINET },
	{ 257, BYTES("ustar"), CUSTOS_NATURE_TAR },
	{ 0, BYTES("%PDF"), CUSTOS_NATURE_PDF },
	{ 0, BYTES("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), CUSTOS_NATURE_OFFICE_OLD },
	{ 0, BYTES("{\\rtf"), CUSTOS_NATURE_RICH_TEXT },
	{ 0, BYTES("\x89PNG\r\n\x1a\n"), CUSTOS_NATURE_PICTURE },
	{ 0, BYTES("\xff\xd8\xff"), CUSTOS_NATURE_PICTURE },
	{ 0, BYTES("GIF8"), CUSTOS_NATURE_PICTURE },
	{ 0, BYTES("\xff\xfe"), CUSTOS_NATURE_TEXT_UTF16 },
	{ 0, BYTES("\xfe\xff"), CUSTOS_NATURE_TEXT_UTF16 },
	{ 0, BYTES("\xfe\xed\xfe\xed"), CUSTOS_NATURE_JAVA_KEYSTORE },
	{ 0, BYTES("\xce\xce\xce\xce"), CUSTOS_NATURE_JAVA_KEYSTORE },
	{ 0, BYTES("kych"), CUSTOS_NATURE_KEYCHAIN },
	{ 0, BYTES("SSH PRIVATE KEY FILE FORMAT"), CUSTOS_NATURE_KEY_SSH },
};

/* Of text, what stands behind the first white space and in any case. */
static const struct form words[] = {
	{ 0, BYTES("PuTTY-User-Key-File-"), CUSTOS_NATURE_KEY_PUTTY },
	{ 0, BYTES("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY"), CUSTOS_NATURE_KEY_SSH },
	{ 0, BYTES("---- BEGIN SSH2 PUBLIC KEY"), CUSTOS_NATURE_SSH_PUBLIC_KEY },
	{ 0, BYTES("ssh-"), CUSTOS_NATURE_SSH_PUBLIC_KEY },
	{ 0, BYTES("ecdsa-sha2-"), CUSTOS_NATURE_SSH_PUBLIC_KEY },
	{ 0, BYTES("sk-ssh-"), CUSTOS_NATURE_SSH_PUBLIC_KEY },
	{ 0, BYTES("sk-ecdsa-sha2-"), CUSTOS_NATURE_SSH_PUBLIC_KEY },
	{ 0, BYTES("<!doctype"), CUSTOS_NATURE_WEB_PAGE },
	{ 0, BYTES("<html"), CUSTOS_NATURE_WEB_PAGE },
	{ 0, BYTES("<head"), CUSTOS_NATURE_WEB_PAGE },
};

/* Zip archives that are a document: the first entry's name, and of OpenDocument its content, stand at a fixed place. */
static const struct form documents[] = {
	{ 30, BYTES("[Content_Types].xml"), CUSTOS_NATURE_OFFICE },
	{ 30, BYTES("mimetypeapplication/vnd.oasis"), CUSTOS_NATURE_LIBREOFFICE },
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

enum custos_nature custos_foreign_document(struct custos_bytes input)
{
	for (size_t i = 0; i < sizeof documents / sizeof *documents; i++)
		if (stands_at(input, &documents[i]))
			return documents[i].nature;
	return CUSTOS_NATURE_NONE;
}

enum custos_nature custos_foreign_look(struct custos_bytes input)
{
	size_t blank = 0;
	for (size_t i = 0; i < input.len; i++) {
		uint8_t c = input.ptr[i];
		if ((c < 0x20 && c != '\n' && c != '\r' && c != '\t' && c != '\f') || c == 0x7f)
			return CUSTOS_NATURE_BINARY;
		blank += c <= 0x20;
	}
	return blank == input.len ? CUSTOS_NATURE_EMPTY : CUSTOS_NATURE_TEXT;
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

enum custos_nature custos_foreign_nature(struct custos_bytes input)
{
	for (size_t i = 0; i < sizeof binary / sizeof *binary; i++)
		if (stands_at(input, &binary[i]))
			return binary[i].nature;
	struct custos_bytes text = custos_foreign_skip_space(input);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (text.len >= words[i].len && strncasecmp((const char *)text.ptr, words[i].magic, words[i].len) == 0)
			return words[i].nature;
	enum custos_nature look = custos_foreign_look(input);
	if (look == CUSTOS_NATURE_TEXT && is_message(text))
		return CUSTOS_NATURE_MESSAGE;
	if (look == CUSTOS_NATURE_TEXT && tells_begin(text))
		return CUSTOS_NATURE_BEGIN_ALTERED;
	bool der = input.len > 2 && input.ptr[0] == 0x30 && (input.ptr[1] & 0x80) != 0;
	return der && look == CUSTOS_NATURE_BINARY ? CUSTOS_NATURE_DER_DAMAGED : look;
}
