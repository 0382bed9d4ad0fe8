/* Every compiler attribute and every macro that may return from a function, in one place. */
#ifndef CUSTOS_BASE_ATTR_H
#define CUSTOS_BASE_ATTR_H

#include <custos/err.h>
#include <stdlib.h>
#include <unistd.h>

#define CUSTOS_MUST __attribute__((warn_unused_result))
#define CUSTOS_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define CUSTOS_RC CUSTOS_MUST custos_rc

/* Propagate, require, fail: nothing else hides a return. */
#define CUSTOS_TRY(call) \
	do { \
		custos_rc custos_try_rc_ = (call); \
		if (custos_try_rc_ != CUSTOS_OK) \
			return custos_try_rc_; \
	} while (0)
#define CUSTOS_FAIL(err, rc, ...) return custos_err_set((err), (rc), 0, __VA_ARGS__)
#define CUSTOS_FAIL_NATIVE(err, rc, native, ...) return custos_err_set((err), (rc), (long)(native), __VA_ARGS__)
#define CUSTOS_REQUIRE(cond, err, rc, ...) \
	do { \
		if (!(cond)) \
			CUSTOS_FAIL(err, rc, __VA_ARGS__); \
	} while (0)
/* The same with a remedy: CUSTOS_FAIL_HINT(err, rc, "what to do", "what happened to %s", name). */
#define CUSTOS_FAIL_HINT(err, rc, remedy, ...) return custos_err_set_hinted((err), (rc), (remedy), __VA_ARGS__)

/* Scope cleanup. `CUSTOS_AUTO(custos_json) *x` for what lives on the heap and has a `free`: CUSTOS_DEFINE_FREEP makes the glue.
 * CUSTOS_CLEANUP(fn) for the rest: fn gets the variable's address. */
#define CUSTOS_DEFINE_FREEP(type) \
	static inline void type##_freep(struct type **p) \
	{ \
		type##_free(*p); \
		*p = NULL; \
	} \
	_Static_assert(1, "")
#define CUSTOS_AUTO(type) __attribute__((cleanup(type##_freep))) struct type
#define CUSTOS_CLEANUP(fn) __attribute__((cleanup(fn)))
#define CUSTOS_TAKE(p) (__extension__({ __typeof__(p) custos_take_ = (p); (p) = NULL; custos_take_; }))

static inline void custos_free_chars(char **p)
{
	free(*p);
	*p = NULL;
}
#define CUSTOS_AUTO_STR CUSTOS_CLEANUP(custos_free_chars) char

static inline void custos_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}
#define CUSTOS_AUTO_FD CUSTOS_CLEANUP(custos_close_fd) int
static inline int custos_take_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

/* First error wins: when `err` already holds one, only its category is returned. `err` may be NULL. Returns `rc`. */
custos_rc custos_err_set(struct custos_err *err, custos_rc rc, long native, const char *format, ...) CUSTOS_PRINTF(4, 5);
/* The same with its remedy; a remedy never goes to an earlier error. */
custos_rc custos_err_set_hinted(struct custos_err *err, custos_rc rc, const char *remedy, const char *format, ...) CUSTOS_PRINTF(4, 5);
/* Adds the remedy unless there is one. */
void custos_err_hint(struct custos_err *err, const char *format, ...) CUSTOS_PRINTF(2, 3);
/* Forgets an error that was dealt with. */
void custos_err_clear(struct custos_err *err);

#endif
