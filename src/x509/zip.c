/* Zip archives, unpacked in memory by libarchive. Nothing is ever written, so no name leads anywhere; one that would is named all the same, because a CA
 * does not send such an archive.
 *
 * Only what is stored or deflated is unpacked: the other packings of the format ask for up to gigabytes of memory before the first byte. What an archive may
 * unpack to is what the bag still has room for, however small it is itself. An entry may be a private key, so what passes through libarchive and zlib is
 * overwritten when they free it. */
#include "x509/freed.h"
#include "x509/openssl.h"
#include "x509/read.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <stdio.h>

enum { ENTRIES_MAX = 4096, STEP = 1 << 16 };

struct zip {
	struct archive *archive;
	struct custos_bag *bag;
	const char *file;
	size_t entries;
	uint8_t *data;             /* of the entry that is read */
	size_t len, room;
	locale_t utf8, before;
};

static void close_zip(struct zip *z)
{
	OPENSSL_clear_free(z->data, z->room);
	archive_read_free(z->archive);
	if (z->utf8 != (locale_t)0) {
		uselocale(z->before);
		freelocale(z->utf8);
	}
}

/* libarchive has names pass through the locale of the thread, and loses those that it cannot write. */
static void speak_utf8(struct zip *z)
{
	z->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (z->utf8 != (locale_t)0)
		z->before = uselocale(z->utf8);
}

static custos_rc open_zip(struct zip *z, struct custos_err *err)
{
	speak_utf8(z);
	z->archive = archive_read_new();
	CUSTOS_REQUIRE(z->archive != NULL && archive_read_support_format_zip_seekable(z->archive) == ARCHIVE_OK, err, CUSTOS_E_SYSTEM, "out of memory");
	return CUSTOS_OK;
}

static custos_rc add_note(struct zip *z, const char *file, enum custos_nature nature, struct custos_err *err)
{
	struct custos_found found = { .file = file, .label = "", .form = CUSTOS_FORM_OTHER };
	struct custos_bag_item *item;
	return custos_bag_push(z->bag, &found, nature, &item, err);
}

static bool leads_out(const char *name)
{
	if (name[0] == '/' || name[0] == '\\' || (name[0] != '\0' && name[1] == ':'))
		return true;
	for (const char *part = name; part != NULL; part = strpbrk(part, "/\\")) {
		part += part != name;
		if (strncmp(part, "..", 2) == 0 && (part[2] == '\0' || part[2] == '/' || part[2] == '\\'))
			return true;
	}
	return false;
}

/* In libarchive's words the packing is the end of the format's name: "ZIP 2.0 (deflation)". */
static bool is_plainly_packed(struct archive *archive)
{
	const char *format = archive_format_name(archive);
	return format != NULL && (strstr(format, "(deflation)") != NULL || strstr(format, "(uncompressed)") != NULL);
}

/* _NONE when its bytes may be read. */
static enum custos_nature why_not(const struct zip *z, struct archive_entry *entry, const char *name)
{
	if (leads_out(name))
		return CUSTOS_NATURE_ENTRY_LEADS_OUT;
	if (archive_entry_filetype(entry) == AE_IFLNK || archive_entry_symlink(entry) != NULL)
		return CUSTOS_NATURE_ENTRY_LINK;
	if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != NULL)
		return CUSTOS_NATURE_ENTRY_NO_FILE;
	if (archive_entry_is_data_encrypted(entry) != 0 || archive_entry_is_metadata_encrypted(entry) != 0)
		return CUSTOS_NATURE_ENTRY_ENCRYPTED;
	return is_plainly_packed(z->archive) ? CUSTOS_NATURE_NONE : CUSTOS_NATURE_ENTRY_PACKING;
}

static custos_rc make_room(struct zip *z, struct custos_err *err)
{
	size_t room = z->room + (z->room < STEP ? STEP : z->room);
	uint8_t *grown = OPENSSL_clear_realloc(z->data, z->room, room);
	CUSTOS_REQUIRE(grown != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	z->data = grown;
	z->room = room;
	return CUSTOS_OK;
}

/* *ret_whole false: the entry is damaged. */
static custos_rc unpack(struct zip *z, bool *ret_whole, struct custos_err *err)
{
	z->len = 0;
	for (;;) {
		if (z->len == z->room)
			CUSTOS_TRY(make_room(z, err));
		la_ssize_t got = archive_read_data(z->archive, z->data + z->len, z->room - z->len);
		*ret_whole = got == 0;
		if (got <= 0)
			return CUSTOS_OK;
		z->len += (size_t)got;
		if (z->len > custos_bag_room(z->bag))
			CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "unpack it, and give only the files that the CA sent for this certificate",
			                 "%s: the archive unpacks to more than 10 MiB", z->file);
	}
}

static custos_rc add_entry(struct zip *z, struct archive_entry *entry, struct custos_err *err)
{
	const char *name = archive_entry_pathname_utf8(entry), *file;
	char path[1024];
	bool whole = false;
	if (name == NULL)
		name = archive_entry_pathname(entry);
	if (archive_entry_filetype(entry) == AE_IFDIR && (name == NULL || !leads_out(name)))
		return CUSTOS_OK;
	snprintf(path, sizeof path, "%.480s/%.500s", z->file, name == NULL ? "(no name)" : name);
	CUSTOS_TRY(custos_bag_own_name(z->bag, path, &file, err));
	enum custos_nature refused = why_not(z, entry, name == NULL ? "" : name);
	if (refused != CUSTOS_NATURE_NONE)
		return add_note(z, file, refused, err);
	CUSTOS_TRY(unpack(z, &whole, err));
	if (!whole)
		return add_note(z, file, CUSTOS_NATURE_ENTRY_DAMAGED, err);
	CUSTOS_TRY(custos_bag_spend(z->bag, file, z->len, err));
	return custos_read_input(z->bag, file, CUSTOS_BYTES(z->data, z->len), 0, err);
}

custos_rc custos_zip_add(struct custos_bag *bag, const char *file, struct custos_bytes input, struct custos_err *err)
{
	CUSTOS_OVERWRITE_FREED(guard);
	CUSTOS_CLEANUP(close_zip) struct zip z = { .bag = bag, .file = file };
	const size_t before = custos_bag_count(bag);
	CUSTOS_TRY(open_zip(&z, err));
	int rc = archive_read_open_memory(z.archive, input.ptr, input.len);
	struct archive_entry *entry;
	while (rc == ARCHIVE_OK || rc == ARCHIVE_WARN) {
		rc = archive_read_next_header(z.archive, &entry);
		if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
			break;
		if (z.entries++ == ENTRIES_MAX)
			CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "give only the files that the CA sent for this certificate", "%s: more than %d files in the archive", file, ENTRIES_MAX);
		CUSTOS_TRY(add_entry(&z, entry, err));
	}
	if (rc != ARCHIVE_EOF)
		return add_note(&z, file, CUSTOS_NATURE_ZIP_DAMAGED, err);
	/* one of directories alone is as empty */
	return custos_bag_count(bag) > before ? CUSTOS_OK : add_note(&z, file, CUSTOS_NATURE_ZIP_EMPTY, err);
}
