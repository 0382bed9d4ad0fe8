/* residue_without CALL… -- COMMAND…: runs COMMAND on a kernel that does not have these calls (they answer ENOSYS), for it and for all it starts. CALL is one
 * of the names below. So the product's second way of locking memory is used, or none, without a switch for that in the product. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	const char *name;
	unsigned number;
} calls[] = { { "memfd_secret", 447 }, { "mlock", SYS_mlock }, { "mlock2", SYS_mlock2 } };
enum { CALLS = sizeof calls / sizeof *calls };

int main(int argc, char **argv)
{
	struct sock_filter code[2 * CALLS + 2];
	unsigned short n = 0;
	int at = 1;
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (; at < argc && strcmp(argv[at], "--") != 0; at++) {
		size_t i = 0;
		while (i < CALLS && strcmp(calls[i].name, argv[at]) != 0)
			i++;
		if (i == CALLS || at > CALLS) {
			fprintf(stderr, "residue_without: error: %s: no such call\n", argv[at]);
			return 2;
		}
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i].number, 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
	}
	if (at < 2 || at + 1 >= argc) {
		fprintf(stderr, "usage: residue_without CALL… -- COMMAND…\n");
		return 2;
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { n, code };
	/* an ordinary user may filter his own calls only when nothing he starts can gain rights */
	if (geteuid() != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		perror("residue_without: error: no-new-privs");
		return 2;
	}
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
		perror("residue_without: error: seccomp");
		return 2;
	}
	execvp(argv[at + 1], argv + at + 1);
	perror("residue_without: error: exec");
	return 127;
}
