/* Splitting a KEK, keeper's side (shares.h): the plan is checked to the end before a courier is started, the courier does it, files are written. */
#include "base/text.h"
#include "crypto/seal.h"
#include "crypto/shares.h"
#include "vault/courier.h"
#include "vault/share_file.h"
#include "vault/shares.h"
#include "x509/bag.h"
#include "x509/cert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { GRACE_MS = 2000, BYE_MS = 10000, NAME_SIZE = 32 };
static const char WORK[] = "splits the KEK";

struct recipient {
	char *name;                        /* the custodian's file; NULL: the terminal */
	struct custos_buf spki;
	uint8_t spki_sha256[CUSTOS_HASH_SIZE];
	bool is_out;
};

struct custos_split {
	struct custos_helper helper;
	struct custos_courier_met met;
	char *origin, *out;
	int dir;
	uint32_t set;
	char set_text[CUSTOS_SET_TEXT];
	unsigned threshold, count;
	struct recipient to[CUSTOS_SHARES_MAX];
};

void custos_split_free(struct custos_split *s)
{
	if (s == NULL)
		return;
	(void)custos_helper_stop(&s->helper, GRACE_MS);
	custos_courier_met_done(&s->met);
	for (unsigned i = 0; i < CUSTOS_SHARES_MAX; i++) {
		free(s->to[i].name);
		custos_buf_done(&s->to[i].spki);
	}
	custos_close_fd(&s->dir);
	free(s->origin);
	free(s->out);
	free(s);
}

const uint8_t *custos_split_point(const struct custos_split *s)
{
	return s->met.point;
}

const uint8_t *custos_split_sha256(const struct custos_split *s)
{
	return s->met.sha256;
}

const char *custos_split_memory(const struct custos_split *s)
{
	return s->met.memory_backend;
}

const char *custos_split_set(const struct custos_split *s)
{
	return s->set_text;
}

/* ---- the plan ---- */

static void file_name(unsigned number, char out[static NAME_SIZE])
{
	snprintf(out, NAME_SIZE, "share-%u.txt", number);
}

/* One public key or one certificate, and nothing else that could be meant. */
static custos_rc read_custodian(struct recipient *r, struct custos_err *err)
{
	uint8_t point[CUSTOS_POINT_SIZE];
	struct custos_err why = { 0 };
	CUSTOS_AUTO(custos_bag) *bag = NULL;
	CUSTOS_TRY(custos_bag_new(&bag, err));
	CUSTOS_TRY(custos_bag_add_file(bag, r->name, err));
	size_t keys = custos_bag_count_kind(bag, CUSTOS_ITEM_PUBLIC_KEY), certificates = custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE), at = 0;
	if (custos_bag_count_kind(bag, CUSTOS_ITEM_PRIVATE_KEY) > 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "openssl pkey -pubout writes the public half; the private key stays with its custodian", "%s holds a private key", r->name);
	if (keys + certificates != 1)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "a PEM file with one public key or one certificate", "%s holds %zu public keys and certificates", r->name, keys + certificates);
	const struct custos_bag_item *item = custos_bag_next(bag, keys == 1 ? CUSTOS_ITEM_PUBLIC_KEY : CUSTOS_ITEM_CERTIFICATE, &at);
	if (keys == 1)
		CUSTOS_TRY(custos_buf_append(&r->spki, item->der.ptr, item->der.len, err));
	else
		CUSTOS_TRY(custos_cert_spki(custos_buf_view(&item->der), &r->spki, err));
	if (custos_seal_point(custos_buf_view(&r->spki), point, &why) != CUSTOS_OK)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, why.hint, "the key in %s is not on P-256", r->name);
	return custos_spki_sha256(custos_buf_view(&r->spki), r->spki_sha256, err);
}

/* As good as one custodian with two shares. */
static custos_rc check_others(const struct custos_split *s, unsigned at, struct custos_err *err)
{
	for (unsigned i = 0; i < at; i++)
		if (memcmp(s->to[i].spki_sha256, s->to[at].spki_sha256, CUSTOS_HASH_SIZE) == 0)
			CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "each custodian has a key of his own", "%s and %s are the same key", s->to[i].name, s->to[at].name);
	return CUSTOS_OK;
}

