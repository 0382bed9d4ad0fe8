/* What a confined process still can do, and what it cannot any more. Each case is a child that gives up something and then tries. Run as root and as nobody: root
 * is where a rule that does not hold would show. */
#include "confine/confinement.h"
#include "memory/harden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "child.h"

static char base[64], inside[96], beside[96], secret[128], plain[128];

static void put(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	assert_true(fd >= 0 && fchmod(fd, 0666) == 0 && write(fd, "text\n", 5) == 5 && close(fd) == 0);
}

static int make_tree(void **state)
{
	(void)state;
	snprintf(base, sizeof base, "%s/confine-XXXXXX", getenv("TMPDIR") == NULL ? "/tmp" : getenv("TMPDIR"));
	assert_non_null(mkdtemp(base));
	assert_int_equal(chmod(base, 0755), 0);
	snprintf(inside, sizeof inside, "%s/inside", base);
	snprintf(beside, sizeof beside, "%s/beside", base);
	snprintf(secret, sizeof secret, "%s/file", inside);
	snprintf(plain, sizeof plain, "%s/file", beside);
	assert_int_equal(mkdir(inside, 0777) + mkdir(beside, 0777) + chmod(inside, 0777) + chmod(beside, 0777), 0);
	put(secret);
	put(plain);
	return 0;
}

static int remove_tree(void **state)
{
	(void)state;
	char link[128];
	snprintf(link, sizeof link, "%s/link", beside);
	unlink(link);
	unlink(secret);
	unlink(plain);
	return rmdir(inside) + rmdir(beside) + rmdir(base);
}

/* ---- ways to reach a file ---- */

