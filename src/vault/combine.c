/* Combining shares to a KEK, keeper's side (shares.h): what share files say is checked before a courier is started; it opens them and asks for the rest. */
#include "base/text.h"
#include "crypto/shares.h"
#include "vault/courier.h"
#include "vault/file.h"
#include "vault/share_file.h"
#include "vault/shares.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { GRACE_MS = 2000, BYE_MS = 10000, OPEN_MS = 120000, KEY_FILE_MAX = 65536 };
static const char WORK[] = "combines the shares";

struct custos_combine {
	struct custos_helper helper;
	struct custos_courier_met met;
	const struct custos_combine_options *options;   /* valid in custos_combine_start() only */
	bool is_known;
	uint32_t set;
	unsigned threshold;
	struct custos_share_file files[CUSTOS_SHARES_MAX];
	size_t count;
};

void custos_combine_free(struct custos_combine *m)
{
	if (m == NULL)
		return;
	(void)custos_helper_stop(&m->helper, GRACE_MS);
	custos_courier_met_done(&m->met);
	for (size_t i = 0; i < m->count; i++)
		custos_share_file_done(&m->files[i]);
	free(m);
}

const uint8_t *custos_combine_point(const struct custos_combine *m)
{
	return m->met.point;
}

const uint8_t *custos_combine_sha256(const struct custos_combine *m)
{
	return m->met.sha256;
}

const char *custos_combine_memory(const struct custos_combine *m)
{
	return m->met.memory_backend;
}

/* ---- what the files say ---- */

static custos_rc check_file(struct custos_combine *m, const struct custos_share_file *share, const char *name, struct custos_err *err)
{
	if (strcmp(share->origin, m->options->origin) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "it restores the KEK of the custody it names", "%s is a share of the custody %.200s, this one is %.200s", name, share->origin, m->options->origin);
	if (m->is_known && (share->set != m->set || share->threshold != m->threshold))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "take the files of one set", "%s is of the set %08x (%u needed), wanted is the set %08x (%u needed)", name, share->set, share->threshold, m->set,
		                 m->threshold);
	for (size_t i = 0; i < m->count; i++)
		CUSTOS_REQUIRE(m->files[i].number != share->number, err, CUSTOS_E_INPUT, "%s and %s are both share %u", m->options->files[i].file, name, share->number);
	m->set = share->set;
	m->threshold = share->threshold;
	m->is_known = true;
	return CUSTOS_OK;
}

static custos_rc read_files(struct custos_combine *m, struct custos_err *err)
{
	CUSTOS_REQUIRE(m->options->count <= CUSTOS_SHARES_MAX, err, CUSTOS_E_USAGE, "more than %d share files", CUSTOS_SHARES_MAX);
	for (size_t i = 0; i < m->options->count; i++) {
		const char *name = m->options->files[i].file;
		CUSTOS_AUTO_BUF text = { .max = CUSTOS_SHARE_FILE_MAX };
		CUSTOS_CLEANUP(custos_share_file_done) struct custos_share_file share = { 0 };
		CUSTOS_TRY(custos_file_read(name, &text, err));
		CUSTOS_TRY(custos_share_file_parse(custos_buf_view(&text), name, &share, err));
		CUSTOS_TRY(check_file(m, &share, name, err));
		m->files[m->count++] = share;
		share.sealed = (struct custos_buf){ 0 };
	}
	return CUSTOS_OK;
}

static custos_rc take_options(struct custos_combine *m, struct custos_err *err)
{
	uint8_t set[4];
	const struct custos_combine_options *o = m->options;
	CUSTOS_REQUIRE((o->threshold == 0) == (o->set == NULL), err, CUSTOS_E_INTERNAL, "of a set and its threshold one is known without the other");
	if (o->set == NULL)
		return CUSTOS_OK;
	CUSTOS_REQUIRE(custos_text_unhex(o->set, set, sizeof set) && o->threshold >= CUSTOS_SHARES_MIN && o->threshold <= CUSTOS_SHARES_MAX, err, CUSTOS_E_INTERNAL, "no set of shares is named %.20s",
	               o->set);
	for (unsigned i = 0; i < sizeof set; i++)
		m->set = m->set << 8 | set[i];
	m->threshold = o->threshold;
	m->is_known = true;
	return CUSTOS_OK;
}

/* ---- the courier ---- */

static custos_rc send_plan(struct custos_combine *m, struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { .max = CUSTOS_FRAME_BODY_MAX };
	struct custos_wire_out w = { .buf = &body, .err = err };
	/* without one everything must come from files */
	CUSTOS_AUTO_FD terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	custos_wire_put_text(&w, m->options->origin);
	/* what files say of themselves is believed when they were opened */
	bool is_told = m->options->set != NULL;
	custos_wire_put_u8(&w, (uint8_t)(is_told ? m->threshold : 0));
	custos_wire_put_u32(&w, is_told ? m->set : 0);
	CUSTOS_TRY(w.rc);
	return custos_channel_send(&m->helper.channel, CUSTOS_COURIER_COMBINE_PLAN, custos_buf_view(&body), terminal, err);
}