static custos_rc take_custodians(struct custos_split *s, const char *const *custodians, struct custos_err *err)
{
	for (unsigned i = 0; custodians != NULL && custodians[i] != NULL; i++) {
		CUSTOS_REQUIRE(i < s->count, err, CUSTOS_E_USAGE, "there are more custodians than shares (%u)", s->count);
		s->to[i].name = custos_text_dup(custodians[i]);
		CUSTOS_REQUIRE(s->to[i].name != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
		CUSTOS_TRY(read_custodian(&s->to[i], err));
		CUSTOS_TRY(check_others(s, i, err));
	}
	return CUSTOS_OK;
}

static custos_rc open_out(struct custos_split *s, struct custos_err *err)
{
	char name[NAME_SIZE];
	struct stat st;
	if (s->to[0].name == NULL)
		return CUSTOS_OK;
	CUSTOS_REQUIRE(s->out != NULL, err, CUSTOS_E_USAGE, "say where the share files go");
	s->dir = open(s->out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CUSTOS_REQUIRE(s->dir >= 0, err, CUSTOS_E_INPUT, "cannot open the directory %s: %s", s->out, strerror(errno));
	CUSTOS_REQUIRE(faccessat(s->dir, ".", W_OK | X_OK, AT_EACCESS) == 0, err, CUSTOS_E_INPUT, "nothing can be written to the directory %s: %s", s->out, strerror(errno));
	for (unsigned i = 0; i < s->count && s->to[i].name != NULL; i++) {
		file_name(i + 1, name);
		if (fstatat(s->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
			CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "name an empty directory: a share is never written over", "%s/%s is there already", s->out, name);
	}
	return CUSTOS_OK;
}

static custos_rc open_terminal(const struct custos_split *s, int *ret_fd, struct custos_err *err)
{
	*ret_fd = -1;
	if (s->to[s->count - 1].name != NULL)
		return CUSTOS_OK;
	*ret_fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*ret_fd < 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "work at a terminal, or name a custodian's public key for each share", "there is no terminal to show shares at");
	return CUSTOS_OK;
}

static custos_rc send_plan(struct custos_split *s, int terminal, struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { .max = CUSTOS_FRAME_BODY_MAX };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_u8(&w, (uint8_t)s->threshold);
	custos_wire_put_u32(&w, s->set);
	custos_wire_put_u32(&w, s->count);
	for (unsigned i = 0; i < s->count; i++)
		custos_wire_put_text(&w, s->to[i].name);
	custos_wire_put_u32(&w, s->count);
	for (unsigned i = 0; i < s->count; i++)
		custos_wire_put_bytes(&w, custos_buf_view(&s->to[i].spki));
	CUSTOS_TRY(w.rc);
	return custos_channel_send(&s->helper.channel, CUSTOS_COURIER_SPLIT_PLAN, custos_buf_view(&body), terminal, err);
}

static custos_rc check_plan(const struct custos_share_plan *plan, const char *origin, struct custos_err *err)
{
	if (plan->threshold < CUSTOS_SHARES_MIN || plan->threshold > plan->count || plan->count > CUSTOS_SHARES_MAX)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "K/N with 2 <= K <= N <= 20, as 3/5: any three of five restore it", "%u of %u shares cannot be", plan->threshold, plan->count);
	CUSTOS_REQUIRE(strlen(origin) < CUSTOS_ORIGIN_MAX && strpbrk(origin, "\r\n") == NULL, err, CUSTOS_E_INPUT, "the log's name is too long for a share");
	return CUSTOS_OK;
}

static custos_rc start(struct custos_split *s, const struct custos_share_plan *plan, const char *origin, struct custos_err *err)
{
	uint8_t set[4];
	CUSTOS_AUTO_FD terminal = -1;
	s->threshold = plan->threshold;
	s->count = plan->count;
	s->origin = custos_text_dup(origin);
	s->out = custos_text_dup(plan->out);
	CUSTOS_REQUIRE(s->origin != NULL && (s->out != NULL || plan->out == NULL), err, CUSTOS_E_SYSTEM, "out of memory");
	CUSTOS_TRY(take_custodians(s, plan->custodians, err));
	CUSTOS_TRY(open_out(s, err));
	CUSTOS_TRY(open_terminal(s, &terminal, err));
	CUSTOS_TRY(custos_random(set, sizeof set, err));
	custos_text_hex(set, sizeof set, s->set_text);
	for (unsigned i = 0; i < sizeof set; i++)
		s->set = s->set << 8 | set[i];
	CUSTOS_TRY(custos_courier_meet(CUSTOS_JOB_SPLIT, &s->helper, &s->met, err));
	return send_plan(s, terminal, err);
}

custos_rc custos_split_start(const struct custos_share_plan *plan, const char *origin, struct custos_split **ret_split, struct custos_err *err)
{
	CUSTOS_TRY(check_plan(plan, origin, err));
	CUSTOS_AUTO(custos_split) *s = calloc(1, sizeof *s);
	CUSTOS_REQUIRE(s != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	s->helper.channel.fd = s->dir = -1;
	CUSTOS_TRY(start(s, plan, origin, err));
	*ret_split = CUSTOS_TAKE(s);
	return CUSTOS_OK;
}

/* ---- the KEK ---- */

custos_rc custos_split_hand_over(struct custos_split *s, const uint8_t token_point[static CUSTOS_POINT_SIZE], struct custos_bytes wrapped,
                                 const uint8_t import_point[static CUSTOS_POINT_SIZE], uint8_t ret_sealed_point[static CUSTOS_POINT_SIZE], struct custos_buf *ret_sealed,
                                 struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { .max = CUSTOS_FRAME_BODY_MAX };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_fixed(&w, token_point, CUSTOS_POINT_SIZE);
	custos_wire_put_bytes(&w, wrapped);
	custos_wire_put_u32(&w, 0);
	CUSTOS_TRY(w.rc);
	CUSTOS_TRY(custos_channel_send(&s->helper.channel, CUSTOS_COURIER_KEY, custos_buf_view(&body), -1, err));
	return custos_courier_have_sealed(&s->helper, import_point, WORK, ret_sealed_point, ret_sealed, err);
}

/* ---- giving out ---- */

static custos_rc fill(int fd, struct custos_bytes text)
{
	return write(fd, text.ptr, text.len) == (ssize_t)text.len && fsync(fd) == 0 ? CUSTOS_OK : CUSTOS_E_SYSTEM;
}

static custos_rc write_file(const struct custos_split *s, unsigned number, const uint8_t *point, struct custos_bytes sealed, struct custos_err *err)
{
	char name[NAME_SIZE];
	const struct recipient *r = &s->to[number - 1];
	CUSTOS_AUTO_BUF text = { .max = CUSTOS_SHARE_FILE_MAX };
	CUSTOS_CLEANUP(custos_share_file_done) struct custos_share_file share = { .set = s->set, .threshold = s->threshold, .number = number };
	snprintf(share.origin, sizeof share.origin, "%s", s->origin);
	memcpy(share.spki_sha256, r->spki_sha256, sizeof share.spki_sha256);
	memcpy(share.point, point, sizeof share.point);
	CUSTOS_TRY(custos_buf_append(&share.sealed, sealed.ptr, sealed.len, err));
	CUSTOS_TRY(custos_share_file_write(&share, &text, err));
	file_name(number, name);
	CUSTOS_AUTO_FD fd = openat(s->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	CUSTOS_REQUIRE(fd >= 0, err, CUSTOS_E_SYSTEM, "cannot make %s/%s: %s", s->out, name, strerror(errno));
	if (fill(fd, custos_buf_view(&text)) == CUSTOS_OK && fsync(s->dir) == 0)
		return CUSTOS_OK;
	(void)custos_err_set(err, CUSTOS_E_SYSTEM, errno, "cannot write %s/%s: %s", s->out, name, strerror(errno));
	unlinkat(s->dir, name, 0);
	return CUSTOS_E_SYSTEM;
}

/* In the order of their numbers, each as it was planned. */
static custos_rc take_share(struct custos_split *s, const struct custos_frame *frame, unsigned expected, struct custos_err *err)
{
	uint8_t point[CUSTOS_POINT_SIZE];
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	unsigned number = custos_wire_u8(&r);
	custos_wire_fixed(&r, point, sizeof point);
	struct custos_bytes sealed = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "SHARE", err));
	CUSTOS_REQUIRE(number == expected && number <= s->count && (s->to[number - 1].name == NULL) == (sealed.len == 0), err, CUSTOS_E_INTERNAL, "the courier gave out another share than was planned");
	if (sealed.len > 0)
		CUSTOS_TRY(write_file(s, number, point, sealed, err));
	s->to[number - 1].is_out = true;
	return CUSTOS_OK;
}

static custos_rc take_shares(struct custos_split *s, struct custos_err *err)
{
	CUSTOS_TRY(custos_channel_send(&s->helper.channel, CUSTOS_COURIER_GIVE_OUT, CUSTOS_BYTES(NULL, 0), -1, err));
	for (unsigned expected = 1;; expected++) {
		CUSTOS_AUTO_FRAME frame = { .fd = -1 };
		/* a person copies them by hand */
		CUSTOS_TRY(custos_courier_hear(&s->helper, -1, WORK, &frame, err));
		if (frame.type == CUSTOS_COURIER_KEY_REFUSED)
			return custos_courier_take_refusal(&frame, err);
		if (frame.type == CUSTOS_COURIER_SHARES_GIVEN) {
			CUSTOS_REQUIRE(expected == s->count + 1, err, CUSTOS_E_INTERNAL, "the courier gave out %u of %u shares", expected - 1, s->count);
			return custos_courier_hear(&s->helper, BYE_MS, WORK, &frame, err);
		}
		CUSTOS_REQUIRE(frame.type == CUSTOS_COURIER_SHARE, err, CUSTOS_E_INTERNAL, "message %u does not belong here", frame.type);
		CUSTOS_TRY(take_share(s, &frame, expected, err));
	}
}

enum naming { PLANNED, GIVEN };

static struct custos_json *name_shares(const struct custos_split *s, enum naming what)
{
	struct custos_json *shares = custos_json_array();
	for (unsigned i = 0; i < s->count; i++) {
		const struct recipient *r = &s->to[i];
		char name[NAME_SIZE], path[4096];
		if (what == GIVEN && !r->is_out)
			continue;
		struct custos_json *share = custos_json_object();
		custos_json_set_int(share, "number", i + 1);
		file_name(i + 1, name);
		snprintf(path, sizeof path, "%s/%s", s->out == NULL ? "" : s->out, name);
		if (r->name == NULL)
			custos_json_set_bool(share, "screen", true);
		else {
			custos_json_set_text(share, "custodian", r->name);
			custos_json_set_hex(share, "spki_sha256", r->spki_sha256, sizeof r->spki_sha256);
		}
		if (r->name != NULL && what == GIVEN)
			custos_json_set_text(share, "file", path);
		custos_json_push(shares, share);
	}
	return shares;
}

custos_rc custos_split_describe(const struct custos_split *s, struct custos_json **ret_shares, struct custos_err *err)
{
	*ret_shares = name_shares(s, PLANNED);
	CUSTOS_REQUIRE(*ret_shares != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	return CUSTOS_OK;
}

custos_rc custos_split_give_out(struct custos_split *s, struct custos_json **ret_shares, struct custos_err *err)
{
	custos_rc rc = take_shares(s, err);
	*ret_shares = name_shares(s, GIVEN);
	CUSTOS_REQUIRE(*ret_shares != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	return rc;
}