static bool opens(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool reaches_inside(void)
{
	char path[256];
	bool reached = opens(secret, O_RDONLY) || opens(secret, O_WRONLY) || opens(secret, O_WRONLY | O_TRUNC) || opens(inside, O_RDONLY | O_DIRECTORY);
	snprintf(path, sizeof path, "%s/new", inside);
	reached = reached || opens(path, O_WRONLY | O_CREAT) || mkdir(path, 0700) == 0 || unlink(secret) == 0 || truncate(secret, 0) == 0;
	/* by other names */
	snprintf(path, sizeof path, "/proc/self/root%s", secret);
	reached = reached || opens(path, O_RDONLY);
	snprintf(path, sizeof path, "%s/../inside/file", beside);
	reached = reached || opens(path, O_RDONLY) || (chdir(inside) == 0 && opens("file", O_RDONLY));
	snprintf(path, sizeof path, "%s/link", beside);
	reached = reached || link(secret, path) == 0 || rename(secret, path) == 0;
	reached = reached || (symlink(secret, path) == 0 && opens(path, O_RDONLY));
	unlink(path);
	/* the directory itself away from under the rule */
	snprintf(path, sizeof path, "%s/away", base);
	return reached || rename(inside, path) == 0;
}

static custos_rc harden(bool as_nobody, struct custos_err *err)
{
	if (as_nobody && getuid() == 0 && (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0))
		return CUSTOS_E_SYSTEM;
	return custos_harden_process(err);
}

static int all_but(void *ctx)
{
	struct custos_err err = { 0 };
	struct custos_confinement *c = NULL;
	const char *const dirs[] = { inside };
	if (!opens(secret, O_RDWR))
		return 2; /* reachable before, or the case proves nothing */
	if (harden(ctx != NULL, &err) != CUSTOS_OK || custos_confinement_new(&c, &err) != CUSTOS_OK || custos_confinement_all_but(c, dirs, 1, &err) != CUSTOS_OK ||
	    custos_confinement_enter(c, &err) != CUSTOS_OK)
		return 3;
	custos_confinement_free(c);
	if (reaches_inside())
		return 4;
	/* and everything else is as before */
	char made[128];
	snprintf(made, sizeof made, "%s/made", beside);
	bool works = opens(plain, O_RDWR) && opens(made, O_WRONLY | O_CREAT) && unlink(made) == 0 && opens("/etc/passwd", O_RDONLY) && opens("/dev/null", O_RDWR);
	return works ? 0 : 5;
}

static void everything_but_a_directory(void **state)
{
	(void)state;
	if (custos_confine_landlock_version() == 0)
		skip();
	assert_child_exits(all_but, NULL, 0);
	assert_child_exits(all_but, inside, 0);
}

static int only_paths(void *ctx)
{
	struct custos_err err = { 0 };
	struct custos_confinement *c = NULL;
	if (harden(ctx != NULL, &err) != CUSTOS_OK || custos_confinement_new(&c, &err) != CUSTOS_OK || custos_confinement_only_paths(c, &err) != CUSTOS_OK ||
	    custos_confinement_allow_path(c, beside, CUSTOS_CONFINE_READ, &err) != CUSTOS_OK || custos_confinement_allow_path(c, "/no/such/place", CUSTOS_CONFINE_READ, &err) != CUSTOS_OK ||
	    custos_confinement_enter(c, &err) != CUSTOS_OK)
		return 3;
	custos_confinement_free(c);
	if (reaches_inside() || opens("/etc/passwd", O_RDONLY))
		return 4;
	return opens(plain, O_RDONLY) && !opens(plain, O_WRONLY) && unlink(plain) != 0 ? 0 : 5;
}

static void named_paths_alone(void **state)
{
	(void)state;
	if (custos_confine_landlock_version() == 0)
		skip();
	assert_child_exits(only_paths, NULL, 0);
	assert_child_exits(only_paths, inside, 0);
}

/* ---- the network, and ways around ---- */

static int listener(struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof *address;
	*address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_true(fd >= 0 && bind(fd, (struct sockaddr *)address, len) == 0 && listen(fd, 4) == 0 && getsockname(fd, (struct sockaddr *)address, &len) == 0);
	return fd;
}

static bool refused(long result)
{
	return result < 0 && errno == EACCES;
}

static int no_network(void *ctx)
{
	const struct sockaddr_in *address = ctx;
	struct custos_err err = { 0 };
	struct custos_confinement *c = NULL;
	static const int families[] = { AF_INET, AF_INET6, AF_PACKET, AF_VSOCK, AF_ALG, 63, 64, 4711 };
	int before = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (before < 0 || connect(before, (const struct sockaddr *)address, sizeof *address) != 0)
		return 2;
	pid_t parent = getppid();
	char there[8], here[8];
	struct iovec to = { here, sizeof here }, from = { there, sizeof there };
	if (harden(false, &err) != CUSTOS_OK || custos_confinement_new(&c, &err) != CUSTOS_OK || custos_confinement_foreign_code(c, CUSTOS_FOREIGN_OFFLINE, &err) != CUSTOS_OK ||
	    custos_confinement_enter(c, &err) != CUSTOS_OK)
		return 3;
	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		if (!refused(socket(families[i], SOCK_STREAM, 0)) || !refused(socket(families[i], SOCK_DGRAM, 0)))
			return 4;
	/* the number of a family is an int: what stands above its 32 bits changes nothing */
	if (!refused(syscall(SYS_socket, (long)(UINT64_C(1) << 32 | AF_INET), SOCK_STREAM, 0)))
		return 5;
#ifndef CUSTOS_SANITIZED
	if (!refused(ptrace(PTRACE_ATTACH, parent, 0, 0)))
		return 9;
#endif
	if (!refused(syscall(SYS_io_uring_setup, 4, here)) || !refused(process_vm_readv(parent, &to, 1, &from, 1, 0)) ||
	    !refused(syscall(SYS_pidfd_getfd, 3, 0, 0)) || !refused(syscall(SYS_unshare, 0x10000000)) || !refused(syscall(SYS_bpf, 0, here, sizeof here)))
		return 6;
	if (!refused(chmod(plain, 0666)) || !refused(fchmodat(AT_FDCWD, plain, 0666, 0)) || !refused(chown(plain, 0, 0)) || !refused(truncate(plain, 1)) ||
	    !refused(syscall(452, AT_FDCWD, plain, 0666, 0)))
		return 8;
	return socket(AF_UNIX, SOCK_STREAM, 0) >= 0 && socket(AF_NETLINK, SOCK_RAW, 15) >= 0 ? 0 : 7;
}

static void no_network_but_local_sockets(void **state)
{
	(void)state;
	struct sockaddr_in address;
	int fd = listener(&address);
	assert_child_exits(no_network, &address, 0);
	close(fd);
}

/* ---- an allow-list of calls ---- */

static custos_rc only_a_few(struct custos_err *err)
{
	struct custos_confinement *c = NULL;
	const struct custos_confine_call calls[] = {
		{ SYS_write, 0, 0, 0 }, { SYS_munmap, 0, 0, 0 }, { SYS_mmap, 2, PROT_EXEC, 0 }, { SYS_exit_group, 0, 0, 0 }, { -1, 0, 0, 0 }, { SYS_close, 0, UINT64_MAX, 3 },
	};
	CUSTOS_TRY(custos_harden_process(err));
	CUSTOS_TRY(custos_confinement_new(&c, err));
	CUSTOS_TRY(custos_confinement_nothing(c, err));
	CUSTOS_TRY(custos_confinement_only_calls(c, calls, sizeof calls / sizeof *calls, err));
	return custos_confinement_enter(c, err);
}

enum trial { WHAT_IS_ALLOWED, OPENS, CONNECTS, FORKS, KILLS, EXECUTABLE_MEMORY, CLOSES_ANOTHER, OTHER_ARCHITECTURE };

static int tries(void *ctx)
{
	struct custos_err err = { 0 };
	const enum trial *trial = ctx;
	if (only_a_few(&err) != CUSTOS_OK)
		return 3;
	void *p;
	switch (*trial) {
	case WHAT_IS_ALLOWED:
		p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		return p != MAP_FAILED && munmap(p, 4096) == 0 && write(2, "", 0) == 0 && (close(3) == 0 || errno == EBADF) ? 0 : 4;
	case OPENS: (void)!open("/dev/null", O_RDONLY); break;
	case CONNECTS: (void)!socket(AF_UNIX, SOCK_STREAM, 0); break;
	case FORKS: (void)!fork(); break;
	case KILLS: kill(getppid(), 0); break;
	case EXECUTABLE_MEMORY: mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); break;
	case CLOSES_ANOTHER: close(4); break;
	case OTHER_ARCHITECTURE:
#ifdef __x86_64__
		/* what is write(2) there is exit for a program of 32 bits */
		__asm__ volatile("int $0x80" ::"a"(1), "b"(0) : "memory");
#else
		(void)!open("/dev/null", O_RDONLY);
#endif
		break;
	}
	return 5;
}

