/* Fields of frames: what was written is read back, every shorter, longer or lying body is refused, and no byte behind the end is
 * touched. */
#include "base/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct message {
	uint8_t u8;
	uint32_t u32;
	uint64_t u64;
	struct custos_bytes bytes;
	char *text;
	uint8_t fixed[5];
};

static void write_message(struct custos_buf *out)
{
	struct custos_wire_out w = { .buf = out };
	custos_wire_put_u8(&w, 0xfe);
	custos_wire_put_u32(&w, 0xfedcba98);
	custos_wire_put_u64(&w, 0x0123456789abcdef);
	custos_wire_put_bytes(&w, CUSTOS_BYTES("a\0b", 3));
	custos_wire_put_text(&w, "täxt");
	custos_wire_put_fixed(&w, (const uint8_t *)"fixed", 5);
	assert_int_equal(w.rc, CUSTOS_OK);
}

static custos_rc read_message(struct custos_bytes body, struct message *m)
{
	struct custos_wire r = custos_wire_read(body);
	m->u8 = custos_wire_u8(&r);
	m->u32 = custos_wire_u32(&r);
	m->u64 = custos_wire_u64(&r);
	m->bytes = custos_wire_bytes(&r);
	m->text = custos_wire_text(&r);
	custos_wire_fixed(&r, m->fixed, sizeof m->fixed);
	struct custos_err err = { 0 };
	custos_rc rc = custos_wire_end(&r, "TEST", &err);
	if (rc != CUSTOS_OK)
		assert_non_null(strstr(err.msg, "TEST"));
	return rc;
}

static void what_was_written_is_read(void **state)
{
	(void)state;
	CUSTOS_AUTO_BUF out = { 0 };
	struct message m;
	write_message(&out);
	static const uint8_t big_endian[] = { 0xfe, 0xfe, 0xdc, 0xba, 0x98, 1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
		0, 0, 0, 3, 'a', 0, 'b', 0, 0, 0, 5 };
	assert_memory_equal(out.ptr, big_endian, sizeof big_endian);
	assert_int_equal(read_message(custos_buf_view(&out), &m), CUSTOS_OK);
	assert_int_equal(m.u8, 0xfe);
	assert_int_equal(m.u32, 0xfedcba98);
	assert_true(m.u64 == 0x0123456789abcdef);
	assert_true(custos_bytes_equal(m.bytes, CUSTOS_BYTES("a\0b", 3)));
	assert_string_equal(m.text, "täxt");
	assert_memory_equal(m.fixed, "fixed", 5);
	free(m.text);
}

/* Each copy ends where its allocation ends, so that a sanitizer sees the first byte too many. */
static void every_truncation_is_refused(void **state)
{
	(void)state;
	CUSTOS_AUTO_BUF out = { 0 };
	write_message(&out);
	for (size_t len = 0; len < out.len; len++) {
		struct message m = { 0 };
		uint8_t *copy = malloc(len > 0 ? len : 1);
		memcpy(copy, out.ptr, len);
		assert_int_equal(read_message(CUSTOS_BYTES(copy, len), &m), CUSTOS_E_INTERNAL);
		/* what could not be read is zero, never what lay about */
		if (len < out.len)
			assert_memory_equal(m.fixed, "\0\0\0\0\0", 5);
		free(m.text);
		free(copy);
	}
}

static void trailing_bytes_are_refused(void **state)
{
	(void)state;
	CUSTOS_AUTO_BUF out = { 0 };
	struct message m;
	write_message(&out);
	assert_int_equal(custos_buf_append(&out, "", 1, NULL), CUSTOS_OK);
	assert_int_equal(read_message(custos_buf_view(&out), &m), CUSTOS_E_INTERNAL);
	free(m.text);
}

