/* A helper that tells what it was given: descriptors, environment, arguments, signal mask. Or that will not end. */
#include "link/spawn.h"

#include "link_probe.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

extern char **environ;

static custos_rc describe_descriptors(struct custos_buf *out)
{
	DIR *dir = opendir("/proc/self/fd");
	if (dir == NULL)
		return CUSTOS_E_SYSTEM;
	for (struct dirent *d; (d = readdir(dir)) != NULL;) {
		char path[64], target[128];
		int fd = atoi(d->d_name);
		if (d->d_name[0] == '.' || fd == dirfd(dir))
			continue;
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		ssize_t len = readlink(path, target, sizeof target - 1);
		target[len < 0 ? 0 : len] = '\0';
		/* of a socket only that it is one */
		CUSTOS_TRY(custos_buf_printf(out, NULL, "fd %d %s\n", fd, strncmp(target, "socket:", 7) == 0 ? "socket" : target));
	}
	closedir(dir);
	return CUSTOS_OK;
}

static custos_rc describe(int argc, char **argv, struct custos_buf *out)
{
	sigset_t mask;
	CUSTOS_TRY(describe_descriptors(out));
	for (int i = 0; i < argc; i++)
		CUSTOS_TRY(custos_buf_printf(out, NULL, "argv %s\n", argv[i]));
	for (char **e = environ; *e != NULL; e++)
		CUSTOS_TRY(custos_buf_printf(out, NULL, "env %s\n", *e));
	sigprocmask(SIG_SETMASK, NULL, &mask);
	for (int s = 1; s < 32; s++)
		if (sigismember(&mask, s) == 1)
			CUSTOS_TRY(custos_buf_printf(out, NULL, "blocked %d\n", s));
	return CUSTOS_OK;
}

/* Deaf to everything but SIGKILL. */
static void hang(void)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (;;)
		sigwaitinfo(&(sigset_t){ 0 }, NULL);
}

int main(int argc, char **argv)
{
	struct custos_channel channel;
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	CUSTOS_AUTO_BUF out = { 0 };
	/* before the channel is attached, which makes it close-on-exec */
	if (describe(argc, argv, &out) != CUSTOS_OK || custos_helper_attach(&probe_protocol, &channel, NULL) != CUSTOS_OK)
		return 1;
	while (custos_channel_receive(&channel, -1, &frame, NULL) == CUSTOS_OK) {
		const char *what = (char *)frame.body.ptr;
		if (custos_channel_send(&channel, PROBE_TOLD, custos_buf_view(&out), -1, NULL) != CUSTOS_OK)
			return 1;
		if (strcmp(what, "hang") == 0)
			hang();
		if (strcmp(what, "die") == 0)
			raise(SIGKILL);
	}
	return PROBE_LEAVES_WITH;
}