static void what_is_not_on_the_list_kills(void **state)
{
	(void)state;
#ifdef CUSTOS_SANITIZED
	skip(); /* it makes calls of its own */
#endif
	enum trial trial = WHAT_IS_ALLOWED;
	assert_child_exits(tries, &trial, 0);
	for (trial = OPENS; trial <= OTHER_ARCHITECTURE; trial++)
		assert_child_dies(tries, &trial, SIGSYS);
}

static int entered_twice(void *ctx)
{
	(void)ctx;
	struct custos_err err = { 0 };
	struct custos_confinement *c = NULL;
	if (custos_confinement_new(&c, &err) != CUSTOS_OK || custos_confinement_nothing(c, &err) != CUSTOS_OK)
		return 2;
	bool said = custos_confinement_only_paths(c, &err) == CUSTOS_E_INTERNAL || custos_confine_landlock_version() == 0;
	custos_confinement_free(c);
	return said ? 0 : 3;
}

static void files_are_confined_once(void **state)
{
	(void)state;
	assert_child_exits(entered_twice, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_but_a_directory), cmocka_unit_test(named_paths_alone),          cmocka_unit_test(no_network_but_local_sockets),
		cmocka_unit_test(what_is_not_on_the_list_kills), cmocka_unit_test(files_are_confined_once),
	};
	return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