static void lying_lengths_are_refused(void **state)
{
	(void)state;
	static const uint8_t lies[][8] = { { 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4 }, { 0, 0, 0, 5, 1, 2, 3, 4 },
		{ 0x80, 0, 0, 0, 1, 2, 3, 4 }, { 0, 0, 1, 0, 1, 2, 3, 4 } };
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		struct custos_wire r = custos_wire_read(CUSTOS_BYTES(lies[i], 8));
		struct custos_bytes b = custos_wire_bytes(&r);
		assert_true(r.failed && b.ptr == NULL && b.len == 0);
		r = custos_wire_read(CUSTOS_BYTES(lies[i], 8));
		assert_null(custos_wire_text(&r));
		assert_true(r.failed);
	}
}

/* After the first failure nothing succeeds, although four good bytes are left. */
static void a_failure_is_remembered(void **state)
{
	(void)state;
	static const uint8_t body[] = { 0, 0, 0, 9, 0, 0, 0, 1 };
	struct custos_wire r = custos_wire_read(CUSTOS_BYTES(body, sizeof body));
	assert_null(custos_wire_bytes(&r).ptr);
	assert_int_equal(custos_wire_u32(&r), 0);
	assert_int_equal(custos_wire_u8(&r), 0);
	assert_null(custos_wire_text(&r));
	uint8_t fixed[2] = { 7, 7 };
	custos_wire_fixed(&r, fixed, sizeof fixed);
	assert_int_equal(fixed[0] | fixed[1], 0);
	assert_int_equal(custos_wire_end(&r, "TEST", NULL), CUSTOS_E_INTERNAL);
}

static void text_has_no_nul_inside(void **state)
{
	(void)state;
	static const uint8_t cut_short[] = { 0, 0, 0, 5, 'r', 'o', 'o', 't', 0 }, one[] = { 0, 0, 0, 1, 0 }, empty[] = { 0, 0, 0, 0 };
	struct custos_wire r = custos_wire_read(CUSTOS_BYTES(cut_short, sizeof cut_short));
	assert_null(custos_wire_text(&r));
	assert_true(r.failed);
	r = custos_wire_read(CUSTOS_BYTES(one, sizeof one));
	assert_null(custos_wire_text(&r));
	r = custos_wire_read(CUSTOS_BYTES(empty, sizeof empty));
	CUSTOS_AUTO_STR *text = custos_wire_text(&r);
	assert_string_equal(text, "");
	assert_int_equal(custos_wire_end(&r, "TEST", NULL), CUSTOS_OK);
}

static void an_empty_body_is_an_empty_message(void **state)
{
	(void)state;
	struct custos_wire r = custos_wire_read(CUSTOS_BYTES(NULL, 0));
	assert_int_equal(custos_wire_end(&r, "TEST", NULL), CUSTOS_OK);
	assert_int_equal(custos_wire_u8(&r), 0);
	assert_int_equal(custos_wire_end(&r, "TEST", NULL), CUSTOS_E_INTERNAL);
}

static void a_full_buffer_is_told_at_the_end(void **state)
{
	(void)state;
	CUSTOS_AUTO_BUF out = { .max = 6 };
	struct custos_err err = { 0 };
	struct custos_wire_out w = { .buf = &out, .err = &err };
	custos_wire_put_text(&w, "abc");
	assert_int_equal(w.rc, CUSTOS_E_INPUT);
	custos_wire_put_u8(&w, 1);
	assert_int_equal(w.rc, CUSTOS_E_INPUT);
	/* nothing more went in after the first that did not fit, although it would have */
	assert_int_equal(out.len, 4);
}

static void null_text_is_written_as_empty(void **state)
{
	(void)state;
	CUSTOS_AUTO_BUF out = { 0 };
	struct custos_wire_out w = { .buf = &out };
	custos_wire_put_text(&w, NULL);
	assert_int_equal(w.rc, CUSTOS_OK);
	assert_int_equal(out.len, 4);
	assert_memory_equal(out.ptr, "\0\0\0\0", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(trailing_bytes_are_refused),
		cmocka_unit_test(lying_lengths_are_refused),
		cmocka_unit_test(a_failure_is_remembered),
		cmocka_unit_test(text_has_no_nul_inside),
		cmocka_unit_test(an_empty_body_is_an_empty_message),
		cmocka_unit_test(a_full_buffer_is_told_at_the_end),
		cmocka_unit_test(null_text_is_written_as_empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
