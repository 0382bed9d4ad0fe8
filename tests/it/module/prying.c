/* A PKCS#11 module that does what a module must not be able to do: reach the store, the network and its neighbours. It does so in C_Initialize and in the process that
 * loaded it, whatever that is, and writes to $PRYING_REPORT one line a trial: its name and "worked" or "refused". $PRYING_DIR is the directory it is after (with
 * a file custody.yaml in it), $PRYING_PORT a port of 127.0.0.1 where somebody listens. Then it fails, as broken drivers do. */
#include <p11-kit/pkcs11.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *dir;
static char file[512];

static bool opens(const char *path, int flags)
{
	int fd = open(path, flags, 0600);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool opens_at(const char *before, const char *after)
{
	char path[1024];
	snprintf(path, sizeof path, "%s%s", before, after);
	return opens(path, O_RDONLY);
}

static bool reads_store(void) { return opens(file, O_RDONLY); }
static bool writes_store(void) { return opens(file, O_RDWR); }
static bool lists_store(void) { return opens(dir, O_RDONLY | O_DIRECTORY); }
static bool walks_into_it(void) { return chdir(dir) == 0 && opens("custody.yaml", O_RDONLY); }

static bool makes_a_file_there(void)
{
	char path[600];
	snprintf(path, sizeof path, "%s/prying", dir);
	return opens(path, O_WRONLY | O_CREAT | O_EXCL) && unlink(path) == 0;
}

static bool goes_by_its_parent(void)
{
	char root[64];
	snprintf(root, sizeof root, "/proc/%d/root", (int)getppid());
	return opens_at(root, file);
}

static bool takes_its_parents_files(void)
{
	char path[64];
	for (int fd = 4; fd < 40; fd++) {
		char target[1024];
		snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getppid(), fd);
		ssize_t len = readlink(path, target, sizeof target - 1);
		if (len > 0 && strncmp(target, dir, strlen(dir)) == 0 && opens(path, O_RDONLY))
			return true;
	}
	return false;
}

static bool links_it(void)
{
	char path[64];
	snprintf(path, sizeof path, "/tmp/prying-%d", (int)getpid());
	bool reached = link(file, path) == 0 && opens(path, O_RDONLY);
	unlink(path);
	return reached || (symlink(file, path) == 0 && opens(path, O_RDONLY) && unlink(path) == 0);
}

static bool mounts_it(void)
{
	char path[64];
	snprintf(path, sizeof path, "/tmp/prying-%d.d", (int)getpid());
	bool reached = mkdir(path, 0700) == 0 && mount(dir, path, NULL, MS_BIND, NULL) == 0 && opens_at(path, "/custody.yaml");
	umount(path);
	rmdir(path);
	return reached;
}

static bool lets_a_child_do_it(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", "exec 2> /dev/null; read -r line < \"$1\"", "sh", file, (char *)NULL);
		_exit(2);
	}
	int status = 1;
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool opens_it_to_all(void)
{
	struct stat st;
	return stat(file, &st) == 0 && (chmod(file, st.st_mode & 07777) == 0 || chown(file, st.st_uid, st.st_gid) == 0);
}

static bool shortens_it(void)
{
	struct stat st;
	return stat(file, &st) == 0 && truncate(file, st.st_size) == 0;
}

static bool connects(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((unsigned short)atoi(getenv("PRYING_PORT"))) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool reached = fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
	if (fd >= 0)
		close(fd);
	return reached;
}

static bool sends_a_datagram(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(9) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	bool reached = fd >= 0 && sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to) == 1;
	if (fd >= 0)
		close(fd);
	return reached;
}

static bool uses_a_ring(void)
{
	char parameters[256] = { 0 };
	long fd = syscall(SYS_io_uring_setup, 4, parameters);
	if (fd >= 0)
		close((int)fd);
	return fd >= 0;
}

static bool traces_its_parent(void)
{
	if (ptrace(PTRACE_SEIZE, getppid(), NULL, NULL) != 0)
		return false;
	return true; /* let go of when this process ends */
}

static bool reads_its_parents_memory(void)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/mem", (int)getppid());
	return opens(path, O_RDONLY);
}

static bool signals_its_parent(void) { return kill(getppid(), 0) == 0; }

static void pry(void)
{
	static const struct {
		const char *name;
		bool (*trial)(void);
	} trials[] = {
		{ "read", reads_store }, { "write", writes_store }, { "list", lists_store }, { "walk", walks_into_it }, { "make", makes_a_file_there },
		{ "parent-root", goes_by_its_parent }, { "parent-files", takes_its_parents_files }, { "link", links_it }, { "mount", mounts_it },
		{ "child", lets_a_child_do_it }, { "mode", opens_it_to_all }, { "shorten", shortens_it }, { "connect", connects }, { "datagram", sends_a_datagram }, { "ring", uses_a_ring }, { "trace", traces_its_parent },
		{ "memory", reads_its_parents_memory }, { "signal", signals_its_parent },
	};
	FILE *report = fopen(getenv("PRYING_REPORT"), "w");
	if (report == NULL)
		return;
	for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
		fprintf(report, "%s %s\n", trials[i].name, trials[i].trial() ? "worked" : "refused");
		fflush(report);
	}
	fclose(report);
}

static CK_RV initialize(void *args)
{
	(void)args;
	dir = getenv("PRYING_DIR");
	if (dir == NULL || getenv("PRYING_PORT") == NULL || getenv("PRYING_REPORT") == NULL)
		return CKR_ARGUMENTS_BAD;
	snprintf(file, sizeof file, "%s/custody.yaml", dir);
	pry();
	return CKR_FUNCTION_FAILED;
}

static CK_RV finalize(void *reserved)
{
	(void)reserved;
	return CKR_OK;
}

static CK_RV get_info(CK_INFO *info)
{
	memset(info, ' ', sizeof *info);
	info->cryptokiVersion.major = 2;
	info->cryptokiVersion.minor = 40;
	return CKR_OK;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list);
CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
	static CK_FUNCTION_LIST functions = { .version = { 2, 40 }, .C_Initialize = initialize, .C_Finalize = finalize, .C_GetInfo = get_info, .C_GetFunctionList = C_GetFunctionList };
	*list = &functions;
	return CKR_OK;
}