/* The bytes of the key never pass through here. */
static custos_rc send_share(struct custos_combine *m, size_t at, struct custos_err *err)
{
	const struct custos_share_file *share = &m->files[at];
	const struct custos_share_source *source = &m->options->files[at];
	CUSTOS_AUTO_BUF body = { .max = CUSTOS_FRAME_BODY_MAX };
	struct custos_wire_out w = { .buf = &body, .err = err };
	CUSTOS_AUTO_FD fd = open(source->key_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* not to wait for ever at a FIFO */
	struct stat st;
	CUSTOS_REQUIRE(fd >= 0 && fstat(fd, &st) == 0, err, CUSTOS_E_INPUT, "cannot open %s: %s", source->key_file, strerror(errno));
	CUSTOS_REQUIRE(S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= KEY_FILE_MAX, err, CUSTOS_E_INPUT, "%s is not a file of a key's size", source->key_file);
	custos_wire_put_text(&w, source->file);
	custos_wire_put_u8(&w, (uint8_t)share->number);
	custos_wire_put_fixed(&w, share->point, sizeof share->point);
	custos_wire_put_bytes(&w, custos_buf_view(&share->sealed));
	CUSTOS_TRY(w.rc);
	return custos_channel_send(&m->helper.channel, CUSTOS_COURIER_SHARE_FILE, custos_buf_view(&body), fd, err);
}

/* What was in the file is what its header says. */
static custos_rc take_opened(const struct custos_combine *m, size_t at, const struct custos_frame *frame, struct custos_err *err)
{
	const struct custos_share_file *share = &m->files[at];
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	uint32_t set = custos_wire_u32(&r);
	uint8_t threshold = custos_wire_u8(&r), number = custos_wire_u8(&r);
	CUSTOS_TRY(custos_wire_end(&r, "SHARE_TAKEN", err));
	if (set != share->set || threshold != share->threshold || number != share->number)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TAMPERED, "somebody has edited the file: keep it as evidence, and take another copy", "the header of %s is not that of the share in it",
		                 m->options->files[at].file);
	return CUSTOS_OK;
}

static custos_rc open_share(struct custos_combine *m, size_t at, struct custos_err *err)
{
	char what[300];
	CUSTOS_TRY(send_share(m, at, err));
	snprintf(what, sizeof what, "pass phrase of %s", m->options->files[at].key_file);
	for (unsigned asked = 0;; asked++) {
		CUSTOS_AUTO_FRAME frame = { .fd = -1 };
		CUSTOS_TRY(custos_courier_hear(&m->helper, OPEN_MS, WORK, &frame, err));
		switch (frame.type) {
		case CUSTOS_COURIER_NEED_PHRASE:
			CUSTOS_REQUIRE(asked == 0, err, CUSTOS_E_INTERNAL, "the courier asks for a pass phrase again");
			CUSTOS_TRY(custos_courier_send_phrase(&m->helper, &m->met, m->options->pass_phrase, what, err));
			break;
		case CUSTOS_COURIER_SHARE_TAKEN: return take_opened(m, at, &frame, err);
		case CUSTOS_COURIER_KEY_REFUSED: return custos_courier_take_refusal(&frame, err);
		default: CUSTOS_FAIL(err, CUSTOS_E_INTERNAL, "message %u does not belong here", frame.type);
		}
	}
}

custos_rc custos_combine_start(const struct custos_combine_options *options, struct custos_combine **ret_combine, struct custos_err *err)
{
	CUSTOS_AUTO(custos_combine) *m = calloc(1, sizeof *m);
	CUSTOS_REQUIRE(m != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	m->helper.channel.fd = -1;
	m->options = options;
	CUSTOS_TRY(take_options(m, err));
	CUSTOS_TRY(read_files(m, err));
	CUSTOS_TRY(custos_courier_meet(CUSTOS_JOB_COMBINE, &m->helper, &m->met, err));
	CUSTOS_TRY(send_plan(m, err));
	for (size_t i = 0; i < m->count; i++)
		CUSTOS_TRY(open_share(m, i, err));
	m->options = NULL;
	*ret_combine = CUSTOS_TAKE(m);
	return CUSTOS_OK;
}

static custos_rc read_ready(struct custos_combine *m, const struct custos_frame *frame, struct custos_json **ret_report, struct custos_err *err)
{
	char set[CUSTOS_SET_TEXT];
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	m->set = custos_wire_u32(&r);
	m->threshold = custos_wire_u8(&r);
	struct custos_bytes numbers = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "SHARES_READY", err));
	CUSTOS_AUTO(custos_json) *report = custos_json_object();
	struct custos_json *list = custos_json_array();
	for (size_t i = 0; i < numbers.len; i++)
		custos_json_push(list, custos_json_integer(numbers.ptr[i]));
	snprintf(set, sizeof set, "%08x", m->set);
	custos_json_set_text(report, "set", set);
	custos_json_set_int(report, "threshold", m->threshold);
	custos_json_set(report, "numbers", list);
	CUSTOS_REQUIRE(report != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	*ret_report = CUSTOS_TAKE(report);
	return CUSTOS_OK;
}

custos_rc custos_combine_collect(struct custos_combine *m, struct custos_json **ret_report, struct custos_err *err)
{
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	CUSTOS_TRY(custos_channel_send(&m->helper.channel, CUSTOS_COURIER_COLLECT, CUSTOS_BYTES(NULL, 0), -1, err));
	/* people type them by hand */
	CUSTOS_TRY(custos_courier_hear(&m->helper, -1, WORK, &frame, err));
	if (frame.type == CUSTOS_COURIER_KEY_REFUSED)
		return custos_courier_take_refusal(&frame, err);
	CUSTOS_REQUIRE(frame.type == CUSTOS_COURIER_SHARES_READY, err, CUSTOS_E_INTERNAL, "message %u does not belong here", frame.type);
	return read_ready(m, &frame, ret_report, err);
}

custos_rc custos_combine_seal(struct custos_combine *m, const uint8_t import_point[static CUSTOS_POINT_SIZE], uint8_t ret_sealed_point[static CUSTOS_POINT_SIZE],
                              struct custos_buf *ret_sealed, struct custos_err *err)
{
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	CUSTOS_TRY(custos_courier_have_sealed(&m->helper, import_point, WORK, ret_sealed_point, ret_sealed, err));
	return custos_courier_hear(&m->helper, BYE_MS, WORK, &frame, err);
}
