/* The registers of a stopped thread: general ones, and every vector register the kernel hands out. */
#include "residue.h"

#include <elf.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

enum { REGISTERS_SIZE = 65536 };

#if defined(__x86_64__)
static const int sets[] = { NT_PRSTATUS, NT_FPREGSET, NT_X86_XSTATE };
#elif defined(__aarch64__)
enum { SVE = 0x405 };
static const int sets[] = { NT_PRSTATUS, NT_PRFPREG, SVE };
#else
#error "the registers of this processor are not known"
#endif

/* A set that this processor lacks has nothing in it. The general ones come first. */
void residue_scan_registers(pid_t tid, struct residue_sample *s)
{
	uint8_t bytes[REGISTERS_SIZE];
	struct residue_hits vectors = { 0 };
	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
		struct iovec v = { bytes, sizeof bytes };
		struct residue_hits hits = { 0 };
		enum residue_part part = sets[i] == NT_PRSTATUS ? PART_GENERAL : PART_VECTORS;
		if (ptrace(PTRACE_GETREGSET, tid, sets[i], &v) != 0)
			continue;
		if (s->kept != NULL) {
			residue_keep_part(s->kept, part, "registers", false);
			residue_keep_bytes(s->kept, bytes, v.iov_len);
			continue;
		}
		residue_needles_search(s->needles, bytes, v.iov_len, &hits);
		residue_sample_take_registers(s, part, &vectors, &hits);
	}
	residue_sample_end_registers(s, &vectors);
}

void residue_derail(pid_t tid)
{
	struct user_regs_struct registers;
	struct iovec v = { &registers, sizeof registers };
	if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &v) != 0)
		residue_die("cannot read registers");
#if defined(__x86_64__)
	registers.rip = 0;
	registers.orig_rax = ~0ull; /* no call to begin again */
#else
	registers.pc = 0;
#endif
	if (ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &v) != 0)
		residue_die("cannot set registers");
}
