/* custos-token: the one process that has a PKCS#11 module, and the PIN while logging in.
 *
 * Started by the keeper with the channel on descriptor 3; lives for one command and ends when the channel closes. It never meets the
 * store, the network or the terminal. It is hardened before the module is loaded, because a module is other people's code. */
#include "link/spawn.h"
#include "token/serve.h"
#include <custos/secret.h>

#include <limits.h>
#include <pwd.h>
#include <stdio.h>

#ifdef CUSTOS_SANITIZED
/* SoftHSM 2.6 loses a few bytes with every Ed25519 key; nobody else may. Stacks have to reach through libcrypto to tell. */
const char *__asan_default_options(void);
const char *__lsan_default_options(void);
const char *__lsan_default_suppressions(void);

const char *__asan_default_options(void)
{
	return "fast_unwind_on_malloc=0";
}

const char *__lsan_default_options(void)
{
	return "print_suppressions=0";
}

const char *__lsan_default_suppressions(void)
{
	return "leak:libsofthsm2\n";
}
#endif

/* Where SoftHSM itself will look, in its order. */
static void find_softhsm_conf(char *path, size_t size)
{
	const char *named = getenv("SOFTHSM2_CONF");
	if (named != NULL) {
		snprintf(path, size, "%s", named);
		return;
	}
	const struct passwd *user = getpwuid(getuid());
	if (user != NULL && snprintf(path, size, "%s/.config/softhsm2/softhsm2.conf", user->pw_dir) < (int)size && access(path, R_OK) == 0)
		return;
	snprintf(path, size, "/etc/softhsm/softhsm2.conf");
}

static custos_rc run(struct custos_err *err)
{
	struct custos_channel channel;
	char softhsm_conf[PATH_MAX];
	CUSTOS_TRY(custos_secret_start(err));
	CUSTOS_TRY(custos_helper_attach(&custos_token_protocol, &channel, err));
	find_softhsm_conf(softhsm_conf, sizeof softhsm_conf);
	return custos_serve(&channel, softhsm_conf, err);
}

int main(void)
{
	struct custos_err err = { 0 };
	if (run(&err) == CUSTOS_OK)
		return 0;
	fprintf(stderr, "custos-token: error: %s\n", err.msg);
	if (err.hint[0] != '\0')
		fprintf(stderr, "custos-token: hint: %s\n", err.hint);
	return (int)err.rc;
}
