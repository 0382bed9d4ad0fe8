/* residue_person make DIR             a KEK and shares of it, into DIR: kek, share-1.bytes, share-1.txt …
 * residue_person split|combine DIR KEEPER   runs KEEPER at a terminal of its own, and is its token, which knows the KEK, and the person at the terminal. It is none of
 * the processes that the scanner looks into: it has everything that must not be found in them. */
#include "crypto/heap.h"
#include "crypto/seal.h"
#include "crypto/shares.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { SHARES = 3, THRESHOLD = 2, SET = 0x1ca00001, SEEN_MAX = 1 << 16, PARCEL_MAX = 256, WAIT_MS = 100000 };

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "residue_person: %s\n", what);
	exit(1);
}

static custos_rc copy_in(void *ctx, uint8_t *out, size_t len, struct custos_err *err)
{
	(void)err;
	memcpy(out, ctx, len);
	return CUSTOS_OK;
}

static custos_rc copy_out(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)err;
	memcpy(ctx, bytes, len);
	return CUSTOS_OK;
}

static size_t file(const char *dir, const char *name, const char *mode, void *bytes, size_t len)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, mode);
	if (f == NULL)
		die(path);
	size_t done = mode[0] == 'w' ? fwrite(bytes, 1, len, f) : fread(bytes, 1, len, f);
	if (fclose(f) != 0)
		die(path);
	return done;
}

static struct custos_secret *secret_of(uint8_t *bytes, size_t len)
{
	struct custos_secret *secret = NULL;
	if (custos_secret_new(len, &secret, NULL) != CUSTOS_OK || custos_secret_expose(secret, copy_in, bytes, NULL) != CUSTOS_OK)
		die("no locked memory");
	return secret;
}

static void make(const char *dir)
{
	uint8_t kek[CUSTOS_SHARE_VALUE], value[CUSTOS_SHARE_VALUE], text[CUSTOS_SHARE_TEXT];
	struct custos_secret *texts[SHARES];
	if (getrandom(kek, sizeof kek, 0) != (ssize_t)sizeof kek || custos_shares_split(secret_of(kek, sizeof kek), SET, THRESHOLD, SHARES, texts, NULL) != CUSTOS_OK)
		die("no shares");
	file(dir, "kek", "we", kek, sizeof kek);
	for (int i = 0; i < SHARES; i++) {
		char name[32];
		struct custos_share share;
		if (custos_share_read(texts[i], &share, NULL) != CUSTOS_OK || custos_secret_expose(share.value, copy_out, value, NULL) != CUSTOS_OK ||
		    custos_secret_expose(texts[i], copy_out, text, NULL) != CUSTOS_OK)
			die("no share");
		snprintf(name, sizeof name, "share-%d.txt", i + 1);
		file(dir, name, "we", text, sizeof text);
		snprintf(name, sizeof name, "share-%d.bytes", i + 1);
		file(dir, name, "we", value, sizeof value);
	}
}

/* ---- the token ---- */

static void wrap(const char *dir, int keeper)
{
	uint8_t kek[CUSTOS_SHARE_VALUE], point[CUSTOS_POINT_SIZE], parcel[PARCEL_MAX];
	struct custos_buf sealed = { 0 };
	if (read(keeper, point, sizeof point) != (ssize_t)sizeof point || file(dir, "kek", "re", kek, sizeof kek) != sizeof kek ||
	    custos_seal(secret_of(kek, sizeof kek), point, parcel, &sealed, NULL) != CUSTOS_OK)
		die("cannot wrap the KEK");
	memcpy(parcel + CUSTOS_POINT_SIZE, sealed.ptr, sealed.len);
	if (write(keeper, parcel, CUSTOS_POINT_SIZE + sealed.len) < 0)
		die("the keeper does not take the KEK");
}

/* ---- the person ---- */

struct terminal {
	int fd;
	char seen[SEEN_MAX];
	size_t len, at;
};

static void await(struct terminal *t, const char *text)
{
	for (;;) {
		const char *found = memmem(t->seen + t->at, t->len - t->at, text, strlen(text));
		if (found != NULL) {
			t->at = (size_t)(found - t->seen) + strlen(text);
			return;
		}
		struct pollfd p = { .fd = t->fd, .events = POLLIN };
		ssize_t n = poll(&p, 1, WAIT_MS) == 1 ? read(t->fd, t->seen + t->len, sizeof t->seen - t->len) : -1;
		if (n <= 0)
			die(text);
		t->len += (size_t)n;
	}
}

static void type(const struct terminal *t, const char *keys, size_t len)
{
	if (write(t->fd, keys, len) != (ssize_t)len)
		die("the terminal takes nothing");
}

static void copy_shares(struct terminal *t)
{
	for (int i = 0; i < SHARES; i++) {
		await(t, "Next: ");
		await(t, "the whole.");
		type(t, "\n", 1);
		await(t, "Copy it");
		type(t, "\n", 1);
	}
}

static void type_shares(struct terminal *t, const char *dir)
{
	char text[CUSTOS_SHARE_TEXT];
	await(t, "first share: ");
	file(dir, "share-3.txt", "re", text, sizeof text);
	type(t, text, sizeof text);
	await(t, "share 2 of 2");
	file(dir, "share-1.txt", "re", text, sizeof text);
	type(t, text, sizeof text);
}

static int run(const char *job, const char *dir, char *keeper)
{
	static struct terminal t;
	int slave, pair[2], status;
	if (openpty(&t.fd, &slave, NULL, NULL, NULL) != 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0 || fcntl(t.fd, F_SETFD, FD_CLOEXEC) != 0)
		die("no terminal");
	pid_t pid = fork();
	if (pid == 0) {
		char word[16];
		snprintf(word, sizeof word, "%s", job);
		char *const argv[] = { keeper, word, NULL };
		if (dup2(pair[1], 0) == 0 && dup2(slave, 1) == 1)
			execv(keeper, argv);
		_exit(127);
	}
	close(pair[1]);
	close(slave);
	if (strcmp(job, "split") == 0) {
		wrap(dir, pair[0]);
		copy_shares(&t);
	} else {
		type_shares(&t, dir);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		die("the keeper has crashed");
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	struct custos_arena *arena = NULL;
	if (argc < 3 || custos_secret_start(NULL) != CUSTOS_OK || custos_arena_new(2 * CUSTOS_CRYPTO_HEAP_MIN, &arena, NULL) != CUSTOS_OK || custos_crypto_use_arena(arena, NULL) != CUSTOS_OK)
		die("no locked memory");
	if (strcmp(argv[1], "make") == 0) {
		make(argv[2]);
		return 0;
	}
	if (argc != 4)
		die("split|combine DIR KEEPER");
	return run(argv[1], argv[2], argv[3]);
}
